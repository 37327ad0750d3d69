with

images as (
    select * from {{ ref('stg_catalog__images') }}
),

machine_labels as (
    select * from {{ ref('int_machine_labels') }}
),

merged as (
    select
        {{ catalog_columns(
            of='images',
            instead={'tags': image_function('merged_tags', 'images', 'machine_labels')}
        ) }}
    from images
    left join machine_labels on images.identifier = machine_labels.identifier
)

select * from merged
