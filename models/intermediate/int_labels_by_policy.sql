with

said as (
    select * from {{ ref('int_label_accuracy_histogram') }}
),

corrections as (
    select * from {{ ref('int_correction_counts') }}
    where counted_by = 'label'
),

seeded_corrections as (
    select * from {{ ref('int_seeded_correction_counts') }}
    where counted_by = 'label'
),

all_counts as (
    select
        provider,
        label,
        accuracy_bin,
        images,
        images as seeded_images,
        accuracy_sum
    from said
    union all
    select
        provider,
        label,
        accuracy as accuracy_bin,
        counted as images,
        0 as seeded_images,
        accuracy_sum
    from corrections
    union all
    select
        provider,
        label,
        accuracy as accuracy_bin,
        0 as images,
        counted as seeded_images,
        0 as accuracy_sum
    from seeded_corrections
),

histogram as (
    select
        *,
        {{ function('label_key') }}(label) as label_key
    from all_counts
),

seeded_policy as materialized (
    select * from {{ ref('int_seeded_label_policy') }}
),

counted as (
    select
        provider,
        label,
        label_key,
        sum(images)::bigint as images,
        coalesce(
            sum(images) filter (
                where
                accuracy_bin is null
                or accuracy_bin >= {{ function('minimum_accuracy') }}(
                    label_key,
                    provider,
                    {{ label_policy(['tag_providers', 'included_labels']) }}
                )
            ),
            0
        )::bigint as images_at_minimum_accuracy,
        coalesce(
            sum(seeded_images) filter (
                where
                accuracy_bin is null
                or accuracy_bin >= {{ function('minimum_accuracy') }}(
                    label_key,
                    provider,
                    {{ label_policy(['tag_providers', 'included_labels'], of='seeded_policy') }}
                )
            ),
            0
        )::bigint as seeded_images_at_minimum_accuracy,
        sum(accuracy_sum) / nullif(sum(images) filter (where accuracy_bin is not null), 0)
            as mean_accuracy
    from histogram
    group by 1, 2, 3
    having sum(images) > 0 or sum(seeded_images) > 0
    -- A fence: a condition on a decision would have the rules asked of each bin. It leaves no row
    -- out, and unlike `materialized` lets Postgres leave out what of the other policy nobody reads.
    offset 0 -- noqa: AM09
),

-- As a tag of another provider than the image's, with an accuracy that is high enough.
decided as (
    select
        provider,
        label,
        images,
        images_at_minimum_accuracy,
        seeded_images_at_minimum_accuracy,
        mean_accuracy,
        {{ function('tag_decision') }}(
            label, label_key, provider, 1, null, {{ label_policy() }}
        ) as decision,
        {{ function('tag_decision') }}(
            label, label_key, provider, 1, null, {{ label_policy(of='seeded_policy') }}
        ) as seeded_decision
    from counted
),

shown as (
    select
        provider,
        label,
        images,
        images_at_minimum_accuracy,
        mean_accuracy,
        decision,
        case when decision = 'published' then images_at_minimum_accuracy else 0 end as images_shown,
        seeded_decision,
        case when seeded_decision = 'published' then seeded_images_at_minimum_accuracy else 0 end
            as seeded_images_shown
    from decided
)

select * from shown
