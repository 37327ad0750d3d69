{#- `dbt seed` runs no snapshot, and an edit is in force when it ends: so what puts a policy in force takes the
    snapshot too, by dbt's own macros and in its own transaction. -#}
{% macro record_label_decisions() -%}
    {%- if execute -%}
        {%- set history = made('label_decisions_snapshot', 'snapshot') -%}
        {%- set decisions = made('int_label_decisions') -%}
    {%- endif -%}
    {%- if history and decisions -%}
        {%- set now = snapshot_get_time() -%}
        {%- set changed = [] -%}
        {%- for column in adapter.get_columns_in_relation(decisions) -%}
            {%- do changed.append(
                'snapshotted_data.' ~ column.quoted ~ ' is distinct from source_data.' ~ column.quoted
            ) -%}
        {%- endfor -%}
        {%- set strategy = {
            'unique_key': 'label_key',
            'updated_at': now,
            'scd_id': snapshot_hash_arguments(['label_key', now]),
            'row_changed': '(' ~ changed | join(' or ') ~ ')',
            'hard_deletes': 'invalidate',
        } -%}
        create temporary table changed_label_decisions on commit drop as (
            {{ snapshot_staging_table(strategy, 'select * from ' ~ decisions, history) }}
        );
        {{ snapshot_merge_sql(
            history, 'changed_label_decisions', adapter.get_columns_in_relation(history) | map(attribute='quoted') | list
        ) }}
    {%- endif -%}
{%- endmacro %}

{#- Or the snapshot would have decisions that were refused. -#}
{% macro require_policy_in_force() -%}
    {%- if execute -%}
        {%- set in_force, seeded = made('int_label_policy_in_force'), made('int_seeded_label_policy') -%}
        {%- if run_query("select " ~ is_another_policy(in_force, seeded))[0][0] -%}
            {{ exceptions.raise_compiler_error(
                "What `dbt seed` has loaded is not in force, so that its decisions are not recorded."
                ~ " Run `dbt seed`; it says why."
            ) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- dbt's is without a time zone, which says nothing to who reads it elsewhere. -#}
{% macro postgres__snapshot_get_time() -%}
    {{ 'now()' if model is not defined or model.package_name == 'label_refinery'
        else dbt.postgres__snapshot_get_time() }}
{%- endmacro %}
