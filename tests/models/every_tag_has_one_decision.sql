-- Guards: no tag gets lost or doubled on the way to its decision. It would be neither shown nor
-- accounted for.
with

tags as (
    select
        identifier,
        jsonb_array_length(tags) as tag_count
    from {{ ref('catalog_images') }}
),

decisions as (
    select
        identifier,
        count(*) as decision_count,
        max(position) as last_position
    from {{ ref('tag_decisions') }}
    where decision is not null
    group by identifier
)

select
    identifier,
    tags.tag_count,
    decisions.decision_count
from tags
full join decisions using (identifier)
where
    coalesce(tags.tag_count, -1) <> coalesce(decisions.decision_count, 0)
    or coalesce(tags.tag_count, -1) <> coalesce(decisions.last_position, 0)
