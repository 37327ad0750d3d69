{% macro threshold_objective() -%}
    {%- set objective = var('threshold_objective') -%}
    {%- if execute and objective not in ('precision', 'f1', 'cost') -%}
        {{ exceptions.raise_compiler_error(
            "The var threshold_objective is precision, f1 or cost, not " ~ objective ~ "."
        ) }}
    {%- endif -%}
    {{ return(objective) }}
{%- endmacro %}
