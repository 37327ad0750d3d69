{{
    config(
        materialized='refilled_table',
        pre_hook=[
            "set local work_mem = '256MB'",
            "set local parallel_setup_cost = 0; set local parallel_tuple_cost = 1",
        ]
    )
}}

-- The costs are to have each process hand over counts, not all labels to one that counts them.

with

image_labels as not materialized (
    select * from {{ ref('int_image_labels') }}
),

by_accuracy as (
    select
        'accuracy' as counted_by,
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

to_count as (
    select * from by_accuracy
    union all
    select * from by_image
),

counted as (
    select
        counted_by,
        provider,
        trunc(accuracy, 4) as accuracy,
        count(*) as counted,
        count(*) filter (where accuracy = trunc(accuracy, 4)) as counted_exactly,
        sum(accuracy) as accuracy_sum
    from to_count
    group by 1, 2, 3
)

select * from counted
