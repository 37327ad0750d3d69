"""What becomes of the seeds' tables, and of the views on them, while they are filled anew."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Database
from loads import fetch, oids, on_postgres18

from loader.connect import PROJECT

pytestmark = on_postgres18

PARTS = ("dbt_project.yml", "profiles.yml", "selectors.yml")
FOLDERS = (
    *("functions", "macros", "models", "seeds", "snapshots"),
    *("tests/fixtures", "tests/generic"),
)
FEW = "identifier = any (array(select identifier from catalog.image order by 1 limit 50))"
READS = (
    f"select identifier, tags from refinery.published_images where {FEW} order by 1",  # noqa: S608 - from above
    f"select * from refinery.tag_decisions where {FEW} order by 1, 2",  # noqa: S608 - from above
    "select decision, count(*) from refinery.labels group by 1 order by 1",
    "select count(*) from refinery.included_labels",
)


@contextmanager
def polled(database: Database, queries: tuple[str, ...]) -> Iterator[None]:
    """Read all the time, and find each time what was there at the beginning."""
    want = [fetch(database, query) for query in queries]
    odd: list[Any] = []
    reads = [0]
    stop = threading.Event()

    def poll() -> None:
        with database.connect() as connection:
            while not stop.wait(0.02) and not odd:
                try:
                    got = [connection.execute(query).fetchall() for query in queries]
                except Exception as error:  # whatever a reader would get
                    got = [error]
                odd.extend(got if got != want else [])
                reads[0] += 1

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        yield
    finally:
        stop.set()
        reader.join()
    assert odd == []
    assert reads[0] > 1


@pytest.mark.parametrize(
    "command",
    [
        ("seed",),
        ("seed", "--full-refresh"),
        ("build", "--full-refresh", "--select", "resource_type:seed"),
    ],
    ids=" ".join,
)
def test_readers_see_nothing_of_seeds_that_are_filled_anew(
    sample: Database, command: tuple[str, ...]
) -> None:
    before = oids(sample)
    with polled(sample, READS):
        sample.build(*command)
    assert oids(sample) == before


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what dbt needs of the project, to be edited."""
    folder = tmp_path / "checkout"
    for name in FOLDERS:
        shutil.copytree(PROJECT / name, folder / name)
    for name in PARTS:
        shutil.copy(PROJECT / name, folder)
    return folder


def test_a_seed_takes_a_column_that_its_file_has_gained(project: Database, checkout: Path) -> None:
    path = checkout / "seeds" / "label_policy" / "tag_providers.csv"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([f"{header},listed_on", *(f"{line},2024-05-01" for line in lines)]))
    path = checkout / "dbt_project.yml"
    text = path.read_text()
    assert "is_withheld: boolean," in text
    path.write_text(text.replace("is_withheld: boolean,", "is_withheld: boolean, listed_on: date,"))

    before = oids(project)
    listed = "select provider, listed_on::text from refinery.tag_providers order by 1"
    for options in ([], ["--full-refresh"]):
        project.build("seed", *options, folder=checkout)
        assert fetch(project, listed) == [(line.split(",")[0], "2024-05-01") for line in lines]
    assert oids(project) == before

    # The column is gone: only a table that is made anew is as the file, and so are the views on it.
    project.build("seed")
    assert fetch(project, listed)[0][1] is None
    assert "Run `dbt build` first" in project.dbt("seed", "--full-refresh").stdout
    project.build("build", "--exclude-resource-types", "unit_test", "test")
    assert len(fetch(project, "select * from refinery.tag_providers")[0]) == len(header.split(","))
    assert oids(project).keys() == before.keys()
