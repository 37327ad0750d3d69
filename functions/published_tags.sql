declare
    tag jsonb;
    name text;
    label_key text;
    provider text;
    machine text;
    accuracy numeric;
    first integer;
    last integer = 0;
    published jsonb[] = '{}';
begin
    tags := tags #> '{}';  -- decompressed once
    for place in 0 .. jsonb_array_length(tags) - 1 loop
        tag := tags -> place;
        provider := tag ->> 'provider';
        continue when provider = any (machines);
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

    for number in 1 .. coalesce(cardinality(machines), 0) loop
        machine := machines[number];
        first := last + 1;
        last := last + label_counts[number];
        for place in first .. last loop
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
    end loop;
    return to_jsonb(published);
end
