with

images as (
    select * from {{ ref('stg_catalog__images') }}
),

machine_labels as (
    select * from {{ ref('int_machine_labels') }}
),

published as (
    select
        {{ catalog_columns(of='images', instead={'tags': 'published.tags'}) }},
        published.sensitivity
    from images
    left join machine_labels on images.identifier = machine_labels.identifier
    cross join lateral (
        select
            {{ function('published_tags') }}(
                images.tags,
                images.provider,
                machine_labels.provider,
                machine_labels.names,
                machine_labels.accuracies,
                {{ label_policy() }},
                {{ label_policy(['lowest_minimum_accuracy']) }}
            ) as tags,
            {{ function('sensitivity') }}(
                images.tags,
                images.provider,
                machine_labels.provider,
                machine_labels.names,
                machine_labels.accuracies,
                {{ label_policy() }},
                {{ label_policy(['lowest_minimum_accuracy']) }}
            ) as sensitivity
    ) as published
)

select * from published
