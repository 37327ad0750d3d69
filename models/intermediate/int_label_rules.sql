with

reviewed as (
    select * from {{ ref('reviewed_labels') }}
),

included as (
    select * from {{ ref('included_labels') }}
),

sensitive as (
    select * from {{ ref('sensitive_labels') }}
),

entries as (
    select
        {{ label_key('label') }} as label_key,
        true as is_reviewed,
        false as is_included,
        false as is_withheld,
        null::numeric as minimum_accuracy,
        null as flag_category
    from reviewed
    union all
    select
        {{ label_key('label') }} as label_key,
        false as is_reviewed,
        true as is_included,
        false as is_withheld,
        minimum_accuracy,
        null as flag_category
    from included
    union all
    select
        {{ label_key('label') }} as label_key,
        false as is_reviewed,
        false as is_included,
        -- A misspelt handling withholds, until the tests are heeded.
        coalesce(handling, '') <> 'flag' as is_withheld,
        null as minimum_accuracy,
        case when handling = 'flag' then category end as flag_category
    from sensitive
),

-- Where a file names a label twice against its tests, the stricter line counts.
merged as (
    select
        label_key,
        bool_or(is_reviewed) as is_reviewed,
        bool_or(is_included) as is_included,
        bool_or(is_withheld) as is_withheld,
        max(minimum_accuracy) as minimum_accuracy,
        min(flag_category) as flag_category
    from entries
    group by label_key
),

decided as (
    select
        label_key,
        case
            when is_withheld then 'sensitive_label'
            when not is_reviewed then 'unreviewed_label'
            when not is_included then 'excluded_label'
            else 'published'
        end as decision,
        minimum_accuracy,
        flag_category
    from merged
)

select * from decided
