with

patterns as (
    select
        match,
        regexp_replace({{ function('label_key') }}(pattern), '([\\%_])', '\\\1', 'g') as key
    from {{ ref('denied_tag_patterns') }}
),

denied as (
    select array_agg(case when match = 'exact' then key else '%' || key || '%' end) as patterns
    from patterns
),

-- What int_label_policy_problems names is never in force, and yet previewed: of a key that is there
-- twice the stricter line counts, a line without a key for nothing; what is misspelt withholds.
providers as (
    select
        provider,
        jsonb_build_object(
            'is_withheld', bool_or(coalesce(is_withheld, true)),
            'minimum_accuracy', max(minimum_accuracy)
        ) as treatment
    from {{ ref('tag_providers') }}
    where provider is not null
    group by provider
),

included as (
    select
        {{ function('label_key') }}(label) as label_key,
        max(minimum_accuracy) as minimum_accuracy
    from {{ ref('included_labels') }}
    where label is not null
    group by label_key
),

reviewed as (
    select distinct {{ function('label_key') }}(label) as label_key
    from {{ ref('reviewed_labels') }}
    where label is not null
),

sensitive as (
    select
        {{ function('label_key') }}(label) as label_key,
        jsonb_build_object(
            'handling',
            case when bool_and(coalesce(handling = 'flag', false)) then 'flag' else 'withhold' end,
            'flag_category',
            min(category) filter (where handling = 'flag')
        ) as treatment
    from {{ ref('sensitive_labels') }}
    where label is not null
    group by label_key
),

policy as (
    select
        coalesce((select patterns from denied), '{}') as denied_tag_patterns,
        (
            select coalesce(jsonb_object_agg(provider, treatment), '{}')
            from providers
        ) as tag_providers,
        (
            select coalesce(jsonb_object_agg(label_key, minimum_accuracy), '{}')
            from included
        ) as included_labels,
        (
            select coalesce(jsonb_object_agg(label_key, true), '{}')
            from reviewed
        ) as reviewed_labels,
        (
            select coalesce(jsonb_object_agg(label_key, treatment), '{}')
            from sensitive
        ) as sensitive_labels,
        (
            select coalesce(jsonb_object_agg(original, corrected), '{}')
            from {{ ref('label_corrections') }}
            where original is not null
        ) as label_corrections,
        least(
            {{ function('minimum_accuracy') }}(null, null, '{}', '{}'),
            (select min(minimum_accuracy) from included),
            (select min((treatment ->> 'minimum_accuracy')::numeric) from providers)
        ) as lowest_minimum_accuracy
)

select * from policy
