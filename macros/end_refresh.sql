{% macro end_refresh() -%}
    {%- set counts = 'model.label_refinery.int_label_accuracy_histogram' -%}
    {%- set test = 'test.label_refinery.labels_await_review' -%}
    {%- set is_run = flags.WHICH in ('run', 'build') -%}
    {%- if execute and is_run -%}
        {%- do warn_of_changed_policy_files() -%}
    {%- endif -%}
    {%- if not execute or (is_run and counts in selected_resources and test not in selected_resources) -%}
        {{ print_labels_that_await_review() }}
    {%- endif -%}
{%- endmacro %}
