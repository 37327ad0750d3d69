{% macro put_label_policy_in_force() -%}
    {%- set in_force = ref('int_label_policy_in_force') -%}
    {%- set seeded = ref('int_seeded_label_policy') -%}
    {%- set problems = ref('int_label_policy_problems') -%}
    {%- set lock = lock_label_policy_files() -%}
    {%- set is_run = 'model.label_refinery.int_label_policy_in_force' in selected_resources -%}
    {%- if execute and flags.WHICH in ('seed', 'build') and not is_run and load_relation(in_force) -%}
        {%- for result in results if result.node.resource_type == 'seed' and result.status == 'error' -%}
            {{ exceptions.raise_compiler_error(
                "The label policy in force is still the earlier one: " ~ result.node.name
                ~ ".csv could not be loaded. Mend it and run the same command again."
            ) }}
        {%- endfor -%}
        {#- A hook's queries are else each a transaction of its own. -#}
        {%- do run_query("begin; " ~ lock) -%}
        {{ refuse_broken_label_policy(in_force, problems) }}
        {{ refuse_large_policy_change(in_force, seeded) }}
        {{ refill_correction_counts() }}
        {{ refill(in_force, seeded) }}
        {{ record_label_decisions() }}
        commit
    {%- endif -%}
{%- endmacro %}

{#- So that what is checked is what is put in force, whoever seeds meanwhile. -#}
{% macro lock_label_policy_files() -%}
    lock table
    {%- for file in [
        'denied_tag_patterns', 'tag_providers', 'included_labels', 'reviewed_labels',
        'sensitive_labels', 'label_corrections'
    ] %}
        {{ ref(file) }}{{ ',' if not loop.last }}
    {%- endfor %}
    in share mode
{%- endmacro %}

{#- By the seeded corrections, before they are in force. Not in the graph, as the counts stand on what is.
    What a killed refresh has left to count would be counted by the earlier ones: then all is. -#}
{% macro refill_correction_counts() -%}
    {%- if execute -%}
        {%- set counts = made('int_label_counts') -%}
        {%- set seeded_counts = made('int_seeded_correction_counts') -%}
        {%- set changes = made('int_label_changes') -%}
        {%- if counts is not none and seeded_counts is not none and corrections_have_changed() -%}
            {%- set columns = 'counted_by, provider, label, accuracy, counted, counted_exactly, accuracy_sum' -%}
            lock table {{ changes }} in share row exclusive mode;
            create temporary table correction_counts on commit drop as select * from {{ seeded_counts }};
            delete from {{ counts }} where is_correction;
            insert into {{ counts }} (is_correction, example_identifiers, {{ columns }})
            select true, '{}', {{ columns }} from correction_counts;
            insert into {{ changes }} (identifier)
            select {{ no_image() }} where exists (select 1 from {{ changes }});
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro corrections_have_changed() -%}
    {{ return(run_query(
        "select in_force.label_corrections <> seeded.label_corrections from "
        ~ made('int_label_policy_in_force') ~ " as in_force cross join "
        ~ made('int_seeded_label_policy') ~ " as seeded"
    )[0][0]) }}
{%- endmacro %}

{% macro made(name, resource_type='model') -%}
    {%- set node = graph.nodes[resource_type ~ '.label_refinery.' ~ name] -%}
    {{ return(load_relation(api.Relation.create(
        database=node.database, schema=node.schema, identifier=node.alias
    ))) }}
{%- endmacro %}
