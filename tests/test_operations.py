"""What an operator does and sees: status, forget, rights, time-outs, passwords, progress, usage."""

import bz2
import gzip
import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from conftest import Database
from loads import (
    BAD,
    GOOD,
    borders,
    counts,
    cut_into,
    documents,
    end,
    fails,
    fetch,
    load_here,
    lose_chunk,
    says,
    start,
    wait_for,
    wait_until_blocked,
    write,
)

from loader.cli import cli
from loader.files import LabelFile
from loader.ledger import Account
from loader.progress import Progress
from loader.schema import tables
from trial.server import Server

ENGINEER = "engineer"
SECRET = "open-sesame-4711"  # noqa: S105 - of a role that lives as long as a test


# status


def statuses(database: Database) -> list[dict[str, object]]:
    return [json.loads(line) for line in database.loader("status", "--json").splitlines()]


def test_status_of_a_loaded_file(loaded: Database, tmp_path: Path) -> None:
    """Its bytes are counted as they are stored, and its lines' decompressed."""
    assert loaded.loader("status") == "nothing has been loaded\n"
    assert loaded.loader("status", "--json") == ""
    file = tmp_path / "labels.jsonl.gz"
    file.write_bytes(gzip.compress(b"\n".join([GOOD, BAD, b"", GOOD, b""])))
    load = loaded.invoke(cli, "load", file)
    account = f"{file}: 4 lines = 2 loaded + 1 rejected + 1 blank\n"
    assert (load.stdout, load.stderr) == ("", account)
    done = loaded.invoke(cli, "status")
    assert done.stderr == ""
    line, totals = done.stdout.splitlines()
    assert totals == "in all 1, unfinished 0: 2 loaded + 1 rejected + 1 blank lines, 44 bytes"
    beginning = f"{file}: loaded (rekognition), 2 loaded + 1 rejected + 1 blank lines, 44 bytes in "
    assert line.startswith(beginning)
    assert line.endswith("a second run loads nothing")
    (status,) = statuses(loaded)
    seconds = status.pop("seconds")
    assert isinstance(seconds, float)
    assert seconds > 0
    assert status.pop("bytes_per_second") == pytest.approx(44 / seconds)
    times = [str(status.pop(name)) for name in ("started_at", "last_loaded_at", "finished_at")]
    assert all("T" in time for time in times)
    started_at, last_loaded_at, finished_at = map(datetime.fromisoformat, times)
    assert started_at < last_loaded_at <= finished_at
    assert status == {
        "name": str(file),
        "labeller": "rekognition",
        "state": "loaded",
        "stored_bytes": file.stat().st_size,
        "loaded_bytes": 44,
        "loaded_lines": 2,
        "rejected_lines": 1,
        "blank_lines": 1,
        "second_run": "loads nothing",
    }


def test_status_of_an_unfinished_file(loaded: Database, tmp_path: Path) -> None:
    begun = write(tmp_path / "begun.jsonl", *[GOOD] * 200)
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
    assert (status["loaded_lines"], status["rejected_lines"]) == counts(database) == (11, 11)


@pytest.mark.both_versions
def test_a_file_that_is_forgotten_can_be_loaded_again(loaded: Database, first_of_two: Path) -> None:
    before = counts(loaded)
    assert f"{first_of_two}: 10 lines taken back" in loaded.loader("forget", first_of_two)
    only_second_is_left(loaded)
    cut_into(loaded, first_of_two, 100)
    loaded.loader("load", first_of_two)
    assert counts(loaded) == before
    assert numbers_of_files(loaded) == [0] * 10 + [1] * 11


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


def test_standard_input_is_forgotten_by_its_name(loaded: Database) -> None:
    loaded.invoke(cli, "load", "-", stdin=GOOD)
    assert counts(loaded) == (1, 0)
    loaded.loader("forget", "-")
    assert loaded.loader("status") == "nothing has been loaded\n"


def test_what_was_never_loaded_cannot_be_forgotten(loaded: Database, first_of_two: Path) -> None:
    before = counts(loaded)
    other = write(first_of_two.with_name("other.jsonl"), GOOD)
    missing = other.with_name("missing.jsonl")
    for file in (other, missing, "s3://labels/missing.jsonl"):
        assert "loader status" in fails(loaded, "forget", file)
    assert counts(loaded) == before


# init


def persistences(database: Database) -> dict[str, str]:
    query = """
        select relname, relpersistence::text
        from pg_class
        where relnamespace = 'raw'::regnamespace and (relkind = 'r' or relname = 'response_ids')
    """
    return dict(fetch(database, query))


@pytest.mark.both_versions
def test_tables_are_logged_or_unlogged_together_as_the_user_says(
    own_loaded: Database, tmp_path: Path
) -> None:
    own_loaded.loader("load", write(tmp_path / "labels.jsonl", GOOD, BAD))
    logged = dict.fromkeys((*tables(), "response_ids"), "p")
    # The sequence outlives a crash, or new responses would get ids below those read before.
    unlogged = dict.fromkeys(tables(), "u") | {"response_ids": "p"}
    for options, want in [
        ([], logged),
        (["--unlogged"], unlogged),
        ([], unlogged),
        (["--unlogged"], unlogged),
        (["--logged"], logged),
        ([], logged),
    ]:
        own_loaded.loader("init", *options)
        assert persistences(own_loaded) == want
    assert counts(own_loaded) == (1, 1)
    # A new table too: its rows would outlive a crash, and be those of another file's number.
    own_loaded.loader("init", "--unlogged")
    with own_loaded.connect() as connection:
        connection.execute("drop table raw.clarifai_responses, raw.released_responses")
    own_loaded.loader("init")
    assert persistences(own_loaded) == unlogged


@pytest.mark.both_versions
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


@pytest.mark.both_versions
def test_no_superuser_is_needed(database: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", GOOD, BAD, GOOD)
    other = write(tmp_path / "other.jsonl", GOOD, BAD)
    with engineer(database):
        for command in (
            *("init", "init", f"load {file}", "status", "rejects", "retry-rejects"),
            *("init --unlogged", "init --logged"),
            *(f"load --labeller clarifai {other}", f"forget {other}", f"forget {file}"),
        ):
            done = database.invoke(cli, *command.split(), PGUSER=ENGINEER)
            assert done.exit_code == 0, done.stderr


# From 17 on there is one for transactions too.
TIME_OUTS = """
select name from pg_settings
where name ~ '^(statement|lock|transaction|idle_session|idle_in_transaction_session)_timeout$'
"""


@pytest.mark.both_versions
def test_the_time_outs_of_the_role_do_not_hold_for_a_load(
    database: Database, tmp_path: Path
) -> None:
    file = write(tmp_path / "labels.jsonl", GOOD)
    with engineer(database) as admin:
        names = [name for (name,) in admin.execute(TIME_OUTS)]
        assert len(names) >= 4
        for name in names:
            admin.execute(f"alter role {ENGINEER} set {name} = '59min'")
        database.invoke(cli, "init", PGUSER=ENGINEER)
        # What holds in the sessions that write the rows of the file and of its chunk.
        settings = ", ".join(f"current_setting('{name}')" for name in names)
        for table in ("loaded_files", "loaded_chunks"):
            column = f"add column settings text[] default array[{settings}]"
            admin.execute(f"alter table raw.{table} {column}")
        assert database.invoke(cli, "load", file, PGUSER=ENGINEER).exit_code == 0
        for table in ("loaded_files", "loaded_chunks"):
            ((found,),) = fetch(database, f"select settings from raw.{table}")  # noqa: S608 - from above
            assert "59min" not in found


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


def test_a_load_shows_its_name_to_others_and_never_a_password(
    server: Server, database: Database, tmp_path: Path
) -> None:
    file = write(tmp_path / "labels.jsonl", GOOD, BAD)
    right = {"PGUSER": ENGINEER, "PGPASSWORD": SECRET, "PGAPPNAME": "else"}
    wrong = right | {"PGPASSWORD": f"{SECRET}-not"}
    names = "select distinct application_name from pg_stat_activity where usename = %s"
    with engineer(database) as admin, asking_for_a_password(server):
        # The server reads its rules again in its own time.
        wait_for(lambda: database.invoke(cli, "init", **wrong).exit_code != 0)
        words = fails(database, "init", **wrong)
        assert "password authentication failed" in words
        assert "PGPASSWORD" in words
        words += fails(database, "load", file, **wrong)
        for command in ("init", "status"):
            done = database.invoke(cli, command, **right)
            assert done.exit_code == 0, done.stderr
            words += done.stdout + done.stderr
        with admin.transaction():
            admin.execute("lock table raw.rekognition_responses")
            process = start(database, "load", file, **right)
            wait_until_blocked(admin)
            shown = command_lines()
            assert str(process.args[1]) in shown
            assert fetch(database, names, ENGINEER) == [("label-refinery",)]
        done = end(process)
        assert done.returncode == 0
        assert SECRET not in words + shown + done.stderr


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
    ("file", "begin", "stored_bytes", "loaded_bytes", "want"),
    [
        (
            *(PLAIN, 40_000_000, 0, 12_000_000),
            [
                "/data/labels.jsonl: going on after 40,000,000 bytes",
                "/data/labels.jsonl: 52 MB of 100, 0.4 MB/s, 1,155 lines, 22 rejected, 2 min left",
            ],
        ),
        (
            *(LabelFile("labels.jsonl.gz", 4_000_000, ""), 50_000_000, 1_000_000, 90_000_000),
            ["labels.jsonl.gz: 1 MB of 4, 0.0 MB/s, 1,155 lines, 22 rejected, 2 min left"],
        ),
        (
            *(LabelFile("-", None, ""), 0, 0, 60_000_000),
            ["-: 60 MB, 2.0 MB/s, 1,155 lines, 22 rejected"],
        ),
    ],
    ids=["going on", "bytes as they are stored", "standard input"],
)
def test_what_a_line_of_progress_says(
    clock: SimpleNamespace,
    said: pytest.LogCaptureFixture,
    file: LabelFile,
    begin: int,
    stored_bytes: int,
    loaded_bytes: int,
    want: list[str],
) -> None:
    stored = io.BytesIO()
    with Progress(file, begin, stored, is_quiet=False) as progress:
        progress.advance(0, Account(155, 2, 3))
        stored.seek(stored_bytes)
        clock.now += 30
        progress.advance(loaded_bytes, Account(955, 20, 20))
    assert said.messages == want


def test_reading_past_what_is_loaded_is_shown(
    loaded: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: pytest.LogCaptureFixture,
) -> None:
    # Of 200 GB compressed it takes an hour; without a word one would think that it hangs.
    file = tmp_path / "labels.jsonl.bz2"
    file.write_bytes(bz2.compress((GOOD + b"\n") * 1000))
    cut_into(loaded, file, 1000)
    loaded.loader("load", file)
    assert len(borders(loaded)) >= 10
    lose_chunk(loaded, borders(loaded)[-1][0])
    monkeypatch.setattr("loader.progress.SECONDS_BETWEEN_LINES", 0)
    assert 0 < load_here(loaded, file).loaded < 1000
    progress = [message for message in said.messages if " MB of " in message]
    assert len(progress) >= 5  # one chunk is loaded, more than ten are read past


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let standard error pass for a terminal."""
    monkeypatch.setenv("COLUMNS", "150")
    as_terminal = SimpleNamespace(stderr=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("loader.progress.sys", as_terminal)


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_there_is_a_bar(loaded: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", *[GOOD] * 3000, BAD)
    cut_into(loaded, file, 4000)
    words = loaded.loader("load", file)
    bars = [part for part in words.split("\r") if "labels.jsonl: " in part and "|" in part]
    assert len(bars) > 1
    for part in ("100%", "lines=3001", "rejected=1", "B/s"):
        assert part in bars[-1]
    account = words.splitlines()[-1]
    assert account == f"{file}: 3,001 lines = 3,000 loaded + 1 rejected + 0 blank"


@pytest.mark.usefixtures("terminal")
def test_quiet_says_only_the_account(loaded: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", *[GOOD] * 200)
    cut_into(loaded, file, 1000)
    account = f"{file}: 200 lines = 200 loaded + 0 rejected + 0 blank\n"
    assert loaded.loader("load", "--quiet", file) == account
    lose_chunk(loaded, borders(loaded)[-1][0])
    (account,) = loaded.loader("load", "--quiet", file).splitlines()
    assert re.fullmatch(rf"{file}: (\d+) lines = \1 loaded \+ 0 rejected \+ 0 blank", account)


# usage


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "Usage:"),
        ("unknown", "unknown"),
        ("--unknown", "--unknown"),
        ("init file", "file"),
        ("load", "FILE"),
        ("load --unknown file", "--unknown"),
        ("load --workers=0 file", "0 is not in the range x>=1"),
        ("load --give-up-after=0 file", "0 is not in the range x>=1"),
        ("load --max-rejects=many file", "many is no count, as 500, and no percentage, as 1%"),
        ("status file", "file"),
        ("retry-rejects file", "file"),
        ("forget", "FILE"),
        ("release one two", "two"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_why(
    monkeypatch: pytest.MonkeyPatch, arguments: str, words: str
) -> None:
    assert words in says(monkeypatch, arguments, status=2)


@pytest.mark.parametrize("command", cli.commands)
def test_every_command_explains_itself(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    assert command in says(monkeypatch, f"{command} --help", status=0)


def test_every_option_of_load_has_its_default_in_help(monkeypatch: pytest.MonkeyPatch) -> None:
    words = says(monkeypatch, "load --help", status=0)
    for default in ("default: 1%", "default: 120", "default: (half of"):
        assert default in words
