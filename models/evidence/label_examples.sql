{#- A fiftieth of the images, if their identifiers are random; they are found by index. -#}
{%- set first_images_end = "05000000-0000-0000-0000-000000000000" -%}

with

image_labels as not materialized (
    select * from {{ ref('int_image_labels') }}
),

images as not materialized (
    select identifier from {{ ref('stg_catalog__images') }}
),

labels as not materialized (
    select
        image_labels.provider,
        tag.label,
        image_labels.identifier,
        tag.accuracy
    from image_labels
    inner join images on image_labels.identifier = images.identifier
    cross join lateral unnest(image_labels.names, image_labels.accuracies) as tag (label, accuracy)
),

ranked_first as (
    select
        provider || e'\n' || label as provider_and_label,
        accuracy,
        row_number() over (
            partition by provider, label
            order by accuracy desc nulls last
        ) as rank
    from labels
    where identifier < '{{ first_images_end }}'
),

-- What the last example of some images has, the last one of all has at least. To sort all labels
-- would take 100 GB of the disk for 100 million images; nearly all are below.
lowest_accuracies as (
    select jsonb_object_agg(provider_and_label, accuracy) as by_label
    from ranked_first
    where
        rank = {{ var('gallery_images') }}
        and provider_and_label is not null
        and accuracy is not null
),

candidates as (
    select labels.*
    from labels
    where
        coalesce(
            labels.accuracy >= (
                (select lowest_accuracies.by_label from lowest_accuracies)
                ->> (labels.provider || e'\n' || labels.label)
            )::numeric,
            true
        )
),

ranked as (
    select
        *,
        row_number() over (
            partition by provider, label
            order by accuracy desc nulls last, identifier asc
        ) as rank
    from candidates
),

examples as (
    select
        provider,
        label,
        rank,
        identifier,
        accuracy
    from ranked
    where rank <= {{ var('gallery_images') }}
)

select * from examples
