-- Guards: a cell's numbers and the weight say the same twice. Where they differ, lines of two draws
-- were mixed, or a number was changed by hand, and the rates would be those of no sample.
select *
from {{ ref('label_judgements') }}
where
    cell_size is not null
    and weight is distinct from round(cell_size::numeric / nullif(drawn, 0), 4)
