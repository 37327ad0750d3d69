with

judged as (
    select * from {{ ref('int_judged_labels') }}
    where problem is null and judged_group is not null
),

-- Of each label, and of all labels of a provider together (label null).
by_group as (
    select
        provider,
        label_key,
        grouping(label_key) = 1 as is_all_labels,
        judged_group,
        min(label collate "C") as label,
        count(*)::numeric as judgements,
        count(*) filter (where is_made_up) as made_up,
        count(*) filter (where not is_correct) as wrong
    from judged
    group by grouping sets ((provider, judged_group), (provider, label_key, judged_group))
),

-- One spelling of a label in all of its groups.
spelled as (
    select
        *,
        case
            when not is_all_labels
                then min(label collate "C") over (partition by provider, label_key)
        end as label_spelling
    from by_group
),

pairs as (
    select
        a.provider,
        a.label_spelling as label,
        a.judged_group as group_a,
        b.judged_group as group_b,
        a.judgements as judgements_a,
        b.judgements as judgements_b,
        a.wrong as wrong_a,
        b.wrong as wrong_b,
        a.judgements + b.judgements as judgements,
        a.made_up + b.made_up as made_up
    from spelled as a
    inner join spelled as b
        on
            a.provider is not distinct from b.provider
            and a.is_all_labels = b.is_all_labels
            and a.label_key is not distinct from b.label_key
            and a.judged_group < b.judged_group collate "C"
),

-- A wrong tag costs 1, a right one 0. The amortised disparity of a wrong tag is n/n_a in group a
-- and -n/n_b in group b, of a right one 0: so its mean is the disparity, and these its moments.
moments as (
    select
        *,
        wrong_a / judgements_a - wrong_b / judgements_b as disparity,
        least(judgements_a, judgements_b) / judgements as smallest_frequency,
        (
            wrong_a * (judgements / judgements_a) * (judgements / judgements_a)
            + wrong_b * (judgements / judgements_b) * (judgements / judgements_b)
        )
        / judgements as mean_square
    from pairs
),

with_variance as (
    select
        provider,
        label,
        group_a,
        group_b,
        judgements_a::bigint as judgements_a,
        judgements_b::bigint as judgements_b,
        made_up,
        trim_scale(wrong_a / judgements_a) as error_rate_a,
        trim_scale(wrong_b / judgements_b) as error_rate_b,
        trim_scale(disparity) as disparity,
        trim_scale(smallest_frequency) as smallest_frequency,
        trim_scale(mean_square - disparity * disparity) as variance
    from moments
)

select * from with_variance
