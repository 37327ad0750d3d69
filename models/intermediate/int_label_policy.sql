with

rules as (
    select * from {{ ref('int_label_rules') }}
),

corrections as (
    select * from {{ ref('label_corrections') }}
),

providers as (
    select * from {{ ref('tag_providers') }}
),

patterns as (
    select * from {{ ref('denied_tag_patterns') }}
),

escaped_patterns as (
    select
        match,
        regexp_replace({{ label_key('pattern') }}, '([\\%_])', '\\\1', 'g') as pattern
    from patterns
),

policy as (
    select
        (
            select
                coalesce(
                    jsonb_object_agg(
                        label_key,
                        jsonb_build_object(
                            'decision', decision,
                            'minimum_accuracy', minimum_accuracy,
                            'flag_category', flag_category
                        )
                    ),
                    '{}'
                )
            from rules
        ) as labels,
        (
            select coalesce(jsonb_object_agg(original, corrected), '{}')
            from corrections
        ) as corrections,
        (
            select
                coalesce(
                    jsonb_object_agg(
                        provider,
                        jsonb_build_object(
                            'is_withheld', coalesce(is_withheld, true),
                            'minimum_accuracy', minimum_accuracy
                        )
                    ),
                    '{}'
                )
            from providers
        ) as providers,
        (
            select
                coalesce(
                    array_agg(
                        case match when 'exact' then pattern else '%' || pattern || '%' end
                    ),
                    '{}'
                )
            from escaped_patterns
        ) as denied_patterns
)

select * from policy
