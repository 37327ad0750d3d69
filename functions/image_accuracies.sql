declare
    accuracy numeric;
    before numeric = 1;
    total numeric = 0;
    highest numeric;
    is_sorted boolean = true;
    count integer;
begin
    if array_position(accuracies, null) is not null then
        accuracies := array_remove(accuracies, null);
        highest := 1;
    end if;
    count := cardinality(accuracies);
    foreach accuracy in array accuracies loop
        total := total + accuracy;
        if accuracy > before then
            is_sorted := false;
        end if;
        before := accuracy;
    end loop;
    -- Machines say the surest label first, so that few images need this: it takes as long as all else.
    if not is_sorted then
        accuracies := array(select each.accuracy from unnest(accuracies) as each (accuracy) order by 1 desc);
    end if;
    return array[
        total / nullif(count, 0),
        (accuracies[(count + 1) / 2] + accuracies[count / 2 + 1]) * 0.5,
        coalesce(highest, accuracies[1])
    ];
end
