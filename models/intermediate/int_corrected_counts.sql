with

counts as (
    select * from {{ ref('int_label_counts') }}
),

corrected as (
    select
        counted_by,
        provider,
        label,
        accuracy,
        sum(counted)::bigint as counted,
        (sum(counted_exactly) filter (where counted_by <> 'label'))::bigint as counted_exactly,
        sum(accuracy_sum) as accuracy_sum
    from counts
    group by 1, 2, 3, 4
    having sum(counted) <> 0
)

select * from corrected
