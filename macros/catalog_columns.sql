{#- The columns of the catalog's table, as select items: `of` names the relation to take them from,
    `instead` maps a column to what to select in its place.

    Postgres has no `select * except`, and the catalog's further columns must pass through. -#}
{% macro catalog_columns(of, instead) -%}
    {%- if not execute -%}
        {{ return('*') }}
    {%- endif -%}
    {%- set table = load_relation(
        api.Relation.create(
            database=target.database,
            schema=var('catalog_schema'),
            identifier=var('catalog_table')
        )
    ) -%}
    {%- if table is none -%}
        {{ exceptions.raise_compiler_error(
            "There is no table " ~ var('catalog_schema') ~ "." ~ var('catalog_table')
            ~ ". Set the vars catalog_schema and catalog_table, or load one with"
            ~ " `python -m loader load-catalog FILE`."
        ) }}
    {%- endif -%}
    {%- set types = {} -%}
    {%- for column in adapter.get_columns_in_relation(table) -%}
        {%- do types.update({column.name: column.data_type}) -%}
    {%- endfor -%}
    {%- for needed, allowed in {
        'identifier': ['uuid'],
        'provider': ['text', 'character varying'],
        'tags': ['jsonb']
    }.items() -%}
        {%- if types.get(needed, '').split('(')[0] not in allowed -%}
            {{ exceptions.raise_compiler_error(
                table ~ " needs a column " ~ needed ~ " of type " ~ allowed[0]
                ~ (", it has " ~ types[needed] if needed in types else ", it has none")
                ~ "."
            ) }}
        {%- endif -%}
    {%- endfor -%}
    {%- for name in types -%}
        {%- if name in instead -%}
            {{ instead[name] }} as {{ adapter.quote(name) }}
        {%- else -%}
            {{ of }}.{{ adapter.quote(name) }}
        {%- endif -%}
        {{ ',\n        ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
