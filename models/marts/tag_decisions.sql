with

images as (
    select * from {{ ref('catalog_images') }}
),

decided as (
    select
        images.identifier,
        tag.position,
        tag.name,
        tag.provider,
        tag.accuracy,
        tag.decision
    from images
    cross join lateral {{ decide_tags('images.tags', 'images.provider') }} as tag
)

select * from decided
