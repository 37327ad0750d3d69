{% macro threshold_objective() -%}
    {%- set objective = var('threshold_objective') -%}
    {%- set minimum_precision = var('threshold_minimum_precision') -%}
    {%- if execute -%}
        {%- if objective not in ('precision', 'f1', 'cost') -%}
            {{ exceptions.raise_compiler_error(
                "The var threshold_objective is precision, f1 or cost, not " ~ objective ~ "."
            ) }}
        {%- elif not 0 < minimum_precision < 1 -%}
            {{ exceptions.raise_compiler_error(
                "The var threshold_minimum_precision is between 0 and 1, not " ~ minimum_precision ~ "."
            ) }}
        {%- elif var('cost_of_false_show') < 0 or var('cost_of_miss') < 0 -%}
            {{ exceptions.raise_compiler_error(
                "The vars cost_of_false_show and cost_of_miss are 0 or above."
            ) }}
        {%- endif -%}
    {%- endif -%}
    {{ return(objective) }}
{%- endmacro %}
