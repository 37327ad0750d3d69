with

images as (
    {{ labelled_images() }}
),

published as (
    select
        {{ catalog_columns(
            of='images',
            instead={'tags': function('joined_tags') ~ '(published.tags, published.machine_tags)'}
        ) }},
        published.sensitivity
    from images
    cross join
        lateral {{ function('published_image') }}(
            images.tags,
            images.provider,
            images.machines,
            images.machine_label_counts,
            images.machine_names,
            images.machine_accuracies,
            {{ label_policy_and_shortcuts() }}
        ) as published
)

select * from published
