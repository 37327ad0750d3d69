with

images as (
    {{ labelled_images() }}
),

published as (
    select
        {{ catalog_columns(of='images', instead={'tags': 'published.tags'}) }},
        published.sensitivity
    from images
    cross join lateral (
        select
            {{ function('published_tags') }}(
                images.tags,
                images.provider,
                images.machines,
                images.machine_label_counts,
                images.machine_names,
                images.machine_accuracies,
                {{ label_policy() }},
                {{ label_policy(['lowest_minimum_accuracy']) }}
            ) as tags,
            {{ function('sensitivity') }}(
                images.tags,
                images.provider,
                images.machines,
                images.machine_label_counts,
                images.machine_names,
                images.machine_accuracies,
                {{ label_policy() }},
                {{ label_policy(['lowest_minimum_accuracy']) }}
            ) as sensitivity
    ) as published
)

select * from published
