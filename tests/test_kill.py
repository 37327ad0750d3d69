"""Whatever is killed, and whenever: every line is loaded or rejected exactly once.

Lines are numbered, so that each can be found again. Chunks are made very small, by entering the
file into the ledger before its first load, so that a kill is nearly always in the midst of many.
KILL_SEED sets the instants; the seed of a run is printed.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from unittest import mock

import psycopg
import pytest
from conftest import Database, fresh_database, running_server
from loads import (
    cut_into,
    end,
    fetch,
    let_dbt_read,
    miscounted_chunks,
    start,
    wait_for,
    wait_until_blocked,
)
from psycopg import sql

from loader.chunks import Chunk
from loader.errors import UserError
from loader.ledger import Account
from loader.schema import create_schema, tables
from loader.workers import Workers
from trial.server import Server

ROUNDS = 12
CHUNK_BYTES = 2_000
OPTIONS = ("--workers", "2", "--max-rejects", "100%")


@dataclass(frozen=True)
class Marked:
    """A file of numbered lines, and what has to become of each."""

    path: Path
    loaded: list[int]
    rejected: dict[int, bytes]  # by byte offset
    blank: int

    @property
    def lines(self) -> int:
        return len(self.loaded) + len(self.rejected) + self.blank


def write_marked(path: Path, lines: int, rng: random.Random) -> Marked:
    """Write numbered lines: most good, some refused, some blank, some with CRLF."""
    loaded, rejected, blank, offset = [], {}, 0, 0
    with path.open("wb") as file:
        for mark in range(lines):
            kind = rng.random()
            line = b'{"mark": %d, "file": "%s"' % (mark, path.name.encode())
            line += b', "padding": "' + b"x" * rng.randrange(80) + b'"'
            if kind < 0.02:
                rejected[offset] = line  # its brace is missing
                line += b"\n"
            elif kind < 0.04:
                line = rng.choice((b"\n", b"\r\n", b" \n"))
                blank += 1
            else:
                loaded.append(mark)
                line += b"}\r\n" if kind < 0.1 else b"}\n"
            offset += file.write(line)
    return Marked(path, loaded, rejected, blank)


def is_finished(database: Database, file: Marked) -> bool:
    query = "select finished_at is not null from raw.loaded_files where name = %s"
    return fetch(database, query, str(file.path)) == [(True,)]


def count_chunks(connection: psycopg.Connection) -> int:
    (count,) = connection.execute("select count(*) from raw.loaded_chunks").fetchone() or (0,)
    return int(count)


def assert_exactly_once(database: Database, file: Marked) -> None:
    """Every line of the file is there once, and so says the ledger."""
    marks = fetch(
        database,
        """
        select (response.document ->> 'mark')::bigint
        from raw.rekognition_responses as response
        inner join raw.loaded_chunks using (chunk_id)
        inner join raw.loaded_files as file using (file_id)
        where file.name = %s
        order by 1
        """,
        str(file.path),
    )
    marks_by_content = fetch(
        database,
        "select count(*) from raw.rekognition_responses where document ->> 'file' = %s",
        file.path.name,
    )
    rejects = fetch(
        database,
        """
        select line.byte_offset, line.line
        from raw.rejected_lines as line
        inner join raw.loaded_files as file using (file_id)
        where file.name = %s
        """,
        str(file.path),
    )
    chunks = fetch(
        database,
        """
        select chunk.first_byte, chunk.end_byte, loaded_lines, rejected_lines, blank_lines
        from raw.loaded_chunks as chunk
        inner join raw.loaded_files as file using (file_id)
        where file.name = %s
        order by first_byte
        """,
        str(file.path),
    )
    assert is_finished(database, file)
    assert [mark for (mark,) in marks] == file.loaded
    assert marks_by_content == [(len(file.loaded),)]  # and none is of a chunk without ledger row
    assert dict(rejects) == file.rejected
    assert len(rejects) == len(file.rejected)
    sums = [sum(chunk[column] for chunk in chunks) for column in (2, 3, 4)]
    assert sums == [len(file.loaded), len(file.rejected), file.blank]
    assert miscounted_chunks(database) == []
    assert all(before[1] == after[0] for before, after in pairwise(chunks))
    assert (chunks[0][0], chunks[-1][1]) == (0, file.path.stat().st_size)


class Load:
    """A `load` under way, as a process of its own."""

    def __init__(self, database: Database, *arguments: str | Path) -> None:
        self._database = database
        with database.connect() as connection:
            self._chunks_before = count_chunks(connection)
        self._process = start(database, "load", *OPTIONS, *arguments)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def has_begun(self) -> bool:
        """Whether a chunk is in that was not there at its start."""
        with self._database.connect() as connection:
            return count_chunks(connection) > self._chunks_before

    def wait_until_loading(self) -> None:
        """Wait until a chunk is in that was not there at its start, or it has ended."""
        with self._database.connect() as connection:
            wait_for(lambda: self.has_ended or count_chunks(connection) > self._chunks_before)

    def wait_until_loading_again(self) -> None:
        """Wait until a chunk is in that is not there now, or it has ended."""
        with self._database.connect() as connection:
            self._chunks_before = count_chunks(connection)
        self.wait_until_loading()

    def send(self, sent: signal.Signals) -> None:
        self._process.send_signal(sent)

    def end(self) -> tuple[int, str]:
        """Wait for its end; return its exit status and what it said."""
        done = end(self._process)
        return done.returncode, done.stderr

    def end_well(self) -> str:
        status, words = self.end()
        assert status == 0, words
        return words


@contextmanager
def loading(database: Database, *arguments: str | Path) -> Iterator[Load]:
    load = Load(database, *arguments)
    try:
        yield load
    finally:
        if not load.has_ended:
            load.send(signal.SIGKILL)
            load.end()


def process_states() -> dict[int, tuple[int, str]]:
    """Return each process' parent and state."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,stat="],  # noqa: S607 - the system's ps
        capture_output=True,
        text=True,
        check=True,
    )
    rows = (line.split() for line in listed.stdout.splitlines())
    return {int(pid): (int(parent), state) for pid, parent, state in rows}


def postmaster(server: Server) -> int:
    return int((server.data / "postmaster.pid").read_text().split()[0])


def children(server: Server) -> list[int]:
    parent = postmaster(server)
    return [pid for pid, (its_parent, _) in process_states().items() if its_parent == parent]


def kill_server(server: Server) -> None:
    """SIGKILL the postmaster and all of its children, and wait until none of them runs."""
    killed = [postmaster(server), *children(server)]
    for pid in killed:
        send(pid, signal.SIGKILL)

    def none_runs() -> bool:
        states = process_states()
        return all(pid not in states or states[pid][1].startswith("Z") for pid in killed)

    wait_for(none_runs)
    # A pid that nobody has waited for yet counts as in use, and would delay each start by seconds.
    (server.data / "postmaster.pid").unlink()
    for lock in Path(server.parameters()["host"]).glob("*.lock"):
        lock.unlink()


def send(pid: int, sent: signal.Signals) -> None:
    try:
        os.kill(pid, sent)
    except ProcessLookupError:
        return  # it has ended by itself


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


@pytest.fixture
def database(own_server: Server, tmp_path: Path) -> Iterator[Database]:
    """A database on that server in which `init` has been run."""
    own_server.start()
    with fresh_database(own_server, "killed", tmp_path) as fresh:
        with fresh.connect() as connection:
            create_schema(connection)
        yield fresh
        own_server.start()


class Files:
    """Marked files, one after the other: the next when one is loaded."""

    def __init__(self, database: Database, folder: Path, lines: int, rng: random.Random) -> None:
        self._database = database
        self._folder = folder
        self._lines = lines
        self._rng = rng
        self.all: list[Marked] = []
        self.add()

    def add(self) -> None:
        path = self._folder / f"marked-{len(self.all)}.jsonl"
        self.all.append(write_marked(path, self._lines, self._rng))
        cut_into(self._database, path, CHUNK_BYTES)

    def unfinished(self) -> Marked:
        if is_finished(self._database, self.all[-1]):
            self.add()
        return self.all[-1]

    def finish_and_check(self) -> None:
        """Load what is left, and count all."""
        paths = [str(file.path) for file in self.all]
        self._database.loader("load", *OPTIONS, *paths)
        for file in self.all:
            assert_exactly_once(self._database, file)


def test_a_killed_loader_loses_and_doubles_nothing(
    database: Database, tmp_path: Path, rng: random.Random
) -> None:
    files = Files(database, tmp_path, 20_000, rng)
    hits = 0
    for number in range(ROUNDS):
        file = files.unfinished()
        with loading(database, file.path) as load:
            if number % 5 == 0:  # any instant, from the program's start on
                time.sleep(rng.uniform(0, 0.6))
            else:
                load.wait_until_loading()
                time.sleep(rng.uniform(0, 0.2))
            load.send(signal.SIGKILL)
            status, words = load.end()
        assert status in (0, -signal.SIGKILL), words
        hits += status != 0 and load.has_begun and not is_finished(database, file)
    print(f"{hits} of {ROUNDS} kills in mid-load, {len(files.all)} files")
    assert hits > ROUNDS / 2
    files.finish_and_check()


def test_a_killed_server_loses_and_doubles_nothing(
    database: Database, own_server: Server, tmp_path: Path, rng: random.Random
) -> None:
    """The same loader goes on in some rounds, in others one that is started again."""
    files = Files(database, tmp_path, 20_000, rng)
    hits = survived = 0
    load: Load | None = None
    for number in range(ROUNDS):
        if load is None or load.has_ended:
            if load:
                load.end_well()
            file = files.unfinished()
            load = Load(database, file.path)
        load.wait_until_loading_again()
        time.sleep(rng.uniform(0, 0.2))
        was_at_it = not load.has_ended
        kill_server(own_server)
        lives_on = number % 5 < 2
        if not lives_on:
            load.send(signal.SIGKILL)
            load.end()
            load = None
        own_server.start()
        hits += was_at_it and not is_finished(database, file)
        survived += was_at_it and lives_on
    if load:
        load.end_well()
    print(f"{hits} of {ROUNDS} kills in mid-load, {survived} survived, {len(files.all)} files")
    assert hits > ROUNDS / 2
    assert survived > ROUNDS / 10
    files.finish_and_check()


def test_cut_connections_are_made_again(
    database: Database, tmp_path: Path, rng: random.Random
) -> None:
    files = Files(database, tmp_path, 8_000, rng)
    with loading(database, files.all[0].path) as load:
        for _ in range(3):
            load.wait_until_loading_again()
            time.sleep(rng.uniform(0, 0.05))
            # The one that has loaded may be the first that is back.
            wait_for(lambda: load.has_ended or len(connections(database)) >= 2)
            assert not load.has_ended
            assert cut_connections(database) >= 2
        words = load.end_well()
    assert "connection lost" in words
    assert_exactly_once(database, files.all[0])


def connections(database: Database) -> list[int]:
    """Return the server processes of all loaders, that of the lock among them."""
    query = """
        select pid from pg_stat_activity
        where application_name = 'label-refinery' and datname = current_database()
    """
    return [pid for (pid,) in fetch(database, query)]


def cut_connections(database: Database) -> int:
    """Cut all connections of loaders; return how many."""
    cut = "select pg_terminate_backend(pid) from unnest(%s) as pid"
    return len(fetch(database, cut, connections(database)))


def is_lost(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("select")
    except psycopg.OperationalError:
        return True
    return False


def test_a_killed_backend_costs_no_line(
    database: Database, own_server: Server, tmp_path: Path, rng: random.Random
) -> None:
    """Postgres then throws all connections out, recovers, and goes on by itself."""
    files = Files(database, tmp_path, 8_000, rng)
    with loading(database, files.all[0].path) as load:
        for _ in range(3):
            load.wait_until_loading_again()
            with database.connect() as connection:
                (pid,) = connection.execute(
                    "select min(pid) from pg_stat_activity where query ilike 'copy%'"
                    " or application_name = 'label-refinery'"
                ).fetchone() or (0,)
                send(pid, signal.SIGKILL)
                # Until Postgres has noticed, it is still up.
                wait_for(lambda: is_lost(connection))
            wait_for(own_server.is_up)
        load.end_well()
    assert_exactly_once(database, files.all[0])


def test_several_files_outlive_a_restart_of_the_server(
    database: Database, own_server: Server, tmp_path: Path, rng: random.Random
) -> None:
    files = Files(database, tmp_path, 5_000, rng)
    files.add()
    with loading(database, *(file.path for file in files.all)) as load:
        load.wait_until_loading()
        kill_server(own_server)
        own_server.start()
        load.end_well()
    for file in files.all:
        assert_exactly_once(database, file)


def test_two_loaders_of_one_file_share_it(
    database: Database, tmp_path: Path, rng: random.Random
) -> None:
    files = Files(database, tmp_path, 10_000, rng)
    path = files.all[0].path
    with loading(database, path) as one, loading(database, path) as other:
        said = one.end_well() + other.end_well()
    assert "another loader is at it" in said
    assert_exactly_once(database, files.all[0])


def test_two_loaders_that_lost_their_lock_double_nothing(
    database: Database, tmp_path: Path, rng: random.Random
) -> None:
    """The lock goes with its connection; then only the ledger's key keeps them apart."""
    files = Files(database, tmp_path, 8_000, rng)
    path = files.all[0].path
    with loading(database, path) as one:
        one.wait_until_loading()
        cut_connections(database)
        with loading(database, path) as other:
            other.end_well()
            one.end_well()
    assert_exactly_once(database, files.all[0])


def test_a_server_that_stays_away_ends_the_load_with_a_sentence(
    database: Database, own_server: Server, tmp_path: Path, rng: random.Random
) -> None:
    files = Files(database, tmp_path, 8_000, rng)
    with loading(database, "--quiet", "--give-up-after", "3", files.all[0].path) as load:
        load.wait_until_loading()
        kill_server(own_server)
        status, words = load.end()
    own_server.start()
    assert status == 1
    assert "Traceback" not in words
    tries, said = [], []
    for line in words.splitlines():
        (tries if line.startswith("connection lost") else said).append(line)
    assert tries
    assert len(said) <= 2, words
    assert said[0].startswith("Error: no connection")
    assert "run the same command again" in said[0]
    assert not is_finished(database, files.all[0])
    files.finish_and_check()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_load_ends_soon_and_goes_on_later(
    database: Database, tmp_path: Path, rng: random.Random, sent: signal.Signals
) -> None:
    files = Files(database, tmp_path, 8_000, rng)
    with loading(database, files.all[0].path) as load:
        load.wait_until_loading()
        time.sleep(rng.uniform(0, 0.1))
        interrupt(load, sent)
    assert not is_finished(database, files.all[0])
    files.finish_and_check()


def interrupt(load: Load, sent: signal.Signals) -> None:
    """Interrupt a load, which has to end soon, with a word on how to go on."""
    load.send(sent)
    status, words = load.end()
    assert status == 130
    assert "run the same command again to go on" in words
    assert "Traceback" not in words


def test_an_interrupted_load_does_not_wait_for_a_server_that_hangs(
    database: Database, own_server: Server, tmp_path: Path, rng: random.Random
) -> None:
    """In 10 s at most: psycopg waits so long for what the main thread has asked of the ledger."""
    files = Files(database, tmp_path, 8_000, rng)
    with loading(database, files.all[0].path) as load:
        load.wait_until_loading()
        stopped = [postmaster(own_server), *children(own_server)]
        for pid in stopped:
            send(pid, signal.SIGSTOP)
        try:
            interrupt(load, signal.SIGINT)
        finally:
            for pid in stopped:
                send(pid, signal.SIGCONT)
    files.finish_and_check()


def test_a_failed_chunk_stops_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def load_chunk(_: object, __: int, chunk: Chunk) -> Account:
        begun.append(chunk.first_byte)
        if chunk.first_byte == 1:
            raise UserError("the disk is full")
        return Account(1)

    monkeypatch.setattr("loader.workers.load_chunk", load_chunk)
    monkeypatch.setattr("loader.workers.open_connection", mock.MagicMock())

    def chunks() -> Iterator[Chunk]:
        for byte in range(3):
            # Each of the first two is done with when the next one is read, the failure last.
            wait_for(lambda results=byte: workers._results.qsize() == results)
            yield Chunk(byte, byte + 1, bytearray(), 0, None)
        wait_for(workers._tasks.empty)

    with pytest.raises(UserError, match="full"), Workers(2, 1) as workers:
        list(workers.load(1, chunks()))
    assert begun == [0, 1]


def test_a_finished_file_is_unlocked_while_the_next_is_loaded(
    database: Database, tmp_path: Path, rng: random.Random
) -> None:
    files = Files(database, tmp_path, 10, rng)
    files.add()
    lock = "pg_try_advisory_lock('raw.loaded_files'::regclass::oid::integer, file_id::integer)"
    query = f"select {lock} from raw.loaded_files where name = %s"  # noqa: S608 - from above
    with database.connect() as other:
        first, second = (str(file.path) for file in files.all)
        other.execute(query, (second,))
        with loading(database, first, second) as load:
            wait_for(lambda: is_finished(database, files.all[0]))
            wait_for(lambda: other.execute(query, (first,)).fetchone() == (True,))
            assert not load.has_ended
            other.execute("select pg_advisory_unlock_all()")
            load.end_well()


# Lets the change of a row be the last one that happens, as long as another session holds the lock.
INSTANT = """
create sequence raw.row_changes;
create table raw.instant (row_change bigint);
create function raw.wait() returns trigger language plpgsql as
$$
begin
    if nextval('raw.row_changes') = (select row_change from raw.instant) then
        perform pg_advisory_xact_lock(4711);
    end if;
    return coalesce(new, old);
end
$$;
"""
LOADERS = "select count(*) from pg_stat_activity where application_name = 'label-refinery'"
WAIT = """
create trigger wait before insert or update or delete on raw.{}
for each row execute function raw.wait()
"""


def rows(database: Database) -> dict[str, list[str]]:
    """Return all rows of the loader's tables."""
    query = sql.SQL("select row::text from raw.{} as row")
    return {
        table: sorted(row for (row,) in fetch(database, query.format(sql.Identifier(table))))
        for table in tables()
    }


@pytest.mark.parametrize("command", ["release", "forget"])
def test_a_killed_release_or_forget_has_done_nothing(
    database: Database, own_server: Server, tmp_path: Path, rng: random.Random, command: str
) -> None:
    files = Files(database, tmp_path, 300, rng)
    files.add()
    files.finish_and_check()
    file = files.all[0]
    let_dbt_read(database)
    before = rows(database)
    with database.connect() as connection:
        connection.execute(INSTANT)
        for table in tables():
            connection.execute(sql.SQL(WAIT).format(sql.Identifier(table)))
    loaded, rejected = len(file.loaded), len(file.rejected)
    ((chunks,),) = fetch(database, "select count(*) from raw.loaded_chunks where file_id = 1")
    last = 2 * loaded + 1 if command == "release" else loaded + rejected + chunks + 2
    for instant in (1, last, *(rng.randint(1, last) for _ in range(ROUNDS // 4))):
        with database.connect() as holder:
            holder.execute("select pg_advisory_lock(4711)")
            holder.execute("delete from raw.instant")
            holder.execute("insert into raw.instant values (%s)", (instant,))
            holder.execute("select setval('raw.row_changes', 1, false)")
            process = start(database, command, file.path)
            wait_until_blocked(holder)
            if rng.random() < 0.5:
                process.kill()
                end(process)
            else:
                kill_server(own_server)
                assert end(process).returncode == 1
                own_server.start()
        with database.connect() as connection:
            wait_for(lambda: connection.execute(LOADERS).fetchone() == (0,))
        assert rows(database) == before
    database.loader(command, file.path)
    assert_exactly_once(database, files.all[1])
    left = rows(database)
    assert len(left["rekognition_responses"]) == len(files.all[1].loaded)
    assert len(left["released_responses"]) == (loaded if command == "release" else 0)


def test_unlogged_tables_are_empty_together_after_a_crash(
    database: Database, own_server: Server, tmp_path: Path, rng: random.Random
) -> None:
    """A run reads only responses above the last it has seen, so ids must not fall back."""
    database.loader("init", "--unlogged")
    files = Files(database, tmp_path, 2_000, rng)
    file = files.all[0]
    database.loader("load", *OPTIONS, str(file.path))
    assert_exactly_once(database, file)
    before = response_ids(database)
    kill_server(own_server)
    own_server.start()
    for table in tables():
        rows = sql.SQL("select * from raw.{}").format(sql.Identifier(table))
        assert fetch(database, rows) == [], table
    database.loader("load", *OPTIONS, str(file.path))
    assert_exactly_once(database, file)
    assert min(response_ids(database)) > max(before)


def response_ids(database: Database) -> list[int]:
    found = fetch(database, "select response_id from raw.rekognition_responses")
    return [response_id for (response_id,) in found]
