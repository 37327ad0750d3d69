-- Guards: a label that is kept out does not come back under its other name. The notes of
-- reviewed_labels.csv say which label is an alias of which.
with

aliases as (
    select
        label,
        substring(note from '^alias of ([^;]+)') as alias_of
    from {{ ref('reviewed_labels') }}
),

included as (
    select {{ function('label_key') }}(label) as label_key
    from {{ ref('included_labels') }}
)

select
    label,
    alias_of
from aliases
where
    {{ function('label_key') }}(label) in (select included.label_key from included)
    and {{ function('label_key') }}(alias_of) not in (select included.label_key from included)
