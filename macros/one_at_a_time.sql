{#- `create or replace` of the same thing by two at once ends with "tuple concurrently updated" for one. -#}
{% macro one_at_a_time(relation) -%}
    select pg_advisory_xact_lock(hashtext('{{ relation }}'));
{%- endmacro %}
