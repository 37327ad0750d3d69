{#- Trims space, tab, newline, carriage return, form feed and vertical tab. The last is written as
    its code: before 16 Postgres reads \v as the letter v. -#}
{% macro trim_white_space(text) -%}
    btrim({{ text }}, e' \t\n\r\f\x0b')
{%- endmacro %}
