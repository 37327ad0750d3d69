{#- The ids in forgotten_responses are of the responses' own sequence, so that they are settled as those
    are, and seen once. The bounds are scalar subselects, so that both tables are read by index
    from the one to the other, and not at all if nothing was taken back. -#}
{% macro mark_forgotten_images(store, labeller) -%}
    {%- set responses = source(labeller, labeller ~ '_responses') -%}
    {%- set forgotten -%}
        from {{ of_the_loader('forgotten_responses') }}
        where
            response_id > coalesce(
                {{ last_read_response_id(store, labeller) }},
                (select max(last.response_id) from {{ store }} as last)
            )
            and response_id <= {{ last_settled_response_id() }}
    {%- endset -%}
    {%- set between -%}
        between (select min(first_response_id) {{ forgotten }})
        and (select max(last_response_id) {{ forgotten }})
    {%- endset -%}
    update {{ store }} as stored
    set response_id = -response_id
    where
        response_id {{ between }}
        and not exists (
            select from {{ responses }} as response
            where response.response_id = stored.response_id and response.response_id {{ between }}
        )
        and not exists (
            select from {{ of_the_loader('released_responses') }} as released
            where released.response_id = stored.response_id and released.response_id {{ between }}
        );
{%- endmacro %}
