select
    best.name,
    best.accuracy,
    best.place
from (
    select distinct on (corrected.name)
        corrected.name,
        said.accuracy,
        said.place
    from unnest(names, accuracies) with ordinality as said (name, accuracy, place)
    cross join lateral (select coalesce(label_corrections ->> said.name, said.name)) as corrected (name)
    order by corrected.name asc, said.accuracy desc, said.place asc
) as best
