declare
    accuracy numeric;
    total numeric = 0;
begin
    accuracies := array_remove(accuracies, null);
    foreach accuracy in array accuracies loop
        total := total + accuracy;
    end loop;
    return total / nullif(cardinality(accuracies), 0);
end
