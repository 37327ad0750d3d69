-- Unfolded in `from`, Postgres counts in several processes; Citus does so only in the select list.

with

image_labels as not materialized (
    select * from {{ ref('int_labels_to_count') }}
),

{% if var('is_distributed') %}
    by_label as (
        select
            sign,
            provider,
            unnest(accuracies) as accuracy
        from image_labels
    ),

    by_image as (
        select
            sign,
            provider,
            unnest({{ kinds_of_image_accuracy() }}) as counted_by,
            unnest({{ function('image_accuracies') }}(accuracies)) as accuracy
        from image_labels
    ),
{% else %}
    by_label as (
        select
            image_labels.sign,
            image_labels.provider,
            label.accuracy
        from image_labels
        cross join lateral unnest(image_labels.accuracies) as label (accuracy)
    ),

    by_image as (
        select
            image.counted_by,
            image_labels.sign,
            image_labels.provider,
            image.accuracy
        from image_labels
        cross join
            lateral unnest(
                {{ kinds_of_image_accuracy() }},
                {{ function('image_accuracies') }}(image_labels.accuracies)
            ) as image (counted_by, accuracy)
    ),
{% endif %}

-- Each counted by itself, because Postgres counts a union of them in one process.
labels as (
    select
        provider,
        trunc(accuracy, 4) as accuracy,
        sum(sign) as counted,
        coalesce(sum(sign) filter (where accuracy = trunc(accuracy, 4)), 0) as counted_exactly,
        sum(case when sign > 0 then accuracy else -accuracy end) as accuracy_sum
    from by_label
    group by 1, 2
),

images as (
    select
        counted_by,
        provider,
        trunc(accuracy, 4) as accuracy,
        sum(sign) as counted,
        coalesce(sum(sign) filter (where accuracy = trunc(accuracy, 4)), 0) as counted_exactly,
        sum(case when sign > 0 then accuracy else -accuracy end) as accuracy_sum
    from by_image
    group by 1, 2, 3
),

counted as (
    select
        'accuracy' as counted_by,
        *
    from labels
    union all
    select * from images
)

select * from counted
