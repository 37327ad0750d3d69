{#- should_full_refresh() says no where a model is configured so. A macro, so that a unit test can say no. -#}
{% macro is_full_refresh() -%}
    {{ return(flags.FULL_REFRESH) }}
{%- endmacro %}
