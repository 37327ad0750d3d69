select
    coalesce(
        (included_labels ->> label_key)::numeric,
        (tag_providers -> provider ->> 'minimum_accuracy')::numeric,
        {{ var('default_minimum_accuracy') }}
    )
