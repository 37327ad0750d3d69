with

members as (
    select * from {{ ref('image_sets') }}
),

decided_labels as (
    select * from {{ ref('int_decided_labels') }}
),

images as (
    select identifier from {{ ref('stg_catalog__images') }}
),

-- An image that the catalog does not have has no labels to judge it by.
labelled as (
    select
        members.set_name,
        members.identifier,
        coalesce(members.is_reference, false) as is_reference,
        tag.label_key,
        tag.label,
        tag.accuracy
    from members
    -- Aggregates: look-ups by identifier, image by image, see int_judged_labels.
    inner join lateral (
        select count(*) > 0 as is_there
        from images
        where images.identifier = members.identifier
    ) as image on image.is_there
    left join lateral (
        select
            {{ function('label_key') }}(decided_labels.label) as label_key,
            -- sqlfluff takes the collation for a column.
            min(decided_labels.label collate "C") as label,  -- noqa: RF03
            max(decided_labels.accuracy) as accuracy
        from decided_labels
        where decided_labels.identifier = members.identifier
        group by label_key
    ) as tag on true
),

reference_counts as (
    select
        set_name,
        label_key,
        min(label collate "C") as label,
        row_number() over (
            partition by set_name
            order by count(*) desc, sum(accuracy) desc, label_key collate "C" asc
        ) as place
    from labelled
    where is_reference and label_key is not null
    group by set_name, label_key
),

top_labels as (
    select
        set_name,
        array_agg(label_key) as label_keys,
        array_agg(label order by place) as labels
    from reference_counts
    where place <= {{ var('outlier_top_labels') }}
    group by set_name
),

compared as (
    select
        labelled.set_name,
        labelled.identifier,
        top_labels.labels as reference_labels,
        count(*) filter (where labelled.label_key = any(top_labels.label_keys)) as shared_labels,
        coalesce(
            array_agg(
                labelled.label
                order by labelled.accuracy desc, labelled.label collate "C" asc
            )
            filter (where labelled.label is not null),
            '{}'
        ) as labels
    from labelled
    inner join top_labels on labelled.set_name = top_labels.set_name
    where not labelled.is_reference
    group by labelled.set_name, labelled.identifier, top_labels.labels
),

outliers as (
    select * from compared
    where shared_labels < {{ var('outlier_shared_labels') }}
)

select * from outliers
