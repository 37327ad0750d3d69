declare
    tag jsonb;
    name text;
    label_key text;
    provider text;
    machine text;
    accuracy numeric;
    category text;
    first integer;
    last integer = 0;
    categories text[] = '{}';
begin
    tags := tags #> '{}';  -- decompressed once
    for place in 0 .. jsonb_array_length(tags) - 1 loop
        tag := tags -> place;
        provider := tag ->> 'provider';
        -- Most tags are the creator's: no more is read of them.
        continue when provider = image_provider or provider = any (machines);
        name := {{ function('tag_name') }}(tag);
        label_key := {{ function('label_key') }}(name);
        category := sensitive_labels -> label_key ->> 'flag_category';
        continue when category is null;
        accuracy := {{ function('tag_accuracy') }}(tag);
        continue when not {{ function('is_machine_tag') }}(provider, image_provider, accuracy);
        if {{ function('tag_decision') }}(
            name, label_key, provider, accuracy, image_provider,
            denied_tag_patterns, tag_providers, included_labels,
            reviewed_labels, sensitive_labels, label_corrections
        ) = 'published' then
            categories := categories || category;
        end if;
    end loop;

    for number in 1 .. coalesce(cardinality(machines), 0) loop
        machine := machines[number];
        first := last + 1;
        last := last + label_counts[number];
        continue when machine = image_provider;
        for place in first .. last loop
            accuracy := accuracies[place];
            continue when accuracy < lowest_minimum_accuracy;
            name := names[place];
            label_key := {{ function('label_key') }}(name);
            category := sensitive_labels -> label_key ->> 'flag_category';
            continue when category is null;
            if {{ function('tag_decision') }}(
                name, label_key, machine, accuracy, image_provider,
                denied_tag_patterns, tag_providers, included_labels,
                reviewed_labels, sensitive_labels, label_corrections
            ) = 'published' then
                categories := categories || category;
            end if;
        end loop;
    end loop;

    if cardinality(categories) < 2 then
        return categories;
    end if;
    return array(
        select distinct flagged.category collate "C"
        from unnest(categories) as flagged (category)
        order by 1
    );
end
