with

labels as (
    select
        *,
        {{ function('label_key') }}(label) as label_key
    from {{ ref('labels') }}
    where decision <> 'denied_pattern'
),

counts as (
    select
        {{ function('label_key') }}(label) as label_key,
        unnest(example_identifiers) as identifier
    from {{ ref('int_label_counts') }}
),

unreviewed as (
    select
        label_key,
        (array_agg(label order by images desc, label collate "C" asc))[1] as label,
        array_agg(distinct provider order by provider) as providers,
        sum(images)::bigint as images,
        sum(images_at_minimum_accuracy)::bigint as images_at_minimum_accuracy,
        coalesce(
            sum(images_at_minimum_accuracy) filter (where decision <> 'provider_withheld'), 0
        )::bigint as images_if_included
    from labels
    where
        not {{ label_policy(['reviewed_labels']) }} ? label_key
    group by label_key
),

examples as (
    select
        label_key,
        (array_agg(distinct identifier order by identifier))[:3] as example_identifiers
    from counts
    group by label_key
),

with_examples as (
    select
        unreviewed.label,
        unreviewed.providers,
        unreviewed.images,
        unreviewed.images_at_minimum_accuracy,
        unreviewed.images_if_included,
        coalesce(examples.example_identifiers, '{}') as example_identifiers
    from unreviewed
    -- Examples were kept of what was unreviewed at the last refresh.
    left join examples using (label_key)
    order by
        unreviewed.images_if_included desc,
        unreviewed.images_at_minimum_accuracy desc,
        unreviewed.images desc,
        unreviewed.label collate "C" asc
)

select * from with_examples
