with

stored_labels as not materialized (
    select * from {{ ref('int_machine_labels') }}
),

-- And once without a label, so that one pass counts the images too.
labels as (
    select
        stored_labels.provider,
        stored_labels.label_model_version,
        stored_labels.response_id,
        tag.label,
        tag.accuracy
    from stored_labels
    cross join
        lateral unnest(
            {{ function('corrected_names') }}(
                stored_labels.names,
                stored_labels.accuracies,
                array[cardinality(stored_labels.names)],
                {{ label_policy(['label_corrections']) }}
            ) || null::text,
            stored_labels.accuracies || null::numeric
        ) as tag (label, accuracy)
    where
        stored_labels.label_model_version is not null
        and (tag.label is not null or tag.accuracy is null)
),

counted as (
    select
        provider,
        label_model_version,
        label,
        count(*) as images,
        count(*) filter (
            where accuracy >= {{ function('minimum_accuracy') }}(
                {{ function('label_key') }}(label),
                provider,
                {{ label_policy(['tag_providers', 'included_labels']) }}
            )
        ) as images_at_minimum,
        min(response_id) as first_response_id
    from labels
    group by provider, label_model_version, label
),

versions as (
    select
        provider,
        lag(label_model_version) over in_order as version_before,
        label_model_version as version_after,
        lag(images) over in_order as images_before,
        images as images_after
    from counted
    where label is null
    window in_order as (partition by provider order by first_response_id)
),

sided as (
    select
        versions.*,
        counted.label,
        counted.images as labelled,
        counted.images_at_minimum,
        counted.label_model_version = versions.version_after as is_after
    from versions
    inner join counted
        on
            versions.provider = counted.provider
            and counted.label_model_version in (versions.version_before, versions.version_after)
    where versions.version_before is not null and counted.label is not null
),

paired as (
    select
        provider,
        label,
        version_before,
        version_after,
        images_before,
        images_after,
        coalesce(sum(labelled) filter (where not is_after), 0)::bigint as labelled_before,
        coalesce(sum(labelled) filter (where is_after), 0)::bigint as labelled_after,
        coalesce(sum(images_at_minimum) filter (where not is_after), 0)::bigint
            as at_minimum_before,
        coalesce(sum(images_at_minimum) filter (where is_after), 0)::bigint as at_minimum_after,
        {{ function('tag_decision') }}(
            label, {{ function('label_key') }}(label), provider, 1, null, {{ label_policy() }}
        ) as decision
    from sided
    group by provider, label, version_before, version_after, images_before, images_after
),

shown as (
    select
        *,
        case when decision = 'published' then at_minimum_before else 0 end as shown_before,
        case when decision = 'published' then at_minimum_after else 0 end as shown_after,
        labelled_before::numeric / images_before as share_before,
        labelled_after::numeric / images_after as share_after
    from paired
),

compared as (
    select
        provider,
        label,
        version_before,
        version_after,
        images_before,
        images_after,
        labelled_before,
        labelled_after,
        at_minimum_before,
        at_minimum_after,
        trim_scale(round(share_before, 4)) as share_before,
        trim_scale(round(share_after, 4)) as share_after,
        trim_scale(round(share_after - share_before, 4)) as difference,
        trim_scale(round({{ newcombe_bound(
            'labelled_after', 'images_after', 'labelled_before', 'images_before', '-'
        ) }}, 4)) as difference_low,
        trim_scale(round({{ newcombe_bound(
            'labelled_after', 'images_after', 'labelled_before', 'images_before', '+'
        ) }}, 4)) as difference_high,
        labelled_before = 0 as is_new,
        labelled_after = 0 as is_gone,
        decision,
        trim_scale(round(shown_before::numeric / images_before, 4)) as shown_share_before,
        trim_scale(round(shown_after::numeric / images_after, 4)) as shown_share_after
    from shown
)

select * from compared
