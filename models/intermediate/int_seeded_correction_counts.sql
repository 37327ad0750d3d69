with

-- Nothing is read of the images if it would be the same.
policies as (
    select in_force.label_corrections = seeded.label_corrections as are_equal
    from {{ ref('int_label_policy_in_force') }} as in_force
    cross join {{ ref('int_seeded_label_policy') }} as seeded
),

image_labels as (
    select
        *,
        1 as sign,
        true as is_of_response
    from {{ ref('int_machine_labels') }}
    where not (select policies.are_equal from policies)
),

counted as (
    {{
        correction_counts(
            'image_labels',
            label_policy(['label_corrections'], of=ref('int_seeded_label_policy'))
        )
    }}
),

seeded as (
    select
        counted_by,
        provider,
        label,
        accuracy,
        counted,
        counted_exactly,
        accuracy_sum
    from {{ ref('int_label_counts') }}
    where is_correction and (select policies.are_equal from policies)
    union all
    select * from counted
)

select * from seeded
