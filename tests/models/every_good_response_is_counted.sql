-- Guards: nothing lost on the way from a line to the store. Each image of a good response has a row
-- in machine_tags, of the last response that names it.
with

latest as (
    select
        identifier,
        max(response_id) as response_id
    from {{ ref('stg_rekognition__responses') }}
    where problem is null
    group by identifier
)

select
    identifier,
    latest.response_id as last_response,
    stored.response_id as stored_response
from latest
full join {{ ref('machine_tags') }} as stored using (identifier)
where latest.response_id is distinct from stored.response_id
