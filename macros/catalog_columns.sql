{% macro catalog_columns(of, instead) -%}
    {%- if not execute -%}
        {{ of }}.*
    {%- else -%}
        {%- for name in catalog_column_types() -%}
            {%- if name in instead -%}
                {{ instead[name] }} as {{ adapter.quote(name) }}
            {%- else -%}
                {{ of }}.{{ adapter.quote(name) }}
            {%- endif -%}
            {{ ',\n        ' if not loop.last }}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{% macro catalog_column_types() -%}
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
            ~ " `python -m trial load-catalog FILE`."
        ) }}
    {%- endif -%}
    {%- set types = {} -%}
    {%- for column in adapter.get_columns_in_relation(table) -%}
        {%- do types.update({column.name: column.dtype}) -%}
    {%- endfor -%}
    {%- set needed_types = {
        'identifier': ['uuid'], 'provider': ['text', 'character varying'], 'tags': ['jsonb']
    } -%}
    {%- if var('catalog_changed_at') -%}
        {%- do needed_types.update({
            var('catalog_changed_at'): ['timestamp with time zone', 'timestamp without time zone']
        }) -%}
    {%- endif -%}
    {%- for needed, allowed in needed_types.items() -%}
        {%- if types.get(needed) not in allowed -%}
            {{ exceptions.raise_compiler_error(
                table ~ " needs a column " ~ needed ~ " of type " ~ allowed[0]
                ~ (", not " ~ types[needed] if needed in types else "; it has none") ~ "."
            ) }}
        {%- endif -%}
    {%- endfor -%}
    {{ return(types) }}
{%- endmacro %}
