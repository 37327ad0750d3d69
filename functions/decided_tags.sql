declare
    tag jsonb;
    label_key text;
    first integer;
    last integer = 0;
begin
    "position" := 0;
    tags := tags #> '{}';  -- decompressed once
    for place in 0 .. jsonb_array_length(tags) - 1 loop
        tag := tags -> place;
        provider := tag ->> 'provider';
        continue when provider = any (machines);
        "position" := "position" + 1;
        name := {{ function('tag_name') }}(tag);
        accuracy := {{ function('tag_accuracy') }}(tag);
        is_machine_tag := {{ function('is_machine_tag') }}(provider, image_provider, accuracy);
        label_key := {{ function('label_key') }}(name);
        decision := {{ function('tag_decision') }}(
            name, label_key, provider, accuracy, image_provider,
            denied_tag_patterns, tag_providers, included_labels,
            reviewed_labels, sensitive_labels, label_corrections
        );
        accuracy := nullif(accuracy, 'NaN');
        return next;
    end loop;

    if label_corrections ?| names then
        names := {{ function('corrected_names') }}(
            names, accuracies, label_counts, label_corrections
        );
    end if;
    for number in 1 .. coalesce(cardinality(machines), 0) loop
        first := last + 1;
        last := last + label_counts[number];
        provider := machines[number];
        for place in first .. last loop
            continue when names[place] is null;
            "position" := "position" + 1;
            name := names[place];
            accuracy := accuracies[place];
            is_machine_tag := {{ function('is_machine_tag') }}(provider, image_provider, accuracy);
            label_key := {{ function('label_key') }}(name);
            decision := {{ function('tag_decision') }}(
                name, label_key, provider, accuracy, image_provider,
                denied_tag_patterns, tag_providers, included_labels,
                reviewed_labels, sensitive_labels, label_corrections
            );
            return next;
        end loop;
    end loop;
end
