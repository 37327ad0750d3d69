with

counts as (
    select * from {{ ref('int_corrected_counts') }}
),

-- A label is once in an image of a provider, so that its tags are its images.
counted as (
    select
        provider,
        label,
        accuracy,
        case when counted_by in ('label', 'accuracy') then counted else 0 end as tags,
        case when counted_by in ('label', 'image_highest') then counted else 0 end as images
    from counts
    where
        counted_by in ('label', 'accuracy')
        or (counted_by = 'image_highest' and accuracy is not null)
),

with_accuracy as (
    select
        provider,
        label,
        coalesce(accuracy, 1) as accuracy,
        tags,
        images
    from counted
),

retention as (
    select
        provider,
        label,
        sum(tags)::bigint as tags,
        coalesce(sum(tags) filter (where accuracy >= 0.80), 0)::bigint as tags_at_80,
        coalesce(sum(tags) filter (where accuracy >= 0.85), 0)::bigint as tags_at_85,
        coalesce(sum(tags) filter (where accuracy >= 0.90), 0)::bigint as tags_at_90,
        coalesce(sum(tags) filter (where accuracy >= 0.95), 0)::bigint as tags_at_95,
        sum(images)::bigint as images,
        coalesce(sum(images) filter (where accuracy >= 0.80), 0)::bigint as images_at_80,
        coalesce(sum(images) filter (where accuracy >= 0.85), 0)::bigint as images_at_85,
        coalesce(sum(images) filter (where accuracy >= 0.90), 0)::bigint as images_at_90,
        coalesce(sum(images) filter (where accuracy >= 0.95), 0)::bigint as images_at_95
    from with_accuracy
    group by provider, label
)

select * from retention
