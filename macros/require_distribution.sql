{#- Half of it would work, by way of the coordinator, and slowly. -#}
{% macro require_distribution() -%}
    {%- set catalog = var('catalog_schema') ~ '.' ~ var('catalog_table') -%}
    {%- if execute and flags.WHICH in ('run', 'build') -%}
        {%- set is_on = var('is_distributed') -%}
        {%- set has_citus = run_query("select to_regclass('pg_catalog.pg_dist_partition') is not null")[0][0] -%}
        {%- if is_on and not has_citus -%}
            {{ exceptions.raise_compiler_error(
                "The var is_distributed is true, and the database has no Citus: say `create extension citus`"
                ~ " in it on each node, or set the var to false."
            ) }}
        {%- endif -%}
        {%- set columns = distribution_columns() if has_citus else {} -%}
        {%- if is_on and columns.get(catalog) != 'identifier' -%}
            {{ exceptions.raise_compiler_error(
                "The var is_distributed is true, and " ~ catalog ~ " is not distributed by its identifier: say"
                ~ " `select create_distributed_table('" ~ catalog ~ "', 'identifier')`, or set the var to false."
            ) }}
        {%- endif -%}
        {%- for labeller in var('labellers') -%}
            {%- set responses = of_the_loader(labeller ~ '_responses') -%}
            {%- set responses = responses.schema ~ '.' ~ responses.identifier -%}
            {%- if is_on and responses not in columns -%}
                {{ exceptions.raise_compiler_error(
                    "The var is_distributed is true, and " ~ responses ~ " is not distributed: run"
                    ~ " `python -m loader init --distributed`, or set the var to false."
                ) }}
            {%- elif responses in columns and not is_on -%}
                {{ exceptions.raise_compiler_error(
                    responses ~ " is distributed: set the var is_distributed of dbt_project.yml to true."
                ) }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{% macro distribution_columns() -%}
    {%- set columns = {} -%}
    {%- for table, column in run_query(
        "select nspname || '.' || relname, column_to_column_name(logicalrelid, partkey)"
        ~ " from pg_dist_partition"
        ~ " inner join pg_class on pg_class.oid = logicalrelid"
        ~ " inner join pg_namespace on pg_namespace.oid = relnamespace"
        ~ " where partmethod = 'h'"
    ) -%}
        {%- do columns.update({table: column}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}
