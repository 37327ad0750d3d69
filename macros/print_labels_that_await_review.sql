{% macro print_labels_that_await_review() -%}
    {%- set labels = ref('unreviewed_labels') -%}
    {{ print_names(
        'Labels that await review, with images that would show them',
        labels,
        'select label, images_if_included from ' ~ labels ~ ' limit 10'
    ) }}
{%- endmacro %}
