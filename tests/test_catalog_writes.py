"""Tags into the catalog's own table, and back: what is written, what is left, what is refused."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from click.testing import Result
from conftest import Database
from loads import fetch, wait_until_blocked
from psycopg import sql

from catalog import batches
from catalog.cli import cli
from trial.server import Server

DIGEST = sql.SQL("select md5(string_agg(image::text, ',' order by image::text)) from {} as image")
VIEWS = ("catalog_images", "published_images", "safe_images", "machine_tags", "tag_decisions")
OWN_TAG = '[{"name": "Own", "provider": "flickr"}]'
ADD = "update catalog.image set tags = coalesce(tags, '[]') || %s::jsonb where identifier = %s"
HAS_BOTH = """
select tags @> %s and tags @> '[{"provider": "rekognition"}]' from catalog.image
where identifier = %s
"""
LABELLED = """
select identifier from refinery.int_machine_labels
inner join catalog.image using (identifier) order by identifier limit 1
"""


def catalog(database: Database, *arguments: str) -> Result:
    return database.invoke(cli, *arguments)


def says(database: Database, *arguments: str) -> str:
    done = catalog(database, *arguments)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def refuses(database: Database, *arguments: str) -> str:
    done = catalog(database, *arguments)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    return done.stderr


def digests(database: Database, *views: str) -> list[tuple[object]]:
    return [
        row
        for view in views
        for row in fetch(database, DIGEST.format(sql.Identifier("refinery", view)))
    ]


def table_as_it_is(database: Database) -> list[tuple[object]]:
    return fetch(database, DIGEST.format(sql.Identifier("catalog", "image")))


@contextmanager
def copy_of(server: Server, database: Database, name: str, folder: Path) -> Iterator[Database]:
    """A copy of a database, with what dbt has said of the project."""
    (folder / "target").mkdir()
    shutil.copy(database.folder / "target" / "manifest.json", folder / "target")
    copy = Database(database.host, name, folder)
    dropped, copied = (
        sql.SQL(words).format(copy=sql.Identifier(name), original=sql.Identifier(database.name))
        for words in (
            "drop database if exists {copy} with (force)",
            "create database {copy} template {original}",
        )
    )
    with psycopg.connect(**server.parameters() | {"dbname": "postgres"}, autocommit=True) as admin:
        admin.execute(dropped)
        admin.execute(copied)
        yield copy
        admin.execute(dropped)


@pytest.fixture(scope="module")
def small(
    server: Server, sample: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """The project built on the sample; an eighth of the images is left, some with odd tags."""
    with copy_of(server, sample, "small", tmp_path_factory.mktemp("small")) as copy:
        with copy.connect() as connection:
            connection.execute(
                """
                delete from catalog.image where hashtext(identifier::text) % 8 <> 0;
                update catalog.image set tags = case when width % 2 = 0 then '{}'::jsonb end
                where identifier in (
                    select identifier from catalog.image
                    except select identifier from refinery.int_machine_labels
                    order by identifier limit 20
                )
                """
            )
        copy.build("run", "--selector", "refresh")
        assert copy.invoke(cli, "init").exit_code == 0
        yield copy


@pytest.fixture
def written_to(server: Server, small: Database, tmp_path: Path) -> Iterator[Database]:
    """A copy of it for each test."""
    with copy_of(server, small, "written_to", tmp_path) as copy:
        yield copy


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "SECONDS_BETWEEN_ROUNDS", 0.1)


@pytest.mark.parametrize(("options", "views"), [((), VIEWS), (("--published",), VIEWS[1:3])])
def test_views_say_the_same_before_between_and_after(
    written_to: Database, options: tuple[str, ...], views: tuple[str, ...]
) -> None:
    before, shown = table_as_it_is(written_to), digests(written_to, *views)
    unlabelled = """
    select identifier, xmin::text from catalog.image
    where identifier not in (select identifier from refinery.int_machine_labels) order by 1
    """
    untouched = fetch(written_to, unlabelled)
    would = says(written_to, "write-tags", "--dry-run", *options)
    assert table_as_it_is(written_to) == before
    done = says(written_to, "write-tags", "--batch", "300", *options)
    (rows,) = fetch(written_to, "select sum(rows_written) from tag_writes.batches")[0]
    assert rows > 1_000
    assert would == f"{rows:,} rows of catalog.image would be written\n"
    assert done == f"run 1: {rows:,} rows of catalog.image written\n"
    assert table_as_it_is(written_to) != before
    view = "published_images" if options else "catalog_images"
    differ = f"""
    select from catalog.image inner join refinery.{view} as shown using (identifier)
    where image.tags::text is distinct from shown.tags::text
    and identifier in (select identifier from refinery.int_machine_labels)
    """  # noqa: S608 - one of two names
    assert fetch(written_to, differ) == []
    assert fetch(written_to, unlabelled) == untouched
    assert digests(written_to, *views) == shown
    assert says(written_to, "write-tags", *options) == "0 rows of catalog.image written\n"
    words = f"run 1: {rows:,} rows of catalog.image given back, 0 changed since\n"
    assert says(written_to, "undo", "--batch", "400") == words
    assert table_as_it_is(written_to) == before
    assert digests(written_to, *views) == shown


def test_counts_are_the_same_after_a_refresh(written_to: Database) -> None:
    shown = digests(written_to, "labels", "label_summary", "unreviewed_labels")
    says(written_to, "write-tags")
    written_to.build("run", "--selector", "refresh")
    assert digests(written_to, "labels", "label_summary", "unreviewed_labels") == shown


def test_new_labels_are_written_to_their_images_alone(written_to: Database, tmp_path: Path) -> None:
    says(written_to, "write-tags")
    images = [
        str(identifier)
        for (identifier,) in fetch(
            written_to, "select identifier from catalog.image order by identifier desc limit 3"
        )
    ]
    path = tmp_path / "new.jsonl"
    labels = {"Labels": [{"Name": "Sea Snake", "Confidence": 99}]}
    path.write_text(
        "".join(json.dumps({"image_uuid": image, "response": labels}) + "\n" for image in images)
    )
    written_to.loader("load", path)
    written_to.build("run", "--selector", "refresh")
    assert says(written_to, "write-tags") == "run 2: 3 rows of catalog.image written\n"


def test_a_column_is_touched_if_it_is_named(written_to: Database) -> None:
    touched = "select count(*) from catalog.image where updated_on > now() - interval '1 hour'"
    says(written_to, "write-tags")
    assert fetch(written_to, touched) == [(0,)]
    says(written_to, "undo")
    assert fetch(written_to, touched) == [(0,)]
    says(written_to, "write-tags", "--touch", "updated_on")
    rows = fetch(written_to, "select rows_written from tag_writes.batches where run_id = 2")
    assert fetch(written_to, touched) == [(sum(count for (count,) in rows),)]


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


def test_what_another_writes_between_read_and_write_is_not_lost(
    written_to: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other has written when we read, and commits while we wait for its row."""
    monkeypatch.setattr(batches, "LOCK_TIMEOUT", "10s")
    (image,) = fetch(written_to, LABELLED)[0]
    with written_to.connect() as other, ThreadPoolExecutor(1) as threads:
        with other.transaction():
            other.execute(ADD, (OWN_TAG, image))
            done = threads.submit(says, written_to, "write-tags")
            wait_until_blocked(other)
        done.result()
    assert fetch(written_to, HAS_BOTH, OWN_TAG, image) == [(True,)]


def test_a_session_that_is_at_its_end_is_waited_for(written_to: Database) -> None:
    """A command ends before the server has let go of its lock."""
    with ThreadPoolExecutor(1) as threads:
        with written_to.connect() as ending:
            ending.execute("select pg_advisory_lock('tag_writes.runs'::regclass::bigint)")
            done = threads.submit(says, written_to, "write-tags")
            wait_until_blocked(ending)
        assert "rows of catalog.image written" in done.result()


def test_a_catalog_that_is_written_to_all_the_while_loses_nothing(written_to: Database) -> None:
    identifiers = fetch(
        written_to, "select identifier from catalog.image order by md5(identifier::text) limit 500"
    )
    stop, added = threading.Event(), set()

    def write() -> None:
        with written_to.connect() as connection:
            for start in range(0, len(identifiers), 5):
                if stop.is_set():
                    break
                with connection.transaction():
                    for (identifier,) in sorted(identifiers[start : start + 5]):
                        connection.execute(ADD, (OWN_TAG, identifier))
                    time.sleep(0.02)
                added.update(identifier for (identifier,) in identifiers[start : start + 5])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for command in ("write-tags", "undo", "write-tags"):
            assert catalog(written_to, command, "--batch", "100").exit_code in (0, 1)
    finally:
        stop.set()
        writer.join()
    assert len(added) > 20
    lost = "select from catalog.image where identifier = any(%s) and not tags @> %s"
    assert fetch(written_to, lost, list(added), OWN_TAG) == []


def test_what_others_have_changed_since_is_kept_and_listed(written_to: Database) -> None:
    says(written_to, "write-tags")
    changed, removed = (
        identifier
        for (identifier,) in fetch(
            written_to, "select identifier from tag_writes.backups order by identifier limit 2"
        )
    )
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
    assert run["rows_written"] > 1_000
    assert run["backup_bytes"] > 100_000
    assert "a second run writes what differs by then" in says(written_to, "status")
    assert says(written_to, "drop-backup", "1").startswith("run 1: its backup of ")
    assert "backup dropped" in says(written_to, "status")
    assert fetch(written_to, "select count(*) from tag_writes.backups") == [(0,)]
    assert "no run 1 with a backup" in refuses(written_to, "drop-backup", "1")
    assert "run 1 cannot be undone: its backup was dropped" in refuses(written_to, "undo", "1")
    assert "nothing to undo" in refuses(written_to, "undo")
    assert "there is no run 7" in refuses(written_to, "undo", "7")


def test_an_undone_run_is_not_undone_again(written_to: Database) -> None:
    says(written_to, "write-tags")
    says(written_to, "undo")
    assert "run 1 is undone already" in refuses(written_to, "undo", "1")


def test_only_one_writes_at_a_time(written_to: Database) -> None:
    with written_to.connect() as other:
        other.execute("select pg_advisory_lock('tag_writes.runs'::regclass::bigint)")
        for command in (("write-tags",), ("drop-backup", "1")):
            assert "another `python -m catalog` is writing" in refuses(written_to, *command)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "alter table catalog.image drop column tags cascade",
            "catalog.image needs a column tags of type jsonb; it is not there. Nothing was written",
        ),
        (
            "alter table catalog.image drop column tags cascade, add column tags json",
            "it is json now",
        ),
        ("drop table catalog.image cascade", "there is no table catalog.image: set the vars"),
        ("alter table catalog.image rename to picture", "there is no table catalog.image"),
        ("drop schema tag_writes cascade", "run `python -m catalog init` first"),
    ],
)
def test_a_catalog_that_is_not_what_it_was_is_refused(
    written_to: Database, change: str, words: str
) -> None:
    says(written_to, "write-tags")
    with written_to.connect() as connection:
        connection.execute(change)
        # dbt's own, which went with the column.
        for view in ("catalog_images", "published_images", "int_machine_labels"):
            connection.execute(
                sql.SQL("create or replace view {} as select null::uuid as identifier").format(
                    sql.Identifier("refinery", view)
                )
                if fetch(written_to, "select to_regclass(%s)", f"refinery.{view}") == [(None,)]
                else "select"
            )
    for command in ("write-tags", "undo"):
        assert words in refuses(written_to, command)


def test_what_is_not_built_or_not_there_is_named(written_to: Database) -> None:
    with written_to.connect() as connection:
        connection.execute("alter view refinery.published_images rename to another")
    words = refuses(written_to, "write-tags", "--published")
    assert "refinery.published_images is not there: run `dbt build` first" in words
    assert "needs a column changed of type" in refuses(
        written_to, "write-tags", "--touch", "changed"
    )


def test_missing_rights_are_named(written_to: Database) -> None:
    reader = "without_rights"
    with written_to.connect() as connection:
        connection.execute(f"drop role if exists {reader}")
        connection.execute(f"create role {reader} login")
        connection.execute(f"grant usage on schema catalog, refinery to {reader}")
        connection.execute(f"grant select on catalog.image to {reader}")
    try:
        done = written_to.invoke(cli, "write-tags", PGUSER=reader)
    finally:
        with written_to.connect() as connection:
            connection.execute(f"drop owned by {reader}; drop role {reader}")
    assert done.exit_code == 1
    for right in (
        "update on catalog.image",
        "select on refinery.catalog_images",
        "usage on schema tag_writes",
        "insert, select, update on tag_writes.backups",
    ):
        assert right in done.stderr
    assert "select on catalog.image" not in done.stderr
