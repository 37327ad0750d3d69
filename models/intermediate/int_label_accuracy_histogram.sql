{{
    config(
        materialized='refilled_table',
        pre_hook=[
            "set local work_mem = '256MB'",
        ]
    )
}}

-- The memory, so that Postgres counts by hashing and does not sort all tags: it expects ten times
-- as many groups as there are.

with

-- In the select list, where two arrays are unfolded side by side: in `from` it takes twice as long.
image_labels as (
    select
        identifier,
        provider,
        unnest(names) as label,
        unnest(accuracies) as accuracy
    from {{ ref('int_image_labels') }}
),

reviewed as (
    select label from {{ ref('reviewed_labels') }}
    union
    select {{ function('label_key') }}(label) as label from {{ ref('reviewed_labels') }}
),

-- A name that is reviewed in the same spelling, or in lower case, needs no look-up by its key.
with_review as (
    select
        image_labels.*,
        reviewed.label is null
        and not {{ label_policy(['reviewed_labels']) }}
        ? {{ function('label_key') }}(image_labels.label) as is_unreviewed
    from image_labels
    left join reviewed on image_labels.label = reviewed.label
),

counted as (
    select
        provider,
        label,
        trunc(accuracy, 2) as accuracy_bin,
        count(*) as images,
        sum(accuracy) as accuracy_sum,
        {{ function('smallest_three') }}(identifier) filter (where is_unreviewed)
            as example_identifiers
    from with_review
    group by 1, 2, 3
),

histogram as (
    select
        provider,
        label,
        accuracy_bin::numeric(3, 2) as accuracy_bin,
        images,
        accuracy_sum::numeric(38, 20) as accuracy_sum,
        example_identifiers
    from counted
)

select * from histogram
