-- `not materialized`, because Postgres reads what is materialized in one process.

with

changes as not materialized (
    select * from {{ ref('int_label_changes') }}
),

are_all as not materialized (
    select
        exists(
            select from changes
            where identifier is null
        ) as answer
),

-- As they were counted: a store had what was noted of it, else what it has.
changed as (
    select
        identifier,
        provider,
        bool_or(store <> 'int_catalog_labels') as is_of_machine,
        bool_or(store = 'int_catalog_labels') as is_of_catalog,
        max(names) filter (where store <> 'int_catalog_labels') as machine_names,
        max(accuracies) filter (where store <> 'int_catalog_labels') as machine_accuracies,
        max(names) filter (where store = 'int_catalog_labels') as catalog_names,
        max(accuracies) filter (where store = 'int_catalog_labels') as catalog_accuracies
    from changes
    where not (select are_all.answer from are_all)
    group by identifier, provider
),

states as (
    select
        changed.identifier,
        changed.provider,
        machine.names as machine_names,
        machine.accuracies as machine_accuracies,
        catalog.names as catalog_names,
        catalog.accuracies as catalog_accuracies,
        case when changed.is_of_machine then changed.machine_names else machine.names end
            as earlier_machine_names,
        case when changed.is_of_machine then changed.machine_accuracies else machine.accuracies end
            as earlier_machine_accuracies,
        case when changed.is_of_catalog then changed.catalog_names else catalog.names end
            as earlier_catalog_names,
        case when changed.is_of_catalog then changed.catalog_accuracies else catalog.accuracies end
            as earlier_catalog_accuracies
    from changed
    left join {{ ref('int_machine_labels') }} as machine
        on changed.identifier = machine.identifier and changed.provider = machine.provider
    left join {{ ref('int_catalog_labels') }} as catalog
        on
            changed.identifier = catalog.identifier
            and changed.provider is not distinct from catalog.provider
),

-- A machine's response goes before the catalog's tags of that machine, as in int_image_labels.
signed as (
    select
        state.sign,
        states.identifier,
        states.provider,
        state.names,
        state.accuracies,
        state.is_of_response
    from states
    cross join
        lateral (
            values
            (
                -1,
                coalesce(states.earlier_machine_names, states.earlier_catalog_names),
                coalesce(states.earlier_machine_accuracies, states.earlier_catalog_accuracies),
                states.earlier_machine_names is not null
            ),
            (
                1,
                coalesce(states.machine_names, states.catalog_names),
                coalesce(states.machine_accuracies, states.catalog_accuracies),
                states.machine_names is not null
            )
        ) as state (sign, names, accuracies, is_of_response)
    where state.names is not null
    union all
    select
        1 as sign,
        identifier,
        provider,
        names,
        accuracies,
        is_of_response
    from {{ ref('int_image_labels') }}
    where (select are_all.answer from are_all)
)

select * from signed
