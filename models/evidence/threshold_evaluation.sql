{%- set objective = threshold_objective() -%}

with

judged as (
    select * from {{ ref('int_judged_labels') }}
    where problem is null
),

thresholds as (
    select (step * 0.01)::numeric(3, 2) as threshold
    from generate_series(50, 99) as series (step)
),

-- Of each label with enough judgements, and of all labels of a provider together (label null).
counted as (
    select
        judged.provider,
        case
            when grouping(judged.label_key) = 0 then min(judged.label collate "C")
        end as label,
        thresholds.threshold,
        count(*) filter (where judged.is_correct and judged.accuracy >= thresholds.threshold)
            as true_positives,
        count(*) filter (where not judged.is_correct and judged.accuracy >= thresholds.threshold)
            as false_positives,
        count(*) filter (where not judged.is_correct and judged.accuracy < thresholds.threshold)
            as true_negatives,
        count(*) filter (where judged.is_correct and judged.accuracy < thresholds.threshold)
            as false_negatives
    from judged
    cross join thresholds
    group by
        grouping sets (
            (judged.provider, thresholds.threshold),
            (judged.provider, judged.label_key, thresholds.threshold)
        )
    having
        grouping(judged.label_key) = 1
        or count(*) >= {{ var('threshold_minimum_judgements') }}
),

rated as (
    select
        *,
        true_positives::numeric / nullif(true_positives + false_positives, 0) as precision,
        true_positives::numeric / nullif(true_positives + false_negatives, 0) as recall,
        2.0 * true_positives
        / nullif(2 * true_positives + false_positives + false_negatives, 0) as f1,
        false_positives::numeric
        / nullif(true_positives + false_positives + true_negatives + false_negatives, 0)
            as false_match_rate,
        false_negatives::numeric / nullif(true_positives + false_negatives, 0)
            as false_non_match_rate
    from counted
),

ranked as (
    select
        *,
        row_number() over (
            partition by provider, label
            order by
                {% if objective == 'f1' -%}
                    f1 desc nulls last,
                {% else -%}
                    coalesce(precision >= {{ var('threshold_minimum_precision') }}, false) desc,
                {% endif -%}
                threshold asc
        ) = 1
        {% if objective == 'f1' -%}
            and coalesce(f1 > 0, false) as is_best
        {%- else -%}
            and coalesce(precision >= {{ var('threshold_minimum_precision') }}, false) as is_best
        {%- endif %}
    from rated
),

rounded as (
    select
        provider,
        label,
        threshold,
        true_positives,
        false_positives,
        true_negatives,
        false_negatives,
        trim_scale(round(precision, 4)) as precision,
        trim_scale(round(recall, 4)) as recall,
        trim_scale(round(f1, 4)) as f1,
        trim_scale(round(false_match_rate, 4)) as false_match_rate,
        trim_scale(round(false_non_match_rate, 4)) as false_non_match_rate,
        is_best
    from ranked
)

select * from rounded
