{{
    config(
        materialized='refilled_table',
        pre_hook=[
            "{{ lock_label_policy_files() }}",
            "{{ refuse_broken_label_policy(this, ref('int_label_policy_problems')) }}",
            "{{ refuse_large_policy_change(this, ref('int_seeded_label_policy')) }}",
            "{{ refill_correction_counts() }}"
        ],
        post_hook="{{ record_label_decisions() }}"
    )
}}

-- Stored, because to fold the files of the policy takes 6 ms for each of the values that a query
-- reads: one image by its identifier took 20 ms. `dbt seed` stores it anew, see
-- macros/put_label_policy_in_force.sql.

with

seeded as (
    select * from {{ ref('int_seeded_label_policy') }}
)

select * from seeded
