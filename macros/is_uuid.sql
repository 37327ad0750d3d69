{#- Whether text is a UUID in its 8-4-4-4-12 form. One pattern of counted digits says the same, in five
    times the time. -#}
{% macro is_uuid(text) -%}
    (
        {{ text }} like '________-____-____-____-____________'
        and {{ text }} not like '%-%-%-%-%-%'
        and {{ text }} !~ '[^0-9A-Fa-f-]'
    )
{%- endmacro %}
