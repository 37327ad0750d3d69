"""Whatever is killed, and whenever: each row is written once, and given back once.

A table and a view that stand for the catalog and dbt's, and batches so small that a kill is nearly
always in the midst of many. KILL_SEED sets the instants; the seed of a run is printed.
"""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import BINARIES, Database, fresh_database, running_server
from loads import LONGEST_WAIT_SECONDS, fetch, wait_for
from psycopg import sql
from test_kill import kill_server

from catalog.cli import cli
from loader.connect import PROJECT
from loader.labellers import labellers
from trial.server import Server

KILLS = 16
BATCH = ("--batch", "5", "--quiet")
MANIFEST = {"sources": {"": {"source_name": "catalog", "schema": "catalog", "identifier": "image"}}}

STAND_INS = """
create schema catalog;
create schema refinery;
create table catalog.image as
select
    md5(number::text)::uuid as identifier,
    case number % 5 when 0 then null when 1 then '{}' else '[{"name": "Own"}]'::jsonb end as tags
from generate_series(1, 1000) as number;
alter table catalog.image add primary key (identifier);
create table refinery.int_rekognition_labels as
select identifier, 'Dog' as name from catalog.image where identifier::text < 'c';
alter table refinery.int_rekognition_labels add primary key (identifier);
create view refinery.catalog_images as
select
    image.identifier,
    case when labels.name is null or image.tags @> '[{"name": "Dog"}]' then image.tags
        else case when jsonb_typeof(image.tags) = 'array' then image.tags else '[]' end
            || jsonb_build_object('name', labels.name) end as tags
from catalog.image left join refinery.int_rekognition_labels as labels using (identifier);
create table public.before as select * from catalog.image;
"""
# The rows that are not as before are those whose backup says that we have written them so, the
# backup has them as they were, and the ledger has counted each once.
CHANGED = """
select identifier from catalog.image inner join public.before using (identifier)
where image.tags::text is distinct from before.tags::text order by 1
"""
BACKED_UP = """
select distinct identifier from tag_writes.backups inner join catalog.image using (identifier)
where md5(image.tags::text)::uuid = tags_written
and run_id = (select max(run_id) from tag_writes.runs) order by 1
"""
WRONG_BACKUPS = """
select from tag_writes.backups inner join public.before using (identifier)
where tags_before::text is distinct from tags::text
"""
IN_LEDGER = """
select coalesce(sum(case when is_undo then -rows_written else rows_written end), 0)::int
from tag_writes.batches
"""
IS_UNDONE = """
select coalesce(bool_and(undone_at is not null), true) from tag_writes.runs
where run_id = (select max(run_id) from tag_writes.runs)
"""
BATCHES = "select count(*) from tag_writes.batches"


@pytest.fixture(scope="module", params=BINARIES, ids=lambda version: f"postgres{version}")
def own_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server of each version that may be killed."""
    with running_server(request.param, tmp_path_factory.mktemp("killed") / "home") as server:
        yield server
        server.start()


@pytest.fixture
def database(own_server: Server, tmp_path: Path) -> Iterator[Database]:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "manifest.json").write_text(json.dumps(MANIFEST))
    with fresh_database(own_server, "killed", tmp_path) as fresh:
        with fresh.connect() as connection:
            connection.execute(STAND_INS)
            for labeller in labellers()[1:]:
                table = sql.Identifier("refinery", f"int_{labeller}_labels")
                connection.execute(sql.SQL("create table {} (identifier uuid)").format(table))
        assert fresh.invoke(cli, "init").exit_code == 0
        yield fresh
        own_server.start()


def start(database: Database, command: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "catalog", command, *BATCH],
        cwd=PROJECT,
        env=database.environment | {"DBT_TARGET_PATH": str(database.folder / "target")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_until_writing(database: Database, process: "subprocess.Popen[bytes]") -> None:
    with database.connect() as connection:
        before = connection.execute(BATCHES).fetchone()
        wait_for(
            lambda: process.poll() is not None or connection.execute(BATCHES).fetchone() != before
        )


def assert_each_once(database: Database) -> int:
    """Return how many rows are not as before."""
    changed = fetch(database, CHANGED)
    assert changed == fetch(database, BACKED_UP)
    assert fetch(database, WRONG_BACKUPS) == []
    assert fetch(database, IN_LEDGER) == [(len(changed),)]
    return len(changed)


def end(database: Database, command: str) -> None:
    """Run a command to its end; all rows are as it leaves them."""
    done = database.invoke(cli, command, *BATCH)
    assert done.exit_code == 0, done.stderr
    labelled = fetch(database, "select count(*) from refinery.int_rekognition_labels")[0][0]
    assert assert_each_once(database) == (labelled if command == "write-tags" else 0)


@pytest.mark.parametrize("kills_server", [False, True], ids=["command", "server"])
@pytest.mark.parametrize("command", ["write-tags", "undo"])
def test_killed_anywhere_each_row_is_written_once(
    own_server: Server, database: Database, rng: random.Random, command: str, kills_server: bool
) -> None:
    the_other = {"write-tags": "undo", "undo": "write-tags"}[command]
    hits = 0
    for number in range(KILLS // 2 if kills_server else KILLS):
        if command == "undo" and fetch(database, IS_UNDONE) == [
            (True,)
        ]:  # or killed at its very end
            end(database, the_other)
        process = start(database, command)
        if number % 5 == 0:  # any instant, from the program's start on
            time.sleep(rng.uniform(0, 0.5))
        else:
            wait_until_writing(database, process)
            time.sleep(rng.uniform(0, 0.15))
        if kills_server:
            kill_server(own_server)
            own_server.start()
        else:
            process.send_signal(signal.SIGKILL)
        _, words = process.communicate(timeout=LONGEST_WAIT_SECONDS)
        assert process.returncode in ((0, 1) if kills_server else (0, -signal.SIGKILL)), words
        assert b"Traceback" not in words
        assert_each_once(database)
        hits += process.returncode != 0
        if command == "write-tags" and process.returncode == 0:
            end(database, the_other)
    print(f"{hits} kills in the midst")
    assert hits > KILLS / 5
    if command == "write-tags":
        end(database, command)
    if fetch(database, IS_UNDONE) != [(True,)]:
        end(database, "undo")
