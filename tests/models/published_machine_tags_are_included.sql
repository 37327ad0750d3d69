-- Guards: the promise of the project. No tag of a machine is shown unless its label is on the
-- inclusion list and not withheld; asked of the lists themselves, not of the rules' own code.
with

included as (
    select {{ function('label_key') }}(label) as label_key from {{ ref('included_labels') }}
),

withheld as (
    select {{ function('label_key') }}(label) as label_key
    from {{ ref('sensitive_labels') }}
    where handling = 'withhold'
),

shown as (
    select
        image.identifier,
        element.tag,
        {{ function('label_key') }}(element.tag ->> 'name') as label_key
    from {{ ref('published_images') }} as image
    cross join lateral jsonb_array_elements(image.tags) as element (tag)
    where
        element.tag ->> 'provider' is distinct from image.provider
        and (element.tag ->> 'provider' is not null or element.tag ->> 'accuracy' is not null)
)

select *
from shown
where
    label_key not in (select included.label_key from included)
    or label_key in (select withheld.label_key from withheld)
