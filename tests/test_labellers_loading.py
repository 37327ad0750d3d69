"""Files of several labellers: each in its labeller's table, and known as that labeller's."""

import gzip
import json
import sys
from pathlib import Path

import pytest
from conftest import Database
from loads import (
    BAD,
    GOOD,
    documents,
    fails,
    fetch,
    lose_chunk,
    mend,
    miscounted_chunks,
    says,
    write,
)
from psycopg import sql

from loader import labellers
from loader.cli import cli
from loader.connect import PROJECT

VERSION_0_1 = Path(__file__).with_name("upgrade") / "version_0_1.sql.gz"
NAMES = ("rekognition", "clarifai", "google_vision", "azure_vision")


def load_one_each(database: Database, folder: Path) -> dict[str, Path]:
    """Load a file of each labeller: the first a line, the second two…, and a refused one each."""
    files = {}
    for count, name in enumerate(NAMES, 1):
        lines = [b'{"%s": %d}' % (name.encode(), line) for line in range(count)]
        files[name] = write(folder / f"{name}.jsonl", *lines, BAD)
        database.loader("load", "--labeller", name, files[name])
    return files


def found(database: Database) -> dict[str, list[dict[str, int]]]:
    return {name: documents(database, name) for name in NAMES}


WHOLE = {name: [{name: line} for line in range(count)] for count, name in enumerate(NAMES, 1)}


def test_each_labeller_has_a_table_and_all_share_the_ledger(
    loaded: Database, tmp_path: Path
) -> None:
    load_one_each(loaded, tmp_path)
    assert found(loaded) == WHOLE
    assert miscounted_chunks(loaded) == []
    ids = [
        response_id
        for name in NAMES
        for (response_id,) in fetch(
            loaded,
            sql.SQL("select response_id from {} order by response_id").format(
                labellers.responses_of(name)
            ),
        )
    ]
    assert ids == sorted(set(ids))
    statuses = [json.loads(line) for line in loaded.loader("status", "--json").splitlines()]
    assert [status["labeller"] for status in statuses] == list(NAMES)
    assert "clarifai.jsonl: loaded (clarifai), 2 loaded + 1 rejected" in loaded.loader("status")


# names


def test_an_unknown_labeller_is_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    words = says(monkeypatch, "load --labeller Rekognition file", status=2)
    assert "Rekognition is not known" in words
    assert f"the var labellers of {PROJECT / 'dbt_project.yml'} has {', '.join(NAMES)}" in words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vars: {labellers: {Mine: }}", "Mine in the var labellers of"),
        ("vars: {labellers: {'a.b': }}", "a.b in the var"),
        ("vars: {labellers: {read: }}", "read in the var"),
        ("vars: {labellers: {released: }}", "released in the var"),
        ("vars: {labellers: {forgotten: }}", "forgotten in the var"),
        ("vars: {labellers: {1: }}", "1 in the var"),
        ("vars: {labellers: {%s: }}" % ("x" * 41), "x in the var"),
        ("vars: {}", "cannot be read: 'labellers'"),
        ("", "cannot be read"),
        (None, "cannot be read: [Errno 2]"),
    ],
)
def test_a_list_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, words: str
) -> None:
    path = tmp_path / "dbt_project.yml"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(labellers, "LIST", path)
    said = says(monkeypatch, "load file", status=1)
    assert words in said
    assert str(path) in said


def test_a_labeller_that_was_added_wants_init(own_loaded: Database, tmp_path: Path) -> None:
    load_one_each(own_loaded, tmp_path)
    with own_loaded.connect() as connection:
        connection.execute("drop table raw.clarifai_responses")
    file = write(tmp_path / "new.jsonl", GOOD)
    assert "loader init" in fails(own_loaded, "load", "--labeller", "clarifai", file)
    own_loaded.loader("init")
    own_loaded.loader("load", "--labeller", "clarifai", file)
    assert found(own_loaded) == WHOLE | {"clarifai": [{"good": True}]}


# one file, two labellers


def ledger(database: Database) -> list[tuple[object, ...]]:
    query = """
        select file::text, array(
            select chunk::text from raw.loaded_chunks as chunk where file_id = file.file_id
        )
        from raw.loaded_files as file
    """
    return fetch(database, query)


@pytest.mark.parametrize("is_finished", [True, False], ids=["finished", "unfinished"])
def test_a_file_of_another_labeller_is_refused_until_it_is_forgotten(
    loaded: Database, tmp_path: Path, is_finished: bool
) -> None:
    file = write(tmp_path / "labels.jsonl", GOOD)
    loaded.loader("load", file)
    if not is_finished:
        lose_chunk(loaded, 0)
    before = ledger(loaded)
    file = file.rename(tmp_path / "it's other.jsonl")
    words = fails(loaded, "load", "--labeller", "clarifai", file)
    assert f"{file} was loaded with --labeller rekognition, not clarifai" in words
    (command,) = [line for line in words.splitlines() if "loader forget" in line]
    assert ledger(loaded) == before
    assert documents(loaded, "clarifai") == []

    forget = command[command.index("-m loader forget") :]
    done = loaded.run("/bin/sh", "-c", f"{sys.executable} {forget}")
    assert done.returncode == 0, done.stderr
    loaded.loader("load", "--labeller", "clarifai", file)
    assert documents(loaded, "clarifai") == [{"good": True}]
    assert documents(loaded) == []


def test_standard_input_of_another_labeller_is_refused(loaded: Database) -> None:
    loaded.invoke(cli, "load", "--labeller", "clarifai", "-", stdin=GOOD)
    assert "was loaded with --labeller clarifai" in fails(loaded, "load", "-", stdin=GOOD)


def test_a_mended_line_goes_to_its_file_s_labeller(loaded: Database, tmp_path: Path) -> None:
    load_one_each(loaded, tmp_path)
    mend(loaded, "file_id != 1")
    assert "3 lines loaded, 1 still rejected" in loaded.loader("retry-rejects")
    want = {name: [*WHOLE[name], {}] for name in NAMES[1:]}
    assert found(loaded) == WHOLE | want
    assert miscounted_chunks(loaded) == []


def test_a_file_of_any_labeller_is_forgotten(loaded: Database, tmp_path: Path) -> None:
    files, want = load_one_each(loaded, tmp_path), dict(WHOLE)
    taken_back = []
    for name in NAMES:
        ids = sql.SQL("select min(response_id), max(response_id) from {}")
        taken_back += fetch(loaded, ids.format(labellers.responses_of(name)))
        assert f"{len(WHOLE[name])} lines taken back" in loaded.loader("forget", files[name])
        want[name] = []
        assert found(loaded) == want
        assert miscounted_chunks(loaded) == []
    forgotten = "select first_response_id, last_response_id from raw.forgotten_responses"
    assert fetch(loaded, forgotten) == taken_back
    assert ledger(loaded) == []


# upgrade

FORGOTTEN_OF_0_3 = """
create table raw.forgotten_responses (
    response_id bigint not null default nextval('raw.response_ids'),
    first_response_id bigint not null,
    last_response_id bigint not null
);
insert into raw.forgotten_responses (first_response_id, last_response_id) values (7, 9);
"""
ROWS = """
select file_id, name, finished_at, response_id, document, response.xmin::text
from raw.loaded_files
inner join raw.loaded_chunks using (file_id)
inner join raw.rekognition_responses as response using (chunk_id)
"""


@pytest.mark.both_versions
def test_an_earlier_schema_goes_on_after_init(database: Database, tmp_path: Path) -> None:
    """That of 0.1 and 0.2, and what 0.3 had before it was released."""
    with database.connect() as connection:
        connection.execute(gzip.decompress(VERSION_0_1.read_bytes()))
        connection.execute(FORGOTTEN_OF_0_3)
    before = fetch(database, ROWS)
    assert len(before) == 2
    for command in (["status"], ["load", write(tmp_path / "labels.jsonl", GOOD)]):
        assert "loader init" in fails(database, *command)
    database.loader("init")
    assert fetch(database, ROWS) == before
    ((old,),) = fetch(database, "select name from raw.loaded_files")
    assert f"{old}: loaded (rekognition), 2 loaded" in database.loader("status")
    load_one_each(database, tmp_path)
    database.loader("init")
    assert fetch(database, ROWS)[:2] == before
    assert "2 lines taken back" in database.loader("forget", old)
    assert found(database) == WHOLE
    assert fetch(database, "select count(*) from raw.forgotten_responses") == [(2,)]
