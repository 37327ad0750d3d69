"""Whatever is killed, and whenever: every line is loaded or rejected exactly once.

Lines are numbered, so that each can be found again. Chunks are made very small, by entering the
file into the ledger before its first load. A trigger lets the loader wait at a change of a row, and
there it is killed. KILL_SEED sets which; the seed of a run is printed.
"""

import json
import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from conftest import Database, empty, fresh_database, running_server
from loads import (
    RESPONSES,
    blocked,
    cut_into,
    documents,
    end,
    fails,
    fetch,
    let_dbt_read,
    mend,
    miscounted_chunks,
    rejects,
    start,
    wait_for,
    wait_until_blocked,
    words_of_failure,
)
from psycopg import sql

from loader.cli import cli
from loader.schema import create_schema, tables
from trial.server import Server

CHUNK_BYTES = 2_000
LINES = 300
OPTIONS = ("--workers", "2", "--max-rejects", "100%")
once_or_often = pytest.mark.parametrize("rounds", [1, pytest.param(12, marks=pytest.mark.slow)])

# From the change of a row on that `at_change` names, all wait as long as it holds the lock.
INSTANT = """
create sequence raw.row_changes;
create table raw.instant (row_change bigint);
insert into raw.instant values (0);
create function raw.wait() returns trigger language plpgsql as
$$
begin
    if nextval('raw.row_changes') >= (select row_change from raw.instant) then
        perform pg_advisory_xact_lock_shared(4711);
    end if;
    return coalesce(new, old);
end
$$;
"""
WAIT = """
create trigger wait before insert or update or delete on raw.{}
for each row execute function raw.wait()
"""
LOADERS = """
select pid from pg_stat_activity
where application_name = 'label-refinery' and datname = current_database()
"""
IS_KNOWN = "select from raw.loaded_files where name = %s"
# In the order in which the files were begun.
CAN_BE_LOCKED = """
select pg_try_advisory_lock('raw.loaded_files'::regclass::oid::integer, file_id::integer)
from raw.loaded_files order by file_id
"""


@pytest.fixture(scope="module", autouse=True)
def interruptible() -> None:
    """Undo what a shell does to what it starts in the background: it ignores SIGINT."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may be killed."""
    with running_server(18, tmp_path_factory.mktemp("killed") / "home") as server:
        yield server
        server.start()


@pytest.fixture(scope="module")
def stoppable(own_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database on that server in which the loader can be stopped at a change of a row."""
    with fresh_database(own_server, "stoppable", tmp_path_factory.mktemp("stoppable")) as fresh:
        with fresh.connect() as connection:
            create_schema(connection)
            connection.execute(INSTANT)
            for table in tables():
                connection.execute(sql.SQL(WAIT).format(sql.Identifier(table)))
        yield fresh
        own_server.start()


@contextmanager
def at_change(database: Database, row_change: int) -> Iterator[psycopg.Connection]:
    """Let the loader wait from the change of a row on, counted from 1, for a while."""
    with database.connect() as holder:
        holder.execute("select pg_advisory_lock(4711)")
        holder.execute("update raw.instant set row_change = %s", (row_change,))
        holder.execute("select setval('raw.row_changes', 1, false)")
        yield holder


@contextmanager
def stopped(
    database: Database, row_change: int, *command: str | Path
) -> Iterator[tuple["subprocess.Popen[bytes]", psycopg.Connection]]:
    """Have a loader command that waits at the change of a row for a while, and then goes on."""
    with at_change(database, row_change) as holder:
        process = start(database, *command)
        wait_until_blocked(holder)
        yield process, holder


@dataclass
class Files:
    """Files of numbered lines, and a database to load them into, on a server that may be killed."""

    server: Server
    database: Database
    folder: Path
    rng: random.Random
    paths: list[Path] = field(default_factory=list)
    # What has to be loaded of all, and what rejected, by byte offset.
    good: list[dict[str, object]] = field(default_factory=list)
    bad: list[tuple[int, bytes]] = field(default_factory=list)

    def add(self, labeller: str = "rekognition") -> None:
        """Write numbered lines: most good, some refused, some blank, some with CRLF."""
        path = self.folder / f"{len(self.paths)}.jsonl"
        content = b""
        for mark in range(LINES):
            document = {"file": path.name, "mark": mark, "padding": "x" * self.rng.randrange(80)}
            line, kind = json.dumps(document).encode(), self.rng.random()
            if kind < 0.05:
                line = line[:-1]  # its brace is missing
            elif kind < 0.1:
                line = b""
            else:
                self.good.append(document)
            line += self.rng.choice((b"", b"\r"))
            if kind < 0.05:
                self.bad.append((len(content), line))
            content += line + b"\n"
        path.write_bytes(content)
        cut_into(self.database, path, CHUNK_BYTES, labeller=labeller)
        self.paths.append(path)

    @property
    def load(self) -> tuple[str | Path, ...]:
        return ("load", *OPTIONS, *self.paths)

    def are_finished(self) -> bool:
        query = "select bool_and(finished_at is not null) from raw.loaded_files"
        return fetch(self.database, query) == [(True,)]

    def some_change(self) -> int:
        """Return which change of a row is to be waited for: any of the lines that are to come."""
        ((done,),) = fetch(self.database, "select count(*) from raw.rekognition_responses")
        return self.rng.randint(1, len(self.good) - done)

    def finish(self) -> None:
        """Load what is left, and count all."""
        self.database.loader(*self.load)
        self.assert_exactly_once()

    def assert_exactly_once(self) -> None:
        """Every line is there once, and so says the ledger."""
        assert self.are_finished()
        assert_all_is_accounted_for(self.database)
        assert documents(self.database) == self.good
        assert sorted(reject[:2] for reject in rejects(self.database)) == sorted(self.bad)


@pytest.fixture
def files(own_server: Server, stoppable: Database, tmp_path: Path, rng: random.Random) -> Files:
    """One file, and the database with nothing in it."""
    own_server.start()
    empty(stoppable)
    files = Files(own_server, stoppable, tmp_path, rng)
    files.add()
    return files


FINISHED = """
select
    file.name,
    array_agg(array[first_byte, end_byte] order by first_byte),
    sum(loaded_lines + rejected_lines + blank_lines)
from raw.loaded_files as file
inner join raw.loaded_chunks using (file_id)
where finished_at is not null
group by file.name
"""
# A response twice, without its file's ledger, or in another labeller's table.
MISPLACED = f"""
with responses as (
    {RESPONSES}
    union all
    select null, response_id, chunk_id, null from raw.released_responses
)
select response_id
from responses as response
left join raw.loaded_chunks using (chunk_id)
left join raw.loaded_files as file using (file_id)
group by response_id
having count(*) != 1 or count(file_id) != 1 or max(response.labeller) != max(file.labeller)
"""  # noqa: S608 - names from loads.py


def assert_all_is_accounted_for(database: Database) -> None:
    """No line is there twice or without its ledger, and of finished files none is missing."""
    assert miscounted_chunks(database) == []
    assert fetch(database, MISPLACED) == []
    for name, chunks, lines in fetch(database, FINISHED):
        assert lines == LINES
        begins, ends = zip(*chunks, strict=True)
        assert begins == (0, *ends[:-1])
        assert ends[-1] == Path(name).stat().st_size


def processes(server: Server) -> list[int]:
    """Return the postmaster and its children."""
    postmaster = (server.data / "postmaster.pid").read_text().split()[0]
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return [int(pid) for pid in (postmaster, *children)]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill_server(server: Server) -> None:
    """SIGKILL the postmaster and all of its children, and wait until none of them runs."""
    killed = processes(server)
    for pid in killed:
        send(pid, signal.SIGKILL)
    wait_for(lambda: not any(map(runs, killed)))
    # A pid that nobody has waited for yet counts as in use, and would delay each start by seconds.
    (server.data / "postmaster.pid").unlink()
    for lock in Path(server.parameters()["host"]).glob("*.lock"):
        lock.unlink()


def send(pid: int, sent: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has ended by itself
        os.kill(pid, sent)


# a load that ends, and goes on when it is said again


@once_or_often
@pytest.mark.parametrize(
    ("sent", "status"),
    [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 130)],
    ids=["SIGKILL", "SIGINT", "SIGTERM"],
)
def test_a_load_that_is_killed_or_interrupted_loses_and_doubles_nothing(
    files: Files, sent: signal.Signals, status: int, rounds: int
) -> None:
    """In every second round the server is killed too."""
    for number in range(rounds):
        if files.are_finished():
            files.add()
        with stopped(files.database, files.some_change(), *files.load) as (load, _):
            load.send_signal(sent)
            done = end(load)
            if number % 2:
                kill_server(files.server)
        files.server.start()
        assert done.returncode == status
        assert "Traceback" not in done.stderr
        assert ("run the same command again to go on" in done.stderr) == (status == 130)
        assert not files.are_finished()
    files.finish()


def test_a_server_that_hangs_does_not_keep_a_load_from_being_interrupted(files: Files) -> None:
    with stopped(files.database, files.some_change(), *files.load) as (load, _):
        hung = processes(files.server)
        for pid in hung:
            send(pid, signal.SIGSTOP)
        try:
            load.send_signal(signal.SIGINT)
            done = end(load)
        finally:
            for pid in hung:
                send(pid, signal.SIGCONT)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    files.finish()


def test_a_server_that_stays_away_ends_the_load_with_a_sentence(files: Files) -> None:
    command = (*files.load, "--quiet", "--give-up-after", "3")
    with stopped(files.database, files.some_change(), *command) as (load, _):
        kill_server(files.server)
        words = words_of_failure(end(load))
    files.server.start()
    *tries, said = [line for line in words.splitlines() if line]
    assert tries
    assert all(line.startswith("connection lost") for line in tries)
    assert said.startswith("Error: no connection")
    assert "run the same command again" in said
    files.finish()


def test_a_failed_chunk_stops_the_others(files: Files) -> None:
    chunks = "select count(*) from raw.loaded_chunks"
    with stopped(files.database, 100, *files.load) as (load, holder):
        wait_until_blocked(holder, 2)
        before = fetch(files.database, chunks)
        holder.execute("select pg_cancel_backend(%s)", (blocked(holder)[0],))
        assert "canceling statement" in words_of_failure(end(load))
    wait_for(lambda: fetch(files.database, LOADERS) == [])
    assert fetch(files.database, chunks) == before
    files.finish()


# a load that lives on


def kill_backend(server: Server, database: Database) -> None:
    """Kill one; Postgres then throws all connections out, recovers, and goes on by itself."""
    with database.connect() as connection:
        send(connection.execute(LOADERS).fetchall()[0][0], signal.SIGKILL)
        wait_for(lambda: is_lost(connection))  # until Postgres has noticed, it is still up
    wait_for(server.is_up)


def is_lost(connection: psycopg.Connection) -> bool:
    with suppress(psycopg.OperationalError):
        connection.execute("select")
    return connection.closed


def cut_connections(_: Server, database: Database) -> None:
    cut = "select pg_terminate_backend(pid) from unnest(%s) as pid"
    assert len(fetch(database, cut, [pid for (pid,) in fetch(database, LOADERS)])) >= 2


def restart_server(server: Server, _: Database) -> None:
    kill_server(server)
    server.start()


@once_or_often
@pytest.mark.parametrize("kill", [restart_server, kill_backend, cut_connections])
def test_a_load_outlives_the_loss_of_its_connections(
    files: Files, kill: Callable[[Server, Database], None], rounds: int
) -> None:
    files.add()
    with stopped(files.database, files.some_change(), *files.load) as (load, _):
        kill(files.server, files.database)
    for _ in range(rounds - 1):
        with at_change(files.database, files.rng.randint(1, 50)) as holder:
            wait_for(lambda: load.poll() is not None or blocked(holder) != [])
            if load.poll() is None:
                kill(files.server, files.database)
    done = end(load)
    assert done.returncode == 0, done.stderr
    assert "connection lost" in done.stderr
    files.assert_exactly_once()


# two loaders


LET_OTHERS_GO_ON = "update raw.instant set row_change = 1 << 30"


def test_two_loaders_of_one_file_share_it_and_nobody_takes_it_away(files: Files) -> None:
    files.add()
    with stopped(files.database, 2 * LINES, *files.load) as (one, holder):  # in the second
        assert fetch(files.database, CAN_BE_LOCKED) == [(True,), (False,)]
        holder.execute(LET_OTHERS_GO_ON)
        other = start(files.database, *files.load)
        assert other.stderr is not None
        assert b"loaded before, nothing to do" in other.stderr.readline()
        assert b"another loader is at it" in other.stderr.readline()
        for command in ("forget", "release"):
            words = fails(files.database, command, files.paths[1])
            assert "1.jsonl: another loader is at it" in words
    for process in (one, other):
        assert end(process).returncode == 0
    files.assert_exactly_once()


def test_two_loaders_that_lost_their_lock_double_nothing(files: Files) -> None:
    """The lock goes with its connection; then only the ledger's key keeps them apart."""
    with stopped(files.database, 100, *files.load) as (one, holder):
        wait_until_blocked(holder, 2)
        of_file = "locktype = 'advisory' and classid = 'raw.loaded_files'::regclass"
        cut = f"select pg_terminate_backend(pid) from pg_locks where {of_file}"  # noqa: S608 - from above
        assert len(fetch(files.database, cut)) == 1
        holder.execute(LET_OTHERS_GO_ON)
        other = start(files.database, *files.load)
        wait_until_blocked(holder, 4)  # it comes to the chunks that are under way
    for process in (one, other):
        done = end(process)
        assert done.returncode == 0, done.stderr
    files.assert_exactly_once()


# other commands


def rows(database: Database) -> dict[str, list[str]]:
    """Return all rows of the loader's tables."""
    query = sql.SQL("select row::text from raw.{} as row")
    return {
        table: sorted(row for (row,) in fetch(database, query.format(sql.Identifier(table))))
        for table in tables()
    }


@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", ["release", "forget", "retry-rejects"])
def test_a_killed_command_has_done_nothing(files: Files, command: str, rounds: int) -> None:
    """At the last change that it makes of a row, and in many rounds at others."""
    database, loaded, rejected = files.database, len(files.good), len(files.bad)
    files.finish()
    let_dbt_read(database)
    if command == "retry-rejects":
        mend(database)
    chunks, with_rejects = fetch(
        database, "select count(*), count(nullif(rejected_lines, 0)) from raw.loaded_chunks"
    )[0]
    last = {
        "release": 2 * loaded + 1,
        "forget": loaded + rejected + chunks + 2,
        "retry-rejects": 2 * rejected + with_rejects,
    }[command]
    words = [command, *files.paths * (command != "retry-rejects")]
    before = rows(database)
    for number in range(rounds):
        row_change = files.rng.randint(1, last) if number else last
        with stopped(database, row_change, *words) as (process, _):
            if number % 2:
                kill_server(files.server)
            else:
                process.kill()
            assert end(process).returncode == (1 if number % 2 else -signal.SIGKILL)
        files.server.start()
        wait_for(lambda: fetch(database, LOADERS) == [])
        assert rows(database) == before
    database.loader(*words)
    assert_all_is_accounted_for(database)
    assert rows(database) != before


@pytest.mark.parametrize("steps", [6, pytest.param(40, marks=pytest.mark.slow)])
def test_in_whatever_order_commands_come_and_are_killed_every_line_is_accounted_for(
    files: Files, steps: int
) -> None:
    database, rng = files.database, files.rng
    labellers = ("rekognition", "clarifai", "rekognition", "clarifai")
    for labeller in labellers[1:]:
        files.add(labeller)
    for step in range(steps):
        file, labeller = rng.choice(list(zip(files.paths, labellers, strict=True)))
        command = rng.choice(("load", "load", "release", "release", "forget", "retry-rejects"))
        if command == "load" and not fetch(database, IS_KNOWN, str(file)):
            cut_into(database, file, CHUNK_BYTES, labeller=labeller)
        if command == "release" and rng.random() < 0.8:
            let_dbt_read(database, labeller)
        if command == "retry-rejects":
            mend(database)
        options = ["--labeller", labeller, *OPTIONS] * (command == "load")
        words = [command, *options, *[file] * (command != "retry-rejects")]
        if step % 2:
            assert database.invoke(cli, *words).exit_code in (0, 1)
        else:
            with at_change(database, rng.randint(1, LINES)) as holder:
                process = start(database, *words)
                wait_for(lambda: process.poll() is not None or blocked(holder) != [])  # noqa: B023 - asked at once
                process.kill()
            assert "Traceback" not in end(process).stderr
            wait_for(lambda: fetch(database, LOADERS) == [])
        assert_all_is_accounted_for(database)
    for file in files.paths:
        if fetch(database, IS_KNOWN, str(file)):
            database.loader("forget", file)
    left = rows(database)
    del left["forgotten_responses"], left["read_responses"]
    assert not any(left.values())


def test_unlogged_tables_are_empty_together_after_a_crash(
    own_server: Server, tmp_path: Path, rng: random.Random
) -> None:
    """A run reads only responses above the last it has seen, so ids must not fall back."""
    ids = "select min(response_id), max(response_id) from raw.rekognition_responses"
    own_server.start()
    with fresh_database(own_server, "unlogged", tmp_path) as database:
        database.loader("init", "--unlogged")
        files = Files(own_server, database, tmp_path, rng)
        files.add()
        files.finish()
        ((_, last),) = fetch(database, ids)
        kill_server(own_server)
        own_server.start()
        assert not any(rows(database).values())
        files.finish()
        ((first, _),) = fetch(database, ids)
        assert first > last
