{#- As loader/printable.py: a label must not steer the terminal. -#}
{% macro printable(text) -%}
    {%- for character in text -%}
        {{- character if character.isprintable() else character.encode('unicode_escape').decode() -}}
    {%- endfor -%}
{%- endmacro %}
