with

image_labels as (
    select * from {{ ref('int_labels_to_count') }}
),

counted as (
    {{ correction_counts('image_labels', label_policy(['label_corrections'])) }}
)

select * from counted
