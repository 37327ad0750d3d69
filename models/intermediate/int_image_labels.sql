with

machine_labels as (
    select * from {{ ref('int_machine_labels') }}
),

catalog_labels as (
    select * from {{ ref('int_catalog_labels') }}
),

-- In the select list, where two arrays are unfolded side by side: in `from` it takes twice as long.
unfolded as (
    select
        identifier,
        provider,
        unnest(names) as label,
        unnest(accuracies) as accuracy
    from machine_labels
),

all_labels as (
    select * from unfolded
    union all
    select * from catalog_labels
)

select * from all_labels
