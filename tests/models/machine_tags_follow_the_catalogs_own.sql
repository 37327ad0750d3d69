-- Guards: each machine tag of an image that the catalog has ends up among the image's tags, after
-- those of the catalog. Otherwise labels would be paid for and never be seen.
with

machine as (
    select
        machine_tags.identifier,
        jsonb_agg(element.tag order by machine_tags.provider, element.position) as tags,
        count(*) as tag_count
    from {{ ref('machine_tags') }} as machine_tags
    cross join
        lateral
        jsonb_array_elements(machine_tags.tags) with ordinality as element (tag, position)
    group by machine_tags.identifier
),

merged as (
    select
        image.identifier,
        machine.tags as machine_tags,
        jsonb_path_query_array(
            image.tags,
            '$[$first to last]',
            jsonb_build_object('first', jsonb_array_length(image.tags) - machine.tag_count)
        ) as last_tags
    from {{ ref('catalog_images') }} as image
    inner join machine using (identifier)
)

select identifier
from merged
where last_tags is distinct from machine_tags
