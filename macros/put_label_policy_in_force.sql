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

{#- By the seeded corrections, before they are in force. Not in the graph, as the counts stand on what is. -#}
{% macro refill_correction_counts() -%}
    {%- if execute -%}
        {%- set counts = made('int_correction_counts') -%}
        {%- set seeded_counts = made('int_seeded_correction_counts') -%}
        {%- if counts is not none and seeded_counts is not none -%}
            create temporary table correction_counts on commit drop as select * from {{ seeded_counts }};
            {{ refill(counts, 'correction_counts') }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro made(model) -%}
    {%- set node = graph.nodes['model.label_refinery.' ~ model] -%}
    {{ return(load_relation(api.Relation.create(
        database=node.database, schema=node.schema, identifier=node.alias
    ))) }}
{%- endmacro %}
