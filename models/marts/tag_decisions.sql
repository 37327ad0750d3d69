with

images as (
    select * from {{ ref('stg_catalog__images') }}
),

machine_labels as (
    select * from {{ ref('int_machine_labels') }}
),

decided as (
    select
        images.identifier,
        tag.position,
        tag.name,
        tag.provider,
        tag.accuracy,
        tag.decision
    from images
    left join machine_labels on images.identifier = machine_labels.identifier
    cross join
        lateral {{ function('decided_tags') }}(
            images.tags,
            images.provider,
            machine_labels.provider,
            machine_labels.names,
            machine_labels.accuracies,
            {{ label_policy() }}
        ) as tag
)

select * from decided
