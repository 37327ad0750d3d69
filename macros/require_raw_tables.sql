{% macro require_raw_tables() -%}
    {%- set tables = ['released_responses', 'read_responses'] -%}
    {%- for labeller in var('labellers') -%}
        {%- do tables.append(labeller ~ '_responses') -%}
    {%- endfor -%}
    {%- if execute and flags.WHICH in ('run', 'build') -%}
        {%- for table in tables if load_relation(of_the_loader(table)) is none -%}
            {{ exceptions.raise_compiler_error(
                "There is no table " ~ of_the_loader(table).include(database=false) | replace('"', '')
                ~ ": run `python -m loader init`, it makes what is missing."
            ) }}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
