with

histogram as (
    select
        *,
        {{ function('label_key') }}(label) as label_key
    from {{ ref('int_label_accuracy_histogram') }}
),

-- Materialized, or a condition on the decision would have the rules asked of each bin.
counted as materialized (
    select
        histogram.provider,
        histogram.label,
        histogram.label_key,
        sum(histogram.images)::bigint as images,
        coalesce(
            sum(histogram.images) filter (
                where
                histogram.accuracy_bin is null
                or histogram.accuracy_bin >= {{ function('minimum_accuracy') }}(
                    histogram.label_key,
                    histogram.provider,
                    {{ label_policy(['tag_providers', 'included_labels']) }}
                )
            ),
            0
        )::bigint as images_at_minimum_accuracy,
        sum(histogram.accuracy_sum)
        / nullif(sum(histogram.images) filter (where histogram.accuracy_bin is not null), 0)
            as mean_accuracy
    from histogram
    group by 1, 2, 3
),

-- As a tag of another provider than the image's, with an accuracy that is high enough.
decided as (
    select
        provider,
        label,
        images,
        images_at_minimum_accuracy,
        mean_accuracy,
        {{ function('tag_decision') }}(
            label,
            label_key,
            provider,
            1,
            null,
            {{ label_policy() }}
        ) as decision
    from counted
)

select * from decided
