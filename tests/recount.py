"""All that is counted, counted again by other SQL than the models', to compare the two."""

from conftest import Database
from loads import fetch
from psycopg import sql

# Views called as what they count again, on Postgres' own functions.
RECOUNT = """
create schema recount;

create view recount.said_label as
select identifier, provider, unnest(names) as name
from refinery.int_rekognition_labels
union all
select image.identifier, tag ->> 'provider', tag ->> 'name'
from catalog.image
cross join jsonb_array_elements(tags) as tag;

create view recount.label as
select
    identifier,
    provider,
    coalesce(label_corrections ->> said, said) as name,
    max(accuracy) as accuracy
from refinery.int_rekognition_labels
cross join lateral unnest(names, accuracies) as label (said, accuracy)
cross join refinery.int_label_policy_in_force
group by 1, 2, 3
union all
select image.identifier, tag ->> 'provider', tag ->> 'name', (tag ->> 'accuracy')::numeric
from catalog.image
cross join jsonb_array_elements(tags) as tag
left join refinery.int_rekognition_labels as machine using (identifier)
where tag ->> 'provider' <> image.provider
and tag ->> 'provider' is distinct from machine.provider;

create view recount.image as
select
    provider,
    identifier,
    avg(accuracy) as mean,
    (
        percentile_disc(0.5) within group (order by accuracy)
        + percentile_disc(0.5) within group (order by accuracy desc)
    ) / 2 as median,
    max(accuracy) as highest
from recount.label group by 1, 2
union all
select provider, identifier, null, null, null
from refinery.int_rekognition_labels where names = '{}';

create view recount.int_catalog_labels as
select
    image.identifier,
    tag ->> 'provider' as provider,
    array_agg(tag ->> 'name' order by tag ->> 'name' collate "C") as names,
    array_agg((tag ->> 'accuracy')::numeric order by tag ->> 'name' collate "C") as accuracies
from catalog.image cross join jsonb_array_elements(tags) as tag
where tag ->> 'provider' <> image.provider
group by 1, 2;

create view recount.int_corrected_counts as
select
    counted_by,
    provider,
    null as label,
    trunc(accuracy, 4) as accuracy,
    count(*) as counted,
    count(*) filter (where accuracy = trunc(accuracy, 4)) as counted_exactly,
    sum(accuracy) as accuracy_sum
from (
    select 'accuracy', provider, accuracy from recount.label
    union all
    select 'image_accuracy', provider, mean from recount.image
    union all
    select 'image_median', provider, median from recount.image
    union all
    select 'image_highest', provider, highest from recount.image
) as counted (counted_by, provider, accuracy) group by 1, 2, 3, 4
union all
select 'label', provider, name, trunc(accuracy, 2), count(*), null, sum(accuracy)
from recount.label group by 1, 2, 3, 4;

create view recount.label_summary as
select *
from (select provider, count(*) as images from recount.image group by 1) as image
inner join (
    select provider, count(*) as labels, count(*) filter (where accuracy >= 0.9) as high_labels
    from recount.label group by 1
) as label using (provider);

create view recount.int_label_policy_in_force as
select * from refinery.int_seeded_label_policy;

create view recount.int_rekognition_labels as
select distinct on (identifier)
    (document ->> 'image_uuid')::uuid as identifier,
    array(
        select label ->> 'Name' from jsonb_array_elements(document #> '{response,Labels}') as label
    ) as names,
    array(
        select (label ->> 'Confidence')::numeric * 0.01
        from jsonb_array_elements(document #> '{response,Labels}') as label
    ) as accuracies,
    response_id
from raw.rekognition_responses
order by identifier, response_id desc;
"""

# Examples of a label that the image does not have.
WRONG_EXAMPLES = """
select example.identifier, counts.provider, counts.label
from refinery.int_label_counts as counts
cross join unnest(counts.example_identifiers) as example (identifier)
except
select identifier, provider, name from recount.said_label
"""


def miscounted(database: Database, *tables: str) -> list[tuple[str, tuple[object, ...]]]:
    """Return each row that is in a table or in its recount, and not in both."""
    found = []
    for table in tables:
        names = fetch(
            database,
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0",
            f"recount.{table}",
        )
        columns = sql.SQL(", ").join(sql.Identifier(name) for (name,) in names)
        there, again = (
            sql.SQL("(select {} from {})").format(columns, sql.Identifier(schema, table))
            for schema in ("refinery", "recount")
        )
        difference = sql.SQL("({0} except all {1}) union all ({1} except all {0})")
        found += [(table, row) for row in fetch(database, difference.format(there, again))]
    return found
