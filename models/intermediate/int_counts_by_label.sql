with

-- In the select list, where two arrays are unfolded side by side: in `from` it takes twice as long.
labels as (
    select
        sign,
        identifier,
        provider,
        unnest(names) as label,
        unnest(accuracies) as accuracy
    from {{ ref('int_labels_to_count') }}
),

reviewed as (
    select label from {{ ref('reviewed_labels') }}
    union
    select {{ function('label_key') }}(label) as label from {{ ref('reviewed_labels') }}
),

-- A name that is reviewed in the same spelling, or in lower case, needs no look-up by its key.
with_review as (
    select
        labels.*,
        reviewed.label is null
        and not {{ label_policy(['reviewed_labels']) }}
        ? {{ function('label_key') }}(labels.label) as is_unreviewed
    from labels
    left join reviewed on labels.label = reviewed.label
),

counted as (
    select
        provider,
        label,
        trunc(accuracy, 2) as accuracy,
        sum(sign) as counted,
        sum(case when sign > 0 then accuracy else -accuracy end) as accuracy_sum,
        {{ function('smallest_three') }}(identifier) filter (where is_unreviewed and sign > 0)
            as example_identifiers
    from with_review
    group by 1, 2, 3
)

select * from counted
