"""Lines that are not loaded: how many are borne, which are too long, and trying them again."""

import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from conftest import Database

from loader.copy import Account
from loader.files import find_files
from loader.load import RejectLimit
from trial.server import PROJECT, ROLE

# Counting and cutting are the loader's own; no version of Postgres changes them.
on_one_version = pytest.mark.parametrize("server", [18], indirect=True, ids=["postgres18"])

GOOD = b'{"good": true}'
BAD = b'{"cut": "off'
MARK = b"\xef\xbb\xbf"
MIB = 1 << 20
KEPT = 1000


def write(path: Path, *lines: bytes, end: bytes = b"\n") -> Path:
    path.write_bytes(b"\n".join(lines) + end)
    return path


def cut_into(database: Database, path: Path, chunk_bytes: int) -> None:
    """Let the loader cut a file into chunks of this size, as if a first load had begun so."""
    (file,) = find_files([str(path)])
    with database.connect() as connection:
        connection.execute(
            "insert into raw.loaded_files (name, bytes, fingerprint, chunk_bytes) "
            "values (%s, %s, %s, %s)",
            (file.name, file.size, file.fingerprint, chunk_bytes),
        )


def fails(database: Database, *arguments: str | Path) -> str:
    """Run a loader command that has to fail as a user should see it, and return its words."""
    done = database.run(sys.executable, "-m", "loader", *arguments)
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    return done.stderr


def counts(database: Database) -> tuple[int, int]:
    """Return how many lines are loaded and rejected, which the ledger has to confirm."""
    with database.connect() as connection:
        in_tables = connection.execute(
            """
            select
                (select count(*) from raw.rekognition_responses),
                (select count(*) from raw.rejected_lines)
            """
        ).fetchone()
        in_ledger = connection.execute(
            """
            select
                coalesce(sum(loaded_lines), 0)::bigint,
                coalesce(sum(rejected_lines), 0)::bigint
            from raw.loaded_chunks
            """
        ).fetchone()
        by_chunk = connection.execute(
            """
            select chunk_id
            from raw.loaded_chunks as chunk
            where
                loaded_lines != (
                    select count(*) from raw.rekognition_responses as response
                    where response.chunk_id = chunk.chunk_id
                )
                or rejected_lines != (
                    select count(*) from raw.rejected_lines as line
                    where line.chunk_id = chunk.chunk_id
                )
            """
        ).fetchall()
    assert in_tables == in_ledger
    assert by_chunk == []
    return in_tables


def is_finished(database: Database) -> bool:
    with database.connect() as connection:
        (finished,) = connection.execute(
            "select finished_at is not null from raw.loaded_files"
        ).fetchone()
    return bool(finished)


@pytest.mark.parametrize(
    ("limit", "account", "at_end", "is_exceeded"),
    [
        ("0", Account(9, 0, 0), True, False),
        ("0", Account(9, 1, 0), False, True),
        ("5", Account(0, 5, 0), True, False),
        ("5", Account(999, 6, 0), False, True),
        ("1%", Account(1, 99, 0), False, False),
        ("1%", Account(1, 99, 0), True, False),
        ("1%", Account(9899, 100, 0), False, True),
        ("1%", Account(9900, 100, 0), False, False),
        ("1%", Account(9000, 100, 900), False, False),
        ("0.5%", Account(9900, 100, 0), True, True),
        ("1%", Account(0, 1, 0), False, False),
        ("1%", Account(0, 1, 0), True, True),
        ("1%", Account(0, 1, 5), True, True),
        ("1%", Account(0, 0, 5), True, False),
        ("100%", Account(0, 500, 0), True, False),
    ],
)
def test_what_a_limit_bears(limit: str, account: Account, at_end: bool, is_exceeded: bool) -> None:
    assert RejectLimit.parse(limit).is_exceeded(account, at_end) is is_exceeded


@pytest.mark.parametrize("limit", ["", "-1", "1.5", "%", "one", "1 %", "1%%", ".5%", "1e3"])
def test_what_is_no_limit(limit: str) -> None:
    with pytest.raises(ValueError, match="is no count"):
        RejectLimit.parse(limit)


@on_one_version
def test_a_count_stops_the_load_and_a_higher_one_goes_on(loaded: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", *[GOOD, BAD] * 5, *[GOOD] * 2000)
    cut_into(loaded, file, 1000)
    words = fails(loaded, "load", "--max-rejects=4", file)
    assert f"{file}: 5 of " in words
    assert "--max-rejects" in words
    assert "loader rejects" in words
    good, bad = counts(loaded)
    assert 0 < good < 2000  # it was stopped on its way, and what was loaded stays
    assert bad == 5
    assert not is_finished(loaded)
    loaded.loader("load", "--max-rejects=5", str(file))
    assert counts(loaded) == (2005, 5)
    assert is_finished(loaded)


@on_one_version
def test_a_percentage_stops_the_load_and_a_higher_one_goes_on(
    loaded: Database, tmp_path: Path
) -> None:
    file = write(tmp_path / "labels.jsonl", *[BAD, *[GOOD] * 9] * 100)
    assert "100 of 1,000 lines are no JSON" in fails(loaded, "load", file)
    assert "100 of 1,000 lines" in fails(loaded, "load", "--max-rejects=9.9%", file)
    assert not is_finished(loaded)
    assert "0 lines = " in loaded.loader("load", "--max-rejects=10%", str(file))
    assert counts(loaded) == (900, 100)
    assert is_finished(loaded)


@on_one_version
def test_what_was_rejected_before_counts_when_a_load_goes_on(
    loaded: Database, tmp_path: Path
) -> None:
    bad = [BAD] * 3
    file = write(tmp_path / "labels.jsonl", *bad, *[GOOD] * 500, *bad, *[GOOD] * 2000)
    cut_into(loaded, file, 1000)
    fails(loaded, "load", "--max-rejects=2", file)
    assert "6 of " in fails(loaded, "load", "--max-rejects=5", file)
    assert counts(loaded)[0] < 2500  # it was stopped on its way, not at the end
    loaded.loader("load", "--max-rejects=6", str(file))
    assert counts(loaded) == (2500, 6)


@on_one_version
def test_a_percentage_does_not_stop_a_small_file_with_a_few_bad_lines(
    loaded: Database, tmp_path: Path
) -> None:
    file = write(tmp_path / "labels.jsonl", *[BAD] * 99, GOOD)
    assert "1 loaded + 99 rejected" in loaded.loader("load", str(file))


@on_one_version
def test_a_file_without_a_line_of_json_is_an_error_at_its_end(
    loaded: Database, tmp_path: Path
) -> None:
    file = write(tmp_path / "table.csv", b"identifier,label", b"", b"1,cat")
    assert "2 of 3 lines are no JSON; is it a label file?" in fails(loaded, "load", file)
    assert "2 of 3 lines are no JSON" in fails(loaded, "load", file)  # nor by trying again
    loaded.loader("load", "--max-rejects=100%", str(file))
    assert is_finished(loaded)


@on_one_version
def test_ten_thousand_bad_lines_in_one_chunk_are_no_trouble(
    loaded: Database, tmp_path: Path
) -> None:
    file = write(tmp_path / "labels.jsonl", *[BAD, GOOD] * 10_000)
    loaded.loader("load", "--max-rejects=50%", str(file))
    assert counts(loaded) == (10_000, 10_000)
    with loaded.connect() as connection:
        assert connection.execute("select count(*) from raw.loaded_chunks").fetchone() == (1,)


def overlong(size: int) -> bytes:
    return b'{"long": "' + b"x" * (size - 12) + b'"}'


def rejected(database: Database) -> list[tuple[int, bytes, bool]]:
    with database.connect() as connection:
        return connection.execute(
            "select byte_offset, line, is_whole from raw.rejected_lines order by byte_offset"
        ).fetchall()


@on_one_version
@pytest.mark.parametrize("chunk_bytes", [10, 700_000, 8 * MIB])
@pytest.mark.parametrize("place", ["first", "middle", "last", "last without newline"])
def test_an_overlong_line_is_rejected_and_costs_no_other(
    loaded: Database, tmp_path: Path, chunk_bytes: int, place: str
) -> None:
    long = overlong(MIB + 300_001)
    lines = [b'{"line": %d}' % number for number in range(4)]
    index = {"first": 0, "middle": 2}.get(place, 4)
    lines.insert(index, long)
    end = b"" if place.endswith("without newline") else b"\n"
    file = write(tmp_path / "labels.jsonl", *lines, end=end)
    cut_into(loaded, file, chunk_bytes)
    words = loaded.loader("load", "--max-line-mb=1", str(file))
    assert "5 lines = 4 loaded + 1 rejected + 0 blank" in words
    assert counts(loaded) == (4, 1)
    assert rejected(loaded) == [(file.read_bytes().index(long), long[:KEPT], False)]
    with loaded.connect() as connection:
        documents = connection.execute("select document from raw.rekognition_responses").fetchall()
        (reason,) = connection.execute("select reason from raw.rejected_lines").fetchone()
        (end_byte,) = connection.execute("select max(end_byte) from raw.loaded_chunks").fetchone()
    assert sorted(document["line"] for (document,) in documents) == [0, 1, 2, 3]
    assert reason.startswith(f"{len(long)} bytes are more than --max-line-mb allows")
    assert end_byte == file.stat().st_size


@on_one_version
@pytest.mark.parametrize("chunk_bytes", [10, 8 * MIB])
def test_a_line_of_just_the_limit_is_loaded(
    loaded: Database, tmp_path: Path, chunk_bytes: int
) -> None:
    lines = [overlong(MIB), overlong(MIB + 1), overlong(MIB + 2), overlong(MIB)]
    file = write(tmp_path / "labels.jsonl", *lines, end=b"")
    cut_into(loaded, file, chunk_bytes)
    loaded.loader("load", "--max-line-mb=1", str(file))
    assert counts(loaded) == (2, 2)
    assert [offset for offset, _, _ in rejected(loaded)] == [MIB + 1, 2 * MIB + 3]


@on_one_version
def test_another_limit_moves_no_border(loaded: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", GOOD, overlong(2 * MIB), GOOD, GOOD, end=b"")
    cut_into(loaded, file, 10)
    borders = "select first_byte, end_byte from raw.loaded_chunks order by 1"
    loaded.loader("load", "--max-line-mb=1", str(file))
    with loaded.connect() as connection:
        before = connection.execute(borders).fetchall()
        connection.execute("truncate raw.rekognition_responses")
        connection.execute("truncate raw.loaded_chunks cascade")
        connection.execute("update raw.loaded_files set finished_at = null")
    loaded.loader("load", str(file))
    with loaded.connect() as connection:
        assert connection.execute(borders).fetchall() == before
    assert counts(loaded) == (4, 0)


@pytest.mark.parametrize("chunk_bytes", [10, 8 * MIB])
def test_a_mark_is_passed_over_at_the_beginning_and_refused_elsewhere(
    loaded: Database, tmp_path: Path, chunk_bytes: int
) -> None:
    file = write(tmp_path / "labels.jsonl", MARK + GOOD, MARK + GOOD, GOOD)
    cut_into(loaded, file, chunk_bytes)  # with 10 the second mark begins a chunk
    loaded.loader("load", str(file))
    assert counts(loaded) == (2, 1)
    assert rejected(loaded) == [(len(MARK + GOOD) + 1, MARK + GOOD, True)]


def test_the_first_line_is_found_where_it_begins_after_a_mark(
    loaded: Database, tmp_path: Path
) -> None:
    file = write(tmp_path / "labels.jsonl", MARK + BAD, GOOD)
    loaded.loader("load", str(file))
    assert rejected(loaded) == [(len(MARK), BAD, True)]


@pytest.fixture
def with_rejects(loaded: Database, tmp_path: Path) -> tuple[Database, Path]:
    """A database with rejected lines of a file, one of them overlong."""
    latin1 = b'{"latin1": "caf\xe9"}'
    file = write(tmp_path / "labels.jsonl", GOOD, BAD, latin1, overlong(MIB + 1), GOOD)
    loaded.loader("load", "--max-line-mb=1", str(file))
    return loaded, file


def test_rejects_are_listed(with_rejects: tuple[Database, Path]) -> None:
    database, file = with_rejects
    first, second, third = database.loader("rejects").splitlines()
    begin = len(GOOD) + 1
    assert first.startswith(f"{file}: byte {begin}: invalid input syntax for type json")
    assert first.endswith(': {"cut": "off')
    assert second.startswith(f"{file}: byte {begin + len(BAD) + 1}: invalid byte sequence")
    assert second.endswith(r': {"latin1": "caf\351"}')
    assert "are more than --max-line-mb allows" in third
    assert len(third) < 500


def test_rejects_are_listed_for_machines(with_rejects: tuple[Database, Path]) -> None:
    database, file = with_rejects
    first, *others = [
        json.loads(line) for line in database.loader("rejects", "--json").split("\n")[:-1]
    ]
    reason = first.pop("reason")
    assert reason.startswith("invalid input syntax for type json")
    assert first == {
        "file": str(file),
        "byte_offset": len(GOOD) + 1,
        "bytes": len(BAD),
        "beginning": BAD.decode(),
    }
    assert len(others) == 2


@on_one_version
def test_no_rejects_are_an_empty_list(loaded: Database) -> None:
    assert loaded.loader("rejects") == loaded.loader("rejects", "--json") == ""


@on_one_version
def test_a_rejected_line_cannot_write_to_the_terminal_as_it_likes(
    loaded: Database, tmp_path: Path
) -> None:
    file = write(tmp_path / "labels.jsonl", b"\x1b[2J\x07 not json \r over", GOOD)
    loaded.loader("load", str(file))
    assert loaded.loader("rejects").removesuffix("\n").isprintable()


@on_one_version
def test_a_reader_of_rejects_may_go_away(loaded: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", *[BAD] * 3000)
    loaded.loader("load", "--max-rejects=100%", str(file))
    with subprocess.Popen(
        [sys.executable, "-m", "loader", "rejects"],
        cwd=PROJECT,
        env=loaded.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as listing:
        assert listing.stdout is not None
        assert listing.stderr is not None
        listing.stdout.readline()
        listing.stdout.close()
        assert listing.stderr.read() == b""
    assert listing.returncode == 0


def mend(database: Database, bad: bytes, mended: bytes) -> None:
    with database.connect() as connection:
        changed = connection.execute(
            "update raw.rejected_lines set line = %s where line = %s", (mended, bad)
        )
        assert changed.rowcount > 0


def test_mended_lines_are_loaded_and_the_others_kept(with_rejects: tuple[Database, Path]) -> None:
    database, _ = with_rejects
    before = rejected(database)
    assert "0 lines loaded, 3 still rejected" in database.loader("retry-rejects")
    assert rejected(database) == before
    mend(database, BAD, b'{"mended": true}')
    # Of an overlong line only the beginning is there, so it must not be loaded if that is JSON.
    mend(database, overlong(MIB + 1)[:KEPT], b'{"cut": true}')
    assert "1 lines loaded, 2 still rejected" in database.loader("retry-rejects")
    assert counts(database) == (3, 2)
    assert [is_whole for _, _, is_whole in rejected(database)] == [True, False]
    with database.connect() as connection:
        newest = connection.execute(
            """
            select document, chunk_id in (select chunk_id from raw.loaded_chunks)
            from raw.rekognition_responses order by response_id desc limit 1
            """
        ).fetchone()
    assert newest == ({"mended": True}, True)
    assert "0 lines loaded, 2 still rejected" in database.loader("retry-rejects")
    assert counts(database) == (3, 2)


def test_the_mended_lines_of_several_chunks_are_entered_where_they_belong(
    loaded: Database, tmp_path: Path
) -> None:
    for number in range(2):
        file = write(tmp_path / f"{number}.jsonl", *[GOOD, BAD, b'{"file": %d}' % number] * 20)
        cut_into(loaded, file, 100)
        loaded.loader("load", str(file))
    assert counts(loaded) == (80, 40)
    with loaded.connect() as connection:
        connection.execute("update raw.rejected_lines set line = '{}' where byte_offset % 3 = 0")
        (mended,) = connection.execute(
            "select count(*) from raw.rejected_lines where line = '{}'"
        ).fetchone()
    assert 0 < mended < 40
    loaded.loader("retry-rejects")
    assert counts(loaded) == (80 + mended, 40 - mended)


def test_a_retried_line_is_not_loaded_again_with_its_file(
    with_rejects: tuple[Database, Path],
) -> None:
    database, file = with_rejects
    mend(database, BAD, b"{}")
    database.loader("retry-rejects")
    assert "nothing to do" in database.loader("load", str(file))
    assert counts(database) == (3, 2)


def start_retry(database: Database) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "loader", "retry-rejects"],
        cwd=PROJECT,
        env=database.environment,
        stderr=subprocess.PIPE,
    )


def wait_until_blocked(connection: psycopg.Connection, sessions: int) -> bool:
    """Wait until that many of the loader's sessions wait for a lock; False if they never do."""
    for _ in range(100):
        (blocked,) = connection.execute(
            """
            select count(*)
            from pg_stat_activity
            where
                datname = current_database()
                and application_name = 'label-refinery'
                and cardinality(pg_blocking_pids(pid)) > 0
            """
        ).fetchone()
        if blocked >= sessions:
            return True
        connection.execute("select pg_sleep(0.05)")
    return False


def test_two_retries_at_once_load_a_line_once(with_rejects: tuple[Database, Path]) -> None:
    database, _ = with_rejects
    mend(database, BAD, b'{"mended": true}')
    with psycopg.connect(host=database.host, port=5432, user=ROLE, dbname=database.name) as holder:
        holder.execute("select from raw.rejected_lines for update")
        both = [start_retry(database) for _ in range(2)]
        with database.connect() as connection:
            assert wait_until_blocked(connection, 2)
    for retry in both:
        _, words = retry.communicate(timeout=60)
        assert retry.returncode == 0, words.decode()
    assert counts(database) == (3, 2)


def test_a_retry_waits_for_whoever_settles_the_responses(
    with_rejects: tuple[Database, Path],
) -> None:
    # machine_tags reads up to the last response id given out, after it has held this lock alone
    # for a moment. Lines that were given ids before and are committed later would never be read.
    database, _ = with_rejects
    mend(database, BAD, b"{}")
    with database.connect() as connection:
        connection.execute("select pg_advisory_lock('raw.rekognition_responses'::regclass::bigint)")
        retry = start_retry(database)
        has_waited = wait_until_blocked(connection, 1)
        connection.execute("select pg_advisory_unlock_all()")
        retry.communicate(timeout=60)
    assert has_waited
    assert counts(database) == (3, 2)
