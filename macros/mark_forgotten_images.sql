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
    update {{ store }}
    set response_id = -response_id
    where response_id in (
        select response_id from {{ store }} where response_id {{ between }}
        except
        (
            select response_id from {{ responses }} where response_id {{ between }}
            union all
            select response_id from {{ of_the_loader('released_responses') }} where response_id {{ between }}
        )
    );
{%- endmacro %}
