"""The floor: bare COPY of lines that are framed and split already, and a copy of the end result.

Nothing that keeps the raw lines can beat it. It begins with our database, which holds the result.
"""

import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.contestants import Contestant, python
from benchmarks.databases import create_lines_table
from benchmarks.inputs import Inputs
from benchmarks.measure import Command
from benchmarks.ours import OURS, psql
from loader.connect import connect

PUBLISHED = "select identifier, tags from floor_published"

_READ_BYTES = 1 << 18


def copy(part: Path) -> None:
    """Send a file to Postgres as it is."""
    with (
        connect() as connection,
        connection.cursor() as cursor,
        part.open("rb") as file,
        cursor.copy("copy floor_responses from stdin (format binary)") as copying,
    ):
        while data := file.read(_READ_BYTES):
            copying.write(data)


def copy_all(parts: list[Path]) -> None:
    """Send all files at the same time."""
    with connect() as connection:
        create_lines_table(connection, "floor_responses")
    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(copy, parts))


def steps(inputs: Inputs, connections: int) -> Mapping[str, Command]:
    """Return the least that has to be done."""
    publish = "create table floor_published as select identifier, tags from published"
    return {
        "load": python("benchmarks.floor", *inputs.parts(connections)),
        "publish": psql(publish),
    }


FLOOR = Contestant("floor", "the floor", steps, PUBLISHED, None, template=OURS.database)


if __name__ == "__main__":
    copy_all([Path(argument) for argument in sys.argv[1:]])
