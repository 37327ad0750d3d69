with

images as (
    select * from {{ ref('catalog_images') }}
),

filtered as (
    select
        {{ catalog_columns(of='images', instead={'tags': 'shown.tags'}) }},
        shown.sensitivity
    from images
    -- A left join, because Postgres leaves it out where a query reads neither column.
    left join lateral (
        select
            coalesce(jsonb_agg(tag.tag order by tag.position), '[]') as tags,
            coalesce(
                array_agg(distinct tag.flag_category order by tag.flag_category)
                filter (where tag.is_machine_tag and tag.flag_category is not null),
                '{}'
            ) as sensitivity
        from {{ decide_tags('images.tags', 'images.provider') }} as tag
        where tag.decision = 'published'
    ) as shown on true
)

select * from filtered
