"""Two commands at once on one database leave what one after the other would have left.

After each pair all that is counted or filled is counted again, by other SQL than the models'. The
tables are slow to be filled here, so that two that fill them meet. OVERLAP_SEED repeats a run.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Database, fresh_database
from loads import LONGEST_WAIT_SECONDS, fetch, on_one_version, write
from psycopg import sql
from recount import RECOUNT, miscounted

from loader.connect import PROJECT
from trial.server import Server

SEED = int(os.environ.get("OVERLAP_SEED") or random.SystemRandom().randrange(10**6))
LABELS = ("Dog", "Cat", "Tree", "Man", "Sea Snake", "Air Fryer", "Bucket Hat")

DBT = Path(sys.executable).with_name("dbt")
LOADER = (sys.executable, "-m", "loader")
NO_UNIT_TESTS = ("--exclude-resource-types", "unit_test")
COMMANDS = {
    "run": (DBT, "--quiet", "--no-use-colors", "run"),
    "build": (DBT, "--quiet", "--no-use-colors", "build", *NO_UNIT_TESTS),
    "test": (DBT, "--quiet", "--no-use-colors", "test", *NO_UNIT_TESTS),
    "seed": (DBT, "--quiet", "--no-use-colors", "seed"),
    "load": (*LOADER, "load"),
    "forget": (*LOADER, "forget"),
}
REFRESHING = ("run", "build")
FILE_COMMANDS = ("load", "forget")
PAIRS = (
    *("run run", "run seed", "run forget"),
    *("build load", "seed seed", "seed test", "test load", "load forget"),
)

CATALOG = """
insert into catalog.image (identifier, provider, tags)
select
    ('00000000-0000-4000-8000-' || lpad(number::text, 12, '0'))::uuid,
    'flickr',
    jsonb_build_array(
        jsonb_build_object('name', 'mine', 'provider', 'flickr'),
        jsonb_build_object('name', 'sea', 'provider', 'clarifai', 'accuracy', number / 1000.0),
        jsonb_build_object('name', 'Dog', 'provider', 'rekognition', 'accuracy', 0.75)
    )
from generate_series(1, 200) as number
"""
SLOW = """
create function catalog.wait() returns trigger language plpgsql as
$$ begin perform pg_sleep(0.2); return null; end $$
"""
SLOW_TABLE = """
create trigger wait before insert on refinery.{} for each statement execute function catalog.wait()
"""
REFRESHES = "select invocation_id from refinery.refreshes"
BROKEN_CHAIN = """
select * from (
    select
        *,
        lag(published_tags) over ascending as tags_of_row_before,
        lag(last_response_id, 1, 0::bigint) over ascending as id_of_row_before
    from refinery.refreshes
    window ascending as (order by finished_at)
) as refresh
where
    published_tags_before is distinct from tags_of_row_before
    or last_response_id < id_of_row_before
"""
COUNTS = (
    *("int_catalog_labels", "int_corrected_counts", "label_summary"),
    "int_label_policy_in_force",
)
FILLED = (
    *("int_rekognition_labels", "int_catalog_labels", "int_label_counts", "int_label_changes"),
    "int_label_policy_in_force",
)


@pytest.fixture(scope="module")
def crowded(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The project built on a few labelled images, in tables that take a while to be filled."""
    folder = tmp_path_factory.mktemp("crowded")
    with fresh_database(server, "crowded", folder) as fresh:
        fresh.loader("init")
        with fresh.connect() as connection:
            connection.execute((PROJECT / "trial" / "catalog.sql").read_bytes())
            connection.execute(CATALOG)
            fresh.loader("load", label_file(folder, "first"))
            fresh.build("build", *NO_UNIT_TESTS)
            connection.execute(RECOUNT)
            connection.execute(SLOW)
            for table in FILLED:
                connection.execute(sql.SQL(SLOW_TABLE).format(sql.Identifier(table)))
        yield fresh


def label_file(folder: Path, name: str) -> Path:
    """Write a file of new labels for some of the images, each time for others."""
    dice = random.Random(f"{SEED} {name}")
    lines = []
    for number in dice.sample(range(1, 250), 60):  # some are not in the catalog
        labels = [
            {"Name": name, "Confidence": round(dice.uniform(55, 100), 3)}
            for name in dice.sample(LABELS, dice.randrange(len(LABELS)))
        ]
        image = f"00000000-0000-4000-8000-{number:012}"
        lines.append(json.dumps({"image_uuid": image, "response": {"Labels": labels}}).encode())
    return write(folder / f"{name}.jsonl", *lines)


@on_one_version
@pytest.mark.parametrize("pair", PAIRS)
def test_two_at_once_leave_what_one_would(crowded: Database, pair: str) -> None:
    dice = random.Random(f"{SEED} {pair}")
    files = {name: label_file(crowded.folder, f"{pair} {name}") for name in FILE_COMMANDS}
    crowded.loader("load", files["forget"])  # in the other pairs, so that a run has new responses
    refreshes = len(fetch(crowded, REFRESHES))
    names = dice.sample(pair.split(), 2)
    started = [start(crowded, name, files.get(name), dice) for name in names]
    said = [process.communicate(timeout=LONGEST_WAIT_SECONDS)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(said)
    assert miscounted(crowded, *COUNTS) == []
    assert len(fetch(crowded, REFRESHES)) == refreshes + sum(name in REFRESHING for name in names)
    assert fetch(crowded, BROKEN_CHAIN) == []
    crowded.build("run", "--selector", "refresh")
    assert miscounted(crowded, *COUNTS, "int_rekognition_labels") == []


def start(
    database: Database, name: str, file: Path | None, dice: random.Random
) -> "subprocess.Popen[str]":
    """Start a command as a program of its own, after a moment."""
    program, *_ = command = COMMANDS[name]
    target, log = str(database.folder / "target"), str(database.folder)
    dbts_folders = {"DBT_TARGET_PATH": target, "DBT_LOG_PATH": log}
    time.sleep(dice.uniform(0, 1) if program == DBT else dice.uniform(0, 4))
    return subprocess.Popen(
        [*command, *([file] if name in FILE_COMMANDS else [])],
        cwd=PROJECT,
        env=database.environment | dbts_folders,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
