{#- In place of dbt's, which has the table dropped by --full-refresh, and with it the views that read it. -#}
{% macro postgres__reset_csv_table(model, full_refresh, old_relation, agate_table) -%}
    {%- set types = {} -%}
    {%- for name in agate_table.column_names -%}
        {%- set type = model.config.column_types.get(name, adapter.convert_type(agate_table, loop.index0)) -%}
        {%- do types.update({name: type}) -%}
    {%- endfor -%}
    {%- set columns = adapter.get_columns_in_relation(old_relation) -%}
    {%- set is_another = [] -%}
    {%- for column in columns if types.get(column.name) != column.dtype -%}
        {%- do is_another.append(column) -%}
    {%- endfor -%}

    {%- if full_refresh and is_another -%}
        {{ return(default__reset_csv_table(model, full_refresh, old_relation, agate_table)) }}
    {%- endif -%}

    {%- set names = columns | map(attribute='name') | list -%}
    {%- set sql -%}
        lock table {{ old_relation }} in share row exclusive mode;
        {% for name, type in types.items() if name not in names -%}
            alter table {{ old_relation }} add column {{ adapter.quote_seed_column(name, none) }} {{ type }};
        {% endfor -%}
        delete from {{ old_relation }}
    {%- endset -%}
    {%- do run_query(sql) -%}
    {{ return(sql) }}
{%- endmacro %}
