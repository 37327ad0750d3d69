with

images as (
    select * from {{ ref('published_images') }}
),

without_sensitivity as (
    select * from images
    where sensitivity = '{}'
)

select * from without_sensitivity
