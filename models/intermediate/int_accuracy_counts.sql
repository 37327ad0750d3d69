{{
    config(
        materialized='refilled_table',
        pre_hook=[
            "set local work_mem = '256MB'",
            "set local parallel_setup_cost = 0",
        ]
    )
}}

with

image_labels as not materialized (
    select * from {{ ref('int_image_labels') }}
),

by_label as (
    select
        provider,
        unnest(accuracies) as accuracy
    from image_labels
),

by_image as (
    select
        unnest({{ kinds_of_image_accuracy() }}) as counted_by,
        provider,
        unnest({{ function('image_accuracies') }}(accuracies)) as accuracy
    from image_labels
),

-- Each counted by itself, because Postgres counts a union of them in one process.
labels as (
    select
        provider,
        trunc(accuracy, 4) as accuracy,
        count(*) as counted,
        count(*) filter (where accuracy = trunc(accuracy, 4)) as counted_exactly,
        sum(accuracy) as accuracy_sum
    from by_label
    group by 1, 2
),

images as (
    select
        counted_by,
        provider,
        trunc(accuracy, 4) as accuracy,
        count(*) as counted,
        count(*) filter (where accuracy = trunc(accuracy, 4)) as counted_exactly,
        sum(accuracy) as accuracy_sum
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
