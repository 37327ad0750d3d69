{{
    correction_counts(
        label_policy(['label_corrections'], of=ref('int_seeded_label_policy'))
    )
}},

-- Nothing is read of the images if it would be the same.
policies as (
    select in_force.label_corrections = seeded.label_corrections as are_equal
    from {{ ref('int_label_policy_in_force') }} as in_force
    cross join {{ ref('int_seeded_label_policy') }} as seeded
),

seeded as (
    select * from {{ ref('int_correction_counts') }}
    where (select policies.are_equal from policies)
    union all
    select * from counted
    where not (select policies.are_equal from policies)
)

select * from seeded
