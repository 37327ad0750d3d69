{#- A join for each labeller, because to group rows by image would sort them all. It is not a view
    between: a unit test's rows, for one, cannot have arrays. -#}
{% macro labelled_images() -%}
    {%- set labellers = var('labellers') | list -%}
    select
        images.*,
        array_remove(array[{{ labellers | join('.provider, ') }}.provider], null) as machines,
        array_remove(
            array[cardinality({{ labellers | join('.names), cardinality(') }}.names)], null
        ) as machine_label_counts,
        {{ labellers | join('.names || ') }}.names as machine_names,
        {{ labellers | join('.accuracies || ') }}.accuracies as machine_accuracies
    from {{ ref('stg_catalog__images') }} as images
    {%- for labeller in labellers %}
    left join {{ ref('int_machine_labels') }} as {{ labeller }}
        on
            images.identifier = {{ labeller }}.identifier
            and {{ labeller }}.provider = '{{ labeller }}'
    {%- endfor %}
{%- endmacro %}
