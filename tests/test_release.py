"""Released files: their documents are gone, and all else of them is there."""

import random
import signal
import time
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
    miscounted_chunks,
    on_one_version,
    run,
    start,
    wait_for,
    wait_until_blocked,
    write,
)

STEPS = 30
LABELLERS = ("rekognition", "clarifai")
REFUSE = """
create function raw.refuse() returns trigger language plpgsql as
$$ begin raise 'it stays'; end $$;
create trigger refuse before update on raw.loaded_files
for each row execute function raw.refuse();
"""


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


@on_one_version
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


@on_one_version
def test_nothing_is_loaded_of_standard_input_that_was_released(loaded: Database) -> None:
    """Of its longer twin neither, which begins alike and has the same fingerprint."""
    beginning = b"\n".join([GOOD] * 100_000)
    assert run(loaded, "load", "--quiet", "-", stdin=beginning).returncode == 0
    let_dbt_read(loaded)
    loaded.loader("release", "-")
    done = run(loaded, "load", "-", stdin=beginning + b"\n" + GOOD)
    assert done.returncode == 0
    assert "loaded and released" in done.stderr
    assert documents(loaded) == []
    assert len(released(loaded)) == 100_000


# refused


def refused(database: Database, file: Path | str) -> str:
    before = state(database)
    words = fails(database, "release", file)
    assert state(database) == before
    return words


@on_one_version
def test_a_file_that_is_not_there_whole_is_not_released(loaded: Database, first: Path) -> None:
    let_dbt_read(loaded)
    lose_chunk(loaded, 0)
    assert f"{first} is not loaded to its end: load it first" in refused(loaded, first)
    assert "no file of this name" in refused(loaded, "other.jsonl")


@on_one_version
def test_a_file_that_another_loader_is_at_is_not_released(loaded: Database, first: Path) -> None:
    let_dbt_read(loaded)
    with loaded.connect() as other:
        other.execute(
            """
            select pg_advisory_lock('raw.loaded_files'::regclass::oid::integer, file_id::integer)
            from raw.loaded_files
            """
        )
        assert "another loader is at it" in refused(loaded, first)


def test_what_dbt_has_not_read_is_not_released(loaded: Database, first: Path) -> None:
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


def test_a_store_that_is_no_longer_there_need_not_have_read(loaded: Database, first: Path) -> None:
    let_dbt_read(loaded, schema="dev")
    with loaded.connect() as connection:
        connection.execute("update raw.read_responses set last_response_id = 0")
        let_dbt_read(loaded)
        assert "in dev.int_rekognition_labels yet" in refused(loaded, first)
        connection.execute("drop schema dev cascade")
        loaded.loader("release", first)
        # Nor does it count as one that has read.
        connection.execute("drop schema refinery cascade")
    assert "in any store" in refused(loaded, first.with_name("1.jsonl"))


def test_a_file_is_released_whole_or_not_at_all(loaded: Database, first: Path) -> None:
    let_dbt_read(loaded)
    with loaded.connect() as connection:
        connection.execute(REFUSE)
    assert "it stays" in refused(loaded, first)


# forgotten and mended


def test_a_released_file_is_forgotten(loaded: Database, first: Path) -> None:
    let_dbt_read(loaded)
    ids = [response_id for response_id, _ in responses(loaded, first)]
    loaded.loader("release", first)
    second = first.with_name("1.jsonl")
    others = responses(loaded, second)
    loaded.loader("release", second)
    assert f"{first}: 11 lines taken back" in loaded.loader("forget", first)
    assert released(loaded) == others
    taken_back = "select first_response_id, last_response_id from raw.forgotten_responses"
    assert fetch(loaded, taken_back) == [(ids[0], ids[-1])]
    assert str(first) not in loaded.loader("status")
    assert miscounted_chunks(loaded) == []
    loaded.loader("load", "--max-rejects=10", first)
    assert len(responses(loaded, first)) == 11


def mend(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("update raw.rejected_lines set line = '{}' where byte_offset % 2 = 1")


def test_the_mended_lines_of_a_released_file_can_be_released_too(
    loaded: Database, first: Path
) -> None:
    let_dbt_read(loaded)
    loaded.loader("release", first)
    mend(loaded)
    loaded.loader("retry-rejects")
    mended = responses(loaded, first)
    assert 0 < len(mended) < 10
    assert miscounted_chunks(loaded) == []
    assert "run `dbt run` first" in refused(loaded, first)
    let_dbt_read(loaded)
    loaded.loader("release", first)
    assert len(released(loaded)) == 11 + len(mended)
    assert miscounted_chunks(loaded) == []
    loaded.loader("forget", first)
    assert released(loaded) == []


def test_what_is_mended_while_a_file_is_released_stays(loaded: Database, first: Path) -> None:
    """Else a document would go that dbt has not read."""
    let_dbt_read(loaded)
    mend(loaded)
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


# in any order, killed at any moment

SLOW = """
create function raw.wait() returns trigger language plpgsql as
$$ begin perform pg_sleep(0.002); return coalesce(new, old); end $$;
create trigger wait before delete on raw.rekognition_responses
for each row execute function raw.wait();
create trigger wait before delete on raw.clarifai_responses
for each row execute function raw.wait();
create trigger wait before delete on raw.released_responses
for each row execute function raw.wait();
"""
SESSIONS = "select from pg_stat_activity where application_name = 'label-refinery'"
IS_KNOWN = "select from raw.loaded_files where name = %s"
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


@on_one_version
def test_whatever_is_done_and_killed_every_line_is_accounted_for(
    loaded: Database, tmp_path: Path, rng: random.Random
) -> None:
    files = {tmp_path / f"{number}.jsonl": LABELLERS[number % 2] for number in range(4)}
    for number, file in enumerate(files):
        marks = (b'{"file": %d, "mark": %d' % (number, mark) for mark in range(100))
        write(file, *(mark + b"}" * (rng.random() < 0.9) for mark in marks), b"")
    with loaded.connect() as connection:
        connection.execute(SLOW)
    killed = 0
    for _ in range(STEPS):
        file, labeller = rng.choice(list(files.items()))
        command = rng.choice(("load", "load", "release", "release", "forget", "retry-rejects"))
        if command == "load" and not fetch(loaded, IS_KNOWN, str(file)):
            cut_into(loaded, file, 300, labeller=labeller)
        if command == "release" and rng.random() < 0.8:
            let_dbt_read(loaded, labeller)
        if command == "retry-rejects":
            mend(loaded)
        options = ["--labeller", labeller, "--max-rejects", "100%"] * (command == "load")
        named = [file] * (command != "retry-rejects")
        process = start(loaded, command, *options, *named)
        if rng.random() < 0.5:
            wait_for(lambda: process.poll() is not None or fetch(loaded, SESSIONS) != [])  # noqa: B023 - asked at once
            time.sleep(rng.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
        done = end(process)
        assert done.returncode in (0, 1, -signal.SIGKILL), done.stderr
        assert "Traceback" not in done.stderr
        killed += done.returncode == -signal.SIGKILL
        wait_for(lambda: fetch(loaded, SESSIONS) == [])
        assert miscounted_chunks(loaded) == []
        assert fetch(loaded, MISPLACED) == []
        for name, chunks, lines in fetch(loaded, FINISHED):
            assert lines == 101
            begins, ends = zip(*chunks, strict=True)
            assert begins == (0, *ends[:-1])
            assert ends[-1] == Path(name).stat().st_size
    print(f"{killed} of {STEPS} commands killed")
    assert killed > STEPS / 10
    for file in files:
        if fetch(loaded, IS_KNOWN, str(file)):
            loaded.loader("forget", file)
    left = state(loaded)
    del left["forgotten_responses"], left["read_responses"]
    assert not any(left.values())
