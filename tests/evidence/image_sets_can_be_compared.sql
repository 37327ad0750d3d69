-- Guards: an image that the catalog does not have is never flagged. A set without reference images,
-- or whose reference images have common labels alone, has nothing to compare its images with. On
-- another catalog than the sample's, the example is such.
{{ config(severity='warn') }}
with

members as (
    select * from {{ ref('image_sets') }}
),

images as (
    select * from {{ ref('stg_catalog__images') }}
)

select
    set_name,
    identifier,
    'no_such_image' as problem
from members
where
    not exists (
        select 1
        from images
        where images.identifier = members.identifier
    )
union all
select distinct
    set_name,
    null::uuid as identifier,
    'no_top_label' as problem
from {{ ref('image_set_outliers') }}
where reference_labels = '{}'
