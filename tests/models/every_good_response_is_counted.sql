-- Guards: nothing lost on the way from a line to the store. Each image of a good response has a row
-- in machine_tags, of the labeller's last response that names it. Lines loaded since the last run
-- are the next one's, and no fault: a load may go on meanwhile. Of released files the ids are left.
with

latest as (
    {% for labeller in var('labellers') %}
        select
            '{{ labeller }}' as provider,
            identifier,
            max(response_id) as response_id
        from {{ ref('stg_' ~ labeller ~ '__responses') }}
        where
            problem is null
            and response_id <= coalesce(
                {{ last_read_response_id(ref('int_' ~ labeller ~ '_labels'), labeller) }},
                9223372036854775807
            )
        group by identifier
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

stored as (
    select
        identifier,
        provider,
        response_id
    from {{ ref('machine_tags') }}
)

select
    identifier,
    provider,
    latest.response_id as last_response,
    stored.response_id as stored_response
from latest
full join stored using (identifier, provider)
left join {{ of_the_loader('released_responses') }} as released
    on stored.response_id = released.response_id
where
    latest.response_id is distinct from stored.response_id
    and (
        released.response_id is null
        or latest.response_id > stored.response_id
    )
