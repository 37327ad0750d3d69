with

counts as (
    select * from {{ ref('int_corrected_counts') }}
),

-- With ten more decimals than the sum has, so that no quotient is rounded up to a half that would
-- then be rounded up once more.
by_accuracy as (
    select
        provider,
        sum(counted) as labels,
        sum(accuracy_sum) * 1.0000000000
        / nullif(sum(counted) filter (where accuracy is not null), 0) as mean_accuracy,
        coalesce(sum(counted) filter (where accuracy >= 0.9), 0) as high_labels,
        coalesce(
            sum(case when accuracy = 0.9 then counted - counted_exactly else counted end)
            filter (where accuracy >= 0.9),
            0
        ) as above_labels
    from counts
    where counted_by = 'accuracy'
    group by provider
),

by_image as (
    select
        provider,
        sum(counted) as images,
        sum(accuracy_sum) * 1.0000000000
        / nullif(sum(counted) filter (where accuracy is not null), 0) as mean_image_accuracy
    from counts
    where counted_by = 'image_accuracy'
    group by provider
),

-- The value at or below which half of the weight lies.
ranked as (
    select
        provider,
        counted_by,
        accuracy,
        sum(counted) over ascending as counted_so_far,
        sum(counted) over (partition by provider, counted_by) as counted
    from counts
    where accuracy is not null
    window ascending as (partition by provider, counted_by order by accuracy)
),

medians as (
    select
        provider,
        min(accuracy) filter (where counted_by = 'accuracy') as median_accuracy,
        min(accuracy) filter (where counted_by = 'image_median') as median_image_accuracy
    from ranked
    where counted_so_far * 2 >= counted
    group by provider
),

summary as (
    select
        coalesce(by_image.provider, '(none)') as provider,
        by_image.images::bigint as images,
        coalesce(by_accuracy.labels, 0)::bigint as labels,
        round(coalesce(by_accuracy.labels, 0) / by_image.images, 6) as labels_per_image,
        round(by_accuracy.mean_accuracy, 6) as mean_accuracy,
        round(medians.median_accuracy, 6) as median_accuracy,
        round(by_image.mean_image_accuracy, 6) as mean_image_accuracy,
        round(medians.median_image_accuracy, 6) as median_image_accuracy,
        coalesce(by_accuracy.high_labels, 0)::bigint as high_labels,
        round(by_accuracy.high_labels / nullif(by_accuracy.labels, 0), 6) as high_share,
        round(coalesce(by_accuracy.high_labels, 0) / by_image.images, 6) as high_labels_per_image,
        coalesce(by_accuracy.above_labels, 0)::bigint as above_labels,
        round(by_accuracy.above_labels / nullif(by_accuracy.labels, 0), 6) as above_share,
        round(coalesce(by_accuracy.above_labels, 0) / by_image.images, 6) as above_labels_per_image
    from by_image
    -- An image in which the machine found nothing counts as an image too.
    left join by_accuracy on by_image.provider is not distinct from by_accuracy.provider
    left join medians on by_image.provider is not distinct from medians.provider
)

select * from summary
