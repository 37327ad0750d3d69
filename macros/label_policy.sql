{#- A column of the one row of the label policy. A scalar subselect that refers to nothing outside is
    evaluated once a query (an InitPlan) and not joined to every tag: 225,000 images took 3.8 s
    instead of 52 s by an index join. The empty path is the whole document, decompressed once
    instead of for every tag. -#}
{% macro label_policy(column) -%}
    (
        select policy.{{ column }}{{ " #> '{}'" if label_policy_type(column) == 'jsonb' }}
        from {{ ref('int_label_policy') }} as policy
    )
{%- endmacro %}

{% macro label_policy_type(column) -%}
    {{ return({
        'denied_patterns': 'text[]',
        'withheld_providers': 'text[]',
        'lowest_minimum_accuracy': 'numeric',
    }.get(column, 'jsonb')) }}
{%- endmacro %}
