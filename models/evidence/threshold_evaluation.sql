{%- set objective = threshold_objective() -%}
{%- set minimum_precision = var('threshold_minimum_precision') ~ "::numeric" -%}

with

judged as (
    select * from {{ ref('int_judged_labels') }}
    where problem is null
),

thresholds as (
    select (step * 0.01)::numeric(3, 2) as threshold
    from generate_series(50, 99) as series (step)
),

-- Of each label, and of all labels of a provider together. Nobody knows how judgements without a
-- weight were drawn: they are one cell, whatever the label.
counted_by_cell as (
    select
        judged.provider,
        judged.label_key,
        grouping(judged.label_key) = 1 as is_all_labels,
        thresholds.threshold,
        coalesce(judged.weight, 1) as weight,
        min(judged.label collate "C") as label,
        count(*) as judgements,
        count(*) filter (where judged.is_made_up) as made_up,
        count(*) filter (where judged.accuracy >= thresholds.threshold) as taken,
        count(*) filter (where judged.is_correct) as correct,
        count(*) filter (where judged.is_correct and judged.accuracy >= thresholds.threshold)
            as true_positives
    from judged
    cross join thresholds
    group by
        grouping sets (
            (
                judged.provider,
                case when judged.weight is not null then judged.label_key end,
                judged.weight,
                thresholds.threshold
            ),
            (judged.provider, judged.label_key, judged.weight, thresholds.threshold)
        )
),

-- Where all judgements of a cell agree, its variance is not 0: see effective_trials.
smoothed as (
    select
        *,
        taken + taken::numeric / judgements as smoothed_taken,
        correct + right_share as smoothed_correct,
        true_positives + right_share * taken / judgements as smoothed_true_positives
    from (
        select
            *,
            sum(weight * correct) over label_threshold
            / nullif(sum(weight * judgements) over label_threshold, 0) as right_share
        from counted_by_cell
        window label_threshold as (partition by provider, is_all_labels, label_key, threshold)
    ) as cells
),

-- With a row for each label that has enough judgements, and one for all labels (label null).
rated as (
    select
        provider,
        case when not is_all_labels then min(label collate "C") end as label,
        threshold,
        sum(judgements)::bigint as judgements,
        sum(made_up)::bigint as made_up,
        sum(taken)::bigint as taken,
        sum(true_positives)::bigint as true_positives,
        sum(taken - true_positives)::bigint as false_positives,
        sum(judgements - taken - correct + true_positives)::bigint as true_negatives,
        sum(correct - true_positives)::bigint as false_negatives,
        {{ stratified_share('true_positives', 'taken') }} as precision,
        least({{ effective_trials('true_positives', 'taken') }}, sum(taken)) as precision_trials,
        {{ stratified_share('true_positives', 'correct') }} as recall,
        {{ effective_trials('true_positives', 'correct') }} as recall_trials,
        {{ stratified_share('2 * true_positives', '(taken + correct)') }} as f1,
        {{ stratified_share('(taken - true_positives)', 'judgements') }} as false_match_rate,
        {{ stratified_share('(correct - true_positives)', 'correct') }} as false_non_match_rate,
        {{ stratified_share('(correct - true_positives)', 'judgements') }} as miss_rate
    from smoothed
    group by provider, is_all_labels, label_key, threshold
    having is_all_labels or sum(judgements) >= {{ var('threshold_minimum_judgements') }}
),

bounded as (
    select
        *,
        {{ wilson_bound('(precision * precision_trials)', 'precision_trials', '-') }}
            as precision_low,
        {{ wilson_bound('(precision * precision_trials)', 'precision_trials', '+') }}
            as precision_high,
        {{ wilson_bound('(recall * recall_trials)', 'recall_trials', '-') }}
            as recall_low,
        {{ wilson_bound('(recall * recall_trials)', 'recall_trials', '+') }}
            as recall_high,
        {{ var('cost_of_false_show') }} * false_match_rate
        + {{ var('cost_of_miss') }} * miss_rate as cost,
        case
            when precision > {{ minimum_precision }}
                then greatest(
                    ceil(
                        {{ wilson_trials('precision', minimum_precision) }}
                        * taken / precision_trials
                    )
                    - taken,
                    0
                )
        end as more_judgements_needed
    from rated
),

compared as (
    select
        *,
        {% if objective == 'precision' -%}
            coalesce(precision_low >= {{ minimum_precision }}, false) as is_good,
            0 as badness
        {%- elif objective == 'f1' -%}
            coalesce(f1 > 0, false) as is_good,
            -f1 as badness
        {%- else -%}
            true as is_good,
            cost as badness
        {%- endif %}
    from bounded
),

ranked as (
    select
        *,
        is_good
        and row_number() over (
            partition by provider, label
            order by is_good desc, badness asc nulls last, threshold asc
        ) = 1 as is_best
    from compared
),

rounded as (
    select
        provider,
        label,
        threshold,
        judgements,
        made_up,
        true_positives,
        false_positives,
        true_negatives,
        false_negatives,
        trim_scale(round(precision, 4)) as precision,
        trim_scale(round(precision_low, 4)) as precision_low,
        trim_scale(round(precision_high, 4)) as precision_high,
        trim_scale(round(recall, 4)) as recall,
        trim_scale(round(recall_low, 4)) as recall_low,
        trim_scale(round(recall_high, 4)) as recall_high,
        trim_scale(round(f1, 4)) as f1,
        trim_scale(round(false_match_rate, 4)) as false_match_rate,
        trim_scale(round(false_non_match_rate, 4)) as false_non_match_rate,
        trim_scale(round(cost, 4)) as cost,
        is_best,
        more_judgements_needed::bigint as more_judgements_needed
    from ranked
)

select * from rounded
