-- Guards: a label is shown because people looked at it. Otherwise an unread name could be approved.
select included.label
from {{ ref('included_labels') }} as included
where not exists (
    select 1
    from {{ ref('reviewed_labels') }} as reviewed
    where {{ function('label_key') }}(reviewed.label) = {{ function('label_key') }}(included.label)
)
