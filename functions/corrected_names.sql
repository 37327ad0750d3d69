select array_agg(corrected.name order by corrected.place)
from {{ function('corrected_labels') }}(names, accuracies, label_corrections) as corrected
