{#- The text as a number if it is written as one, else null, on every version alike: from 16 on
    Postgres' own cast also takes 0x1 and 1_0. Much longer ones would overflow the cast; a bound in
    the pattern, as {1,100}, would take ten times as long. -#}
{% macro numeric_or_null(text) -%}
    case
        when
            char_length({{ text }}) <= 200
            and {{ text }} ~ '^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$'
            then ({{ text }})::numeric
    end
{%- endmacro %}
