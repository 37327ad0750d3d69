-- DuckDB's part: from the label file and the catalog in Postgres to both results.

create macro trimmed(name) as trim(name, e' \t\n\r\f\x0b');
create macro label_key(name) as lower(trimmed(name));

-- The label policy

create table corrections as
from read_csv(getvariable('policy') || '/label_corrections.csv', all_varchar = true);

create table included as
select label_key(label) as key, minimum_accuracy::decimal(9, 6) as minimum_accuracy
from read_csv(getvariable('policy') || '/included_labels.csv', all_varchar = true);

create table reviewed as
select label_key(label) as key
from read_csv(getvariable('policy') || '/reviewed_labels.csv', all_varchar = true);

create table withheld as
select label_key(label) as key
from read_csv(getvariable('policy') || '/sensitive_labels.csv', all_varchar = true)
where handling <> 'flag';

create table providers as
select provider, minimum_accuracy::decimal(9, 6) as minimum_accuracy, is_withheld <> 'false' as is_withheld
from read_csv(getvariable('policy') || '/tag_providers.csv', all_varchar = true);

create table denied as
select label_key(pattern) as pattern, match = 'exact' as is_exact
from read_csv(getvariable('policy') || '/denied_tag_patterns.csv', all_varchar = true);

-- The accuracy that a tag of a name and provider needs to be shown; null: it never is.
create macro needed_accuracies(names) as table
with keyed as (
    select name, provider, is_machine_tag, label_key(name) as key
    from query_table(names)
)
select
    keyed.name,
    keyed.provider,
    keyed.is_machine_tag,
    case
        when keyed.key = ''
            or exists (
                from denied
                where case when is_exact then pattern = keyed.key else contains(keyed.key, pattern) end
            )
            or coalesce(providers.is_withheld, keyed.is_machine_tag)
            then null
        when not keyed.is_machine_tag
            or (
                keyed.key not in (select key from withheld)
                and trimmed(keyed.name) not in (select original from corrections)
                and keyed.key in (select key from reviewed)
                and included.key is not null
            )
            then coalesce(included.minimum_accuracy, providers.minimum_accuracy, 0.9)
    end as needed_accuracy
from keyed
left join included using (key)
left join providers on keyed.provider = providers.provider;

-- The machine's labels. The order of the rowid is the file's; the last response of an image wins.

create table responses as
select image_uuid::uuid as identifier, response.Labels as labels
from read_ndjson(
    getvariable('labels'),
    columns = {
        image_uuid: 'varchar',
        response: 'struct(Labels struct("Name" varchar, "Confidence" double)[])'
    },
    ignore_errors = true
);

create table labels as
with latest as (
    select identifier, labels
    from responses
    where identifier is not null and rowid in (select max(rowid) from responses group by identifier)
),
unnested as (
    select
        identifier,
        unnest(labels) as label,
        generate_subscripts(labels, 1) as place
    from latest
),
named as (
    select
        unnested.identifier,
        unnested.place,
        coalesce(corrections.corrected, trimmed(unnested.label.Name)) as name,
        unnested.label.Confidence as confidence
    from unnested
    left join corrections on trimmed(unnested.label.Name) = corrections.original
)
select
    identifier,
    name,
    arg_max(place, (confidence, -place)) as place,
    max(confidence) as confidence
from named
group by identifier, name;

create table label_names as
select distinct name, 'rekognition' as provider, true as is_machine_tag from labels;

create table needed_of_labels as
from needed_accuracies('label_names');

-- A double prints as it was written. Its point is moved in the text: numbers that hold all digits,
-- decimal(20, 17), take four times as long.
create macro hundredth(number) as
case
    when number between 0.001 and 99.999999
        then rtrim(
            '0.' || lpad(split_part(number::varchar, '.', 1), 2, '0')
            || split_part(number::varchar, '.', 2),
            '0'
        )
    else rtrim(rtrim((number::varchar::decimal(38, 30) * 0.01)::varchar, '0'), '.')
end;

create table fragments as
select
    name,
    '{"name": ' || to_json(name) || ', "accuracy": ' as beginning,
    (needed_accuracy * 100)::double as needed_confidence
from needed_of_labels;

create table tags as
select
    labels.identifier,
    labels.place,
    labels.confidence >= fragments.needed_confidence as is_published,
    fragments.beginning || hundredth(labels.confidence) || ', "provider": "rekognition"}' as tag
from labels
inner join fragments using (name);

create table machine_labels as
with tagged as (
    select
        identifier,
        string_agg(tag, ', ' order by place) as tags,
        string_agg(tag, ', ' order by place) filter (where is_published) as published_tags
    from tags
    group by identifier
)
select
    identifier,
    '[' || coalesce(tagged.tags, '') || ']' as tags,
    tagged.published_tags
from (select distinct identifier from responses where identifier is not null) as images
left join tagged using (identifier);

-- The catalog's own tags.

create table images as
select identifier, provider, tags::varchar as tags
from postgres.catalog.image;

create table own_tags as
with elements as (
    select
        identifier,
        provider as image_provider,
        unnest(json_extract(tags, '$[*]')) as tag,
        generate_subscripts(json_extract(tags, '$[*]'), 1) as place
    from images
    where json_type(tags) = 'ARRAY'
),
fields as (
    select
        *,
        case when json_type(tag, '$.name') = 'VARCHAR' then tag ->> '$.name' end as name,
        tag ->> '$.provider' as provider,
        coalesce(json_type(tag, '$.accuracy'), 'NULL') as accuracy_type,
        tag ->> '$.accuracy' as accuracy
    from elements
)
select
    identifier,
    tag,
    place,
    name,
    provider,
    accuracy_type <> 'NULL' as has_accuracy,
    case
        when accuracy_type not in ('NULL', 'OBJECT', 'ARRAY', 'BOOLEAN')
            then try_cast(accuracy as decimal(38, 20))
    end as accuracy,
    case
        when provider is null then accuracy_type <> 'NULL'
        else coalesce(provider <> image_provider, true)
    end as is_machine_tag
from fields;

create table own_names as
select distinct name, provider, is_machine_tag from own_tags where name is not null;

create table needed_of_own_tags as
from needed_accuracies('own_names');

create table published as
with shown as (
    select
        own_tags.identifier,
        string_agg(own_tags.tag, ', ' order by own_tags.place) as tags
    from own_tags
    inner join needed_of_own_tags as needed
        on own_tags.name = needed.name
        and own_tags.provider is not distinct from needed.provider
        and own_tags.is_machine_tag = needed.is_machine_tag
    where
        needed.needed_accuracy is not null
        and (
            not own_tags.has_accuracy
            or (own_tags.accuracy <= 1 and own_tags.accuracy >= needed.needed_accuracy)
        )
        and not (
            coalesce(own_tags.provider, '') = 'rekognition'
            and own_tags.identifier in (select identifier from machine_labels)
        )
    group by own_tags.identifier
)
select
    images.identifier,
    '[' || concat_ws(', ', shown.tags, machine_labels.published_tags) || ']' as tags
from images
left join shown using (identifier)
left join machine_labels using (identifier);
