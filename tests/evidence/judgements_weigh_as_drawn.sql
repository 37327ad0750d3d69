-- Guards: rates are those of all tags only if each line that was drawn is there, without a verdict
-- if need be, all lines of a label are of one draw, and none counts as 1 beside such as count for
-- many.
{{ config(severity='warn') }}
with

judgements as (
    select
        *,
        {{ function('label_key') }}(label) as label_key
    from {{ ref('label_judgements') }}
)

select
    provider,
    label_key,
    cell_size,
    drawn,
    'weight is not cell_size / drawn, or a line is not there' as problem
from judgements
where cell_size is not null
group by provider, label_key, cell_size, drawn
having
    count(*) % nullif(drawn, 0) <> 0
    or bool_or(weight is distinct from round(cell_size::numeric / nullif(drawn, 0), 4))
union all
select
    provider,
    label_key,
    null as cell_size,
    null as drawn,
    'lines of two draws' as problem
from judgements
where drawn < cell_size
group by provider, label_key
having min(drawn) < max(drawn)
union all
select
    provider,
    null as label_key,
    null as cell_size,
    null as drawn,
    'judgements with a weight and without' as problem
from judgements
group by provider
having count(weight) between 1 and count(*) - 1
