"""`dbt seed`: it makes an edit of any of the policy's files live, and readers see nothing of it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import WITHOUT_TESTS, Database, edit
from loads import fetch, oids, polled

from loader.connect import PROJECT

PARTS = ("dbt_project.yml", "profiles.yml", "selectors.yml")
FOLDERS = (
    *("functions", "macros", "models", "seeds", "snapshots"),
    *("tests/fixtures", "tests/generic"),
)
READ = """
select
    md5(string_agg(image::text, '' order by identifier)),
    (select count(*) from refinery.tag_decisions where decision = 'published'),
    (select count(*) from refinery.labels where decision = 'published'),
    (select count(*) from refinery.included_labels)
from refinery.published_images as image
"""
COMMANDS = (
    ("seed", "--full-refresh"),
    ("seed",),
    ("build", "--full-refresh", "--select", "path:seeds/label_policy", *WITHOUT_TESTS),
)


@pytest.mark.parametrize("rounds", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_readers_see_nothing_of_seeds_that_are_filled_anew(own_few: Database, rounds: int) -> None:
    before = oids(own_few)
    with polled(own_few, READ):
        for command in COMMANDS[:rounds]:
            own_few.build(*command)
    assert oids(own_few) == before


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what dbt needs of the project, to be edited."""
    folder = tmp_path / "checkout"
    for name in FOLDERS:
        ignored = shutil.ignore_patterns("evidence")  # or dbt parses it
        shutil.copytree(PROJECT / name, folder / name, ignore=ignored)
    for name in PARTS:
        shutil.copy(PROJECT / name, folder)
    return folder


# Of each file an edit, and what it changes for readers.
EDITS = {
    "included_labels": (
        ("\nBird,\n", "\n"),
        """select count(*) from refinery.published_images where tags @> '[{"name": "Bird"}]'""",
    ),
    "reviewed_labels": (
        ("\nDog,,maintainers,", "\nDog,,ann,"),
        "select max(reviewed_by) from refinery.policy_history"
        " where label_key = 'dog' and in_force_until is null",
    ),
    "sensitive_labels": (
        ("\nYawning,", "\nTree,injury,flag,has fallen\nYawning,"),
        "select count(*) from refinery.published_images where sensitivity @> '{injury}'",
    ),
    "label_corrections": (
        ("\nSuv,SUV\n", "\nSuv,SUV\nWoman,Dog\n"),
        """select count(*) from refinery.machine_tags where tags @> '[{"name": "Woman"}]'""",
    ),
    "tag_providers": (
        ("\nrekognition,0.9,", "\nrekognition,0.905,"),
        "select sum(images_at_minimum_accuracy) from refinery.labels",
    ),
    "denied_tag_patterns": (
        ("\npdm,", "\nlondon,exact,r\npdm,"),
        "select count(*) from refinery.tag_decisions where decision = 'denied_pattern'",
    ),
}


def test_an_edit_of_any_file_is_live_when_dbt_seed_ends_and_is_taken_back_likewise(
    own_few: Database, checkout: Path
) -> None:
    files = checkout / "seeds" / "label_policy"
    for file, ((old, new), _) in EDITS.items():
        edit(files, file, old, new)
    # A column that a file has gained is taken too.
    path = files / "tag_providers.csv"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([f"{header},listed_on", *(f"{line},2024-05-01" for line in lines)]))
    path, column = checkout / "dbt_project.yml", "is_withheld: boolean,"
    path.write_text(path.read_text().replace(column, f"{column} listed_on: date,"))
    listed = "select distinct listed_on::text from refinery.tag_providers"

    def live() -> dict[str, Any]:
        return {file: fetch(own_few, query) for file, (_, query) in EDITS.items()}

    before, relations = live(), oids(own_few)
    own_few.build("seed", "--full-refresh", folder=checkout)
    assert [file for file, seen in live().items() if seen == before[file]] == []
    assert fetch(own_few, listed) == [("2024-05-01",)]

    own_few.build("seed")
    assert live() == before
    assert fetch(own_few, listed) == [(None,)]
    assert oids(own_few) == relations
    # The column is gone: only a table that is made anew is as the file, and so are its readers.
    assert "Run `dbt build` first" in own_few.dbt("seed", "--full-refresh").stdout
