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

-- Of an array of names as JSON in lower case. For any letter what is no ASCII: lower() does not
-- know its other case. White space at an end of a name is a space or written with a backslash.
doubtful as (
    select
        array['%\\%', '%" %', '% ",%', '% "]%'] || array_agg(
            regexp_replace(
                case when match = 'exact' then '%"' || key || '"%' else '%' || key || '%' end,
                '[^ -~]' collate "C",
                '_',
                'g'
            )
        ) as patterns
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
    where
        label is not null
        and {{ function('reviewer_count') }}(reviewed_by) >= {{ var('reviewers_required') }}
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
),

-- What follows is made of the rules, so that published_image need not ask them of each tag again.
-- For the spellings of the files; of what is flagged, the category is to be found anyway.
spellings as (
    select label from {{ ref('included_labels') }}
    union
    select label from {{ ref('reviewed_labels') }}
),

shown as (
    select
        jsonb_object_agg(
            machine.provider || ' ' || spellings.label,
            case {{ function('tag_decision') }}(
                spellings.label, label_key, machine.provider, 1, null,
                {{ label_policy(of='policy') }}
            )
                when 'published'
                    then {{ function('minimum_accuracy') }}(
                        label_key,
                        machine.provider,
                        {{ label_policy(['tag_providers', 'included_labels'], of='policy') }}
                    )
                else 2
            end
        ) as from_accuracies
    from providers as machine
    cross join spellings
    cross join lateral {{ function('label_key') }}(spellings.label) as label_key
    where
        spellings.label is not null
        -- Else what it says of a label could be read as what another says of a longer one.
        and machine.provider not like '% %'
        and {{ label_policy(['sensitive_labels'], of='policy') }}
        -> label_key ->> 'flag_category' is null
),

-- No included label is, not even in a spelling that no correction replaces.
not_shown as (
    select jsonb_agg(machine.provider order by machine.provider) as machines
    from providers as machine
    where
        not exists (
            select from included
            where
                {{ function('tag_decision') }}(
                    included.label_key, included.label_key, machine.provider, 1, null,
                    {{ label_policy(
                        [
                            'denied_tag_patterns',
                            'tag_providers',
                            'included_labels',
                            'reviewed_labels',
                            'sensitive_labels',
                        ],
                        of='policy'
                    ) }},
                    '{}'
                ) = 'published'
        )
),

with_shortcuts as (
    select
        policy.*,
        coalesce(shown.from_accuracies, '{}') as shown_from,
        coalesce(not_shown.machines, '[]') as machines_not_shown,
        doubtful.patterns as doubtful_names
    from policy
    cross join shown
    cross join not_shown
    cross join doubtful
)

select * from with_shortcuts
