-- Guards: the two lists do not contradict each other. The views would withhold such a label, and
-- the person who included it would not learn why it does not show.
select
    included.label,
    sensitive.category,
    sensitive.reason
from {{ ref('included_labels') }} as included
inner join {{ ref('sensitive_labels') }} as sensitive
    on {{ function('label_key') }}(included.label) = {{ function('label_key') }}(sensitive.label)
where sensitive.handling = 'withhold'
