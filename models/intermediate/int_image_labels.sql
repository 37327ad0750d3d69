with

machine_labels as not materialized (
    select
        identifier,
        provider,
        names,
        accuracies,
        true as is_of_response
    from {{ ref('int_machine_labels') }}
),

catalog_labels as (
    select
        identifier,
        provider,
        names,
        accuracies,
        false as is_of_response
    from {{ ref('int_catalog_labels') }}
),

-- But for those of a machine that has labelled the image since.
kept_catalog_labels as (
    select catalog_labels.*
    from catalog_labels
    where
        not exists (
            select from machine_labels
            where
                machine_labels.identifier = catalog_labels.identifier
                and machine_labels.provider = catalog_labels.provider
        )
),

all_labels as (
    select * from machine_labels
    union all
    select * from kept_catalog_labels
)

select * from all_labels
