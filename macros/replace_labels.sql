{#- Before a store's rows are replaced: what was counted of them stays until it is counted again. A second
    run before that must not note its own over it. -#}
{% macro replace_labels(store, new, columns) -%}
    {%- set changes = ref('int_label_changes') -%}
    {%- set same -%}
        stored.identifier = new.identifier and stored.provider is not distinct from new.provider
    {%- endset -%}
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
{%- endmacro %}

{% macro get_incremental_replace_labels_sql(arguments) -%}
    {{ replace_labels(
        arguments.target_relation,
        arguments.temp_relation,
        arguments.dest_columns | map(attribute='quoted') | join(', ')
    ) }}
{%- endmacro %}

{% macro note_that_all_labels_change() -%}
    insert into {{ ref('int_label_changes') }} default values;
{%- endmacro %}
