{#- Not in the graph, because the change is counted from what is built on the policy in force. -#}
{% macro refuse_large_policy_change(in_force, seeded) -%}
    {%- if execute and load_relation(in_force) -%}
        {%- set largest = var('largest_policy_change') -%}
        {%- if largest is not number -%}
            {{ exceptions.raise_compiler_error(
                "The var largest_policy_change is a share from 0 to 1, not " ~ largest ~ "."
            ) }}
        {%- endif -%}
        {%- set is_another = is_another_policy(in_force, seeded) -%}
        {%- set node = graph.nodes['model.label_refinery.int_policy_change'] -%}
        {%- set change = made('int_policy_change') -%}
        {%- set reasons = [] -%}
        {%- if change is not none -%}
            {%- set large = run_query(
                "select sentence from " ~ change ~ " where " ~ is_another
                ~ " and share > " ~ largest ~ " order by share desc, sentence"
            ) -%}
            {%- do reasons.extend(large.columns[0].values()) -%}
        {%- elif largest < 1 and not (flags.WHICH == 'build' and node.unique_id in selected_resources)
            and run_query("select " ~ is_another)[0][0] -%}
            {{ exceptions.raise_compiler_error(
                "The label policy in force is still the earlier one: what tells how much an edit changes"
                ~ " is not there. Run `dbt build` first, it makes it."
            ) }}
        {%- endif -%}
        {%- if reasons -%}
            {{ exceptions.raise_compiler_error(
                "The label policy in force is still the earlier one: " ~ reasons | join("; ")
                ~ ". If that is meant, say `dbt seed --vars 'largest_policy_change: 1'`; else take"
                ~ " the files back from git and say `dbt seed`."
            ) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro is_another_policy(in_force, seeded) -%}
    (select to_jsonb(policy) from {{ in_force }} as policy)
    <> (select to_jsonb(policy) from {{ seeded }} as policy)
{%- endmacro %}
