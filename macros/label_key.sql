{#- What names are compared by: trimmed and in lower case. -#}
{% macro label_key(name) -%}
    {{ trim_white_space(lower_case(name)) }}
{%- endmacro %}

{#- lower() follows the database's locale, so that one list would mean different things on two
    servers. Here A to Z and the capitals of Latin-1 and Latin Extended-A become small ones,
    on every server; other letters stay as they are and so match in their own case alone.
    translate() is slow, so only names that are not all ASCII (more bytes than characters) pay. -#}
{% macro lower_case(text) -%}
    {%- set capitals = 'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮĲĴĶĹĻĽĿŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽ' -%}
    lower(
        case
            when octet_length({{ text }}) = char_length({{ text }})
                then {{ text }}
            else translate({{ text }}, '{{ capitals }}', '{{ capitals | lower }}')
        end collate "C"
    )
{%- endmacro %}
