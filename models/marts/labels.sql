with

counts as (
    select * from {{ ref('int_label_counts') }}
    where counted_by = 'label'
),

decided as (
    {{ labels_by_policy('counts') }}
),

labels as (
    select
        provider,
        label,
        images,
        images_at_minimum_accuracy,
        mean_accuracy,
        decision
    from decided
    where images > 0
)

select * from labels
