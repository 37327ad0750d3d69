"""Lines that are not loaded: how many are borne, which are too long, and trying them again."""

import json
from pathlib import Path

import click
import psycopg
import pytest
from conftest import Database
from loads import (
    BAD,
    GOOD,
    borders,
    cut_into,
    end,
    fails,
    fetch,
    miscounted_chunks,
    on_one_version,
    start,
    wait_until_blocked,
    write,
)

from loader.chunks import KEPT_OF_OVERLONG_LINE, LONGEST_LINE_BYTES, Chunk
from loader.files import find_files
from loader.ledger import Account
from loader.load import Options, RejectLimit, load_files
from trial.server import ROLE

MARK = b"\xef\xbb\xbf"


def counts(database: Database) -> tuple[int, int]:
    """Return how many lines are loaded and rejected, which the ledger has to confirm."""
    ((responses, rejects, *in_ledger),) = fetch(
        database,
        """
        select
            (select count(*) from raw.rekognition_responses),
            (select count(*) from raw.rejected_lines),
            coalesce(sum(loaded_lines), 0)::bigint,
            coalesce(sum(rejected_lines), 0)::bigint
        from raw.loaded_chunks
        """,
    )
    assert [responses, rejects] == in_ledger
    assert miscounted_chunks(database) == []
    return responses, rejects


def is_finished(database: Database) -> bool:
    return fetch(database, "select finished_at is not null from raw.loaded_files") == [(True,)]


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
    with pytest.raises(click.BadParameter, match="is no count"):
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
    assert len(borders(loaded)) == 1


@on_one_version
def test_what_is_loaded_line_by_line_gets_rising_ids_in_the_order_of_its_bytes(
    loaded: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A table returns rows as it likes, so here they come to it in another order.
    lines_of = Chunk.lines
    monkeypatch.setattr(Chunk, "lines", lambda chunk: reversed(list(lines_of(chunk))))
    for name, value in loaded.environment.items():
        monkeypatch.setenv(name, value)
    file = write(tmp_path / "labels.jsonl", *[b"%d" % number for number in range(100)], BAD)
    load_files(find_files([str(file)]), Options(workers=1))
    assert counts(loaded) == (100, 1)
    documents = fetch(loaded, "select document from raw.rekognition_responses order by response_id")
    assert [number for (number,) in documents] == list(range(100))


def overlong(more: int) -> bytes:
    """Return a line of JSON that is as long as a line may be, and some bytes more."""
    return b'{"long": "' + b"x" * (LONGEST_LINE_BYTES + more - 12) + b'"}'


def rejected(database: Database) -> list[tuple[int, bytes, bool]]:
    return fetch(
        database, "select byte_offset, line, is_whole from raw.rejected_lines order by byte_offset"
    )


@on_one_version
@pytest.mark.parametrize("chunk_bytes", [10, LONGEST_LINE_BYTES])
@pytest.mark.parametrize("index", [0, 2, 4])
@pytest.mark.parametrize("end", [b"", b"\n"], ids=["without newline", "with newline"])
def test_an_overlong_line_is_rejected_and_costs_no_other(
    loaded: Database, tmp_path: Path, chunk_bytes: int, index: int, end: bytes
) -> None:
    long = overlong(300_001)
    lines = [b"%d" % number for number in range(4)]
    lines.insert(index, long)
    file = write(tmp_path / "labels.jsonl", *lines, end=end)
    cut_into(loaded, file, chunk_bytes)
    words = loaded.loader("load", str(file))
    assert "5 lines = 4 loaded + 1 rejected + 0 blank" in words
    assert counts(loaded) == (4, 1)
    assert rejected(loaded) == [
        (file.read_bytes().index(long), long[:KEPT_OF_OVERLONG_LINE], False)
    ]
    documents = fetch(loaded, "select document from raw.rekognition_responses order by 1")
    assert documents == [(0,), (1,), (2,), (3,)]
    assert fetch(loaded, "select reason from raw.rejected_lines") == [
        (f"{len(long)} bytes are more than the 8 MB that a line may have; the beginning is kept",)
    ]
    assert borders(loaded)[-1][1] == file.stat().st_size


@on_one_version
@pytest.mark.parametrize("chunk_bytes", [10, LONGEST_LINE_BYTES])
def test_a_line_of_just_the_limit_is_loaded(
    loaded: Database, tmp_path: Path, chunk_bytes: int
) -> None:
    file = write(tmp_path / "labels.jsonl", *map(overlong, (0, 1, 2, 0)), end=b"")
    cut_into(loaded, file, chunk_bytes)
    loaded.loader("load", str(file))
    assert counts(loaded) == (2, 2)
    begin = LONGEST_LINE_BYTES + 1
    assert [offset for offset, _, _ in rejected(loaded)] == [begin, 2 * begin + 1]


@pytest.mark.parametrize("chunk_bytes", [10, LONGEST_LINE_BYTES])
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
    file = write(tmp_path / "labels.jsonl", GOOD, BAD, latin1, overlong(1), GOOD)
    loaded.loader("load", str(file))
    return loaded, file


def test_rejects_are_listed(with_rejects: tuple[Database, Path]) -> None:
    database, file = with_rejects
    first, second, third = database.loader("rejects").splitlines()
    begin = len(GOOD) + 1
    assert first.startswith(f"{file}: byte {begin}: invalid input syntax for type json")
    assert first.endswith(': {"cut": "off')
    assert second.startswith(f"{file}: byte {begin + len(BAD) + 1}: invalid byte sequence")
    assert second.endswith(r': {"latin1": "caf\351"}')
    assert "are more than the 8 MB that a line may have" in third
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
    listing = start(loaded, "rejects")
    assert listing.stdout is not None
    listing.stdout.readline()
    listing.stdout.close()
    listing.stdout = None
    assert end(listing).stderr == ""
    assert listing.returncode == 1  # as click has it


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
    mend(database, overlong(1)[:KEPT_OF_OVERLONG_LINE], b'{"cut": true}')
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


def test_two_retries_at_once_load_a_line_once(with_rejects: tuple[Database, Path]) -> None:
    database, _ = with_rejects
    mend(database, BAD, b'{"mended": true}')
    with psycopg.connect(host=database.host, port=5432, user=ROLE, dbname=database.name) as holder:
        holder.execute("select from raw.rejected_lines for update")
        both = [start(database, "retry-rejects") for _ in range(2)]
        with database.connect() as connection:
            wait_until_blocked(connection, 2)
    for retry in both:
        done = end(retry)
        assert done.returncode == 0, done.stderr
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
        retry = start(database, "retry-rejects")
        wait_until_blocked(connection)
        connection.execute("select pg_advisory_unlock_all()")
        assert end(retry).returncode == 0
    assert counts(database) == (3, 2)
