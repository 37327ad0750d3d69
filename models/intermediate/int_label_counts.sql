{{
    config(
        materialized='incremental',
        incremental_strategy='add_counts',
        full_refresh=false,
        pre_hook=[
            "set local work_mem = '256MB'; set local parallel_setup_cost = 0",
            "{% if is_full_refresh() %}{{ note_that_all_labels_change() }}{% endif %}",
            "lock table {{ ref('int_label_changes') }} in share row exclusive mode",
        ],
        post_hook=[
            "create unique index if not exists int_label_counts_key on {{ this }}
            (is_correction, counted_by, provider, label, accuracy) nulls not distinct",
            "delete from {{ ref('int_label_changes') }}",
        ]
    )
}}

-- The memory, so that Postgres counts by hashing and does not sort all tags: it expects ten times
-- as many groups as there are. The lock, so that nobody changes labels while they are counted.

with

counts as (
    select
        false as is_correction,
        'label' as counted_by,
        provider,
        label,
        accuracy,
        counted,
        null::bigint as counted_exactly,
        accuracy_sum,
        example_identifiers
    from {{ ref('int_counts_by_label') }}
    union all
    select
        false as is_correction,
        counted_by,
        provider,
        null as label,
        accuracy,
        counted,
        counted_exactly,
        accuracy_sum,
        '{}' as example_identifiers
    from {{ ref('int_counts_by_accuracy') }}
    union all
    select
        true as is_correction,
        counted_by,
        provider,
        label,
        accuracy,
        counted,
        counted_exactly,
        accuracy_sum,
        '{}' as example_identifiers
    from {{ ref('int_counts_of_corrections') }}
)

select * from counts
