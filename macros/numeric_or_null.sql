{#- The text as a number if it is written as one, else null, on every version alike: from 16 on
    Postgres' own cast also takes 0x1 and 1_0. Longer ones would overflow the cast. -#}
{% macro numeric_or_null(text) -%}
    case
        when {{ text }} ~ '^[+-]?([0-9]{1,100}(\.[0-9]{0,100})?|\.[0-9]{1,100})([eE][+-]?[0-9]{1,3})?$'
            then ({{ text }})::numeric
    end
{%- endmacro %}
