with

recorded as (
    select * from {{ ref('label_decisions_snapshot') }}
),

history as (
    select
        label_key,
        label,
        decision,
        minimum_accuracy,
        category,
        reason,
        reviewed_by,
        reviewed_on,
        dbt_valid_from::timestamptz as in_force_from,
        dbt_valid_to::timestamptz as in_force_until
    from recorded
    order by label_key collate "C", in_force_from
)

select * from history
