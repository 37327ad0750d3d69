with

judged as (
    select * from {{ ref('int_judged_labels') }}
    where problem is null
),

-- Of each label, and of all labels of a provider together. Nobody knows how judgements without a
-- weight were drawn: they are one cell, whatever the label.
counted_by_cell as (
    select
        provider,
        label_key,
        grouping(label_key) = 1 as is_all_labels,
        coalesce(weight, 1) as weight,
        min(label collate "C") as label,
        count(*) as judgements,
        count(*) filter (where is_made_up) as made_up,
        count(*) filter (where is_correct) as correct
    from judged
    group by
        grouping sets (
            (provider, case when weight is not null then label_key end, weight),
            (provider, label_key, weight)
        )
),

-- Where all judgements of a cell agree, its variance is not 0: see effective_trials.
smoothed as (
    select
        *,
        judgements + 1 as smoothed_judgements,
        correct
        + sum(weight * correct) over label_cells
        / nullif(sum(weight * judgements) over label_cells, 0) as smoothed_correct
    from counted_by_cell
    window label_cells as (partition by provider, is_all_labels, label_key)
),

rated as (
    select
        provider,
        case when not is_all_labels then min(label collate "C") end as label,
        sum(judgements)::bigint as judgements,
        sum(made_up)::bigint as made_up,
        sum(correct)::bigint as correct,
        {{ stratified_share('correct', 'judgements') }} as precision,
        least({{ effective_trials('correct', 'judgements') }}, sum(judgements)) as trials
    from smoothed
    group by provider, is_all_labels, label_key
),

bounded as (
    select
        provider,
        label,
        judgements,
        made_up,
        correct,
        trim_scale(round(precision, 4)) as precision,
        trim_scale(round({{ wilson_bound('(precision * trials)', 'trials', '-') }}, 4))
            as precision_low,
        trim_scale(round({{ wilson_bound('(precision * trials)', 'trials', '+') }}, 4))
            as precision_high
    from rated
),

-- Those that are wrong most surely come first.
ordered as (
    select * from bounded
    order by precision_high asc, judgements desc, provider collate "C" asc, label collate "C" asc
)

select * from ordered
