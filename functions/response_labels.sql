declare
    plain_names jsonb;
    plain_confidences jsonb;
    are_plain boolean;
    label jsonb;
    said jsonb;
    name text;
    accuracy numeric;
    earlier integer;
begin
    names := '{}';
    accuracies := '{}';
    -- A response whose names and confidences all are what they should be is read from these two: an
    -- element of a long array of objects is found slowly (40,000 responses: 2.8 s of CPU, now 1.7).
    -- White space at an end of a name, which is trimmed, is a space or written with a backslash.
    plain_names := jsonb_path_query_array(labels, name_path, '{}', true);
    plain_confidences := jsonb_path_query_array(labels, confidence_path, '{}', true);
    are_plain := jsonb_array_length(plain_names) = jsonb_array_length(labels)
        and jsonb_array_length(plain_confidences) = jsonb_array_length(labels)
        and not plain_names::text like any (array['%\\%', '% ",%', '% "]%']);

    for place in 0 .. jsonb_array_length(labels) - 1 loop
        if are_plain then
            name := plain_names ->> place;
            accuracy := trim_scale((plain_confidences -> place)::numeric * share);
        else
            label := labels -> place;
            said := label -> name_key;
            name := {{ function('response_label_name') }}(said);
            said := label -> confidence_key;
            accuracy := {{ function('response_label_accuracy') }}(said, share);
            continue when name is null or accuracy is null;
        end if;
        earlier := array_position(names, name);
        if accuracies[earlier] < accuracy then
            names := names[:earlier - 1] || names[earlier + 1:];
            accuracies := accuracies[:earlier - 1] || accuracies[earlier + 1:];
            earlier := null;
        end if;
        if earlier is null then
            names := names || name;
            accuracies := accuracies || accuracy;
        end if;
    end loop;
    return next;
end
