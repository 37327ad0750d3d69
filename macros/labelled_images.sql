{#- A join for each labeller, because to group rows by image would sort them all; with the stores, because
    Postgres would plan all of their union in each join: an image took 2.2 ms then, now 1.7. Not a view
    between: a unit test's rows, for one, cannot have arrays. In unit tests the labeller `machine` is
    the rows of int_machine_labels. -#}
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
    left join {{ ref('int_' ~ labeller ~ '_labels') }} as {{ labeller }}
        on images.identifier = {{ labeller }}.identifier
    {%- endfor %}
{%- endmacro %}
