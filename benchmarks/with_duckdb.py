"""DuckDB reads, builds, merges and filters; Postgres gets the results, and the raw lines or not."""

import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.contestants import Contestant, python
from benchmarks.databases import create_lines_table
from benchmarks.inputs import Inputs, binary_copy
from benchmarks.measure import Command
from loader.connect import connect
from review.files import FOLDER

if TYPE_CHECKING:
    import duckdb

MACHINE_LABELS = "select identifier, tags from machine_labels"
PUBLISHED = "select identifier, tags from published"

# DuckDB's own, signed extension in a package, as DuckDB's server cannot always be reached.
EXTENSION = "duckdb_extension_postgres_scanner"

RESULTS = """
create table machine_labels (identifier uuid, tags jsonb);
create table published (identifier uuid, tags jsonb);
"""
SQL = Path(__file__).with_suffix(".sql")

# What is written to Postgres, each by as many connections as are allowed at the same time.
WRITE_MACHINE_LABELS = """
insert into postgres.machine_labels
select identifier, tags from machine_labels where hash(identifier) % {parts} = {part}
"""
WRITE_PUBLISHED = """
insert into postgres.published
select identifier, tags from published where hash(identifier) % {parts} = {part}
"""


def open_duckdb(labels: Path, connections: int) -> "duckdb.DuckDBPyConnection":
    """Open a DuckDB in memory that knows the files and the Postgres of the environment."""
    import duckdb

    (file,) = Path(str(files(EXTENSION))).glob("extensions/*/*.duckdb_extension")
    database = duckdb.connect(config={"threads": connections})
    database.execute(f"load '{file}'")
    database.execute("attach '' as postgres (type postgres)")
    database.execute("set variable labels = $1", [str(labels)])
    database.execute("set variable policy = $1", [str(FOLDER)])
    return database


def write(database: "duckdb.DuckDBPyConnection", statement: str, connections: int) -> None:
    """Write to Postgres in parts, each on a connection of its own."""

    def write_part(part: int) -> None:
        with database.cursor() as cursor:
            cursor.execute(statement.format(parts=connections, part=part))

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(write_part, range(connections)))


def write_raw_lines(database: "duckdb.DuckDBPyConnection", labels: Path, connections: int) -> None:
    """Write the lines that are JSON to Postgres, in parts.

    By COPY of the file's own bytes: through DuckDB, as text that it reads, it takes twice as long.
    """
    (lines,) = database.sql("select count(*) from responses").fetchone() or (0,)
    no_json = database.sql("select rowid from responses where identifier is null").fetchall()
    broken = {number for (number,) in no_json}
    share = -(-lines // connections)

    def write_part(part: int) -> None:
        with (
            labels.open("rb") as file,
            connect() as connection,
            connection.cursor() as cursor,
            cursor.copy("copy raw_responses from stdin (format binary)") as copy,
        ):
            numbered = islice(enumerate(file), part * share, (part + 1) * share)
            for block in binary_copy(line for number, line in numbered if number not in broken):
                copy.write(block)

    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(write_part, range(connections)))


def main(labels: Path, connections: int, keeps_raw_lines: bool) -> None:
    """Go all the way."""
    with connect() as connection:
        connection.execute(RESULTS)
        create_lines_table(connection, "raw_responses")
    with open_duckdb(labels, connections) as database:
        database.execute(SQL.read_text())
        for statement in (WRITE_MACHINE_LABELS, WRITE_PUBLISHED):
            write(database, statement, connections)
        if keeps_raw_lines:
            write_raw_lines(database, labels, connections)


def contestant(keeps_raw_lines: bool) -> Contestant:
    """Return DuckDB that writes the raw lines to Postgres too, or throws them away."""
    flag = "keep" if keeps_raw_lines else "drop"

    def steps(inputs: Inputs, connections: int) -> Mapping[str, Command]:
        return {"all": python("benchmarks.with_duckdb", inputs.labels, str(connections), flag)}

    return Contestant(
        f"duckdb_{flag}",
        "DuckDB, raw lines kept" if keeps_raw_lines else "DuckDB, raw lines thrown away",
        steps,
        PUBLISHED,
        MACHINE_LABELS,
    )


KEEPING, DROPPING = contestant(True), contestant(False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "keep")
