with

by_label as (
    select
        sign,
        provider,
        unnest(accuracies) as accuracy
    from {{ ref('int_labels_to_count') }}
),

by_image as (
    select
        sign,
        provider,
        unnest({{ kinds_of_image_accuracy() }}) as counted_by,
        unnest({{ function('image_accuracies') }}(accuracies)) as accuracy
    from {{ ref('int_labels_to_count') }}
),

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
