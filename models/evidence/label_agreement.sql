with

image_labels as not materialized (
    select * from {{ ref('int_image_labels') }}
),

equivalents as (
    select
        {{ function('label_key') }}(label) as label_key,
        {{ function('label_key') }}(equivalent) as equivalent_key
    from {{ ref('label_equivalents') }}
),

both_ways as (
    select
        label_key,
        equivalent_key
    from equivalents
    union all
    select
        equivalent_key as label_key,
        label_key as equivalent_key
    from equivalents
),

-- Tags that name no provider are unequal to none, and so left out.
labelled_by_two as (
    select
        image_labels.*,
        others.provider as other_provider
    from image_labels
    inner join image_labels as others
        on
            image_labels.identifier = others.identifier
            and image_labels.provider <> others.provider
),

said as (
    select
        images.identifier,
        images.provider,
        images.other_provider,
        tag.label,
        {{ function('label_key') }}(tag.label) as label_key
    from labelled_by_two as images
    cross join lateral unnest(images.names, images.accuracies) as tag (label, accuracy)
    where
        tag.accuracy is null
        or tag.accuracy >= {{ function('minimum_accuracy') }}(
            {{ function('label_key') }}(tag.label),
            images.provider,
            {{ label_policy(['tag_providers', 'included_labels']) }}
        )
),

-- Each once: a machine may say a label and its equivalent of the same image.
confirmations as (
    select
        identifier,
        provider,
        other_provider,
        label_key
    from said
    union distinct
    select
        said.identifier,
        said.provider,
        said.other_provider,
        both_ways.equivalent_key
    from said
    inner join both_ways on said.label_key = both_ways.label_key
),

counted as (
    select
        said.provider,
        said.label,
        said.other_provider,
        count(*) as images,
        count(confirmations.provider) as confirmed,
        {{ function('smallest_three') }}(said.identifier)
        filter (where confirmations.provider is null) as unconfirmed_identifiers
    from said
    left join confirmations
        on
            said.identifier = confirmations.identifier
            and said.provider = confirmations.other_provider
            and said.other_provider = confirmations.provider
            and said.label_key = confirmations.label_key
    group by said.provider, said.label, said.other_provider
),

agreement as (
    select
        provider,
        label,
        other_provider,
        images,
        confirmed,
        trim_scale(round(confirmed::numeric / images, 4)) as share,
        trim_scale(round({{ wilson_bound('confirmed', 'images', '-') }}, 4)) as share_low,
        trim_scale(round({{ wilson_bound('confirmed', 'images', '+') }}, 4)) as share_high,
        unconfirmed_identifiers
    from counted
)

select * from agreement
