-- Guards: label_agreement takes a pair both ways. One that is there twice, in whichever order or
-- spelling, would look like two facts, and a label that is its own equivalent like one.
with

pairs as (
    select
        {{ function('label_key') }}(label) as label_key,
        {{ function('label_key') }}(equivalent) as equivalent_key
    from {{ ref('label_equivalents') }}
)

select
    least(label_key, equivalent_key) as one,
    greatest(label_key, equivalent_key) as other,
    count(*) as lines
from pairs
group by one, other
having count(*) > 1 or least(label_key, equivalent_key) = greatest(label_key, equivalent_key)
