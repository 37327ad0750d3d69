"""Row by row, the way it is done today: Python parses, merges in batches, and filters each row."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cache, partial
from itertools import islice
from json.encoder import encode_basestring
from pathlib import Path
from typing import TypeVar

import psycopg
from psycopg.types.json import set_json_loads

from benchmarks.contestants import Contestant, python
from benchmarks.inputs import Inputs
from benchmarks.measure import Command
from benchmarks.reading_of_the_rules import MACHINE, Json, Policy, decide, key, trimmed
from loader.connect import connect
from review.files import FOLDER

Item = TypeVar("Item")

MACHINE_LABELS = "select identifier, tags from image_labels"
PUBLISHED = "select identifier, published_tags as tags from catalog.image"

ROWS_A_BATCH = 1_000
ROWS_A_MERGE = 10_000

CREATE = """
create unlogged table image_labels (
    id bigint generated always as identity primary key,
    identifier uuid not null unique,
    tags jsonb not null
)
"""
INSERT = """
insert into image_labels (identifier, tags) values (%s, %s)
on conflict (identifier) do update set tags = excluded.tags
"""
# The few catalog tags that an earlier run left are the only ones that have to be taken apart.
MERGE = """
update catalog.image
set
    tags = case
        when jsonb_typeof(image.tags) is distinct from 'array'
            then image_labels.tags
        when image.tags @> '[{"provider": "rekognition"}]'
            then coalesce(
                (
                    select jsonb_agg(own.tag order by own.place)
                    from jsonb_array_elements(image.tags) with ordinality as own (tag, place)
                    where own.tag ->> 'provider' is distinct from 'rekognition'
                ),
                '[]'
            ) || image_labels.tags
        else image.tags || image_labels.tags
    end
from image_labels
where image.identifier = image_labels.identifier and image_labels.id between %s and %s
"""
READ = "select identifier, provider, tags from catalog.image"
UPDATE = "update catalog.image set published_tags = %s where identifier = %s"


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of a size."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def load(connection: psycopg.Connection, labels: Path, policy: Policy) -> None:
    """Insert the machine's tags of each image."""
    connection.execute(CREATE)
    with labels.open("rb") as lines, connection.cursor() as cursor:
        for batch in batches(parsed(lines, policy), ROWS_A_BATCH):
            with connection.transaction():
                cursor.executemany(INSERT, batch)


def parsed(lines: Iterable[bytes], policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield identifier and tags of each line that is JSON."""
    for line in lines:
        try:
            document = json.loads(line)
        except ValueError:
            continue
        labels = document["response"]["Labels"]
        yield document["image_uuid"], machine_tags(labels, policy.corrections)


def machine_tags(labels: list[dict[str, Json]], corrections: Mapping[str, str]) -> str:
    """Return the tags of a response's labels as JSON: of a name that comes twice, the surer."""
    best: dict[str, Decimal] = {}
    for label in labels:
        name = trimmed(label["Name"])
        name = corrections.get(name, name)
        # Floats print as they were written, but cannot be divided by 100 without loss.
        accuracy = Decimal(repr(label["Confidence"])).scaleb(-2).normalize()
        if name not in best or accuracy > best[name]:
            best.pop(name, None)  # so that it comes where the surer one stood
            best[name] = accuracy
    tags = (
        f'{{"name": {encode_basestring(name)}, "accuracy": {accuracy:f}, "provider": "{MACHINE}"}}'
        for name, accuracy in best.items()
    )
    return f"[{', '.join(tags)}]"


def merge(connection: psycopg.Connection) -> None:
    """Add the machine's tags to the catalog's."""
    (last,) = connection.execute("select max(id) from image_labels").fetchone() or (0,)
    for first in range(1, last + 1, ROWS_A_MERGE):
        connection.execute(MERGE, (first, first + ROWS_A_MERGE - 1))


def filter_rows(reading: psycopg.Connection, writing: psycopg.Connection, judge: "Judge") -> None:
    """Read each row's tags back and update it with those that are published."""
    set_json_loads(partial(json.loads, parse_float=Decimal, parse_int=Decimal), reading)
    writing.execute("alter table catalog.image add column published_tags jsonb")
    with (
        reading.transaction(),
        reading.cursor("all_images") as rows,
        writing.cursor() as cursor,
    ):
        rows.itersize = ROWS_A_BATCH
        rows.execute(READ)
        for batch in batches(rows, ROWS_A_BATCH):
            updates = [
                (judge.published(tags, provider), identifier)
                for identifier, provider, tags in batch
            ]
            with writing.transaction():
                cursor.executemany(UPDATE, updates)


class Judge:
    """Decides on tags; what the policy says of a name is asked once."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._needed_accuracy = cache(self._ask_for_needed_accuracy)

    def published(self, tags: Json, image_provider: str | None) -> str:
        """Return the tags that are shown, as JSON."""
        if not isinstance(tags, list):
            return "[]"
        shown = [to_json(tag) for tag in tags if self._is_shown(tag, image_provider)]
        return f"[{', '.join(shown)}]"

    def _is_shown(self, tag: Json, image_provider: str | None) -> bool:
        if not isinstance(tag, dict) or not isinstance(tag.get("name"), str):
            return False
        accuracy, provider = tag.get("accuracy"), tag.get("provider")
        if not isinstance(accuracy, Decimal | None) or not isinstance(provider, str):
            return decide(tag, image_provider, self._policy) == "published"
        name, has_accuracy = tag["name"], accuracy is not None
        needed = self._needed_accuracy(name, provider, image_provider, has_accuracy)
        return needed is not None and (accuracy is None or needed <= accuracy <= 1)

    def _ask_for_needed_accuracy(
        self, name: str, provider: str, image_provider: str | None, has_accuracy: bool
    ) -> Decimal | None:
        surest: dict[str, Json] = {"name": name, "provider": provider}
        if has_accuracy:
            surest["accuracy"] = Decimal(1)
        if decide(surest, image_provider, self._policy) != "published":
            return None
        return self._policy.minimum(key(name), provider)


def to_json(value: Json) -> str:
    """Write JSON with its numbers as they were."""
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{to_json(k)}: {to_json(v)}' for k, v in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(to_json, value))}]"
    return json.dumps(value)


def steps(inputs: Inputs, connections: int) -> Mapping[str, Command]:
    """Return its one step; it reads and writes one after the other, whatever it may have."""
    del connections
    return {"all": python("benchmarks.row_by_row", inputs.labels)}


def main(labels: Path) -> None:
    """Go all the way."""
    policy = Policy.read(FOLDER)
    with connect() as connection, connect() as another:
        load(connection, labels, policy)
        merge(connection)
        filter_rows(another, connection, Judge(policy))


# It takes minutes, and varies less than its distance to the others.
ROW_BY_ROW = Contestant("row_by_row", "row by row", steps, PUBLISHED, MACHINE_LABELS, most_rounds=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
