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
                    where
                        {{ function('response_label_name') }}(element.label -> 'Name') is null
                        or {{ function('response_label_accuracy') }}(
                            element.label -> 'Confidence'
                        ) is null
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
