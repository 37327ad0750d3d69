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
    counts,
    cut_into,
    documents,
    end,
    fails,
    fetch,
    load_here,
    mend,
    rejects,
    start,
    wait_until_blocked,
    write,
)

from loader.chunks import KEPT_OF_OVERLONG_LINE, LONGEST_LINE_BYTES, Chunk
from loader.ledger import Account
from loader.load import RejectLimit


def is_finished(database: Database) -> bool:
    return fetch(database, "select finished_at is not null from raw.loaded_files") == [(True,)]


@pytest.mark.parametrize(
    ("limit", "account", "at_end", "is_exceeded"),
    [
        ("0", Account(9, 0, 0), True, False),
        ("0", Account(9, 1, 0), False, True),
        ("5", Account(0, 5, 0), True, False),
        ("5", Account(999, 6, 0), False, True),
        ("1%", Account(1, 99, 0), True, False),
        ("1%", Account(9899, 100, 0), False, True),
        ("1%", Account(9900, 100, 0), False, False),
        ("1%", Account(9000, 100, 900), False, False),
        ("0.5%", Account(9900, 100, 0), True, True),
        ("1%", Account(0, 1, 0), False, False),
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


def test_a_count_of_all_loads_of_a_file_stops_it_and_a_higher_one_goes_on(
    loaded: Database, tmp_path: Path
) -> None:
    bad = [BAD] * 3
    file = write(tmp_path / "labels.jsonl", *bad, *[GOOD] * 500, *bad, *[GOOD] * 2000)
    cut_into(loaded, file, 1000)
    words = fails(loaded, "load", "--max-rejects=2", file)
    assert f"{file}: 3 of " in words
    assert "--max-rejects" in words
    assert "loader rejects" in words
    assert not is_finished(loaded)
    assert f"{file}: 6 of " in fails(loaded, "load", "--max-rejects=5", file)
    good, rejected = counts(loaded)
    assert 500 < good < 2500  # it was stopped on its way, and what was loaded stays
    assert rejected == 6
    loaded.loader("load", "--max-rejects=6", file)
    assert counts(loaded) == (2500, 6)
    assert is_finished(loaded)


@pytest.mark.both_versions
@pytest.mark.parametrize("bad", [100, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_percentage_stops_the_load_and_a_higher_one_goes_on(
    loaded: Database, tmp_path: Path, bad: int
) -> None:
    """However many lines of a chunk are refused, they are no trouble."""
    file = write(tmp_path / "labels.jsonl", *[BAD, *[GOOD] * 9] * bad)
    cut_into(loaded, file, LONGEST_LINE_BYTES)
    words = f"{bad:,} of {bad * 10:,} lines are no JSON"
    assert words in fails(loaded, "load", file)
    assert words in fails(loaded, "load", "--max-rejects=9.9%", file)
    assert not is_finished(loaded)
    assert "0 lines = " in loaded.loader("load", "--max-rejects=10%", file)
    assert counts(loaded) == (bad * 9, bad)
    assert len(borders(loaded)) == 1
    assert is_finished(loaded)


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


@pytest.mark.parametrize("chunk_bytes", [10, LONGEST_LINE_BYTES])
def test_a_line_of_just_the_limit_is_loaded_and_an_overlong_one_costs_no_other(
    loaded: Database, tmp_path: Path, chunk_bytes: int
) -> None:
    lines = [b"0", overlong(0), overlong(1), b"3", overlong(300_001)]
    file = write(tmp_path / "labels.jsonl", *lines, end=b"" if chunk_bytes == 10 else b"\n")
    cut_into(loaded, file, chunk_bytes)
    assert "5 lines = 3 loaded + 2 rejected + 0 blank" in loaded.loader("load", file)
    assert counts(loaded) == (3, 2)
    assert documents(loaded) == [0, {"long": "x" * (LONGEST_LINE_BYTES - 12)}, 3]
    places = [file.read_bytes().index(b"\n" + lines[index]) + 1 for index in (2, 4)]
    for line, place, (offset, kept, reason) in zip(
        (lines[2], lines[4]), places, rejects(loaded), strict=True
    ):
        assert (offset, kept) == (place, line[:KEPT_OF_OVERLONG_LINE])
        limit = "the 8 MB that a line may have"
        assert reason == f"{len(line)} bytes are more than {limit}; the beginning is kept"
    assert borders(loaded)[-1][1] == file.stat().st_size


STEERING = b"\x1b[2J\x07 not json \r over"


@pytest.fixture
def with_rejects(loaded: Database, tmp_path: Path) -> Path:
    """A loaded file with rejected lines, the last of them overlong."""
    latin1 = b'{"latin1": "caf\xe9"}'
    file = write(tmp_path / "labels.jsonl", GOOD, BAD, latin1, STEERING, overlong(1), GOOD)
    loaded.loader("load", file)
    return file


def test_rejects_are_listed(loaded: Database, with_rejects: Path) -> None:
    first, second, steering, long = loaded.loader("rejects").split("\n")[:-1]
    begin = len(GOOD) + 1
    assert first.startswith(f"{with_rejects}: byte {begin}: invalid input syntax for type json")
    assert first.endswith(': {"cut": "off')
    begin += len(BAD) + 1
    assert second.startswith(f"{with_rejects}: byte {begin}: invalid byte sequence")
    assert second.endswith(r': {"latin1": "caf\351"}')
    assert steering.isprintable()  # it cannot write to the terminal as it likes
    assert "are more than the 8 MB that a line may have" in long
    assert len(long) < 500

    lines = loaded.loader("rejects", "--json").split("\n")[:-1]
    for_machines, *others = map(json.loads, lines)
    assert for_machines.pop("reason").startswith("invalid input syntax for type json")
    assert for_machines == {
        "file": str(with_rejects),
        "byte_offset": len(GOOD) + 1,
        "bytes": len(BAD),
        "beginning": BAD.decode(),
    }
    assert len(others) == 3


def test_no_rejects_are_an_empty_list(loaded: Database) -> None:
    assert loaded.loader("rejects") == loaded.loader("rejects", "--json") == ""


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


@pytest.mark.both_versions
def test_mended_lines_are_loaded_once_and_the_others_kept(
    loaded: Database, with_rejects: Path
) -> None:
    before = rejected(loaded)
    assert "0 lines loaded, 4 still rejected" in loaded.loader("retry-rejects")
    assert rejected(loaded) == before
    assert mend(loaded, f"byte_offset = {len(GOOD) + 1}") == 1
    # Of an overlong line only the beginning is there, so it must not be loaded if that is JSON.
    assert mend(loaded, "not is_whole") == 1
    assert "1 lines loaded, 3 still rejected" in loaded.loader("retry-rejects")
    assert counts(loaded) == (3, 3)
    assert [is_whole for _, _, is_whole in rejected(loaded)] == [True, True, False]
    newest = "select document from raw.rekognition_responses order by response_id desc limit 1"
    assert fetch(loaded, newest) == [({},)]
    assert "0 lines loaded, 3 still rejected" in loaded.loader("retry-rejects")
    assert "nothing to do" in loaded.loader("load", with_rejects)
    assert counts(loaded) == (3, 3)


@pytest.mark.usefixtures("with_rejects")
def test_two_retries_at_once_load_a_line_once(loaded: Database) -> None:
    mend(loaded, f"byte_offset = {len(GOOD) + 1}")
    with loaded.connect() as holder, holder.transaction():
        holder.execute("select from raw.rejected_lines for update")
        both = [start(loaded, "retry-rejects") for _ in range(2)]
        wait_until_blocked(holder, 2)
    for retry in both:
        done = end(retry)
        assert done.returncode == 0, done.stderr
    assert counts(loaded) == (3, 3)


@pytest.mark.parametrize("command", ["load", "retry-rejects"])
def test_whoever_settles_the_responses_is_waited_for(
    loaded: Database, tmp_path: Path, command: str
) -> None:
    # machine_tags reads up to the last response id given out, after it has held this lock alone
    # for a moment. Lines that were given ids before and are committed later would never be read.
    file = write(tmp_path / "labels.jsonl", GOOD, BAD)
    other = write(tmp_path / "other.jsonl", GOOD)
    loaded.loader("load", file)
    mend(loaded)
    with loaded.connect() as connection:
        connection.execute("select pg_advisory_lock('raw.rekognition_responses'::regclass::bigint)")
        process = start(loaded, command, *[other] * (command == "load"))
        wait_until_blocked(connection)
    assert end(process).returncode == 0
    assert counts(loaded)[0] == 2
