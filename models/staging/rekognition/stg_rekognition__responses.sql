with

responses as (
    select * from {{ source('rekognition', 'rekognition_responses') }}
),

checked as (
    select
        response_id,
        document,
        case
            when jsonb_typeof(document) <> 'object'
                then 'not_an_object'
            when coalesce(document -> 'image_uuid', 'null') = 'null'
                then 'missing_image_uuid'
            when
                jsonb_typeof(document -> 'image_uuid') <> 'string'
                or document ->> 'image_uuid'
                !~ '^[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$'
                then 'invalid_image_uuid'
            when coalesce(jsonb_typeof(document #> '{response,Labels}'), '') <> 'array'
                then 'missing_labels'
        end as problem
    from responses
),

extracted as (
    select
        response_id,
        case
            when problem is null or problem = 'missing_labels'
                then (document ->> 'image_uuid')::uuid
        end as image_id,
        case when problem is null then document #> '{response,Labels}' end as labels,
        document #>> '{response,LabelModelVersion}' as label_model_version,
        problem,
        document
    from checked
)

select * from extracted
