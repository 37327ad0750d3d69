-- Guards: a flag is a decision on a label that is shown; on any other label it would do nothing.
select
    sensitive.label,
    sensitive.category
from {{ ref('sensitive_labels') }} as sensitive
where
    sensitive.handling = 'flag'
    and not exists (
        select 1
        from {{ ref('included_labels') }} as included
        where
            {{ function('label_key') }}(included.label)
            = {{ function('label_key') }}(sensitive.label)
    )
