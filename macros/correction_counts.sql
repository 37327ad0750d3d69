{#- Counts are of labels as machines say them. What corrections change in them is counted of the
    images that have a label to correct: no other is read again, and two labels of an image that
    become one count once. -#}
{% macro correction_counts(image_labels, corrections) -%}
with

to_correct as (
    select
        sign,
        provider,
        names as said_names,
        {{ function('corrected_names') }}(
            names, accuracies, array[cardinality(names)], {{ corrections }}
        ) as names,
        accuracies
    from {{ image_labels }}
    -- Not by itself: Postgres would leave a part of the union out, and Citus then gather the others.
    where is_of_response = (select true) and {{ corrections }} ?| names
),

labels as (
    select
        to_correct.sign,
        to_correct.provider,
        label.said_name,
        label.name,
        label.accuracy
    from to_correct
    cross join lateral unnest(to_correct.said_names, to_correct.names, to_correct.accuracies)
        as label (said_name, name, accuracy)
    where label.said_name is distinct from label.name
),

images as (
    select
        sign,
        provider,
        {{ function('image_accuracies') }}(accuracies) as said_accuracies,
        {{ function('image_accuracies') }}(array(
            select label.accuracy
            from unnest(names, accuracies) as label (name, accuracy)
            where label.name is not null
        )) as accuracies
    from to_correct
    where array_position(names, null) is not null
),

changes as (
    select
        'label' as counted_by,
        provider,
        said_name as label,
        2 as decimals,
        accuracy,
        -sign as counted
    from labels
    union all
    select 'label', provider, name, 2, accuracy, sign
    from labels
    where name is not null
    union all
    select 'accuracy', provider, null, 4, accuracy, -sign
    from labels
    where name is null
    union all
    select unnest({{ kinds_of_image_accuracy() }}), provider, null, 4, unnest(said_accuracies), -sign
    from images
    union all
    select unnest({{ kinds_of_image_accuracy() }}), provider, null, 4, unnest(accuracies), sign
    from images
)

select
    counted_by,
    provider,
    label,
    trunc(accuracy, decimals) as accuracy,
    sum(counted)::bigint as counted,
    coalesce(sum(counted) filter (where accuracy = trunc(accuracy, decimals)), 0)::bigint
        as counted_exactly,
    trim_scale(sum(counted * accuracy)) as accuracy_sum
from changes
group by 1, 2, 3, 4
having sum(counted) <> 0 or sum(counted * accuracy) <> 0
{%- endmacro %}

{#- In the order of what the function image_accuracies returns. -#}
{% macro kinds_of_image_accuracy() -%}
    '{image_accuracy, image_median, image_highest}'::text[]
{%- endmacro %}
