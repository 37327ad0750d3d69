-- depends_on: {{ ref('int_label_policy_in_force') }}

with

reviewed as (
    select
        {{ function('label_key') }}(label) as label_key,
        *,
        {{ function('reviewer_count') }}(reviewed_by) >= {{ var('reviewers_required') }}
            as is_signed
    from {{ ref('reviewed_labels') }}
),

sensitive as (
    select
        {{ function('label_key') }}(label) as label_key,
        *
    from {{ ref('sensitive_labels') }}
),

included as (
    select
        {{ function('label_key') }}(label) as label_key,
        minimum_accuracy
    from {{ ref('included_labels') }}
),

decisions as (
    select
        label_key,
        coalesce(reviewed.label, sensitive.label) as label,
        case
            when sensitive.handling = 'withhold' then 'withhold'
            when reviewed.is_signed is not true then 'unreviewed'
            when included.label_key is null then 'exclude'
            when sensitive.handling = 'flag' then 'flag'
            else 'include'
        end as decision,
        included.minimum_accuracy,
        sensitive.category,
        coalesce(sensitive.reason, reviewed.note) as reason,
        reviewed.reviewed_by,
        reviewed.reviewed_on
    from reviewed
    full join sensitive using (label_key)
    left join included using (label_key)
)

select * from decisions
