{#- On Citus, by the image, as the catalog's table is: what joins and groups images is then done by the
    worker that has them. Once; what the table holds goes with it. -#}
{% macro distribute(table) -%}
    {%- set catalog = var('catalog_schema') ~ '.' ~ var('catalog_table') -%}
    {%- if var('is_distributed') -%}
        select
            create_distributed_table(name, 'identifier', colocate_with => '{{ catalog }}'),
            truncate_local_data_after_distributing_table(name)
        from (select '{{ table }}'::regclass as name) as relation
        where {{ is_on_the_coordinator('name') }};
    {%- endif -%}
{%- endmacro %}

{#- What every worker needs whole. -#}
{% macro replicate(table) -%}
    {%- if var('is_distributed') -%}
        select create_reference_table(name), truncate_local_data_after_distributing_table(name)
        from (select '{{ table }}'::regclass as name) as relation
        where {{ is_on_the_coordinator('name') }};
    {%- endif -%}
{%- endmacro %}

{% macro is_on_the_coordinator(table) -%}
    not exists (select from pg_dist_partition as partition where partition.logicalrelid = {{ table }})
{%- endmacro %}
