declare
    first integer;
    last integer = 0;
    earlier integer;
    is_twice boolean = false;
begin
    for number in 1 .. cardinality(label_counts) loop
        first := last + 1;
        last := last + label_counts[number];
        for place in first .. last loop
            if label_corrections ? names[place] then
                names[place] := label_corrections ->> names[place];
                is_twice := is_twice
                    or array_position(names, names[place], first) < place
                    or coalesce(array_position(names, names[place], place + 1) <= last, false);
            end if;
        end loop;
        -- Most are there once, which is asked of those that are corrected alone: a look at each took
        -- 20 microseconds an image.
        if is_twice then
            for place in first .. last loop
                earlier := array_position(names, names[place], first);
                if accuracies[earlier] < accuracies[place] then
                    names[earlier] := null;
                elsif earlier < place then
                    names[place] := null;
                end if;
            end loop;
        end if;
    end loop;
    return names;
end
