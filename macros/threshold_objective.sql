{% macro threshold_objective() -%}
    {%- set objective = var('threshold_objective') -%}
    {%- if execute and objective not in ('precision', 'f1', 'cost') -%}
        {{ exceptions.raise_compiler_error(
            "The var threshold_objective is precision, f1 or cost, not " ~ objective ~ "."
        ) }}
    {%- endif -%}
    {%- if execute and not 0 < var('threshold_minimum_precision') < 1 -%}
        {{ exceptions.raise_compiler_error(
            "The var threshold_minimum_precision is between 0 and 1, not "
            ~ var('threshold_minimum_precision') ~ "."
        ) }}
    {%- endif -%}
    {%- if execute and (var('cost_of_false_show') < 0 or var('cost_of_miss') < 0) -%}
        {{ exceptions.raise_compiler_error(
            "The vars cost_of_false_show and cost_of_miss are 0 or above."
        ) }}
    {%- endif -%}
    {{ return(objective) }}
{%- endmacro %}
