-- Guards: a name that is corrected was read by people; older catalog tags still carry it.
select correction.original
from {{ ref('label_corrections') }} as correction
where not exists (
    select 1
    from {{ ref('reviewed_labels') }} as reviewed
    where
        {{ function('label_key') }}(reviewed.label)
        = {{ function('label_key') }}(correction.original)
)
