-- Guards: merging loses nothing of the catalog's own tags but those that newer machine tags
-- replace, and keeps their order.
with

own as (
    select
        image.identifier,
        jsonb_agg(element.tag order by element.position) as tags
    from {{ ref('stg_catalog__images') }} as image
    cross join lateral jsonb_array_elements(image.tags) with ordinality as element (tag, position)
    where
        not exists (
            select 1
            from {{ ref('machine_tags') }} as machine
            where
                machine.identifier = image.identifier
                and machine.provider = element.tag ->> 'provider'
        )
    group by image.identifier
),

merged as (
    select
        own.identifier,
        own.tags as own_tags,
        jsonb_path_query_array(
            image.tags,
            '$[0 to $last]',
            jsonb_build_object('last', jsonb_array_length(own.tags) - 1)
        ) as first_tags
    from own
    left join {{ ref('catalog_images') }} as image using (identifier)
)

select identifier
from merged
where first_tags is distinct from own_tags
