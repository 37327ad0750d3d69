{#- A tag is right (0) or wrong (1). -#}
{%- set cost = 1 -%}

with

moments as (
    select * from {{ ref('int_disparity_moments') }}
),

bounded as (
    select
        *,
        {{ bernstein_half_width(
            judgements="(judgements_a + judgements_b)",
            cost=cost,
            smallest_frequency="smallest_frequency",
            variance="variance"
        ) }} as half_width,
        ceil({{ bernstein_judgements(
            half_width=var('disparity_gap') ~ "::numeric",
            cost=cost,
            smallest_frequency="smallest_frequency",
            variance="variance"
        ) }})::bigint as judgements_needed
    from moments
),

compared as (
    select
        provider,
        label,
        group_a,
        group_b,
        judgements_a,
        judgements_b,
        made_up,
        trim_scale(round(error_rate_a, 4)) as error_rate_a,
        trim_scale(round(error_rate_b, 4)) as error_rate_b,
        trim_scale(round(disparity, 4)) as disparity,
        trim_scale(round(half_width, 4)) as half_width,
        abs(disparity) <= half_width as is_zero_inside,
        judgements_needed,
        greatest(judgements_needed - judgements_a - judgements_b, 0) as more_judgements_needed
    from bounded
)

select * from compared
