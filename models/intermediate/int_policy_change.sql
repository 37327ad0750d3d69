with

-- Creators' tags are not counted anywhere. So few images, and any, or an edit would take long.
images as (
    select
        provider,
        jsonb_path_query_array(
            tags, '$[*] ? (@.provider == $creator)', jsonb_build_object('creator', provider)
        ) as tags
    from {{ ref('stg_catalog__images') }}
    limit 1000 -- noqa: AM09
),

in_force as (
    select * from {{ ref('int_label_policy_in_force') }}
),

seeded as materialized (
    select * from {{ ref('int_seeded_label_policy') }}
),

tags as (
    select
        'machine tags' as what,
        images as tags,
        images_shown as before,
        seeded_images_shown as after
    from {{ ref('int_labels_by_policy') }}
    union all
    select
        'creators'' tags in 1,000 images' as what,
        jsonb_array_length(images.tags) as tags,
        jsonb_array_length(by_force.tags) as before,
        jsonb_array_length(by_seeds.tags) as after
    from images
    cross join
        lateral {{ function('published_image') }}(
            images.tags, images.provider, null, null, null, null, {{ label_policy_and_shortcuts() }}
        ) as by_force
    cross join
        lateral {{ function('published_image') }}(
            images.tags, images.provider, null, null, null, null,
            {{ label_policy_and_shortcuts(of='seeded') }}
        ) as by_seeds
),

policies as (
    select
        'in force' as policy,
        to_jsonb(in_force) as files
    from in_force
    union all
    select
        'seeded' as policy,
        to_jsonb(seeded) as files
    from seeded
),

lines as (
    select
        policies.policy,
        file.key as file,
        case jsonb_typeof(file.value)
            when 'array' then jsonb_array_length(file.value)
            else (select count(*) from jsonb_object_keys(file.value))
        end as lines
    from policies
    cross join lateral jsonb_each(policies.files) as file
    where
        file.key not in (
            'lowest_minimum_accuracy', 'shown_from', 'machines_not_shown', 'doubtful_names'
        )
),

files as (
    select
        file,
        max(lines) filter (where policy = 'in force') as before,
        max(lines) filter (where policy = 'seeded') as after
    from lines
    group by file
),

-- A share of few says nothing, so it is one of so many at least; but a file without a line has lost
-- all, however few it had.
changes as (
    select
        tags.what || ' would be ' || way.name as change,
        sum(greatest(way.sign * (tags.after - tags.before), 0)) as changed,
        sum(tags.tags) as counted,
        1000 as at_least
    from tags
    cross join (values ('published', 1), ('withdrawn', -1)) as way (name, sign)
    group by tags.what, way.name
    union all
    select
        'lines of ' || file || '.csv would be gone' as change,
        greatest(before - after, 0) as changed,
        before as counted,
        case when after = 0 then 1 else 100 end as at_least
    from files
),

with_shares as (
    select
        change,
        coalesce(changed, 0)::bigint as changed,
        coalesce(counted, 0)::bigint as counted,
        trim_scale(coalesce(changed / greatest(counted, at_least), 0)) as share,
        {{ var('largest_policy_change') }} as largest_share,
        concat_ws(
            ' ',
            to_char(changed, 'FM999,999,999,990'),
            'of',
            to_char(counted, 'FM999,999,999,990'),
            change
        ) as sentence
    from changes
)

select * from with_shares
