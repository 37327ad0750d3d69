{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        unlogged=true,
        pre_hook=[
            "set local work_mem = '256MB'",
            "set local parallel_setup_cost = 0; set local parallel_tuple_cost = 0",
            "{% if is_incremental() %}truncate {{ this }}{% endif %}",
        ],
        post_hook="analyze {{ this }}"
    )
}}

-- Stored, though it is read only by the two counts after it: unfolding the catalog's tags is most
-- of their work, and Postgres counts a table in several processes, a grouped subselect in one.
-- Incremental in name, as int_accuracy_counts: filled anew, without dropping the view on it.

with

images as (
    select * from {{ ref('stg_catalog__images') }}
),

machine_labels as (
    select * from {{ ref('int_machine_labels') }}
),

tags as (
    select
        images.identifier,
        tag.provider,
        tag.label,
        tag.accuracy
    from images
    left join machine_labels on images.identifier = machine_labels.identifier
    cross join lateral {{ target.schema }}.catalog_labels(
        images.tags, images.provider, machine_labels.provider
    ) as tag
),

labels as (
    select
        identifier,
        provider,
        label,
        max(accuracy) as accuracy
    from tags
    group by 1, 2, 3
)

select * from labels
