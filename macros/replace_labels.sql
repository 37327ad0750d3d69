{#- Before a store's rows are replaced: what was counted of them stays until it is counted again. A second
    run before that must not note its own over it. -#}
{% macro replace_labels(store, new, columns) -%}
    {%- set changes = ref('int_label_changes') -%}
    {%- set same -%}
        stored.identifier = new.identifier and stored.provider is not distinct from new.provider
    {%- endset -%}
    {%- if var('is_distributed') -%}
        {%- set spread = make_intermediate_relation(store) -%}
        create table {{ spread }} as (select * from {{ new }}) with no data;
        {{ distribute(spread) }}
        insert into {{ spread }} select * from {{ new }};
        {%- set new = spread -%}
    {%- endif %}
    insert into {{ changes }} (store, identifier, provider, names, accuracies)
    select '{{ store.identifier }}', new.identifier, new.provider, stored.names, stored.accuracies
    from {{ new }} as new
    left join {{ store }} as stored on {{ same }}
    where
        not exists (
            select from {{ changes }} as stored
            where stored.store = '{{ store.identifier }}' and {{ same }}
        );
    delete from {{ store }} as stored using {{ new }} as new where {{ same }};
    insert into {{ store }} ({{ columns }})
    select {{ columns }} from {{ new }}
    where names is not null;
    {%- if var('is_distributed') %}
        drop table {{ new }};
    {%- endif %}
{%- endmacro %}

{% macro get_incremental_replace_labels_sql(arguments) -%}
    {{ replace_labels(
        arguments.target_relation,
        arguments.temp_relation,
        arguments.dest_columns | map(attribute='quoted') | join(', ')
    ) }}
{%- endmacro %}

{% macro note_that_all_labels_change() -%}
    insert into {{ ref('int_label_changes') }} (identifier) values ({{ no_image() }});
{%- endmacro %}

{#- Not null, because Citus asks of each row where it belongs. -#}
{% macro no_image() -%}
    '00000000-0000-0000-0000-000000000000'::uuid
{%- endmacro %}
