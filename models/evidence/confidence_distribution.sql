with

decided_labels as (
    select * from {{ ref('int_decided_labels') }}
),

-- One pass over the tags: a row a bin, with the sums that all below follows from. A logarithm has
-- no exact value: float8's 15 digits, summed as numeric, which gives the same in any order.
bins as (
    select
        provider,
        label,
        trunc(accuracy, 2)::numeric(3, 2) as accuracy_bin,
        count(*) as images,
        count(*) filter (where accuracy >= {{ var('evidence_threshold') }}) as images_at_threshold,
        count(*) filter (where accuracy = 0) as images_at_zero,
        sum(accuracy) as accuracy_sum,
        sum(accuracy * accuracy) as square_sum,
        sum(ln(nullif(accuracy, 0)::float8)::numeric) as log_sum,
        sum((ln(nullif(accuracy, 0)::float8)::numeric) ^ 2) as log_square_sum
    from decided_labels
    group by provider, label, accuracy_bin
),

-- `abs`: rounding might leave a variance of 0 a digit below it.
summed as (
    select
        provider,
        label,
        jsonb_object_agg(accuracy_bin::text, images) as histogram,
        array_agg(accuracy_bin order by accuracy_bin) as accuracy_bins,
        array_agg(images order by accuracy_bin) as images_by_bin,
        sum(images)::bigint as images,
        sum(images_at_zero)::bigint as images_at_zero,
        sum(images_at_threshold) / sum(images) as share_at_threshold,
        sum(accuracy_sum) / sum(images) as mean_accuracy,
        abs(sum(square_sum) / sum(images) - (sum(accuracy_sum) / sum(images)) ^ 2) as variance,
        sum(square_sum) = sum(accuracy_sum) as is_all_zero_or_one,
        sum(log_sum) / nullif(sum(images - images_at_zero), 0) as log_mean,
        sqrt(abs(
            sum(log_square_sum) / nullif(sum(images - images_at_zero), 0)
            - (sum(log_sum) / nullif(sum(images - images_at_zero), 0)) ^ 2
        )) as log_standard_deviation
    from bins
    group by provider, label
),

-- What is spread less than a tenth of a bin has no shape in bins.
sized as (
    select
        *,
        case
            when variance >= 0.001 ^ 2 and not is_all_zero_or_one
                then mean_accuracy * (1 - mean_accuracy) / variance - 1
        end as beta_size,
        case when log_standard_deviation >= 0.001 then log_standard_deviation end as log_scale
    from summed
),

fitted as (
    select
        *,
        mean_accuracy * beta_size as alpha,
        (1 - mean_accuracy) * beta_size as beta
    from sized
),

-- At both edges of each bin that has images; between two of them no other edge is farther.
measured as (
    select
        fitted.*,
        round(distance.log_normal::numeric, 6) as log_normal_distance,
        round(distance.beta::numeric, 6) as beta_distance
    from fitted
    cross join lateral (
        select
            max(abs(
                edge.images_below / fitted.images
                - {{ function('normal_cdf') }}(
                    (ln(nullif(edge.accuracy, 0)::float8) - fitted.log_mean::float8)
                    / fitted.log_scale::float8
                )
            )) as log_normal,
            max(abs(
                edge.images_below / fitted.images
                - {{ function('beta_cdf') }}(
                    edge.accuracy::float8, fitted.alpha::float8, fitted.beta::float8
                )
            )) as beta
        from (
            select
                each.accuracy,
                each.images,
                sum(each.images) over (order by each.accuracy) as images_so_far
            from unnest(fitted.accuracy_bins, fitted.images_by_bin) as each (accuracy, images)
        ) as bin
        cross join
            lateral unnest(
                array[bin.accuracy, least(bin.accuracy + 0.01, 1)],
                array[bin.images_so_far - bin.images, bin.images_so_far]
            ) as edge (accuracy, images_below)
    ) as distance
),

distributions as (
    select
        provider,
        label,
        images,
        images_at_zero,
        histogram,
        trim_scale(round(mean_accuracy, 6)) as mean_accuracy,
        trim_scale(round(sqrt(variance), 6)) as standard_deviation,
        {{ var('evidence_threshold') }} as threshold,
        trim_scale(round(share_at_threshold, 6)) as share_at_threshold,
        trim_scale(round(log_mean, 6)) as log_mean,
        trim_scale(round(log_standard_deviation, 6)) as log_standard_deviation,
        trim_scale(log_normal_distance) as log_normal_distance,
        trim_scale(round(alpha, 6)) as alpha,
        trim_scale(round(beta, 6)) as beta,
        trim_scale(beta_distance) as beta_distance,
        case
            when beta_distance < log_normal_distance then 'beta'
            when log_normal_distance < beta_distance then 'log_normal'
        end as nearer_fit
    from measured
)

select * from distributions
