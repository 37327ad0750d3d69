{#- A function in `from` is evaluated once a row, not by each expression that reads it: the document
    is decompressed once (an empty path is all of it), the problem found once. That is less than half
    of the time; and unlike a subselect with `offset 0` it lets a filter on response_id through to
    the index, and the rows to parallel workers. -#}
{% macro stage_responses(labeller) -%}
{%- set format = var('labellers')[labeller] -%}
{%- set labels = "whole.document #> '{" ~ format.labels | join(',') ~ "}'" -%}
with

responses as (
    select * from {{ source(labeller, labeller ~ '_responses') }}
),

checked as (
    select
        responses.response_id,
        responses.chunk_id,
        whole.document,
        {{ labels }} as labels,
        found.problem
    from responses
    cross join lateral jsonb_extract_path(responses.document, variadic '{}') as whole (document)
    cross join lateral unnest(array[
        case
            when jsonb_typeof(whole.document) <> 'object'
                then 'not_an_object'
            when coalesce(whole.document -> 'image_uuid', 'null') = 'null'
                then 'missing_image_uuid'
            when
                jsonb_typeof(whole.document -> 'image_uuid') <> 'string'
                or not {{ function('is_uuid') }}(whole.document ->> 'image_uuid')
                then 'invalid_image_uuid'
            when coalesce(jsonb_typeof({{ labels }}), '') <> 'array'
                then 'missing_labels'
        end
    ]) as found (problem)
),

extracted as (
    select
        response_id,
        case
            when problem is null or problem = 'missing_labels'
                then (document ->> 'image_uuid')::uuid
        end as identifier,
        case when problem is null then labels end as labels,
        {% if format.version -%}
        document #>> '{{ '{' ~ format.version | join(',') ~ '}' }}' as label_model_version,
        {% else -%}
        null::text as label_model_version,
        {% endif -%}
        problem,
        document,
        chunk_id
    from checked
)

select * from extracted
{%- endmacro %}
