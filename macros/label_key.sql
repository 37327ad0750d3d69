{#- What names are compared by: trimmed and in lower case.

    lower() follows the database's locale, so that one list would mean different things on two
    servers. Here A to Z and the capitals of Latin-1 and Latin Extended-A become small ones,
    on every server; other letters stay as they are and so match in their own case alone.
    translate() is slow, so only names that are not all ASCII (more bytes than characters) pay. -#}
{% macro label_key(name) -%}
    {%- set capitals = 'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮĲĴĶĹĻĽĿŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽ' -%}
    lower(
        case
            when octet_length({{ name }}) = char_length({{ name }})
                then {{ trim_white_space(name) }}
            else translate({{ trim_white_space(name) }}, '{{ capitals }}', '{{ capitals | lower }}')
        end collate "C"
    )
{%- endmacro %}
