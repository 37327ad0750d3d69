declare
    earlier integer;
    is_twice boolean = false;
begin
    for place in 1 .. cardinality(names) loop
        if label_corrections ? names[place] then
            names[place] := label_corrections ->> names[place];
            earlier := array_position(names, names[place]);
            is_twice := is_twice or array_position(names, names[place], earlier + 1) is not null;
        end if;
    end loop;
    if is_twice then
        for place in 1 .. cardinality(names) loop
            earlier := array_position(names, names[place]);
            continue when names[place] is null or earlier = place;
            if accuracies[earlier] < accuracies[place] then
                names[earlier] := null;
            else
                names[place] := null;
            end if;
        end loop;
    end if;
    return names;
end
