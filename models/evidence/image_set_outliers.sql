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

counts as (
    select * from {{ ref('int_corrected_counts') }}
),

reviewed_labels as (
    select
        {{ function('label_key') }}(label) as label_key,
        substring(note from '^alias of ([^;]+)') as alias_of
    from {{ ref('reviewed_labels') }}
),

aliases as (
    select
        label_key as alias_key,
        {{ function('trim_white_space') }}(alias_of) as label,
        {{ function('label_key') }}(alias_of) as label_key
    from reviewed_labels
    where alias_of is not null and {{ var('outlier_joins_aliases') }}
),

-- With a machine's images, label null, beside its labels.
counted as (
    select
        provider,
        {{ function('label_key') }}(label) as label_key,
        sum(counted) as images,
        max(sum(counted)) filter (where counted_by = 'image_accuracy') over (partition by provider)
            as all_images
    from counts
    where counted_by in ('label', 'image_accuracy')
    group by provider, counted_by, label_key
),

common_labels as (
    select distinct
        counted.provider,
        coalesce(aliases.label_key, counted.label_key) as label_key
    from counted
    left join aliases on counted.label_key = aliases.alias_key
    where
        counted.label_key is not null
        and counted.images > {{ var('outlier_most_common_share') }} * counted.all_images
),

-- An image that the catalog does not have has no labels to judge it by.
labelled as (
    select
        members.set_name,
        members.identifier,
        coalesce(members.is_reference, false) as is_reference,
        tag.provider,
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
            decided_labels.provider,
            {{ function('label_key') }}(decided_labels.label) as label_key,
            -- sqlfluff takes the collation for a column.
            min(decided_labels.label collate "C") as label,  -- noqa: RF03
            max(decided_labels.accuracy) as accuracy
        from decided_labels
        where decided_labels.identifier = members.identifier
        group by decided_labels.provider, label_key
    ) as tag on true
),

-- What is common is so of one machine's labels: another's may tell images apart by the same name.
named as (
    select
        labelled.set_name,
        labelled.identifier,
        labelled.is_reference,
        coalesce(aliases.label_key, labelled.label_key) as label_key,
        min(coalesce(aliases.label, labelled.label) collate "C") as label,
        max(labelled.accuracy) as accuracy,
        bool_and(common_labels.label_key is not null) as is_common
    from labelled
    left join aliases on labelled.label_key = aliases.alias_key
    left join common_labels
        on
            labelled.provider is not distinct from common_labels.provider
            and coalesce(aliases.label_key, labelled.label_key) = common_labels.label_key
    group by
        labelled.set_name,
        labelled.identifier,
        labelled.is_reference,
        coalesce(aliases.label_key, labelled.label_key)
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
    from named
    where is_reference and label_key is not null and not is_common
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
        named.set_name,
        named.identifier,
        coalesce(top_labels.labels, '{}') as reference_labels,
        count(*) filter (where named.label_key = any(top_labels.label_keys)) as shared_labels,
        coalesce(
            array_agg(
                named.label
                order by named.accuracy desc, named.label collate "C" asc
            )
            filter (where named.label is not null),
            '{}'
        ) as labels
    from named
    left join top_labels on named.set_name = top_labels.set_name
    where not named.is_reference
    group by named.set_name, named.identifier, top_labels.labels
),

outliers as (
    select * from compared
    where shared_labels < {{ var('outlier_shared_labels') }}
)

select * from outliers
