with

labels as (
    select * from {{ ref('int_label_accuracy_histogram') }}
),

accuracies as (
    select * from {{ ref('int_accuracy_counts') }}
),

corrections as (
    select * from {{ ref('int_correction_counts') }}
),

all_counts as (
    select
        'label' as counted_by,
        provider,
        label,
        accuracy_bin as accuracy,
        images as counted,
        null::bigint as counted_exactly,
        accuracy_sum
    from labels
    union all
    select
        counted_by,
        provider,
        null as label,
        accuracy,
        counted,
        counted_exactly,
        accuracy_sum
    from accuracies
    union all
    select
        counted_by,
        provider,
        label,
        accuracy,
        counted,
        case when counted_by <> 'label' then counted_exactly end as counted_exactly,
        accuracy_sum
    from corrections
),

corrected as (
    select
        counted_by,
        provider,
        label,
        accuracy,
        sum(counted)::bigint as counted,
        sum(counted_exactly)::bigint as counted_exactly,
        sum(accuracy_sum) as accuracy_sum
    from all_counts
    group by 1, 2, 3, 4
    having sum(counted) <> 0
)

select * from corrected
