{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook=[
            "set local work_mem = '256MB'",
            "set local parallel_setup_cost = 0; set local parallel_tuple_cost = 1",
            "{% if is_incremental() %}delete from {{ this }}{% endif %}",
        ]
    )
}}

-- The costs are to have each process hand over counts, not all labels to one that counts them.
-- Incremental in name: it is emptied and filled anew in one transaction. dbt's tables are dropped
-- and made again, and the views on them with them.

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

by_image_accuracy as (
    select
        'image_accuracy' as counted_by,
        provider,
        {{ target.schema }}.mean(accuracies) as accuracy
    from image_labels
),

to_count as (
    select * from by_accuracy
    union all
    select * from by_image_accuracy
),

counted as (
    select
        counted_by,
        provider,
        trunc(accuracy, 4) as accuracy,
        count(*) as counted,
        sum(accuracy) as accuracy_sum
    from to_count
    group by 1, 2, 3
)

select * from counted
