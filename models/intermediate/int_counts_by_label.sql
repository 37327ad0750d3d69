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
    select unnest(array[label, {{ function('label_key') }}(label)]) as label
    from {{ ref('reviewed_labels') }}
    where
        label is not null
        and {{ function('reviewer_count') }}(reviewed_by) >= {{ var('reviewers_required') }}
),

-- A name that is reviewed in the same spelling, or in lower case, needs no look-up by its key.
with_review as (
    select
        *,
        label not in (select reviewed.label from reviewed)
        and not {{ label_policy(['reviewed_labels']) }} ? {{ function('label_key') }}(label)
            as is_unreviewed
    from labels
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
