{#- As a tag of another provider than the image's. By label first, so that the rules are asked once
    for each and not for each of its accuracies. -#}
{% macro labels_by_policy(counts, policy=none) -%}
    select
        provider,
        label,
        images,
        images_at_minimum_accuracy,
        mean_accuracy,
        decision,
        case when decision = 'published' then images_at_minimum_accuracy else 0 end as images_shown
    from (
        select
            *,
            (
                select coalesce(sum(bin.images), 0)::bigint
                from unnest(accuracies, images_by_accuracy) as bin (accuracy, images)
                where bin.accuracy is null or bin.accuracy >= minimum_accuracy
            ) as images_at_minimum_accuracy
        from (
            select
                *,
                {{ function('tag_decision') }}(
                    label, label_key, provider, 1, null, {{ label_policy(of=policy) }}
                ) as decision
            from (
                select
                    *,
                    {{ function('minimum_accuracy') }}(
                        label_key,
                        provider,
                        {{ label_policy(['tag_providers', 'included_labels'], of=policy) }}
                    ) as minimum_accuracy
                from (
                    select
                        provider,
                        label,
                        {{ function('label_key') }}(label) as label_key,
                        sum(counted)::bigint as images,
                        sum(accuracy_sum) / nullif(sum(counted) filter (where accuracy is not null), 0)
                            as mean_accuracy,
                        array_agg(accuracy) as accuracies,
                        array_agg(counted) as images_by_accuracy
                    from {{ counts }}
                    group by provider, label
                ) as counted
            ) as with_minimum
            -- So that what is not asked for costs nothing, and a condition on a decision asks no rule twice.
            offset 0 -- noqa: AM09
        ) as decided
    ) as with_images
{%- endmacro %}
