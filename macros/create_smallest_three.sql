{#- An aggregate that keeps the three smallest of many uuids in the memory of three: array_agg would
    hold every image of a label to show three of them. -#}
{% macro create_smallest_three() -%}
    create or replace function {{ target.schema }}.keep_smallest_three(kept uuid[], another uuid)
    returns uuid[]
    language sql immutable parallel safe
    as $$
        select
            case
                when another is null or kept[3] <= another or another = any(kept) then kept
                else (
                    array(select item from unnest(kept || another) as item order by item)
                )[:3]
            end
    $$;
    create or replace aggregate {{ target.schema }}.smallest_three(uuid) (
        sfunc = {{ target.schema }}.keep_smallest_three,
        stype = uuid[],
        initcond = '{}',
        parallel = safe
    );
{%- endmacro %}
