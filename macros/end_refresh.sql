{% macro end_refresh() -%}
    {%- set counts = 'model.label_refinery.int_label_counts' -%}
    {%- set test = 'test.label_refinery.labels_await_review' -%}
    {%- set is_run = flags.WHICH in ('run', 'build') -%}
    {%- if execute and is_run -%}
        {%- do warn_of_changed_policy_files() -%}
    {%- endif -%}
    {%- set is_refresh = is_run and counts in selected_resources and test not in selected_resources -%}
    {#- After a build that failed, they may not be there yet. -#}
    {%- if not execute or (is_refresh and load_relation(ref('unreviewed_labels'))) -%}
        {{ print_labels_that_await_review() }}
    {%- endif -%}
{%- endmacro %}
