"""Files of several labellers: each in its labeller's table, and known as that labeller's."""

import gzip
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import Database
from loads import (
    BAD,
    GOOD,
    documents,
    fails,
    fetch,
    lose_chunk,
    miscounted_chunks,
    on_one_version,
    run,
    write,
)
from psycopg import sql

from loader import labellers
from loader.cli import cli
from loader.connect import PROJECT

REAL_DATA = PROJECT.parent / "shared" / "data"
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


@pytest.mark.parametrize("name", [name for name in NAMES if name != "google_vision"])
def test_real_files_are_loaded(loaded: Database, name: str) -> None:
    file = REAL_DATA / f"labellers_{name}.jsonl"
    if not file.exists():
        pytest.skip(f"{file} is not there")
    words = loaded.loader("load", "--labeller", name, file)
    assert "300 lines = 300 loaded + 0 rejected + 0 blank" in words
    with file.open() as lines:
        assert documents(loaded, name) == [json.loads(line) for line in lines]


def test_the_tables_of_all_labellers_are_alike(loaded: Database) -> None:
    query = """
        select
            array(
                select (attname, atttypid, attnotnull, attstorage, attcompression)::text
                from pg_attribute where attrelid = pg_class.oid and attnum > 0 order by attnum
            ),
            array(
                select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = pg_class.oid
            ),
            reloptions,
            obj_description(pg_class.oid),
            col_description(pg_class.oid, 1),
            array(
                select replace(indexdef, relname, '…') from pg_indexes where tablename = relname
            )
        from pg_class
        where oid = %s::regclass
    """
    first, *others = (fetch(loaded, query, f"raw.{name}_responses") for name in NAMES)
    assert all(other == first for other in others)
    assert "brin" in str(first)


# names


def says(monkeypatch: pytest.MonkeyPatch, arguments: str, status: int) -> str:
    """Return what a command says that has to end with a status before it reaches a server."""
    monkeypatch.setenv("PGHOST", "/nonexistent")
    monkeypatch.setattr("signal.signal", lambda *_: None)  # cli sets this process's own
    done = CliRunner().invoke(cli, arguments.split())
    assert done.exit_code == status, done.output
    return " ".join(done.stderr.split())


@pytest.mark.parametrize("name", ["clarify", "Rekognition", "read"])
def test_an_unknown_labeller_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    words = says(monkeypatch, f"load --labeller {name} file", status=2)
    assert f"{name} is not known" in words
    assert f"the var labellers of {PROJECT / 'dbt_project.yml'} has {', '.join(NAMES)}" in words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vars: {labellers: {Mine: }}", "Mine in the var labellers of"),
        ("vars: {labellers: {'a.b': }}", "a.b in the var"),
        ("vars: {labellers: {'a\"b': }}", 'a"b in the var'),
        ("vars: {labellers: {read: }}", "read in the var"),
        ("vars: {labellers: {released: }}", "released in the var"),
        ("vars: {labellers: {forgotten: }}", "forgotten in the var"),
        ("vars: {labellers: {1: }}", "1 in the var"),
        ("vars: {labellers: {%s: }}" % ("x" * 41), "x in the var"),
        ("vars: {labellers: }", "cannot be read"),
        ("vars: {}", "cannot be read: 'labellers'"),
        ("vars: [", "cannot be read"),
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


def test_a_labeller_that_was_added_wants_init(loaded: Database, tmp_path: Path) -> None:
    load_one_each(loaded, tmp_path)
    with loaded.connect() as connection:
        connection.execute("drop table raw.clarifai_responses")
    file = write(tmp_path / "new.jsonl", GOOD)
    assert "loader init" in fails(loaded, "load", "--labeller", "clarifai", file)
    loaded.loader("init")
    loaded.loader("load", "--labeller", "clarifai", file)
    assert found(loaded) == WHOLE | {"clarifai": [{"good": True}]}


# one file, two labellers


def ledger(database: Database) -> list[tuple[object, ...]]:
    query = """
        select file::text, array(
            select chunk::text from raw.loaded_chunks as chunk where file_id = file.file_id
        )
        from raw.loaded_files as file
    """
    return fetch(database, query)


@pytest.mark.parametrize("is_finished", [True, False])
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


@on_one_version
def test_standard_input_of_another_labeller_is_refused(loaded: Database) -> None:
    assert run(loaded, "load", "--labeller", "clarifai", "-", stdin=GOOD).returncode == 0
    assert "was loaded with --labeller clarifai" in fails(loaded, "load", "-", stdin=GOOD)


@on_one_version
def test_a_mended_line_goes_to_its_file_s_labeller(loaded: Database, tmp_path: Path) -> None:
    load_one_each(loaded, tmp_path)
    with loaded.connect() as connection:
        connection.execute(
            """
            update raw.rejected_lines set line = convert_to('{"mended": ' || file_id || '}', 'UTF8')
            where file_id != 1
            """
        )
    assert "3 lines loaded, 1 still rejected" in loaded.loader("retry-rejects")
    want = {name: [*WHOLE[name], {"mended": file_id}] for file_id, name in enumerate(NAMES, 1)}
    assert found(loaded) == want | {"rekognition": WHOLE["rekognition"]}
    assert miscounted_chunks(loaded) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_labeller_is_forgotten(loaded: Database, tmp_path: Path, name: str) -> None:
    files = load_one_each(loaded, tmp_path)
    table = labellers.responses_of(name)
    ids = sql.SQL("select min(response_id), max(response_id) from {}").format(table)
    want = fetch(loaded, ids)
    assert f"{len(WHOLE[name])} lines taken back" in loaded.loader("forget", files[name])
    assert found(loaded) == WHOLE | {name: []}
    taken_back = "select first_response_id, last_response_id from raw.forgotten_responses"
    assert fetch(loaded, taken_back) == want
    assert len(ledger(loaded)) == len(NAMES) - 1
    assert miscounted_chunks(loaded) == []


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


@pytest.mark.parametrize("later", ["", FORGOTTEN_OF_0_3], ids=["of 0.1 and 0.2", "of 0.3 before"])
def test_an_earlier_schema_goes_on_after_init(
    database: Database, tmp_path: Path, later: str
) -> None:
    with database.connect() as connection:
        connection.execute(gzip.decompress(VERSION_0_1.read_bytes()))
        connection.execute(later.encode())
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
    forgotten = fetch(database, "select count(*) from raw.forgotten_responses")
    assert forgotten == [(2 if later else 1,)]
