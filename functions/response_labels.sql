declare
    label jsonb;
    said jsonb;
    name text;
    accuracy numeric;
    earlier integer;
begin
    names := '{}';
    accuracies := '{}';
    for place in 0 .. jsonb_array_length(labels) - 1 loop
        label := labels -> place;
        said := label -> name_key;
        name := {{ function('response_label_name') }}(said);
        said := label -> confidence_key;
        accuracy := {{ function('response_label_accuracy') }}(said, share);
        continue when name is null or accuracy is null;
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
