-- Guards: nothing lost on the way from a line to the store. Each image of a good response has a row
-- in machine_tags, of the last response that names it. Lines loaded since the last run are the next
-- one's, and no fault: a load may go on meanwhile.
with

latest as (
    select
        identifier,
        max(response_id) as response_id
    from {{ ref('stg_rekognition__responses') }}
    where
        problem is null
        and response_id <= (
            select coalesce(max(stored.response_id), 9223372036854775807)
            from {{ ref('machine_tags') }} as stored
        )
    group by identifier
)

select
    identifier,
    latest.response_id as last_response,
    stored.response_id as stored_response
from latest
full join {{ ref('machine_tags') }} as stored using (identifier)
where latest.response_id is distinct from stored.response_id
