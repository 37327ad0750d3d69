with

stored_labels as not materialized (
    select * from {{ ref('int_machine_labels') }}
),

-- And once without an accuracy, so that one pass counts the images too.
accuracies as (
    select
        stored_labels.provider,
        stored_labels.label_model_version,
        stored_labels.response_id,
        tag.accuracy
    from stored_labels
    cross join lateral unnest(stored_labels.accuracies || null::numeric) as tag (accuracy)
),

counted as (
    select
        provider,
        label_model_version,
        trunc(accuracy, 4) as accuracy_bin,
        count(*) as counted,
        sum(accuracy) as accuracy_sum,
        min(response_id) as first_response_id
    from accuracies
    group by provider, label_model_version, accuracy_bin
),

ranked as (
    select
        *,
        sum(counted) over (
            partition by provider, label_model_version
            order by accuracy_bin asc nulls last
        ) as counted_so_far,
        sum(counted) filter (where accuracy_bin is not null) over (
            partition by provider, label_model_version
        ) as labels
    from counted
),

summed as (
    select
        provider,
        label_model_version,
        min(first_response_id) as first_response_id,
        sum(counted) filter (where accuracy_bin is null) as images,
        coalesce(max(labels), 0) as labels,
        sum(accuracy_sum) as accuracy_sum,
        min(accuracy_bin) filter (where counted_so_far * 2 >= labels) as median_accuracy
    from ranked
    group by provider, label_model_version
),

versions as (
    select
        provider,
        label_model_version,
        first_response_id,
        images::bigint as images,
        labels::bigint as labels,
        trim_scale(round(labels / images, 6)) as labels_per_image,
        trim_scale(round(accuracy_sum / nullif(labels, 0), 6)) as mean_accuracy,
        trim_scale(median_accuracy) as median_accuracy
    from summed
)

select * from versions
