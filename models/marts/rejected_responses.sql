with

responses as (
    select * from {{ ref('stg_rekognition__responses') }}
),

with_problem as (
    select
        response_id,
        coalesce(
            problem,
            case
                when exists (
                    select 1
                    from jsonb_array_elements(labels) as element (label)
                    where not {{ is_good_label('element.label') }}
                ) then 'invalid_label'
            end
        ) as problem,
        document
    from responses
),

rejected as (
    select * from with_problem where problem is not null
)

select * from rejected
