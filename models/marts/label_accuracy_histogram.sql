{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook="{% if is_incremental() %}delete from {{ this }}{% endif %}"
    )
}}

-- Incremental in name, as int_machine_tag_counts: filled anew, without dropping the views on it.

with

counts as (
    select * from {{ ref('int_machine_tag_counts') }}
),

histogram as (
    select
        provider,
        label,
        accuracy_bin::numeric(3, 2) as accuracy_bin,
        tags as images,
        accuracy_sum::numeric(38, 20) as accuracy_sum,
        example_identifiers
    from counts
    where counted_by = 'label' and label is not null
)

select * from histogram
