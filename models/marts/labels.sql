with

histogram as (
    select * from {{ ref('label_accuracy_histogram') }}
),

minimums as (
    select
        {{ label_key('label') }} as label_key,
        minimum_accuracy
    from {{ ref('included_labels') }}
    where minimum_accuracy is not null
),

providers as (
    select * from {{ ref('tag_providers') }}
),

counted as (
    select
        histogram.provider,
        histogram.label,
        sum(histogram.images)::bigint as images,
        coalesce(
            sum(histogram.images) filter (
                where
                histogram.accuracy_bin is null
                or histogram.accuracy_bin
                >= coalesce(minimums.minimum_accuracy, providers.minimum_accuracy, 0.9)
            ),
            0
        )::bigint as images_at_minimum_accuracy,
        sum(histogram.accuracy_sum)
        / nullif(sum(histogram.images) filter (where histogram.accuracy_bin is not null), 0)
            as mean_accuracy
    from histogram
    left join minimums on {{ label_key('histogram.label') }} = minimums.label_key
    left join providers on histogram.provider = providers.provider
    group by 1, 2
),

-- As what an image without tags of its own would get, with an accuracy that is high enough.
machine_labels as (
    select
        *,
        array[label] as names,
        '{1}'::numeric[] as accuracies
    from counted
),

empty_image as (
    select
        '[]'::jsonb as tags,
        null::text as provider
),

decided as (
    select
        machine_labels.provider,
        machine_labels.label,
        machine_labels.images,
        machine_labels.images_at_minimum_accuracy,
        machine_labels.mean_accuracy,
        tag.decision
    from machine_labels
    cross join empty_image
    cross join lateral {{ image_function('decided_tags', 'empty_image', 'machine_labels') }} as tag
)

select * from decided
