{{
    config(
        materialized='incremental',
        full_refresh=false,
        on_schema_change='append_new_columns',
        pre_hook="{% if is_incremental() %}lock table {{ this }} in share row exclusive mode{% endif %}"
    )
}}

-- The lock, so that of two runs at once the second goes on from the row of the first. Of counts, so
-- that it takes no time; no image is read.

with

last_refresh as (
    {% if is_incremental() %}
        select
            last_response_id,
            published_tags
        from {{ this }}
        order by finished_at desc
        limit 1
    {% else %}
        select
            0 as last_response_id,
            null::bigint as published_tags
    {% endif %}
),

new as (
    select
        count(*) as responses,
        max(response_id) as last_response_id
    from {{ ref('int_machine_labels') }}
    where response_id > coalesce((select last_refresh.last_response_id from last_refresh), 0)
),

counted as (
    select coalesce(sum(counted), 0) as images
    from {{ ref('int_label_counts') }}
    where counted_by = 'image_accuracy' and not is_correction
),

published as (
    select coalesce(sum(images_at_minimum_accuracy), 0) as tags
    from {{ ref('labels') }}
    where decision = 'published'
),

policy as (
    select md5(in_force::text) as digest from {{ ref('int_label_policy_in_force') }} as in_force
),

refresh as (
    select
        '{{ run_started_at }}'::timestamptz as started_at,
        clock_timestamp() as finished_at,
        session_user::text as refreshed_by,
        '{{ invocation_id }}' as invocation_id,
        new.responses as new_responses,
        counted.images::bigint as machine_images,
        (select last_refresh.published_tags from last_refresh) as published_tags_before,
        published.tags::bigint as published_tags,
        policy.digest as label_policy_digest,
        coalesce(
            new.last_response_id, (select last_refresh.last_response_id from last_refresh), 0
        )::bigint as last_response_id
    from new
    cross join counted
    cross join published
    cross join policy
)

select * from refresh
