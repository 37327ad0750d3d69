with

images as (
    select * from {{ ref('stg_catalog__images') }}
),

machine_tags as (
    select * from {{ ref('machine_tags') }}
),

merged as (
    select
        {{ catalog_columns(
            of='images',
            instead={
                'tags': "case when machine.providers is null then images.tags"
                    ~ " else coalesce(merged.tags, '[]') end"
            }
        ) }}
    from images
    -- One look-up by index an image, whatever the size of machine_tags. A left join, because
    -- Postgres leaves it out where a query does not read the tags.
    left join lateral (
        select
            array_agg(machine_tags.provider) as providers,
            jsonb_agg(machine_tags.tags order by machine_tags.provider) as tag_arrays
        from machine_tags
        where machine_tags.identifier = images.identifier
    ) as machine on true
    left join lateral (
        select jsonb_agg(element.tag order by element.source, element.place) as tags
        from (
            select
                0 as source,
                own.place,
                own.tag
            from jsonb_array_elements(images.tags) with ordinality as own (tag, place)
            where (own.tag ->> 'provider' = any(machine.providers)) is not true
            union all
            select
                list.source,
                new.place,
                new.tag
            from jsonb_array_elements(machine.tag_arrays) with ordinality as list (tags, source)
            cross join lateral jsonb_array_elements(list.tags) with ordinality as new (tag, place)
        ) as element
        where machine.providers is not null
    ) as merged on true
)

select * from merged
