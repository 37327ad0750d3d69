-- Guards: what is shown is what tag_decisions says is shown, in the same order. A reviewer who asks
-- why a tag is there reads tag_decisions.
with

shown as (
    select
        image.identifier,
        jsonb_agg(coalesce(element.tag ->> 'name', '') order by element.position) as names
    from {{ ref('published_images') }} as image
    cross join lateral jsonb_array_elements(image.tags) with ordinality as element (tag, position)
    group by image.identifier
),

decided as (
    select
        identifier,
        jsonb_agg(name order by position) as names
    from {{ ref('tag_decisions') }}
    where decision = 'published'
    group by identifier
)

select
    identifier,
    shown.names as shown_names,
    decided.names as decided_names
from shown
full join decided using (identifier)
where shown.names is distinct from decided.names
