{#- The ids in forgotten_responses are of the responses' own sequence, so that they are settled as those
    are, and seen until newer responses are stored. The bounds are scalar subselects, so that both tables are read by index
    from the one to the other, and not at all if nothing was taken back. -#}
{% macro mark_forgotten_images(store) -%}
    {%- set responses = source('rekognition', 'rekognition_responses') -%}
    {%- set forgotten_responses = responses.incorporate(path={'identifier': 'forgotten_responses'}) -%}
    {%- set forgotten -%}
        from {{ forgotten_responses }}
        where
            response_id > (select max(last.response_id) from {{ store }} as last)
            and response_id <= {{ last_settled_response_id() }}
    {%- endset -%}
    {%- set between -%}
        between (select min(first_response_id) {{ forgotten }})
        and (select max(last_response_id) {{ forgotten }})
    {%- endset -%}
    {%- if load_relation(forgotten_responses) is not none -%} {#- `loader init` has been run since 0.2 -#}
    update {{ store }} as stored
    set response_id = -response_id
    where
        response_id {{ between }}
        and not exists (
            select from {{ responses }} as response
            where response.response_id = stored.response_id and response.response_id {{ between }}
        )
    {%- endif -%}
{%- endmacro %}
