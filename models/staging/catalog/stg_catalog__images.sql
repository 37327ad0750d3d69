with

images as (
    select * from {{ source('catalog', 'image') }}
),

with_tag_arrays as (
    select
        {{ catalog_columns(
            of='images',
            instead={
                'tags': "case when jsonb_typeof(images.tags) = 'array' then images.tags else '[]' end"
            }
        ) }}
    from images
)

select * from with_tag_arrays
