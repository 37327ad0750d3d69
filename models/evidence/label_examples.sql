with

image_labels as (
    select * from {{ ref('int_image_labels') }}
),

images as (
    select identifier from {{ ref('stg_catalog__images') }}
),

ranked as (
    select
        image_labels.provider,
        tag.label,
        image_labels.identifier,
        tag.accuracy,
        row_number() over (
            partition by image_labels.provider, tag.label
            order by tag.accuracy desc nulls last, image_labels.identifier asc
        ) as rank
    from image_labels
    inner join images on image_labels.identifier = images.identifier
    cross join lateral unnest(image_labels.names, image_labels.accuracies) as tag (label, accuracy)
),

examples as (
    select
        provider,
        label,
        rank,
        identifier,
        accuracy
    from ranked
    where rank <= {{ var('gallery_images') }}
)

select * from examples
