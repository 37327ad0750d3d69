-- Guards: a correction leads to a label that is shown. Otherwise correcting a name would hide it.
select
    correction.original,
    correction.corrected
from {{ ref('label_corrections') }} as correction
where not exists (
    select 1
    from {{ ref('included_labels') }} as included
    where
        {{ function('label_key') }}(included.label)
        = {{ function('label_key') }}(correction.corrected)
)
