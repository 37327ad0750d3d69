"""Tags into the catalog's own table, and back: what is written, what is left, what is refused.

KILL_SEED sets the instants at which a command is killed; the seed of a run is printed.
"""

import json
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Database
from loads import fetch, longest_wait, wait_for, wait_until_blocked, write
from psycopg import sql

from catalog import batches, ledger
from catalog.cli import cli
from loader.connect import PROJECT

DIGEST = sql.SQL("select md5(string_agg(image::text, ',' order by image::text)) from {} as image")
VIEWS = ("catalog_images", "published_images", "safe_images", "machine_tags", "tag_decisions")
OWN_TAG = '[{"name": "Own", "provider": "flickr"}]'
ADD = "update catalog.image set tags = coalesce(tags, '[]') || %s::jsonb where identifier = %s"
HAS_BOTH = """
select tags @> %s and tags @> '[{"provider": "rekognition"}]' from catalog.image
where identifier = %s
"""
LABELLED = "select min(identifier::text) from refinery.machine_tags"
UNLABELLED = """
select identifier, xmin::text from catalog.image
where identifier not in (select identifier from refinery.machine_tags) order by 1
"""
DIFFER = sql.SQL(
    """
    select from catalog.image inner join {} as shown using (identifier)
    where image.tags::text is distinct from shown.tags::text
    and identifier in (select identifier from refinery.machine_tags)
    """
)


def says(database: Database, *arguments: str) -> str:
    done = database.invoke(cli, *arguments)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def refuses(database: Database, *arguments: str) -> str:
    done = database.invoke(cli, *arguments)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    return done.stderr


def digests(database: Database, *views: str) -> list[object]:
    return [fetch(database, DIGEST.format(sql.Identifier("refinery", view))) for view in views]


def table_as_it_is(database: Database) -> list[tuple[object]]:
    return fetch(database, DIGEST.format(sql.Identifier("catalog", "image")))


@pytest.fixture
def written_to(own_few: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The project on a few images, some with odd tags or none."""
    monkeypatch.setattr(batches, "SECONDS_BETWEEN_ROUNDS", 0.1)
    says(own_few, "init")
    return own_few


@pytest.mark.both_versions
@pytest.mark.parametrize(("options", "views"), [((), VIEWS), (("--published",), VIEWS[1:3])])
def test_views_say_the_same_before_between_and_after(
    written_to: Database, options: tuple[str, ...], views: tuple[str, ...]
) -> None:
    before, shown = table_as_it_is(written_to), digests(written_to, *views)
    untouched = fetch(written_to, UNLABELLED)
    would = says(written_to, "write-tags", "--dry-run", *options)
    assert table_as_it_is(written_to) == before
    done = says(written_to, "write-tags", "--batch", "30", *options)
    (rows,) = fetch(written_to, "select sum(rows_written) from tag_writes.batches")[0]
    assert rows > 100
    assert would == f"{rows} rows of catalog.image would be written\n"
    assert done == f"run 1: {rows} rows of catalog.image written\n"
    assert table_as_it_is(written_to) != before
    view = sql.Identifier("refinery", "published_images" if options else "catalog_images")
    assert fetch(written_to, DIFFER.format(view)) == []
    assert fetch(written_to, UNLABELLED) == untouched
    assert digests(written_to, *views) == shown
    assert says(written_to, "write-tags", *options) == "0 rows of catalog.image written\n"
    words = f"run 1: {rows} rows of catalog.image given back, 0 changed since\n"
    assert says(written_to, "undo", "--batch", "40") == words
    assert table_as_it_is(written_to) == before
    assert digests(written_to, *views) == shown


def test_a_refresh_counts_the_same_and_its_new_labels_alone_are_written(
    written_to: Database, tmp_path: Path
) -> None:
    counts = ("labels", "label_summary", "unreviewed_labels")
    shown = digests(written_to, *counts)
    says(written_to, "write-tags")
    written_to.build("run", "--selector", "refresh")
    assert digests(written_to, *counts) == shown
    images = fetch(written_to, "select identifier::text from catalog.image order by 1 desc limit 3")
    labels = {"Labels": [{"Name": "Sea Snake", "Confidence": 99}]}
    lines = [json.dumps({"image_uuid": image, "response": labels}).encode() for (image,) in images]
    written_to.loader("load", write(tmp_path / "new.jsonl", *lines))
    written_to.build("run", "--selector", "refresh")
    assert says(written_to, "write-tags") == "run 2: 3 rows of catalog.image written\n"


def test_a_column_is_touched_if_it_is_named(written_to: Database) -> None:
    touched = "select count(*) from catalog.image where updated_on > now() - interval '1 hour'"
    says(written_to, "write-tags")
    assert fetch(written_to, touched) == [(0,)]
    says(written_to, "undo")
    assert fetch(written_to, touched) == [(0,)]
    words = refuses(written_to, "write-tags", "--touch", "changed")
    assert "needs a column changed of type" in words
    says(written_to, "write-tags", "--touch", "updated_on")
    rows = fetch(written_to, "select rows_written from tag_writes.batches where run_id = 2")
    assert fetch(written_to, touched) == [(sum(count for (count,) in rows),)]


@pytest.mark.both_versions
def test_a_locked_row_is_left_and_written_by_the_next_run(written_to: Database) -> None:
    (image,) = fetch(written_to, LABELLED)[0]
    with written_to.connect() as other, other.transaction():
        other.execute(ADD, (OWN_TAG, image))
        words = refuses(written_to, "write-tags")
        assert "1 rows were locked or changed by others all the while: run the same" in words
    assert says(written_to, "write-tags") == "run 1: 1 rows of catalog.image written\n"
    assert fetch(written_to, HAS_BOTH, OWN_TAG, image) == [(True,)]
    before = "select tags_before @> %s from tag_writes.backups where identifier = %s"
    assert fetch(written_to, before, OWN_TAG, image) == [(True,)]


@pytest.mark.parametrize("command", ["write-tags", "undo"])
def test_what_another_writes_between_read_and_write_is_not_lost(
    written_to: Database, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The other has written when we read, and commits while we wait for its row."""
    monkeypatch.setattr(batches, "LOCK_TIMEOUT", f"{longest_wait()}s")
    if command == "undo":
        says(written_to, "write-tags")
    (image,) = fetch(written_to, LABELLED)[0]
    with written_to.connect() as other, ThreadPoolExecutor(1) as threads:
        with other.transaction():
            other.execute(ADD, (OWN_TAG, image))
            done = threads.submit(says, written_to, command)
            wait_until_blocked(other)
        done.result()
    assert fetch(written_to, HAS_BOTH, OWN_TAG, image) == [(True,)]


def test_only_one_writes_at_a_time_and_one_that_ends_is_waited_for(
    written_to: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command ends before the server has let go of its lock."""
    with ThreadPoolExecutor(1) as threads:
        with written_to.connect() as other:
            other.execute("select pg_advisory_lock('tag_writes.runs'::regclass::bigint)")
            for command in (("write-tags",), ("drop-backup", "1")):
                assert "another `python -m catalog` is writing" in refuses(written_to, *command)
            monkeypatch.setattr(ledger, "LOCK_TIMEOUT", f"{longest_wait()}s")
            done = threads.submit(says, written_to, "write-tags")
            wait_until_blocked(other)
        assert "rows of catalog.image written" in done.result()


def test_what_others_have_changed_since_is_kept_and_listed(written_to: Database) -> None:
    says(written_to, "write-tags")
    two = "select identifier from tag_writes.backups order by identifier limit 2"
    ((changed,), (removed,)) = fetch(written_to, two)
    with written_to.connect() as connection:
        connection.execute(ADD, (OWN_TAG, changed))
        connection.execute("delete from catalog.image where identifier = %s", (removed,))
    words = says(written_to, "undo").splitlines()
    assert words[:2] == [f"{image}: changed since, left as it is" for image in (changed, removed)]
    assert words[2].endswith(" given back, 2 changed since")
    still = "select tags @> %s from catalog.image where identifier = %s"
    assert fetch(written_to, still, OWN_TAG, changed) == [(True,)]


def test_runs_are_listed_and_backups_dropped(written_to: Database) -> None:
    assert says(written_to, "status") == "nothing has been written\n"
    says(written_to, "write-tags")
    (run,) = map(json.loads, says(written_to, "status", "--json").splitlines())
    assert (run["state"], run["view_name"]) == ("finished", "catalog_images")
    assert run["rows_written"] > 100
    assert run["backup_bytes"] > 10_000
    assert "a second run writes what differs by then" in says(written_to, "status")
    says(written_to, "undo")
    assert "run 1 is undone already" in refuses(written_to, "undo", "1")
    says(written_to, "write-tags")
    assert says(written_to, "drop-backup", "2").startswith("run 2: its backup of ")
    assert "backup dropped" in says(written_to, "status")
    assert "no run 2 with a backup" in refuses(written_to, "drop-backup", "2")
    assert "run 2 cannot be undone: its backup was dropped" in refuses(written_to, "undo", "2")
    assert "there is no run 7" in refuses(written_to, "undo", "7")
    says(written_to, "drop-backup", "1")
    assert "nothing to undo" in refuses(written_to, "undo")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "alter table catalog.image rename tags to labels",
            "catalog.image needs a column tags of type jsonb; it is not there. Nothing was written",
        ),
        (
            "alter table catalog.image rename tags to labels;"
            "alter table catalog.image add column tags json",
            "it is json now",
        ),
        (
            "alter table catalog.image rename to picture",
            "there is no table catalog.image: set the vars",
        ),
        (
            "alter view refinery.catalog_images rename to another",
            "refinery.catalog_images is not there: run `dbt build` first",
        ),
        ("drop schema tag_writes cascade", "run `python -m catalog init` first"),
    ],
)
def test_a_catalog_that_is_not_what_it_was_is_refused(
    written_to: Database, change: str, words: str
) -> None:
    says(written_to, "write-tags")
    with written_to.connect() as connection:
        connection.execute(change)
    for command in ("write-tags", "undo"):
        assert words in refuses(written_to, command)


# Whatever is killed, and whenever: each row is written once, and given back once

# So small that a kill is nearly always in the midst of many.
BATCHES = ("--batch", "2", "--quiet")
THE_OTHER = {"write-tags": "undo", "undo": "write-tags"}
# The state of a run when the command has nothing left to do.
ENDED = {"write-tags": "finished", "undo": "undone"}
# How many rows are not as before; for how many of all that is not what their backup says; how many
# the ledger has counted; and how many backups do not have them as before.
EACH_ONCE = """
select
    count(*) filter (where is_changed),
    count(*) filter (where is_changed <> is_written),
    (
        select coalesce(sum(case when is_undo then -rows_written else rows_written end), 0)::int
        from tag_writes.batches
    ),
    (
        select count(*) from tag_writes.backups inner join public.before using (identifier)
        where tags_before::text is distinct from tags::text
    )
from (
    select
        image.tags::text is distinct from before.tags::text as is_changed,
        exists (
            select from tag_writes.backups where backups.identifier = image.identifier
            and run_id = (select max(run_id) from tag_writes.runs)
            and tags_written = md5(image.tags::text)::uuid
        ) as is_written
    from catalog.image inner join public.before using (identifier)
) as image
"""
BEGUN = "select count(*) from tag_writes.batches"
# What a crash of the server would empty.
UNLOGGED = """
select relname from pg_class
where relnamespace = 'tag_writes'::regnamespace and relpersistence <> 'p'
"""
END_SESSION = """
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and application_name = 'label-refinery'
"""


def state(database: Database) -> str:
    """Return how far the last run is; before the first, all is as after an `undo`."""
    runs = says(database, "status", "--json").splitlines()
    return json.loads(runs[-1])["state"] if runs else "undone"


def assert_each_once(database: Database) -> int:
    """Return how many rows are not as before."""
    ((changed, *others),) = fetch(database, EACH_ONCE)
    assert others == [0, changed, 0]
    return changed


def end(database: Database, command: str) -> None:
    """Run a command to its end; all rows are as it leaves them."""
    says(database, command, *BATCHES)
    changed = assert_each_once(database)
    assert changed > 100 if command == "write-tags" else changed == 0


def kill(database: Database, command: str, killed: str, rng: random.Random) -> bool:
    """Start a command and kill it; return whether that was before its end."""
    begun = fetch(database, BEGUN)
    process = subprocess.Popen(
        [sys.executable, "-m", "catalog", command, *BATCHES],
        cwd=PROJECT,
        env=database.environment | {"DBT_TARGET_PATH": str(database.folder / "target")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    if rng.random() < 0.8:  # else at any instant, from the program's start on
        wait_for(lambda: process.poll() is not None or fetch(database, BEGUN) != begun)
    time.sleep(rng.uniform(0, 0.2))
    process.kill() if killed == "command" else fetch(database, END_SESSION)
    _, words = process.communicate(timeout=longest_wait())
    assert process.returncode in ((0, -9) if killed == "command" else (0, 1)), words
    assert b"Traceback" not in words
    return process.returncode != 0 and fetch(database, BEGUN) != begun


@pytest.mark.parametrize("kills", [1, pytest.param(16, marks=pytest.mark.slow)])
@pytest.mark.parametrize("killed", ["command", "session"])  # as by a server that is shut down
@pytest.mark.parametrize("command", ["write-tags", "undo"])
def test_killed_anywhere_each_row_is_written_once(
    written_to: Database, rng: random.Random, command: str, killed: str, kills: int
) -> None:
    with written_to.connect() as connection:
        connection.execute("create table public.before as table catalog.image")
    assert fetch(written_to, UNLOGGED) == []
    while kills:
        if state(written_to) == ENDED[command]:
            end(written_to, THE_OTHER[command])
        kills -= kill(written_to, command, killed, rng)
        assert_each_once(written_to)
    if state(written_to) != ENDED[command]:
        end(written_to, command)
    assert says(written_to, "write-tags", "--dry-run").startswith("0 rows") or command == "undo"
