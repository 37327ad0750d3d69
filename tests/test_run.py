"""`make run` as a newcomer sees it, on a server of the user's own."""

import re
import subprocess
import sys
from pathlib import Path
from typing import LiteralString

import pytest
from conftest import Database
from loads import on_one_version
from psycopg import sql

from loader.connect import OWN_SERVER, PROJECT
from trial.environment import dbt_environment
from trial.sample import write_sample
from trial.server import Server


@pytest.fixture(scope="session")
def target(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dbt finds what it has parsed: the first run on a server takes 5 s more."""
    del server
    return tmp_path_factory.mktemp("target")


@pytest.fixture
def user(
    database: Database, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Database:
    monkeypatch.setenv("DBT_TARGET_PATH", str(target))
    monkeypatch.setenv("DBT_LOG_PATH", str(tmp_path))
    # As most users have it.
    without_port = {name: value for name, value in database.environment.items() if name != "PGPORT"}
    monkeypatch.setattr(Database, "environment", without_port)
    return database


def run(user: Database, labels: str = "", catalog: str | Path = "") -> tuple[int, str, str]:
    done = user.run(sys.executable, "-m", "trial", "run", "--labels", labels, "--catalog", catalog)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@on_one_version
def test_own_files_twice(user: Database, tmp_path: Path) -> None:
    catalog, labels = write_sample(tmp_path / "own files", images=300, labelled=200)
    status, summary, steps = run(user, f"'{labels}'", catalog)
    assert status == 0, steps
    assert len(summary.splitlines()) <= 25
    counts = {
        words: int(number.replace(",", ""))
        for number, words in re.findall(r"^ *([\d,]+)  (.*)$", summary, re.MULTILINE)
    }
    decided = sum(n for words, n in counts.items() if words.startswith(("published", "withheld")))
    assert decided == counts["tags of theirs, each decided on: tag_decisions"] > 1000
    assert counts["images in the catalog: catalog_images"] == 300
    assert counts["lines loaded; 2 rejected, 0 of another shape"] == 201
    assert "Nothing has changed" not in summary
    assert "Labels that await review, with images that would show them: " in steps

    status, again, steps = run(user, f"'{labels}'", catalog)
    assert status == 0
    assert steps.count("loaded before, nothing to do") == 2
    assert again.replace("\nNothing has changed since the last run.\n", "", 1) == summary != again


@pytest.mark.parametrize(
    ("labels", "catalog", "words"),
    [
        ("missing.jsonl", "", "missing.jsonl does not exist"),
        ("README.md", "", "add CATALOG=… to load one"),
        ("", "README.md", "name ends in .csv or .tsv"),
        ("'unclosed", "", "No closing quotation"),
    ],
)
def test_files_that_do_not_do_stop_it_at_once(
    user: Database, labels: str, catalog: str, words: str
) -> None:
    status, summary, steps = run(user, labels, catalog)
    assert (status, summary) == (1, "")
    assert words in steps.splitlines()[-1]


def test_a_catalog_file_is_looked_at_before_the_sample_is_put_away(user: Database) -> None:
    with user.connect() as connection:
        connection.execute("create schema catalog; create table catalog.image (identifier uuid)")
        connection.execute(
            "comment on table catalog.image is"
            " 'Loaded by label-refinery from sample/catalog.csv (1:abc)'"
        )
    status, _, steps = run(user, catalog="catolog.csv")
    assert status == 1
    assert "catolog.csv does not exist" in steps.splitlines()[-1]


def own_table(user: Database, columns: LiteralString, images: int = 1) -> None:
    query = sql.SQL("create table catalog.image as select {} from generate_series(1, {})")
    with user.connect() as connection:
        connection.execute("create schema catalog")
        connection.execute(query.format(sql.SQL(columns), images))


@on_one_version
def test_a_catalog_table_without_tags_is_named(user: Database) -> None:
    own_table(user, "gen_random_uuid() as identifier, 'flickr' as provider")
    status, _, steps = run(user)
    assert status == 1
    assert "needs a column tags of type jsonb; it has none" in " ".join(steps.split())


def test_the_users_own_table_is_used_with_its_own_columns(user: Database) -> None:
    own_table(
        user,
        """
        gen_random_uuid() as identifier, 'flickr' as provider, 5 as "Stars given",
        '[{"name": "cat", "provider": "flickr"}]'::jsonb as tags
        """,
    )
    status, summary, steps = run(user)
    assert status == 0, steps
    assert "running on what the database holds" in steps
    assert "1  published: published_images" in summary
    with user.connect() as connection:
        (row,) = connection.execute("select * from refinery.published_images").fetchall()
    assert row[1:] == ("flickr", 5, [{"name": "cat", "provider": "flickr"}], [])


@on_one_version
def test_lines_appear_in_order_and_dbt_by_itself_parses_nothing_anew(
    user: Database, tmp_path: Path
) -> None:
    """Guards: dbt parses all again, for 5 s, where an environment variable is another."""
    own_table(user, "gen_random_uuid() as identifier, 'flickr' as provider, '[]'::jsonb as tags")
    done = subprocess.run(
        [sys.executable, "-m", "trial", "run"],
        cwd=PROJECT,
        env=user.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    beginnings = ("6 files", "No files", "▸ Loading", "▸ Building", "           0  lines", "Next: ")
    places = [done.stdout.index(beginning) for beginning in beginnings]
    assert places == sorted(places)
    (tmp_path / "dbt.log").unlink()
    assert user.run(Path(sys.executable).with_name("dbt"), "seed").returncode == 0
    assert "no changes found, skipping parsing" in (tmp_path / "dbt.log").read_text()


def test_dbt_is_told_nothing_of_the_embedded_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OWN_SERVER:
        monkeypatch.delenv(name, raising=False)
    assert dbt_environment() == {}


@on_one_version
def test_an_image_that_is_there_twice_is_an_error(user: Database) -> None:
    image = "'7d0b0a3c-6b3a-4f6e-9d2b-0a4b8f6c1e01'::uuid as identifier, 'flickr' as provider"
    own_table(user, image + ", '[]'::jsonb as tags", images=2)
    status, _, steps = run(user)
    assert status == 1
    assert "unique_stg_catalog__images_identifier" in steps
