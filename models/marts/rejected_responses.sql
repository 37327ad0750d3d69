with

responses as (
    select * from {{ ref('stg_rekognition__responses') }}
),

with_problem as (
    select
        responses.response_id,
        coalesce(
            responses.problem,
            case
                when exists (
                    select 1
                    from jsonb_array_elements(responses.labels) as element (label)
                    where not {{ is_good_label(
                        label_name('element.label'), label_confidence('element.label')
                    ) }}
                ) then 'invalid_label'
            end
        ) as problem,
        responses.document
    from responses
),

rejected as (
    select * from with_problem
    where problem is not null
)

select * from rejected
