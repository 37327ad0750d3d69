with

images as (
    {{ labelled_images() }}
),

merged as (
    select
        {{ catalog_columns(of='images', instead={
            'tags': function('merged_tags') ~ '(images.tags, images.machines, images.machine_label_counts,'
                ~ ' images.machine_names, images.machine_accuracies, '
                ~ label_policy(['label_corrections']) ~ ')'
        }) }}
    from images
)

select * from merged
