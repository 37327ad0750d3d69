with

counts as (
    select
        provider,
        label,
        accuracy,
        counted,
        accuracy_sum,
        is_correction
    from {{ ref('int_label_counts') }}
    where counted_by = 'label'
),

seeded_corrections as (
    select
        provider,
        label,
        accuracy,
        counted,
        accuracy_sum
    from {{ ref('int_seeded_correction_counts') }}
    where counted_by = 'label'
),

-- With a zero for labels that the other policy's corrections make.
counts_in_force as (
    select
        provider,
        label,
        accuracy,
        counted,
        accuracy_sum
    from counts
    union all
    select
        provider,
        label,
        accuracy,
        0 as counted,
        0 as accuracy_sum
    from seeded_corrections
),

seeded_counts as (
    select
        provider,
        label,
        accuracy,
        case when is_correction then 0 else counted end as counted,
        case when is_correction then 0 else accuracy_sum end as accuracy_sum
    from counts
    union all
    select * from seeded_corrections
),

in_force as (
    {{ labels_by_policy('counts_in_force') }}
),

seeded_policy as materialized (
    select * from {{ ref('int_seeded_label_policy') }}
),

seeded as (
    {{ labels_by_policy('seeded_counts', 'seeded_policy') }}
),

compared as (
    select
        in_force.*,
        seeded.decision as seeded_decision,
        seeded.images_shown as seeded_images_shown
    from in_force
    inner join seeded
        on in_force.label = seeded.label and in_force.provider is not distinct from seeded.provider
    where in_force.images > 0 or seeded.images > 0
)

select * from compared
