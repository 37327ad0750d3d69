-- Guards: of a corrected name only the correction is included. Where the two differ by case alone
-- they share one line, and the rule superseded_spelling keeps the original out.
select
    correction.original,
    correction.corrected
from {{ ref('label_corrections') }} as correction
inner join {{ ref('included_labels') }} as included
    on
        {{ function('label_key') }}(included.label)
        = {{ function('label_key') }}(correction.original)
where
    {{ function('label_key') }}(correction.original)
    <> {{ function('label_key') }}(correction.corrected)
