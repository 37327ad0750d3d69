"""What several tests share: files, the ledger, queries, and commands that are run and watched."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from threading import Event
from typing import Any
from unittest import mock

import psycopg
import pytest
from click.testing import CliRunner
from conftest import DBT, Database
from psycopg import sql

from loader.cli import cli
from loader.connect import PROJECT
from loader.files import find_files, fingerprint
from loader.labellers import labellers
from loader.ledger import Account
from loader.load import Options, load_files
from review.files import COLUMNS

# A process that has what this one has: dbt, and the project parsed. To start dbt takes 8 s.
FORK = get_context("fork")

GOOD = b'{"good": true}'
BAD = b'{"cut": "off'

RESPONSES = " union all ".join(
    f"select '{name}' as labeller, response_id, chunk_id, document from raw.{name}_responses"  # noqa: S608 - names of the project
    for name in labellers()
)


@cache
def longest_wait() -> float:
    """Return the seconds after which what a test waits for does not come any more.

    Thirty starts of dbt, as long as one takes here and now: a slow machine fails no test.
    """
    began = time.monotonic()
    subprocess.run([DBT, "--help"], cwd=PROJECT, stdout=subprocess.DEVNULL, check=True)
    return max(60, 30 * (time.monotonic() - began))


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
    said = (words.decode() if words else "" for words in process.communicate(stdin, longest_wait()))
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
    """Run a loader command that has to fail, in this process; return its words."""
    done = database.invoke(cli, *arguments, stdin=stdin, **environment)
    return words_of_failure(
        subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)
    )


def says(monkeypatch: pytest.MonkeyPatch, arguments: str, status: int) -> str:
    """Return what a command says that has to end with a status before it reaches a server."""
    monkeypatch.setenv("PGHOST", "/nonexistent")
    monkeypatch.setattr("signal.signal", lambda *_: None)  # cli sets this process's own
    done = CliRunner().invoke(cli, arguments.split())
    assert done.exit_code == status, done.output
    return " ".join((done.stderr if status else done.stdout).split())


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


def counts(database: Database) -> tuple[int, int]:
    """Return how many lines are loaded and rejected, which the ledger has to confirm."""
    assert miscounted_chunks(database) == []
    ((loaded, rejected),) = fetch(
        database,
        """
        select
            (select count(*) from raw.rekognition_responses),
            (select count(*) from raw.rejected_lines)
        """,
    )
    return loaded, rejected


def mend(database: Database, where: str = "true") -> int:
    """Make JSON of rejected lines, as people may who mend them by hand; return how many."""
    with database.connect() as connection:
        update = f"update raw.rejected_lines set line = '{{}}' where {where}"  # noqa: S608 - the tests' own
        return connection.execute(update).rowcount


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
        try:
            yield connection
        finally:
            for file in COLUMNS:
                connection.execute(f"delete from refinery.{file}")  # noqa: S608 - one of six names
                connection.execute(f"insert into refinery.{file} table pg_temp.{file}")


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + longest_wait()
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def commit_once_waited_for(database: Database, transaction: psycopg.Connection) -> None:
    """Commit when somebody waits for a lock that this transaction holds."""
    waiting = "select pid from pg_stat_activity where %s = any(pg_blocking_pids(pid))"
    holder = (transaction.info.backend_pid,)
    with database.connect() as watcher:
        wait_for(lambda: watcher.execute(waiting, holder).fetchone() is not None)
    transaction.commit()


def blocked(connection: psycopg.Connection) -> list[int]:
    """Return the server processes of the loader that wait for a lock."""
    connection.execute("select pg_stat_clear_snapshot()")  # it stands still in a transaction
    query = """
        select pid
        from pg_stat_activity
        where
            datname = current_database()
            and application_name = 'label-refinery'
            and cardinality(pg_blocking_pids(pid)) > 0
    """
    return [pid for (pid,) in connection.execute(query)]


def wait_until_blocked(connection: psycopg.Connection, sessions: int = 1) -> None:
    """Wait until that many of the loader's sessions wait for a lock."""
    wait_for(lambda: len(blocked(connection)) >= sessions)


def real_data(name: str) -> Path:
    """Return a file of real data; skip the test where it is not there."""
    path = PROJECT.parent / "shared" / "data" / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


@contextmanager
def polled(database: Database, query: str) -> Iterator[None]:
    """Let somebody read meanwhile, again and again: each read finds the same, and none fails."""
    done = Event()
    with database.connect() as connection, ThreadPoolExecutor(1) as threads:
        connection.execute(f"set statement_timeout = '{longest_wait():.0f}s'")
        want = connection.execute(query).fetchall()
        assert want

        def read() -> int:
            reads = 0
            while not done.wait(0.02):
                assert connection.execute(query).fetchall() == want
                reads += 1
            return reads

        reads = threads.submit(read)
        try:
            yield
        finally:
            done.set()
        assert reads.result() > 10


def copy_project(folder: Path) -> Path:
    """Copy the project into a new folder: all but what git is told to ignore, so none is missed."""
    lines = (PROJECT / ".gitignore").read_text().splitlines()
    made = [Path(line).name for line in lines if not line.startswith("#")]
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns(".git", *made))
    return folder
