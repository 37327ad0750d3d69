"""`make run` as a newcomer sees it, on a server of the user's own."""

import re
from pathlib import Path
from typing import LiteralString

import pytest
from click.testing import Result
from conftest import DBT, Database
from loads import fetch, write

from loader.connect import OWN_SERVER, PROJECT
from trial import run
from trial.cli import main
from trial.environment import dbt_environment

IMAGE = b"00000000-0000-4000-8000-000000000001"
ONE_MORE = b'{"image_uuid": "%s", "response": {"Labels": []}}' % IMAGE
OF_SAMPLE = "Loaded by label-refinery from sample/catalog.csv (1:abc)"


@pytest.fixture
def user(own_few: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A user whose database holds 300 images, and who names no port, as most do not."""
    few = {name: value for name, value in own_few.environment.items() if name != "PGPORT"}
    monkeypatch.setattr(Database, "environment", few)
    return own_few


def let_dbt(
    user: Database, monkeypatch: pytest.MonkeyPatch, instead: str = "", **environment: str
) -> None:
    """Let dbt do in this process what it is told to, or something instead."""

    def program(path: str | Path, *arguments: str) -> int:
        done = user.dbt(*(instead.split() or arguments)) if path == DBT else None
        run.log.info("%s", done.stdout if done else "")
        return done.returncode if done else 0

    monkeypatch.setattr(Database, "environment", user.environment | environment)
    monkeypatch.setattr(run, "run_program", program)


def make_run(user: Database, labels: str = "", catalog: str | Path = "") -> Result:
    return user.invoke(main, "run", "--labels", labels, "--catalog", catalog)


def counts(summary: str) -> dict[str, int]:
    lines = re.findall(r"^ *([\d,]+)  (.*)$", summary, re.MULTILINE)
    return {words: int(number.replace(",", "")) for number, words in lines}


def test_own_files_twice(
    user: Database, built_few: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = write(tmp_path / "more labels.jsonl", ONE_MORE)
    labels = f"{built_few.folder}/labels.jsonl '{more}'"
    catalog = built_few.folder / "catalog.csv"
    let_dbt(user, monkeypatch, "run --select config.materialized:label_store")
    first = make_run(user, labels, catalog)
    assert first.exit_code == 0, first.stderr
    assert first.stderr.count("loaded before, nothing to do") == 2
    assert len(first.stdout.splitlines()) <= 25
    assert "Nothing has changed" not in first.stdout
    found = counts(first.stdout)
    decided = sum(n for words, n in found.items() if words.startswith(("published", "withheld")))
    assert decided == found["tags of theirs, each decided on: tag_decisions"] > 1000
    assert found["images in the catalog: catalog_images"] == 300
    assert found["lines loaded; 2 rejected, 0 of another shape"] == 202

    let_dbt(user, monkeypatch, DBT_RESOURCE_TYPES="snapshot")  # or it would build for a minute
    again = make_run(user, labels, catalog)
    assert again.exit_code == 0, again.output
    assert again.stderr.count("loaded before, nothing to do") == 3
    assert again.stdout.count("\nNothing has changed since the last run.\n") == 1
    assert counts(again.stdout) == found
    beginnings = ("▸ Loading", "▸ Building", "         202  lines", "Next: ")
    places = [again.output.index(beginning) for beginning in beginnings]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("labels", "catalog", "words"),
    [
        ("missing.jsonl", "", "missing.jsonl does not exist"),
        ("README.md", "", "add CATALOG=… to load one"),
        ("'unclosed", "", "No closing quotation"),
        ("", "README.md", "name ends in .csv or .tsv"),
        ("", "catolog.csv", "catolog.csv does not exist"),
    ],
)
def test_files_that_do_not_do_stop_it_before_anything_is_put_away(
    database: Database, labels: str, catalog: str, words: str
) -> None:
    if catalog:
        with database.connect() as connection:
            connection.execute((PROJECT / "trial" / "catalog.sql").read_bytes())
            connection.execute(f"comment on table catalog.image is '{OF_SAMPLE}'")
    done = make_run(database, labels, catalog)
    assert (done.exit_code, done.stdout) == (1, "")
    assert words in done.stderr.splitlines()[-1]


def change_own_table(user: Database, change: LiteralString) -> None:
    """Make the catalog's table the user's own, which no file was loaded into, and change it."""
    with user.connect() as connection:
        connection.execute("comment on table catalog.image is null")
        connection.execute(change)


def test_a_table_is_used_with_its_own_columns(
    user: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_own_table(user, 'alter table catalog.image add "Stars given" integer default 5')
    let_dbt(user, monkeypatch, "run --select stg_catalog__images catalog_images published_images")
    done = make_run(user)
    assert done.exit_code == 0, done.stderr
    assert "running on what the database holds" in done.stderr
    stars = 'select "Stars given", count(*) from refinery.published_images group by 1'
    assert fetch(user, stars) == [(5, 300)]


def test_a_table_without_tags_is_named(user: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    change_own_table(user, "alter table catalog.image drop column tags cascade")
    let_dbt(user, monkeypatch, "run --select stg_catalog__images")
    done = make_run(user)
    assert (done.exit_code, done.stdout) == (1, "")
    assert "needs a column tags of type jsonb; it has none" in " ".join(done.stderr.split())
    assert done.stderr.splitlines()[-1].startswith("Error: dbt did not finish;")


@pytest.mark.parametrize("own", [{}, {"PGHOST": "/tmp", "PGUSER": "me", "PGDATABASE": "pics"}])  # noqa: S108 - no file
def test_dbt_is_told_nothing_that_it_does_not_find_by_itself(
    own: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards: dbt parses all again, for 5 s, where an environment variable is another."""
    for name in (*OWN_SERVER, "PGPORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    profile = (PROJECT / "profiles.yml").read_text()
    told = {name: value for name, value in dbt_environment().items() if f"'{name}'" in profile}
    assert told == own
