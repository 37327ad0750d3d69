{{
    config(
        materialized='refilled_table',
        unlogged=true,
        pre_hook=[
            "set local parallel_setup_cost = 0; set local parallel_tuple_cost = 0",
        ],
        post_hook="analyze {{ this }}"
    )
}}

-- Stored, though it is read only by the two counts after it: reading the catalog's tags is most of
-- their work, and needs no machine labels, so that it is done beside the stores.

with

images as (
    select * from {{ ref('stg_catalog__images') }}
    where tags <> '[]'
),

labels as (
    select
        images.identifier,
        found.provider,
        found.names,
        found.accuracies
    from images
    cross join lateral {{ function('catalog_labels') }}(images.tags, images.provider) as found
)

select * from labels
