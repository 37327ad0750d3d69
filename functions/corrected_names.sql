declare
    first integer;
    last integer = 0;
    earlier integer;
begin
    for number in 1 .. cardinality(label_counts) loop
        first := last + 1;
        last := last + label_counts[number];
        for place in first .. last loop
            names[place] := coalesce(label_corrections ->> names[place], names[place]);
        end loop;
        for place in first .. last loop
            earlier := array_position(names, names[place], first);
            if accuracies[earlier] < accuracies[place] then
                names[earlier] := null;
            elsif earlier < place then
                names[place] := null;
            end if;
        end loop;
    end loop;
    return names;
end
