{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key=['identifier', 'provider'],
        indexes=[
            {'columns': ['identifier', 'provider'], 'unique': true},
            {'columns': ['response_id']},
        ],
        pre_hook="{{ settle_responses() }}",
        post_hook="{% if not is_incremental() %}analyze {{ this }}{% endif %}"
    )
}}

with

responses as (
    select * from {{ ref('stg_rekognition__responses') }}
),

corrections as (
    select * from {{ ref('label_corrections') }}
),

new_responses as (
    select *
    from responses
    where
        problem is null
        {% if is_incremental() %}
            and response_id > (select coalesce(max(done.response_id), 0) from {{ this }} as done)
        {% endif %}
        and response_id <= (select {{ last_settled_response_id() }})
),

latest_responses as (
    select distinct on (image_id) *
    from new_responses
    order by image_id asc, response_id desc
),

tagged as (
    select
        response.image_id as identifier,
        'rekognition' as provider,
        tags.tags,
        response.label_model_version,
        response.response_id
    from latest_responses as response
    cross join lateral (
        select
            coalesce(
                jsonb_agg(
                    jsonb_build_object(
                        'name', kept.name,
                        'accuracy', kept.accuracy,
                        'provider', 'rekognition'
                    )
                    order by kept.position
                ),
                '[]'
            ) as tags
        from (
            select distinct on (label.name)
                label.name,
                label.accuracy,
                label.position
            from (
                select
                    element.position,
                    coalesce(
                        (select jsonb_object_agg(original, corrected) from corrections)
                        ->> {{ trim_white_space("element.label ->> 'Name'") }},
                        {{ trim_white_space("element.label ->> 'Name'") }}
                    ) as name,
                    trim_scale((element.label -> 'Confidence')::numeric * 0.01) as accuracy
                from
                    jsonb_array_elements(response.labels) with ordinality
                        as element (label, position)
                where {{ is_good_label('element.label') }}
            ) as label
            order by label.name asc, label.accuracy desc, label.position asc
        ) as kept
    ) as tags
)

select * from tagged
