{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        pre_hook=[
            "{{ create_smallest_three() }}",
            "{% if is_incremental() %}delete from {{ this }}{% endif %}",
        ]
    )
}}

-- Incremental in name: it is emptied and filled anew in one transaction. dbt's tables are dropped
-- and made again, and the views on them with them.

with

machine_tags as (
    select * from {{ ref('machine_tags') }}
),

images as (
    select * from {{ ref('stg_catalog__images') }}
),

stored as (
    select
        machine_tags.identifier,
        machine_tags.provider,
        tag.*
    from machine_tags
    -- A left join: an image in which the machine found nothing counts as an image too.
    left join lateral (
        select
            element.name as label,
            element.accuracy,
            avg(element.accuracy) over () as image_accuracy,
            row_number() over () = 1 as is_first_of_image
        from jsonb_to_recordset(machine_tags.tags) as element (name text, accuracy numeric)
    ) as tag on true
),

-- The catalog's own machine tags, where machine_tags has no newer ones of their provider.
catalogs_own as (
    select
        images.identifier,
        tag.*
    from images
    inner join lateral (
        select
            named.provider,
            named.label,
            named.accuracy,
            avg(named.accuracy) over (partition by named.provider) as image_accuracy,
            row_number() over (partition by named.provider) = 1 as is_first_of_image
        from (
            select
                decided.provider,
                {{ trim_white_space('decided.name') }} as label,
                max(decided.accuracy) as accuracy
            from {{ decide_tags('images.tags', 'images.provider') }} as decided
            where decided.is_machine_tag and decided.decision <> 'malformed'
            group by decided.provider, label
        ) as named
    ) as tag on true
    where
        not exists (
            select 1
            from machine_tags
            where
                machine_tags.identifier = images.identifier
                and machine_tags.provider = tag.provider
        )
),

all_tags as (
    select * from stored
    union all
    select * from catalogs_own
),

binned as (
    select
        *,
        trunc(accuracy, 2) as accuracy_bin,
        trunc(accuracy, 4) as fine_accuracy,
        trunc(image_accuracy, 4) as fine_image_accuracy,
        coalesce(
            (select policy.decisions from {{ ref('int_label_policy') }} as policy)
            ->> {{ label_key('label') }},
            'unreviewed_label'
        ) = 'unreviewed_label' as is_unreviewed
    from all_tags
),

-- One pass, three counts: grouping sets, so that the tags are unfolded once.
counted as (
    select
        case
            when grouping(label) = 0 then 'label'
            when grouping(fine_accuracy) = 0 then 'accuracy'
            else 'image_accuracy'
        end as counted_by,
        provider,
        label,
        accuracy_bin,
        fine_accuracy,
        fine_image_accuracy,
        count(label) as tags,
        count(*) filter (where is_first_of_image is not false) as images,
        sum(accuracy) as accuracy_sum,
        sum(image_accuracy) filter (where is_first_of_image) as image_accuracy_sum,
        {{ target.schema }}.smallest_three(identifier) filter (where is_unreviewed)
            as example_identifiers
    from binned
    group by
        grouping sets (
            (provider, label, accuracy_bin),
            (provider, fine_accuracy),
            (provider, fine_image_accuracy)
        )
)

select * from counted
