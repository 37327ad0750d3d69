{#- Aggregates over cells of judgements, one row a cell: `judgements` is how many, `weight` what one stands for. -#}
{% macro stratified_share(part, whole) -%}
    sum(weight * {{ part }}) / nullif(sum(weight * {{ whole }}), 0)
{%- endmacro %}

{#- p(1 - p) / v, and both multiplied by the squared whole twice, so that nothing is divided before the end. -#}
{% macro effective_trials(part, whole) -%}
    {%- set of_part = "sum(weight * " ~ part ~ ")" -%}
    {%- set of_whole = "sum(weight * " ~ whole ~ ")" -%}
    coalesce(
        case when count(*) > 1 then
            nullif({{ of_part }} * ({{ of_whole }} - {{ of_part }}) * {{ of_whole }} * {{ of_whole }}, 0)
            / nullif(
                {{ of_whole }} * {{ of_whole }} * {{ stratified_covariance(part, part, part) }}
                - 2 * {{ of_part }} * {{ of_whole }} * {{ stratified_covariance(part, whole, part) }}
                + {{ of_part }} * {{ of_part }} * {{ stratified_covariance(whole, whole, whole) }},
                0
            )
        end,
        {{ of_whole }} * {{ of_whole }} / nullif(sum(weight * weight * {{ whole }}), 0)
    )
{%- endmacro %}

{% macro stratified_covariance(one, other, both) -%}
    sum(
        weight * weight * judgements
        * (smoothed_{{ both }} * (judgements + 1) - smoothed_{{ one }} * smoothed_{{ other }})
        / ((judgements + 1) * judgements)
    )
{%- endmacro %}
