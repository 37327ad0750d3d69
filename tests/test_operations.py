"""What an operator does and sees: status, forget, rights, time-outs, passwords, progress, usage."""

import bz2
import fcntl
import gzip
import hashlib
import io
import json
import logging
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from click.testing import CliRunner
from conftest import Database
from loads import (
    BAD,
    GOOD,
    borders,
    cut_into,
    documents,
    end,
    fails,
    fetch,
    load_here,
    lose_chunk,
    on_one_version,
    run,
    start,
    wait_for,
    wait_until_blocked,
    write,
)

from loader.cli import cli
from loader.files import LabelFile
from loader.ledger import Account
from loader.progress import Progress
from trial.server import Server

ENGINEER = "engineer"
SECRET = "open-sesame-4711"  # noqa: S105 - of a role that lives as long as a test


def numbered(path: Path, count: int) -> Path:
    digests = (hashlib.sha256(b"%d" % number).hexdigest().encode() for number in range(count))
    return write(path, *[b'{"line": %d, "x": "%s"}' % pair for pair in enumerate(digests)])


def counts(database: Database) -> tuple[int, ...]:
    """Return the rows of the four tables: files, chunks, responses, rejects."""
    (rows,) = fetch(
        database,
        """
        select
            (select count(*) from raw.loaded_files),
            (select count(*) from raw.loaded_chunks),
            (select count(*) from raw.rekognition_responses),
            (select count(*) from raw.rejected_lines)
        """,
    )
    return rows


# status


def statuses(database: Database) -> list[dict[str, object]]:
    return [json.loads(line) for line in database.loader("status", "--json").splitlines()]


@on_one_version
def test_status_of_nothing(loaded: Database) -> None:
    assert loaded.loader("status") == "nothing has been loaded\n"
    assert loaded.loader("status", "--json") == ""


@on_one_version
def test_status_of_a_loaded_file(loaded: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", GOOD, BAD, b"", GOOD)
    loaded.loader("load", file)
    line, totals = loaded.loader("status").splitlines()
    assert totals == "in all 1, unfinished 0: 2 loaded + 1 rejected + 1 blank lines, 44 bytes"
    beginning = f"{file}: loaded (rekognition), 2 loaded + 1 rejected + 1 blank lines, 44 bytes in "
    assert line.startswith(beginning)
    assert line.endswith("a second run loads nothing")
    (status,) = statuses(loaded)
    seconds = status.pop("seconds")
    assert isinstance(seconds, float)
    assert 0 < seconds < 60
    assert status.pop("bytes_per_second") == pytest.approx(44 / seconds)
    times = [str(status.pop(name)) for name in ("started_at", "last_loaded_at", "finished_at")]
    assert all("T" in time for time in times)
    started_at, last_loaded_at, finished_at = map(datetime.fromisoformat, times)
    assert started_at < last_loaded_at <= finished_at
    assert status == {
        "name": str(file),
        "labeller": "rekognition",
        "state": "loaded",
        "stored_bytes": 44,
        "loaded_bytes": 44,
        "loaded_lines": 2,
        "rejected_lines": 1,
        "blank_lines": 1,
        "second_run": "loads nothing",
    }


@on_one_version
def test_status_of_unfinished_files(loaded: Database, tmp_path: Path) -> None:
    begun = numbered(tmp_path / "begun.jsonl", 50)
    cut_into(loaded, begun, 1000)
    (status,) = statuses(loaded)
    assert (status["state"], status["loaded_bytes"]) == ("unfinished", 0)
    assert status["second_run"] == "goes on after 0 bytes"
    assert status["last_loaded_at"] is status["finished_at"] is None
    loaded.loader("load", begun)
    first_byte, _ = borders(loaded)[-1]
    lose_chunk(loaded, first_byte)
    (status,) = statuses(loaded)
    assert (status["state"], status["loaded_bytes"]) == ("unfinished", first_byte)
    assert "unfinished" in loaded.loader("status")
    assert f"a second run goes on after {first_byte} bytes" in loaded.loader("status")


@on_one_version
def test_status_counts_a_compressed_file_as_it_is_stored_and_its_lines_as_they_are(
    loaded: Database, tmp_path: Path
) -> None:
    lines = numbered(tmp_path / "labels.jsonl", 500).read_bytes()
    file = tmp_path / "labels.jsonl.gz"
    file.write_bytes(gzip.compress(lines))
    loaded.loader("load", file)
    (status,) = statuses(loaded)
    assert status["stored_bytes"] == file.stat().st_size
    assert status["loaded_bytes"] == len(lines)


# forget


@pytest.fixture
def first_of_two(loaded: Database, tmp_path: Path) -> Path:
    """The first of two loaded files of several chunks, each with rejected lines."""
    files = []
    for number in range(2):
        good = b'{"file": %d}' % number
        file = write(tmp_path / f"{number}.jsonl", *[good, BAD] * (10 + number))
        cut_into(loaded, file, 100)
        files.append(file)
    loaded.loader("load", *files)
    return files[0]


def numbers_of_files(database: Database) -> list[int]:
    return sorted(document["file"] for document in documents(database))


def only_second_is_left(database: Database) -> None:
    """Assert that all of the first file is gone, and nothing of the second."""
    assert numbers_of_files(database) == [1] * 11
    (status,) = statuses(database)
    assert str(status["name"]).endswith("1.jsonl")
    assert (status["loaded_lines"], status["rejected_lines"]) == (11, 11)
    files, _, responses, rejects = counts(database)
    assert (files, responses, rejects) == (1, 11, 11)


def test_a_file_that_is_forgotten_can_be_loaded_again(loaded: Database, first_of_two: Path) -> None:
    before = counts(loaded)
    assert f"{first_of_two}: 10 lines taken back" in loaded.loader("forget", first_of_two)
    only_second_is_left(loaded)
    cut_into(loaded, first_of_two, 100)
    loaded.loader("load", first_of_two)
    assert counts(loaded) == before
    assert numbers_of_files(loaded) == [0] * 10 + [1] * 11


@on_one_version
@pytest.mark.parametrize("fate", ["moved", "gone", "changed"])
def test_a_file_is_forgotten_by_its_content_or_by_its_name(
    loaded: Database, first_of_two: Path, fate: str
) -> None:
    file = first_of_two
    if fate == "moved":
        file = file.rename(file.with_name("moved.jsonl"))
    elif fate == "gone":
        file.unlink()
    else:
        write(file, GOOD)
    loaded.loader("forget", file)
    only_second_is_left(loaded)


@on_one_version
def test_standard_input_is_forgotten_by_its_name(loaded: Database) -> None:
    assert run(loaded, "load", "-", stdin=GOOD).returncode == 0
    assert counts(loaded)[2] == 1
    loaded.loader("forget", "-")
    assert counts(loaded) == (0, 0, 0, 0)


@on_one_version
def test_what_was_never_loaded_cannot_be_forgotten(loaded: Database, first_of_two: Path) -> None:
    before = counts(loaded)
    other = write(first_of_two.with_name("other.jsonl"), GOOD)
    missing = other.with_name("missing.jsonl")
    for file in (other, missing, "s3://labels/missing.jsonl"):
        assert "loader status" in fails(loaded, "forget", file)
    assert counts(loaded) == before


@on_one_version
def test_a_file_that_is_being_loaded_is_not_forgotten(loaded: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", GOOD)
    with loaded.connect() as admin, loading(loaded, admin, file):
        assert "labels.jsonl: another loader is at it" in fails(loaded, "forget", file)
    assert counts(loaded) == (1, 1, 1, 0)


def test_a_file_is_forgotten_whole_or_not_at_all(loaded: Database, first_of_two: Path) -> None:
    before = counts(loaded)
    with loaded.connect() as connection:
        connection.execute(
            """
            create function raw.refuse() returns trigger language plpgsql as
            $$ begin raise 'it stays'; end $$;
            create trigger refuse before delete on raw.loaded_files
            for each row execute function raw.refuse();
            """
        )
    assert "it stays" in fails(loaded, "forget", first_of_two)
    assert counts(loaded) == before


# init


def persistences(database: Database) -> dict[str, str]:
    query = """
        select relname, relpersistence::text
        from pg_class
        where relnamespace = 'raw'::regnamespace and (relkind = 'r' or relname = 'response_ids')
    """
    return dict(fetch(database, query))


@pytest.mark.usefixtures("first_of_two")
def test_tables_are_logged_or_unlogged_as_the_user_says(loaded: Database) -> None:
    before = counts(loaded)
    tables = (
        *("loaded_files", "loaded_chunks", "rejected_lines", "read_responses"),
        *("rekognition_responses", "clarifai_responses"),
        *("google_vision_responses", "azure_vision_responses"),
        *("forgotten_responses", "released_responses"),
    )
    logged = dict.fromkeys((*tables, "response_ids"), "p")
    # The sequence outlives a crash, or new responses would get ids below those read before.
    unlogged = dict.fromkeys(tables, "u") | {"response_ids": "p"}
    for options, want in [
        ([], logged),
        (["--unlogged"], unlogged),
        ([], unlogged),
        (["--unlogged"], unlogged),
        (["--logged"], logged),
        ([], logged),
    ]:
        loaded.loader("init", *options)
        assert persistences(loaded) == want
    assert counts(loaded) == before


def test_a_new_table_is_unlogged_if_the_ledger_is(loaded: Database) -> None:
    """Else its rows would outlive a crash, and be those of another file with the same number."""
    loaded.loader("init", "--unlogged")
    with loaded.connect() as connection:
        connection.execute("drop table raw.clarifai_responses, raw.released_responses")
    loaded.loader("init")
    assert set(persistences(loaded).items()) >= {
        ("clarifai_responses", "u"),
        ("released_responses", "u"),
        ("loaded_files", "u"),
    }


def test_documents_are_kept_in_lz4_or_as_they_are(loaded: Database) -> None:
    ((has_lz4, *stored),) = fetch(
        loaded,
        """
        select 'lz4' = any(enumvals), attcompression::text, attstorage::text
        from pg_settings, pg_attribute
        where
            pg_settings.name = 'default_toast_compression'
            and attrelid = 'raw.rekognition_responses'::regclass and attname = 'document'
        """,
    )
    assert stored == (["l", "x"] if has_lz4 else ["", "e"])


# rights, time-outs and passwords


@contextmanager
def engineer(database: Database) -> Iterator[psycopg.Connection]:
    """Have a role for a while that may create schemas in the database, and nothing else."""
    with database.connect() as admin:
        admin.execute(f"create role {ENGINEER} login password '{SECRET}'")
        admin.execute(f'grant create on database "{database.name}" to {ENGINEER}')
        try:
            yield admin
        finally:
            admin.execute(f"drop owned by {ENGINEER} cascade")
            admin.execute(f"drop role {ENGINEER}")


def test_no_superuser_is_needed(database: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", GOOD, BAD, GOOD)
    other = write(tmp_path / "other.jsonl", GOOD, BAD)
    with engineer(database):
        for command in (
            *("init", "init", f"load {file}", "status", "rejects", "retry-rejects"),
            *("init --unlogged", "init --logged"),
            *(f"load --labeller clarifai {other}", f"forget {other}", f"forget {file}"),
        ):
            done = run(database, *command.split(), PGUSER=ENGINEER)
            assert done.returncode == 0, done.stderr


@contextmanager
def loading(
    database: Database, admin: psycopg.Connection, file: Path, **environment: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """Have a load that waits to write its lines for a while, and then goes on and ends well."""
    with admin.transaction():
        admin.execute("lock table raw.rekognition_responses")
        process = start(database, "load", file, **environment)
        wait_until_blocked(admin)
        yield process
    done = end(process)
    assert done.returncode == 0, done.stderr
    assert "trying again" not in done.stderr


def test_a_chunk_on_its_way_holds_the_lock_that_settling_waits_for(
    loaded: Database, tmp_path: Path
) -> None:
    # Without it a run of dbt would go by ids of lines that it cannot see yet, and never read them.
    query = "select pg_try_advisory_xact_lock('raw.rekognition_responses'::regclass::bigint)"
    with loaded.connect() as admin, loading(loaded, admin, write(tmp_path / "labels", GOOD)):
        assert fetch(loaded, query) == [(False,)]


@on_one_version
def test_every_session_has_an_application_name(loaded: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", GOOD)
    with loaded.connect() as admin, loading(loaded, admin, file, PGAPPNAME="else"):
        names = admin.execute(
            """
            select application_name from pg_stat_activity
            where datname = current_database() and pid != pg_backend_pid()
            and backend_type = 'client backend'
            """
        ).fetchall()
    assert len(names) >= 2
    assert set(names) == {("label-refinery",)}


def test_the_time_outs_of_the_role_do_not_break_a_load(database: Database, tmp_path: Path) -> None:
    # 200 ms let a session begin on a busy machine too, and are too short for the wait of `loading`.
    file = numbered(tmp_path / "labels.jsonl", 60_000)
    timeouts = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    with engineer(database) as admin:
        assert run(database, "init", PGUSER=ENGINEER).returncode == 0
        for timeout in timeouts:
            admin.execute(f"alter role {ENGINEER} set {timeout} = '200ms'")
        with loading(database, admin, file, PGUSER=ENGINEER):
            time.sleep(1)
        assert counts(database)[2] == 60_000


@contextmanager
def asking_for_a_password(server: Server) -> Iterator[None]:
    """Let the server ask the engineer's password for a while; others it trusts."""
    rules = server.data / "pg_hba.conf"
    before = rules.read_text()

    def set_rules(text: str) -> None:
        rules.write_text(text)
        with psycopg.connect(**server.parameters(), autocommit=True) as connection:
            connection.execute("select pg_reload_conf()")

    set_rules(f"local all {ENGINEER} scram-sha-256\n{before}")
    try:
        yield
    finally:
        set_rules(before)


def command_lines() -> str:
    """Return what a process list shows of every process."""
    shown = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            shown.append(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
    return "\n".join(shown)


@on_one_version
def test_a_password_is_never_shown(server: Server, database: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", GOOD, BAD)
    right = {"PGUSER": ENGINEER, "PGPASSWORD": SECRET}
    wrong = {"PGUSER": ENGINEER, "PGPASSWORD": f"{SECRET}-not"}
    with engineer(database) as admin, asking_for_a_password(server):
        # The server reads its rules again in its own time.
        wait_for(lambda: run(database, "init", **wrong).returncode != 0)
        words = fails(database, "init", **wrong)
        assert "password authentication failed" in words
        assert "PGPASSWORD" in words
        words += fails(database, "load", file, **wrong)
        for arguments in (["init"], ["status"]):
            done = run(database, *arguments, **right)
            assert done.returncode == 0, done.stderr
            words += done.stdout + done.stderr
        with loading(database, admin, file, **right) as process:
            shown = command_lines()
            assert str(process.args[1]) in shown
        assert SECRET not in words + shown


# progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that a test sets."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("loader.progress.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "loader")
    return caplog


PLAIN = LabelFile("/data/labels.jsonl", 100_000_000, "")
STORED = io.BytesIO()


def test_without_a_terminal_a_line_is_said_every_30_seconds(
    clock: SimpleNamespace, said: pytest.LogCaptureFixture
) -> None:
    lines_at = []
    with Progress(PLAIN, 0, STORED, is_quiet=False) as progress:
        for second in range(0, 100, 5):
            clock.now = 1000.0 + second
            progress.advance(1_000_000, Account(10, 1, 1))
            lines_at += [second] * len(said.messages)
            said.clear()
    assert lines_at == [30, 60, 90]


@pytest.mark.parametrize(
    ("file", "begin", "stored_bytes", "steps", "want"),
    [
        (
            *(PLAIN, 0, 0),
            [(10, 10_000_000, Account(100, 2, 3)), (30, 10_000_000, Account(1000, 20, 30))],
            ["/data/labels.jsonl: 20 MB of 100, 0.5 MB/s, 1,155 lines, 22 rejected, 3 min left"],
        ),
        (
            *(PLAIN, 40_000_000, 0),
            [(30, 12_000_000, Account(1))],
            [
                "/data/labels.jsonl: going on after 40,000,000 bytes",
                "/data/labels.jsonl: 52 MB of 100, 0.4 MB/s, 1 lines, 0 rejected, 2 min left",
            ],
        ),
        (
            *(LabelFile("labels.jsonl.gz", 4_000_000, ""), 50_000_000, 1_000_000),
            [(50, 90_000_000, Account(1))],
            ["labels.jsonl.gz: 1 MB of 4, 0.0 MB/s, 1 lines, 0 rejected, 2 min left"],
        ),
        (
            *(LabelFile("-", None, ""), 0, 0),
            [(30, 60_000_000, Account(5))],
            ["-: 60 MB, 2.0 MB/s, 5 lines, 0 rejected"],
        ),
    ],
    ids=["from its beginning", "going on", "bytes as they are stored", "standard input"],
)
def test_what_a_line_of_progress_says(
    clock: SimpleNamespace,
    said: pytest.LogCaptureFixture,
    file: LabelFile,
    begin: int,
    stored_bytes: int,
    steps: list[tuple[int, int, Account]],
    want: list[str],
) -> None:
    for is_quiet, messages in ((False, want), (True, [])):
        said.clear()
        stored = io.BytesIO()
        with Progress(file, begin, stored, is_quiet) as progress:
            stored.seek(stored_bytes)
            for seconds, loaded_bytes, account in steps:
                clock.now += seconds
                progress.advance(loaded_bytes, account)
        assert said.messages == messages


@on_one_version
def test_reading_past_what_is_loaded_is_shown(
    loaded: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: pytest.LogCaptureFixture,
) -> None:
    # Of 200 GB compressed it takes an hour; without a word one would think that it hangs.
    file = tmp_path / "labels.jsonl.bz2"
    file.write_bytes(bz2.compress(numbered(tmp_path / "labels.jsonl", 40_000).read_bytes()))
    cut_into(loaded, file, 300_000)
    loaded.loader("load", file)
    assert counts(loaded)[1] >= 10
    lose_chunk(loaded, borders(loaded)[-1][0])
    monkeypatch.setattr("loader.progress.SECONDS_BETWEEN_LINES", 0)
    assert 0 < load_here(loaded, file).loaded < 40_000
    progress = [message for message in said.messages if " MB of " in message]
    assert len(progress) >= 5  # one chunk is loaded, more than ten are read past


@on_one_version
def test_quiet_says_only_the_account(loaded: Database, tmp_path: Path) -> None:
    file = numbered(tmp_path / "labels.jsonl", 50)
    cut_into(loaded, file, 1000)
    done = run(loaded, "load", "--quiet", file)
    assert done.stderr == f"{file}: 50 lines = 50 loaded + 0 rejected + 0 blank\n"
    lose_chunk(loaded, borders(loaded)[-1][0])
    (account,) = run(loaded, "load", "--quiet", file).stderr.splitlines()
    assert re.fullmatch(rf"{file}: (\d+) lines = \1 loaded \+ 0 rejected \+ 0 blank", account)


def said_on_a_terminal(database: Database, *arguments: str | Path) -> str:
    """Run a loader command with a pseudo-terminal as standard error; return what came there."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 150, 0, 0))
    words = bytearray()

    def read() -> None:
        with os.fdopen(master, "rb", buffering=0) as terminal:
            try:
                while block := terminal.read(4096):
                    words.extend(block)
            except OSError:
                return  # how Linux says that the other end is closed

    reader = threading.Thread(target=read)
    reader.start()
    done = end(start(database, *arguments, stderr=slave))
    os.close(slave)
    reader.join()
    assert done.returncode == 0
    return words.decode()


@on_one_version
def test_on_a_terminal_there_is_a_bar(loaded: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", *[GOOD] * 3000, BAD)
    cut_into(loaded, file, 4000)
    words = said_on_a_terminal(loaded, "load", file)
    bars = [part for part in words.split("\r") if "labels.jsonl: " in part and "|" in part]
    assert len(bars) > 1
    assert "100%" in bars[-1]
    assert "lines=3001" in bars[-1]
    assert "rejected=1" in bars[-1]
    assert "B/s" in bars[-1]
    account = words.splitlines()[-1]
    assert account == f"{file}: 3,001 lines = 3,000 loaded + 1 rejected + 0 blank"


@on_one_version
def test_quiet_shows_no_bar(loaded: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", GOOD)
    words = said_on_a_terminal(loaded, "load", "--quiet", file)
    assert words == f"{file}: 1 lines = 1 loaded + 0 rejected + 0 blank\r\n"


@on_one_version
def test_each_of_several_files_has_its_account(loaded: Database, tmp_path: Path) -> None:
    files = [write(tmp_path / f"{n}.jsonl", *[b'{"file": %d}' % n] * (n + 1)) for n in range(3)]
    run(loaded, "load", files[1])
    assert run(loaded, "load", *files).stderr.splitlines() == [
        f"{files[0]}: 1 lines = 1 loaded + 0 rejected + 0 blank",
        f"{files[1]}: loaded before, nothing to do",
        f"{files[2]}: 3 lines = 3 loaded + 0 rejected + 0 blank",
    ]
    assert [status["name"] for status in statuses(loaded)] == [
        str(files[number]) for number in (1, 0, 2)
    ]


# usage


def cli_says(monkeypatch: pytest.MonkeyPatch, arguments: str, status: int) -> str:
    """Return what a command says that has to end with a status before it reaches a server."""
    monkeypatch.setenv("PGHOST", "/nonexistent")
    monkeypatch.setattr("signal.signal", lambda *_: None)  # cli sets this process's own
    result = CliRunner().invoke(cli, arguments.split())
    assert result.exit_code == status
    return " ".join((result.stderr if status else result.stdout).split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "Usage:"),
        ("unknown", "unknown"),
        ("--unknown", "--unknown"),
        ("init file", "file"),
        ("load", "FILE"),
        ("load --workers file", "--workers"),
        ("load --workers=0 file", "0 is not in the range x>=1"),
        ("load --workers=two file", "two"),
        ("load --workers=1.5 file", "1.5"),
        ("load --give-up-after=0 file", "0 is not in the range x>=1"),
        ("load --give-up-after= file", "--give-up-after"),
        ("load --max-rejects=many file", "many is no count, as 500, and no percentage, as 1%"),
        ("load --max-rejects=-1 file", "-1 is no count"),
        ("load --unknown file", "--unknown"),
        ("status file", "file"),
        ("rejects --unknown", "--unknown"),
        ("retry-rejects file", "file"),
        ("forget", "FILE"),
        ("forget one two", "two"),
        ("release", "FILE"),
        ("release one two", "two"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_why(
    monkeypatch: pytest.MonkeyPatch, arguments: str, words: str
) -> None:
    assert words in cli_says(monkeypatch, arguments, status=2)


@pytest.mark.parametrize("command", cli.commands)
def test_every_command_explains_itself(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    assert command in cli_says(monkeypatch, f"{command} --help", status=0)


def test_every_option_of_load_has_its_default_in_help(monkeypatch: pytest.MonkeyPatch) -> None:
    words = cli_says(monkeypatch, "load --help", status=0)
    for default in ("default: 1%", "default: 120", "default: (half of"):
        assert default in words
