declare
    tag jsonb;
    merged jsonb[] = '{}';
begin
    tags := tags #> '{}';  -- decompressed once
    for place in 0 .. jsonb_array_length(tags) - 1 loop
        tag := tags -> place;
        continue when tag ->> 'provider' = machine;
        merged := merged || tag;
    end loop;
    for place in 1 .. coalesce(cardinality(names), 0) loop
        merged := merged || {{ function('machine_tag') }}(names[place], accuracies[place], machine);
    end loop;
    return to_jsonb(merged);
end
