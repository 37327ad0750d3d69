declare
    tag jsonb;
    first integer;
    last integer = 0;
    merged jsonb[] = '{}';
begin
    tags := tags #> '{}';  -- decompressed once
    for place in 0 .. jsonb_array_length(tags) - 1 loop
        tag := tags -> place;
        continue when tag ->> 'provider' = any (machines);
        merged := merged || tag;
    end loop;
    if label_corrections ?| names then
        names := {{ function('corrected_names') }}(
            names, accuracies, label_counts, label_corrections
        );
    end if;
    for number in 1 .. coalesce(cardinality(machines), 0) loop
        first := last + 1;
        last := last + label_counts[number];
        for place in first .. last loop
            continue when names[place] is null;
            merged := merged || {{ function('machine_tag') }}(
                names[place], accuracies[place], machines[number]
            );
        end loop;
    end loop;
    return to_jsonb(merged);
end
