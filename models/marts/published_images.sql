with

images as (
    select * from {{ ref('stg_catalog__images') }}
),

machine_labels as (
    select * from {{ ref('int_machine_labels') }}
),

filtered as (
    select
        {{ catalog_columns(
            of='images',
            instead={'tags': image_function('published_tags', 'images', 'machine_labels')}
        ) }},
        {{ image_function('sensitivity', 'images', 'machine_labels') }} as sensitivity
    from images
    left join machine_labels on images.identifier = machine_labels.identifier
)

select * from filtered
