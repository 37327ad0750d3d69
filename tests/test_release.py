"""Released files: their documents are gone, and all else of them is there."""

from pathlib import Path

import pytest
from conftest import Database
from loads import (
    BAD,
    GOOD,
    RESPONSES,
    cut_into,
    documents,
    end,
    fails,
    fetch,
    let_dbt_read,
    lose_chunk,
    mend,
    miscounted_chunks,
    start,
    wait_until_blocked,
    write,
)

from loader.cli import cli
from loader.files import PART_BYTES


@pytest.fixture
def first(loaded: Database, tmp_path: Path) -> Path:
    """The first of three loaded files; the third is another labeller's.

    The chunks of the others came in between those of the first.
    """
    files = [
        write(tmp_path / f"{number}.jsonl", *[b'{"file": %d}' % number, BAD] * 10, b"", GOOD)
        for number in range(3)
    ]
    for file, labeller in zip(files, ("rekognition", "rekognition", "clarifai"), strict=True):
        cut_into(loaded, file, 100, labeller=labeller)
        loaded.loader("load", "--labeller", labeller, "--max-rejects=10", file)
        if file == files[0]:
            lose_chunk(loaded, 0)
    loaded.loader("load", "--max-rejects=10", files[0])
    return files[0]


def state(database: Database) -> dict[str, list[str]]:
    """Return all rows of raw, and which version of a row each is."""
    tables = fetch(
        database,
        "select relname from pg_class where relnamespace = 'raw'::regnamespace and relkind = 'r'",
    )
    return {
        table: sorted(
            row
            for (row,) in fetch(database, f"select (xmin, t)::text from raw.{table} as t")  # noqa: S608 - names from above
        )
        for (table,) in tables
    }


def responses(database: Database, file: Path) -> list[tuple[int, int]]:
    """Return the responses of a file that have a document, and their chunks."""
    query = f"""
        select response_id, chunk_id
        from ({RESPONSES}) as response
        inner join raw.loaded_chunks using (chunk_id)
        inner join raw.loaded_files as file using (file_id)
        where file.name = %s
        order by response_id
    """  # noqa: S608 - names from loads.py
    return fetch(database, query, str(file))


def released(database: Database) -> list[tuple[int, int]]:
    query = "select response_id, chunk_id from raw.released_responses order by response_id"
    return fetch(database, query)


@pytest.mark.both_versions
def test_a_released_file_s_documents_are_gone_and_all_else_is_as_it_was(
    loaded: Database, first: Path
) -> None:
    let_dbt_read(loaded)
    before, want = state(loaded), responses(loaded, first)
    assert len(want) == 11
    assert f"{first}: 11 documents dropped, their labels are kept" in loaded.loader(
        "release", first
    )
    assert responses(loaded, first) == []
    assert released(loaded) == want
    after = state(loaded)
    # No row of another file is written again, and of this file one: its own in the ledger.
    for table, rows in before.items():
        gone = set(rows) - set(after[table])
        assert len(gone) == {"rekognition_responses": 11, "loaded_files": 1}.get(table, 0), table
    assert fetch(loaded, "select count(released_at) from raw.loaded_files") == [(1,)]
    assert miscounted_chunks(loaded) == []
    line, *_, totals = loaded.loader("status").splitlines()
    assert line.startswith(f"{first}: released (rekognition), 11 loaded + 10 rejected + 1 blank")
    assert line.endswith("a second run loads nothing")
    assert totals.startswith("in all 3, unfinished 0: 33 loaded + 30 rejected + 3 blank")


@pytest.mark.usefixtures("first")
def test_a_file_of_another_labeller_is_released(loaded: Database, tmp_path: Path) -> None:
    file = (tmp_path / "2.jsonl").rename(tmp_path / "moved.jsonl")  # it is known by its content
    let_dbt_read(loaded, "clarifai")
    loaded.loader("release", file)
    assert (len(documents(loaded)), len(documents(loaded, "clarifai"))) == (22, 0)
    assert len(released(loaded)) == 11


def test_there_is_nothing_to_do_for_a_released_file(loaded: Database, first: Path) -> None:
    let_dbt_read(loaded)
    loaded.loader("release", first)
    with loaded.connect() as connection:
        connection.execute("drop schema refinery cascade")
    before = state(loaded)
    assert f"{first}: released, nothing more to do" in loaded.loader("release", first)
    assert state(loaded) == before
    words = loaded.loader("load", first)
    assert "loaded and released: its labels are kept" in words
    assert "to have the documents again, `forget` it and load it again" in words
    for table, rows in state(loaded).items():
        # The name by which it was given last is entered, as ever.
        assert table == "loaded_files" or rows == before[table]


def test_nothing_is_loaded_of_standard_input_that_was_released(loaded: Database) -> None:
    """Of its longer twin neither, which begins alike and has the same fingerprint."""
    line = b'{"long": "' + b"x" * (PART_BYTES // 2) + b'"}\n'
    loaded.invoke(cli, "load", "-", stdin=line * 3)
    let_dbt_read(loaded)
    loaded.loader("release", "-")
    done = loaded.invoke(cli, "load", "-", stdin=line * 4)
    assert done.exit_code == 0
    assert "loaded and released" in done.stderr
    assert documents(loaded) == []
    assert len(released(loaded)) == 3


# refused


def refused(database: Database, file: Path | str) -> str:
    before = state(database)
    words = fails(database, "release", file)
    assert state(database) == before
    return words


def test_a_file_that_is_not_there_whole_is_not_released(loaded: Database, first: Path) -> None:
    let_dbt_read(loaded)
    lose_chunk(loaded, 0)
    assert f"{first} is not loaded to its end: load it first" in refused(loaded, first)
    assert "no file of this name" in refused(loaded, "other.jsonl")


def test_what_dbt_has_not_read_into_each_store_is_not_released(
    loaded: Database, first: Path
) -> None:
    last = responses(loaded, first)[-1][0]
    assert "in any store yet: run `dbt run` first" in refused(loaded, first)
    let_dbt_read(loaded, "clarifai")
    assert "in any store" in refused(loaded, first)
    let_dbt_read(loaded)
    let_dbt_read(loaded, schema="Dev of me")
    with loaded.connect() as connection:
        update = "update raw.read_responses set last_response_id = %s where store ~ 'Dev'"
        connection.execute(update, (last - 1,))
        words = refused(loaded, first)
        assert "not all of its labels are in Dev of me.int_rekognition_labels yet" in words
        connection.execute(update, (last,))
        loaded.loader("release", first)
        # A store that is no longer there need not have read, nor does it count as one that has.
        connection.execute(update, (0,))
        connection.execute('drop schema "Dev of me" cascade')
        loaded.loader("release", first.with_name("1.jsonl"))
        connection.execute("drop schema refinery cascade")
    assert "in any store" in refused(loaded, first.with_name("2.jsonl"))


# forgotten and mended


def test_a_released_file_is_mended_released_again_and_forgotten(
    loaded: Database, first: Path
) -> None:
    let_dbt_read(loaded)
    loaded.loader("release", first)
    mend(loaded, "byte_offset % 2 = 1")
    loaded.loader("retry-rejects")
    mended = responses(loaded, first)
    assert 0 < len(mended) < 10
    assert miscounted_chunks(loaded) == []
    assert "run `dbt run` first" in refused(loaded, first)
    let_dbt_read(loaded)
    loaded.loader("release", first)
    ids = [response_id for response_id, _ in released(loaded)]
    assert len(ids) == 11 + len(mended)
    assert miscounted_chunks(loaded) == []

    second = first.with_name("1.jsonl")
    others = responses(loaded, second)
    loaded.loader("release", second)
    assert f"{first}: {len(ids)} lines taken back" in loaded.loader("forget", first)
    assert released(loaded) == others
    taken_back = "select first_response_id, last_response_id from raw.forgotten_responses"
    assert fetch(loaded, taken_back) == [(ids[0], ids[-1])]
    assert str(first) not in loaded.loader("status")
    assert miscounted_chunks(loaded) == []
    loaded.loader("load", "--max-rejects=10", first)
    assert len(responses(loaded, first)) == 11


def test_what_is_mended_while_a_file_is_released_stays(loaded: Database, first: Path) -> None:
    """Else a document would go that dbt has not read."""
    let_dbt_read(loaded)
    mend(loaded, "byte_offset % 2 = 1")
    with loaded.connect() as holder:
        with holder.transaction():
            holder.execute("lock table raw.released_responses in exclusive mode")
            process = start(loaded, "release", first)
            wait_until_blocked(holder)  # it knows which responses dbt has read
            loaded.loader("retry-rejects")
        assert end(process).returncode == 0
    assert len(released(loaded)) == 11
    assert len(responses(loaded, first)) > 0
    assert miscounted_chunks(loaded) == []
