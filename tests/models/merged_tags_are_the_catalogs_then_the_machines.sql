-- Guards: merging loses nothing of the catalog's own tags but those that newer machine tags
-- replace, keeps their order, and puts each machine tag after them. Otherwise labels would be paid
-- for and never be seen.
with

own as (
    select
        image.identifier,
        jsonb_agg(element.tag order by element.position) as tags
    from {{ ref('stg_catalog__images') }} as image
    cross join lateral jsonb_array_elements(image.tags) with ordinality as element (tag, position)
    where
        not exists (
            select 1
            from {{ ref('machine_tags') }} as machine
            where
                machine.identifier = image.identifier
                and machine.provider = element.tag ->> 'provider'
        )
    group by image.identifier
)

select image.identifier
from {{ ref('stg_catalog__images') }} as image
left join own on image.identifier = own.identifier
{% for labeller in var('labellers') %}
    left join {{ ref('machine_tags') }} as {{ labeller }}
        on
            image.identifier = {{ labeller }}.identifier
            and {{ labeller }}.provider = '{{ labeller }}'
{% endfor %}
left join {{ ref('catalog_images') }} as merged on image.identifier = merged.identifier
where
    merged.tags is distinct from
    coalesce(own.tags, '[]')
    {% for labeller in var('labellers') %}
        || coalesce({{ labeller }}.tags, '[]')
    {% endfor %}
