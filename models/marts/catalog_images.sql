with

images as (
    select * from {{ ref('stg_catalog__images') }}
),

machine_labels as (
    select * from {{ ref('int_machine_labels') }}
),

merged as (
    select
        {{ catalog_columns(of='images', instead={'tags': 'merged.tags'}) }}
    from images
    left join machine_labels on images.identifier = machine_labels.identifier
    cross join lateral (
        select
            {{ function('merged_tags') }}(
                images.tags,
                images.provider,
                machine_labels.provider,
                machine_labels.names,
                machine_labels.accuracies
            ) as tags
    ) as merged
)

select * from merged
