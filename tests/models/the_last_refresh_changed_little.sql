-- Guards: somebody looks at a refresh that publishes far more or fewer tags than the one before, as
-- after half a file, or an edit that went wrong. The var largest_refresh_change is the share above
-- which it warns; `refreshes` has what was new, and whether the policy was.
{{ config(severity='warn') }}
with

last_refresh as (
    select * from {{ ref('refreshes') }}
    order by finished_at desc
    limit 1
)

select * from last_refresh
where
    abs(published_tags - published_tags_before)
    > {{ var('largest_refresh_change') }} * nullif(published_tags_before, 0)
