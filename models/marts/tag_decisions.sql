with

images as (
    {{ labelled_images() }}
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
    cross join
        lateral {{ function('decided_tags') }}(
            images.tags,
            images.provider,
            images.machines,
            images.machine_label_counts,
            images.machine_names,
            images.machine_accuracies,
            {{ label_policy() }}
        ) as tag
)

select * from decided
