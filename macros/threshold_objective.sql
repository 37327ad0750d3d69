{% macro threshold_objective() -%}
    {%- set objective = var('threshold_objective') -%}
    {%- if execute and objective not in ('f1', 'precision') -%}
        {{ exceptions.raise_compiler_error(
            "The var threshold_objective is f1 or precision, not " ~ objective ~ "."
        ) }}
    {%- endif -%}
    {{ return(objective) }}
{%- endmacro %}
