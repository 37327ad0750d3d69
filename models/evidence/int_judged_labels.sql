with

judgements as (
    select * from {{ ref('label_judgements') }}
),

images as (
    select identifier from {{ ref('stg_catalog__images') }}
),

decided_labels as (
    select * from {{ ref('int_decided_labels') }}
),

looked_up as (
    select
        judgements.identifier,
        judgements.provider,
        judgements.label,
        {{ function('label_key') }}(judgements.label) as label_key,
        judgements.is_correct,
        nullif({{ function('trim_white_space') }}(judgements.judged_group), '') as judged_group,
        judgements.weight as weight_drawn,
        coalesce(judgements.is_made_up, false) as is_made_up,
        tag.accuracy,
        case
            when judgements.is_correct is null then 'no_verdict'
            when not image.is_there then 'no_such_image'
            when tag.accuracy is null then 'no_such_label'
        end as problem
    from judgements
    -- Aggregates, which Postgres evaluates judgement by judgement: two look-ups by the catalog's
    -- index. A plain join might unfold the tags of all images.
    left join lateral (
        select count(*) > 0 as is_there
        from images
        where images.identifier = judgements.identifier
    ) as image on true
    left join lateral (
        select max(decided_labels.accuracy) as accuracy
        from decided_labels
        where
            decided_labels.identifier = judgements.identifier
            and decided_labels.provider is not distinct from judgements.provider
            and {{ function('label_key') }}(decided_labels.label)
            = {{ function('label_key') }}(judgements.label)
    ) as tag on true
),

-- What does not count is like what does, of its cell: it hands its weight on.
weighted as (
    select
        identifier,
        provider,
        label,
        label_key,
        is_correct,
        judged_group,
        trim_scale(
            weight_drawn
            * count(*) over cell
            / nullif(count(*) filter (where problem is null) over cell, 0)
        ) as weight,
        is_made_up,
        accuracy,
        problem
    from looked_up
    window cell as (partition by provider, label_key, weight_drawn)
)

select * from weighted
