with

labels as (
    select
        provider,
        label,
        images,
        images_at_minimum_accuracy,
        mean_accuracy,
        decision
    from {{ ref('int_labels_by_policy') }}
    where images > 0
)

select * from labels
