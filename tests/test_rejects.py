"""Lines that are not loaded: how many are borne, which are too long, and trying them again."""

import json
from pathlib import Path

import click
import pytest
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
    miscounted_chunks,
    on_one_version,
    rejects,
    start,
    wait_until_blocked,
    write,
)

from loader.chunks import BYTE_ORDER_MARK, KEPT_OF_OVERLONG_LINE, LONGEST_LINE_BYTES, Chunk
from loader.ledger import Account
from loader.load import RejectLimit


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
    loaded.loader("load", "--max-rejects=5", file)
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
    assert "0 lines = " in loaded.loader("load", "--max-rejects=10%", file)
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
    loaded.loader("load", "--max-rejects=6", file)
    assert counts(loaded) == (2500, 6)


@on_one_version
def test_a_file_without_a_line_of_json_is_an_error_at_its_end(
    loaded: Database, tmp_path: Path
) -> None:
    file = write(tmp_path / "table.csv", b"identifier,label", b"", b"1,cat")
    assert "2 of 3 lines are no JSON; is it a label file?" in fails(loaded, "load", file)
    assert "2 of 3 lines are no JSON" in fails(loaded, "load", file)  # nor by trying again
    loaded.loader("load", "--max-rejects=100%", file)
    assert is_finished(loaded)


@on_one_version
def test_ten_thousand_bad_lines_in_one_chunk_are_no_trouble(
    loaded: Database, tmp_path: Path
) -> None:
    file = write(tmp_path / "labels.jsonl", *[BAD, GOOD] * 10_000)
    loaded.loader("load", "--max-rejects=50%", file)
    assert counts(loaded) == (10_000, 10_000)
    assert len(borders(loaded)) == 1


@on_one_version
def test_what_is_loaded_line_by_line_gets_rising_ids_in_the_order_of_its_bytes(
    loaded: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A table returns rows as it likes, so here they come to it in another order.
    lines_of = Chunk.lines
    monkeypatch.setattr(Chunk, "lines", lambda chunk: reversed(list(lines_of(chunk))))
    file = write(tmp_path / "labels.jsonl", *[b"%d" % number for number in range(100)], BAD)
    load_here(loaded, file)
    assert counts(loaded) == (100, 1)
    assert documents(loaded) == list(range(100))


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
    words = loaded.loader("load", file)
    assert "5 lines = 4 loaded + 1 rejected + 0 blank" in words
    assert counts(loaded) == (4, 1)
    assert rejected(loaded) == [
        (file.read_bytes().index(long), long[:KEPT_OF_OVERLONG_LINE], False)
    ]
    assert documents(loaded) == [0, 1, 2, 3]
    ((_, _, reason),) = rejects(loaded)
    limit = "the 8 MB that a line may have"
    assert reason == f"{len(long)} bytes are more than {limit}; the beginning is kept"
    assert borders(loaded)[-1][1] == file.stat().st_size


@on_one_version
@pytest.mark.parametrize("chunk_bytes", [10, LONGEST_LINE_BYTES])
def test_a_line_of_just_the_limit_is_loaded(
    loaded: Database, tmp_path: Path, chunk_bytes: int
) -> None:
    file = write(tmp_path / "labels.jsonl", *map(overlong, (0, 1, 2, 0)), end=b"")
    cut_into(loaded, file, chunk_bytes)
    loaded.loader("load", file)
    assert counts(loaded) == (2, 2)
    begin = LONGEST_LINE_BYTES + 1
    assert [offset for offset, _, _ in rejected(loaded)] == [begin, 2 * begin + 1]


@pytest.mark.parametrize("chunk_bytes", [10, LONGEST_LINE_BYTES])
def test_a_mark_is_passed_over_at_the_beginning_and_refused_elsewhere(
    loaded: Database, tmp_path: Path, chunk_bytes: int
) -> None:
    first, second = BYTE_ORDER_MARK + BAD, BYTE_ORDER_MARK + GOOD
    file = write(tmp_path / "labels.jsonl", first, second, GOOD)
    cut_into(loaded, file, chunk_bytes)  # with 10 the second mark begins a chunk
    loaded.loader("load", file)
    assert counts(loaded) == (1, 2)
    begin = len(BYTE_ORDER_MARK)
    assert rejected(loaded) == [(begin, BAD, True), (len(first) + 1, second, True)]


@pytest.fixture
def with_rejects(loaded: Database, tmp_path: Path) -> Path:
    """A loaded file with rejected lines, one of them overlong."""
    latin1 = b'{"latin1": "caf\xe9"}'
    file = write(tmp_path / "labels.jsonl", GOOD, BAD, latin1, overlong(1), GOOD)
    loaded.loader("load", file)
    return file


def test_rejects_are_listed(loaded: Database, with_rejects: Path) -> None:
    first, second, third = loaded.loader("rejects").splitlines()
    begin = len(GOOD) + 1
    assert first.startswith(f"{with_rejects}: byte {begin}: invalid input syntax for type json")
    assert first.endswith(': {"cut": "off')
    begin += len(BAD) + 1
    assert second.startswith(f"{with_rejects}: byte {begin}: invalid byte sequence")
    assert second.endswith(r': {"latin1": "caf\351"}')
    assert "are more than the 8 MB that a line may have" in third
    assert len(third) < 500


def test_rejects_are_listed_for_machines(loaded: Database, with_rejects: Path) -> None:
    lines = loaded.loader("rejects", "--json").split("\n")[:-1]
    first, *others = map(json.loads, lines)
    assert first.pop("reason").startswith("invalid input syntax for type json")
    assert first == {
        "file": str(with_rejects),
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
    loaded.loader("load", file)
    assert loaded.loader("rejects").removesuffix("\n").isprintable()


@on_one_version
def test_a_reader_of_rejects_may_go_away(loaded: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", *[BAD] * 3000)
    loaded.loader("load", "--max-rejects=100%", file)
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


@pytest.mark.usefixtures("with_rejects")
def test_mended_lines_are_loaded_and_the_others_kept(loaded: Database) -> None:
    before = rejected(loaded)
    assert "0 lines loaded, 3 still rejected" in loaded.loader("retry-rejects")
    assert rejected(loaded) == before
    mend(loaded, BAD, b'{"mended": true}')
    # Of an overlong line only the beginning is there, so it must not be loaded if that is JSON.
    mend(loaded, overlong(1)[:KEPT_OF_OVERLONG_LINE], b'{"cut": true}')
    assert "1 lines loaded, 2 still rejected" in loaded.loader("retry-rejects")
    assert counts(loaded) == (3, 2)
    assert [is_whole for _, _, is_whole in rejected(loaded)] == [True, False]
    newest = "select document from raw.rekognition_responses order by response_id desc limit 1"
    assert fetch(loaded, newest) == [({"mended": True},)]
    assert "0 lines loaded, 2 still rejected" in loaded.loader("retry-rejects")
    assert counts(loaded) == (3, 2)


def test_the_mended_lines_of_several_chunks_are_entered_where_they_belong(
    loaded: Database, tmp_path: Path
) -> None:
    for number in range(2):
        file = write(tmp_path / f"{number}.jsonl", *[GOOD, BAD, b'{"file": %d}' % number] * 20)
        cut_into(loaded, file, 100)
        loaded.loader("load", file)
    assert counts(loaded) == (80, 40)
    update = "update raw.rejected_lines set line = '{}' where byte_offset % 3 = 0"
    with loaded.connect() as connection:
        mended = connection.execute(update).rowcount
    assert 0 < mended < 40
    loaded.loader("retry-rejects")
    assert counts(loaded) == (80 + mended, 40 - mended)


def test_a_retried_line_is_not_loaded_again_with_its_file(
    loaded: Database, with_rejects: Path
) -> None:
    mend(loaded, BAD, b"{}")
    loaded.loader("retry-rejects")
    assert "nothing to do" in loaded.loader("load", with_rejects)
    assert counts(loaded) == (3, 2)


@pytest.mark.usefixtures("with_rejects")
def test_two_retries_at_once_load_a_line_once(loaded: Database) -> None:
    mend(loaded, BAD, b'{"mended": true}')
    with loaded.connect() as holder, holder.transaction():
        holder.execute("select from raw.rejected_lines for update")
        both = [start(loaded, "retry-rejects") for _ in range(2)]
        wait_until_blocked(holder, 2)
    for retry in both:
        done = end(retry)
        assert done.returncode == 0, done.stderr
    assert counts(loaded) == (3, 2)


@pytest.mark.usefixtures("with_rejects")
def test_a_retry_waits_for_whoever_settles_the_responses(loaded: Database) -> None:
    # machine_tags reads up to the last response id given out, after it has held this lock alone
    # for a moment. Lines that were given ids before and are committed later would never be read.
    mend(loaded, BAD, b"{}")
    with loaded.connect() as connection:
        connection.execute("select pg_advisory_lock('raw.rekognition_responses'::regclass::bigint)")
        retry = start(loaded, "retry-rejects")
        wait_until_blocked(connection)
        connection.execute("select pg_advisory_unlock_all()")
        assert end(retry).returncode == 0
    assert counts(loaded) == (3, 2)
