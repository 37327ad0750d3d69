"""What several tests share: files, the ledger, queries, and commands that are run and watched."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from conftest import Database
from psycopg import sql

from loader.connect import PROJECT
from loader.files import find_files, fingerprint
from loader.labellers import labellers
from loader.ledger import Account
from loader.load import Options, load_files
from review.files import COLUMNS

# For what no version of Postgres changes; `make test` runs it apart from what is run on both.
on_one_version = pytest.mark.parametrize("server", [18], indirect=True, ids=["embedded"])
# Such tests as use the project that those on Postgres 18 have built run beside them.
on_postgres18 = pytest.mark.parametrize("server", [18], indirect=True, ids=["postgres18"])

GOOD = b'{"good": true}'
BAD = b'{"cut": "off'
LONGEST_WAIT_SECONDS = 60

RESPONSES = " union all ".join(
    f"select '{name}' as labeller, response_id, chunk_id, document from raw.{name}_responses"  # noqa: S608 - names of the project
    for name in labellers()
)


def write(path: Path, *lines: bytes, end: bytes = b"\n") -> Path:
    path.write_bytes(b"\n".join(lines) + end)
    return path


def start(
    database: Database,
    *arguments: str | Path,
    stderr: int = subprocess.PIPE,
    preexec_fn: Callable[[], None] | None = None,
    **environment: str,
) -> "subprocess.Popen[bytes]":
    """Start a loader command, to be waited for by the caller."""
    return subprocess.Popen(
        [sys.executable, "-m", "loader", *arguments],
        cwd=PROJECT,
        env=database.environment | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        preexec_fn=preexec_fn,
    )


def end(
    process: "subprocess.Popen[bytes]", stdin: bytes = b""
) -> "subprocess.CompletedProcess[str]":
    """Wait for a command's end, and return what it said."""
    said = (
        words.decode() if words else ""
        for words in process.communicate(stdin, LONGEST_WAIT_SECONDS)
    )
    return subprocess.CompletedProcess(process.args, process.returncode, *said)


def run(
    database: Database, *arguments: str | Path, stdin: bytes = b"", **environment: str
) -> "subprocess.CompletedProcess[str]":
    return end(start(database, *arguments, **environment), stdin)


def load_here(database: Database, file: Path) -> Account:
    """Load a file in this process, where a test can see to what the loader sees."""
    with mock.patch.dict(os.environ, database.environment):
        return load_files(find_files([str(file)]), Options(workers=1))


def words_of_failure(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the words of a command that has to have failed as a user should see it."""
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    return done.stderr


def fails(
    database: Database, *arguments: str | Path, stdin: bytes = b"", **environment: str
) -> str:
    return words_of_failure(run(database, *arguments, stdin=stdin, **environment))


def cut_into(
    database: Database,
    file: Path | str,
    chunk_bytes: int,
    known_by: str | None = None,
    labeller: str = "rekognition",
) -> None:
    """Let the loader cut a file into chunks of this size, as if a first load had begun so."""
    with database.connect() as connection:
        connection.execute(
            """
            insert into raw.loaded_files (name, fingerprint, chunk_bytes, labeller)
            values (%s, %s, %s, %s)
            """,
            (str(file), known_by or fingerprint(Path(file)), chunk_bytes, labeller),
        )


def lose_chunk(database: Database, first_byte: int) -> None:
    """Make the ledger as if the first run had been killed with this chunk alone undone."""
    with database.connect() as connection, connection.transaction():
        (chunk_id,) = fetch(
            database, "select chunk_id from raw.loaded_chunks where first_byte = %s", first_byte
        )[0]
        for table in ("rekognition_responses", "rejected_lines", "loaded_chunks"):
            connection.execute(f"delete from raw.{table} where chunk_id = %s", (chunk_id,))  # noqa: S608 - names from above
        connection.execute("update raw.loaded_files set finished_at = null")


def fetch(database: Database, query: str | sql.Composed, *values: object) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return connection.execute(query, values).fetchall()


def oids(database: Database, schema: str = "refinery") -> dict[str, int]:
    """Return which table or view stands behind each name of a schema."""
    query = """
        select relname, oid::int from pg_class
        where relnamespace = %s::regnamespace and relkind in ('r', 'v')
    """
    return dict(fetch(database, query, schema))


def documents(database: Database, labeller: str = "rekognition") -> list[Any]:
    """Return a labeller's documents in the order of their files and lines."""
    query = f"""
        select response.document
        from ({RESPONSES}) as response
        inner join raw.loaded_chunks as chunk using (chunk_id)
        where response.labeller = %s
        order by chunk.file_id, chunk.first_byte, response.response_id
    """  # noqa: S608 - names from above
    return [document for (document,) in fetch(database, query, labeller)]


def rejects(database: Database) -> list[tuple[int, bytes, str]]:
    return fetch(
        database, "select byte_offset, line, reason from raw.rejected_lines order by byte_offset"
    )


def borders(database: Database) -> list[tuple[int, int]]:
    return fetch(
        database, "select first_byte, end_byte from raw.loaded_chunks order by file_id, first_byte"
    )


def miscounted_chunks(database: Database) -> list[tuple[Any, ...]]:
    """Return the ledger's chunks whose counts are not those of the lines that are there."""
    return fetch(
        database,
        f"""
        with responses as ({RESPONSES})
        select *
        from raw.loaded_chunks as chunk
        where
            loaded_lines != (
                select count(*)
                from (
                    select chunk_id from responses
                    union all
                    select chunk_id from raw.released_responses
                ) as response
                where response.chunk_id = chunk.chunk_id
            )
            or rejected_lines != (
                select count(*) from raw.rejected_lines as line
                where line.chunk_id = chunk.chunk_id
            )
        """,  # noqa: S608 - names from above
    )


def let_dbt_read(
    database: Database, labeller: str = "rekognition", schema: str = "refinery"
) -> None:
    """Do what a run of dbt does that has read all responses of a labeller into its store."""
    table = f"int_{labeller}_labels"
    with database.connect() as connection:
        connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
        connection.execute(
            sql.SQL("create table if not exists {} ()").format(sql.Identifier(schema, table))
        )
        connection.execute(
            """
            insert into raw.read_responses (labeller, store, last_response_id)
            select %s, %s, last_value from raw.response_ids
            on conflict (labeller, store) do update
            set last_response_id = excluded.last_response_id
            """,
            (labeller, f"{schema}.{table}"),
        )


@contextmanager
def edited_seeds(database: Database) -> Iterator[psycopg.Connection]:
    """A connection by which to edit the policy's seeds, which then are what they were."""
    with database.connect() as connection:
        for file in COLUMNS:
            connection.execute(f"create temporary table {file} as table refinery.{file}")
        yield connection
        for file in COLUMNS:
            connection.execute(f"delete from refinery.{file}")  # noqa: S608 - one of six names
            connection.execute(f"insert into refinery.{file} table pg_temp.{file}")


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_WAIT_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def wait_until_blocked(connection: psycopg.Connection, sessions: int = 1) -> None:
    """Wait until that many of the loader's sessions wait for a lock."""
    query = """
        select count(*) >= %s
        from pg_stat_activity
        where
            datname = current_database()
            and application_name = 'label-refinery'
            and cardinality(pg_blocking_pids(pid)) > 0
    """

    def are_blocked() -> bool:
        connection.execute("select pg_stat_clear_snapshot()")  # it stands still in a transaction
        return connection.execute(query, (sessions,)).fetchone() == (True,)

    wait_for(are_blocked)
