with

images as (
    {{ labelled_images() }}
),

labelled as (
    select
        images.identifier,
        tag.provider,
        tag.label,
        tag.accuracy,
        tag.is_published
    from images
    -- No aggregate stands above the images, so that a condition on the identifier finds its image
    -- by the catalog's index and no other image is read.
    inner join lateral (
        select
            decided.provider,
            {{ function('trim_white_space') }}(decided.name) as label,
            max(decided.accuracy) as accuracy,
            bool_or(decided.decision = 'published') as is_published
        from
            {{ function('decided_tags') }}(
                images.tags,
                images.provider,
                images.machines,
                images.machine_label_counts,
                images.machine_names,
                images.machine_accuracies,
                {{ label_policy() }}
            ) as decided
        where
            decided.is_machine_tag
            and decided.decision <> 'malformed'
            and decided.accuracy is not null
        group by decided.provider, label
    ) as tag on true
)

select * from labelled
