"""The tags that people are to judge: as many from each label and accuracy bin."""

import csv
from decimal import Decimal
from typing import TextIO

import psycopg
from psycopg import sql

from review.live import relation

COLUMNS = (
    *("identifier", "label", "provider", "is_correct", "judged_group"),
    *("cell_size", "drawn", "weight", "is_made_up"),
)

# One label stands for all machines that say it.
MOST_SHOWN = """
select label
from {labels}
where decision = 'published'
group by label
order by sum(images) desc, label collate "C"
limit %s
"""

# The order within a cell is that of a hash: the same on every server, and another for each seed.
# The last bin also takes what is just 1.
DRAWN = """
with hashed as (
    select
        identifier,
        label,
        provider,
        least(floor(accuracy / %(width)s), ceil(1 / %(width)s) - 1) as bin,
        md5(concat_ws(' ', %(seed)s::text, identifier, provider, label)) collate "C" as hash
    from {machine_labels}
    where label = any(%(labels)s)
),

placed as (
    select
        *,
        row_number() over (cell order by hash, identifier) as place,
        count(*) over cell as cell_size,
        least(count(*) over cell, %(each)s) as drawn
    from hashed
    window cell as (partition by provider, label, bin)
)

select
    placed.identifier,
    placed.label,
    placed.provider,
    placed.cell_size,
    placed.drawn,
    trim_scale(round(placed.cell_size::numeric / placed.drawn, 4)) as weight,
    to_jsonb(images) ->> 'url' as url
from placed
inner join {images} as images on placed.identifier = images.identifier
where placed.place <= placed.drawn
order by placed.provider collate "C", placed.label collate "C", placed.hash
"""


def most_shown_labels(connection: psycopg.Connection, most: int) -> list[str]:
    """Return so many labels, those on most images of all that are shown."""
    query = sql.SQL(MOST_SHOWN).format(labels=relation("labels"))
    return [label for (label,) in connection.execute(query, (most,))]


def write_sample(
    connection: psycopg.Connection,
    file: TextIO,
    labels: list[str],
    *,
    each: int,
    seed: int,
    width: Decimal,
    with_urls: bool,
) -> int:
    """Draw so many tags from each label and accuracy bin; return how many in all.

    Writes them as CSV in the columns of label_judgements. Each stands for as many tags of its
    label and bin as its weight says: those that are there, by those that are drawn.
    """
    query = sql.SQL(DRAWN).format(
        machine_labels=relation("int_decided_labels"), images=relation("stg_catalog__images")
    )
    values = {"labels": labels, "each": each, "seed": seed, "width": width}
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*COLUMNS, "url"] if with_urls else COLUMNS)
    drawn = 0
    with connection.cursor() as cursor:
        for identifier, label, provider, *cell, url in cursor.stream(query, values):
            row = [identifier, label, provider, "", "", *cell, ""]
            writer.writerow([*row, url] if with_urls else row)
            drawn += 1
    return drawn
