{#- What corrections change in the counts of labels as machines say them: the labels of each image
    that has one to correct are taken out (-1) and put in again as corrected. So counts need no
    other pass over the images, and two labels of an image that become one count once. -#}
{% macro correction_counts(corrections) -%}
with

to_correct as (
    select
        provider,
        said_names,
        said_accuracies,
        {{ function('corrected_names') }}(said_names, said_accuracies, {{ corrections }}) as names,
        {{ function('corrected_accuracies') }}(said_names, said_accuracies, {{ corrections }})
            as accuracies
    from {{ ref('int_machine_labels') }}
    where {{ corrections }} ?| said_names
),

images as (
    select provider, said_names as names, said_accuracies as accuracies, -1 as counted
    from to_correct
    union all
    select provider, names, accuracies, 1 as counted
    from to_correct
),

labels as (
    select provider, unnest(names) as label, unnest(accuracies) as accuracy, counted
    from images
),

changes as (
    select 'label' as counted_by, provider, label, accuracy, trunc(accuracy, 2) as bin, counted
    from labels
    union all
    select 'accuracy', provider, null, accuracy, trunc(accuracy, 4), counted
    from labels
    union all
    select 'image_accuracy', image.provider, null, image.accuracy, trunc(image.accuracy, 4), image.counted
    from (
        select provider, {{ function('mean') }}(accuracies) as accuracy, counted
        from images
    ) as image
),

counted as (
    select
        counted_by,
        provider,
        label,
        bin as accuracy_bin,
        sum(counted)::bigint as counted,
        trim_scale(sum(counted * accuracy)) as accuracy_sum
    from changes
    group by 1, 2, 3, 4
    having sum(counted) <> 0 or sum(counted * accuracy) <> 0
)
{%- endmacro %}
