declare
    tag jsonb;
    name text;
    label_key text;
    provider text;
    accuracy numeric;
    published jsonb[] = '{}';
begin
    tags := tags #> '{}';  -- decompressed once
    for place in 0 .. jsonb_array_length(tags) - 1 loop
        tag := tags -> place;
        provider := tag ->> 'provider';
        continue when provider = machine;
        name := {{ function('tag_name') }}(tag);
        label_key := {{ function('label_key') }}(name);
        accuracy := {{ function('tag_accuracy') }}(tag);
        if {{ function('tag_decision') }}(
            name, label_key, provider, accuracy, image_provider,
            denied_tag_patterns, tag_providers, included_labels,
            reviewed_labels, sensitive_labels, label_corrections
        ) = 'published' then
            published := published || tag;
        end if;
    end loop;

    for place in 1 .. coalesce(cardinality(names), 0) loop
        accuracy := accuracies[place];
        -- Half of a machine's labels are below whatever any rule asks for.
        continue when accuracy < lowest_minimum_accuracy;
        name := names[place];
        label_key := {{ function('label_key') }}(name);
        if {{ function('tag_decision') }}(
            name, label_key, machine, accuracy, image_provider,
            denied_tag_patterns, tag_providers, included_labels,
            reviewed_labels, sensitive_labels, label_corrections
        ) = 'published' then
            published := published || {{ function('machine_tag') }}(name, accuracy, machine);
        end if;
    end loop;
    return to_jsonb(published);
end
