"""Label Refinery as a package of another dbt project, as docs/architecture.md says."""

import re
from functools import partial
from pathlib import Path

import pytest
from conftest import DBT, WITHOUT_TESTS, Database
from loads import oids

from loader.connect import PROJECT

READ = "select identifier, tags, sensitivity from {}.published_images order by identifier"
MAY_READ = "select has_table_privilege('picture_reader', 'another.published_images', 'select')"
PAGE = (PROJECT / "docs" / "architecture.md").read_text()
PACKAGES, SETTINGS = re.findall(
    r"^```yaml\n(.*?)^```", PAGE[PAGE.index("## As a package") :], re.DOTALL | re.MULTILINE
)
OF_THE_TEST = {
    "../label-refinery": str(PROJECT),
    "your_project": "another_catalog",
    "catalog_schema: public": "catalog_schema: pictures",
    "catalog_table: image": "catalog_table: picture",
    "catalog_api": "picture_reader",
    "schema: refinery": "schema: another",
}
FILES = {
    "packages.yml": PACKAGES,
    "dbt_project.yml": f"name: another_catalog\nprofile: label_refinery\n{SETTINGS}",
    "profiles.yml": (PROJECT / "profiles.yml").read_text(),
    "models/cats.sql": """
select identifier from {{ ref('published_images') }} where tags @> '[{"name": "Cat"}]'
""",
}


@pytest.fixture
def another_project(tmp_path: Path) -> Path:
    folder = tmp_path / "another"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for theirs, ours in OF_THE_TEST.items():
            text = text.replace(theirs, ours)
        path.write_text(text)
    return folder


def test_a_project_with_the_package_publishes_the_same_tags(
    own_few: Database, another_project: Path
) -> None:
    dbt = partial(own_few.build, folder=another_project)
    with own_few.connect() as connection:
        connection.execute("create schema pictures")
        connection.execute("create table pictures.picture as table catalog.image")
        connection.execute("create role picture_reader")
        try:
            deps = own_few.run(DBT, "deps", folder=another_project)
            assert deps.returncode == 0, deps.stdout
            dbt("build", "--select", "+cats", *WITHOUT_TESTS)
            own = connection.execute(READ.format("refinery")).fetchall()
            assert connection.execute(READ.format("another")).fetchall() == own
            assert len(own) == 300
            # Its own models are dbt's: a view of another oid each time. Ours is replaced in place,
            # and those who may read it still may.
            before = oids(own_few, "another")
            again = ("cats", "published_images", "included_labels")
            dbt("build", "--full-refresh", "--select", *again, *WITHOUT_TESTS)
            after = oids(own_few, "another")
            assert {name for name in again if after[name] != before[name]} == {"cats"}
            assert connection.execute(MAY_READ).fetchone() == (True,)
        finally:
            connection.execute("drop schema if exists another cascade")
            connection.execute("drop role picture_reader")
