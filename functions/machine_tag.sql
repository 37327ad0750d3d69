select jsonb_build_object('name', name, 'accuracy', accuracy, 'provider', provider)
