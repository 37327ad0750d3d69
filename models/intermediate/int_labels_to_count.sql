-- `not materialized`, because Postgres reads what is materialized in one process.

with

are_all as not materialized (
    select
        exists(
            select 1 from {{ ref('int_label_changes') }}
            where store is null
        ) as answer
),

-- What has changed, as it was counted, where a store has noted it, and as stores have it. For Citus
-- no join beside the union below, whose first column has to be the identifier: then workers do all.
{% if var('is_distributed') %}
    versions as (
        select
            identifier,
            provider,
            case
                when store = 'int_catalog_labels' then 'earlier_catalog'
                else 'earlier_machine'
            end as version,
            names,
            accuracies
        from {{ ref('int_label_changes') }}
        union all
        select
            identifier,
            provider,
            'machine' as version,
            names,
            accuracies
        from {{ ref('int_machine_labels') }} as stored
        where
            exists (
                select from {{ ref('int_label_changes') }} as changed
                where
                    changed.identifier = stored.identifier
                    and changed.provider = stored.provider
            )
        union all
        select
            identifier,
            provider,
            'catalog' as version,
            names,
            accuracies
        from {{ ref('int_catalog_labels') }} as stored
        where
            exists (
                select from {{ ref('int_label_changes') }} as changed
                where
                    changed.identifier = stored.identifier
                    and changed.provider is not distinct from stored.provider
            )
    ),

    changed as (
        select
            identifier,
            provider,
            bool_or(version = 'earlier_machine') as has_earlier_machine,
            bool_or(version = 'earlier_catalog') as has_earlier_catalog,
            max(names) filter (where version = 'machine') as machine_names,
            max(accuracies) filter (where version = 'machine') as machine_accuracies,
            max(names) filter (where version = 'catalog') as catalog_names,
            max(accuracies) filter (where version = 'catalog') as catalog_accuracies,
            max(names) filter (where version = 'earlier_machine') as earlier_machine_names,
            max(accuracies) filter (where version = 'earlier_machine')
                as earlier_machine_accuracies,
            max(names) filter (where version = 'earlier_catalog') as earlier_catalog_names,
            max(accuracies) filter (where version = 'earlier_catalog')
                as earlier_catalog_accuracies
        from versions
        where not (select are_all.answer from are_all)
        group by identifier, provider
    ),
{% else %}
    noted as (
        select
            identifier,
            provider,
            bool_or(store <> 'int_catalog_labels') as has_earlier_machine,
            bool_or(store = 'int_catalog_labels') as has_earlier_catalog,
            max(names) filter (where store <> 'int_catalog_labels') as earlier_machine_names,
            max(accuracies) filter (where store <> 'int_catalog_labels')
                as earlier_machine_accuracies,
            max(names) filter (where store = 'int_catalog_labels') as earlier_catalog_names,
            max(accuracies) filter (where store = 'int_catalog_labels')
                as earlier_catalog_accuracies
        from {{ ref('int_label_changes') }}
        where not (select are_all.answer from are_all)
        group by identifier, provider
    ),

    changed as (
        select
            noted.*,
            machine.names as machine_names,
            machine.accuracies as machine_accuracies,
            catalog.names as catalog_names,
            catalog.accuracies as catalog_accuracies
        from noted
        left join {{ ref('int_machine_labels') }} as machine
            on noted.identifier = machine.identifier and noted.provider = machine.provider
        left join {{ ref('int_catalog_labels') }} as catalog
            on
                noted.identifier = catalog.identifier
                and noted.provider is not distinct from catalog.provider
    ),
{% endif %}

-- As they were counted: a store had what was noted of it, else what it has.
states as (
    select
        identifier,
        provider,
        machine_names,
        machine_accuracies,
        catalog_names,
        catalog_accuracies,
        case when has_earlier_machine then earlier_machine_names else machine_names end
            as earlier_machine_names,
        case when has_earlier_machine then earlier_machine_accuracies else machine_accuracies end
            as earlier_machine_accuracies,
        case when has_earlier_catalog then earlier_catalog_names else catalog_names end
            as earlier_catalog_names,
        case when has_earlier_catalog then earlier_catalog_accuracies else catalog_accuracies end
            as earlier_catalog_accuracies
    from changed
),

-- A machine's response goes before the catalog's tags of that machine, as in int_image_labels.
signed as (
    select
        states.identifier,
        states.provider,
        state.names,
        state.accuracies,
        state.is_of_response,
        state.sign
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
        identifier,
        provider,
        names,
        accuracies,
        is_of_response,
        1 as sign
    from {{ ref('int_image_labels') }}
    where (select are_all.answer from are_all)
)

select * from signed
