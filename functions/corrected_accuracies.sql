select array_agg(corrected.accuracy order by corrected.place)
from {{ function('corrected_labels') }}(names, accuracies, label_corrections) as corrected
