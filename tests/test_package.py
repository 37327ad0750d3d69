"""Label Refinery as a package of another dbt project, as docs/architecture.md says."""

import sys
from functools import partial
from pathlib import Path

import pytest
from conftest import Database
from loads import oids, on_postgres18

from loader.connect import PROJECT

# One version is enough for what dbt alone does otherwise.
pytestmark = on_postgres18

READ = "select identifier, tags, sensitivity from {}.published_images order by identifier"
MAY_READ = "select has_table_privilege('picture_reader', 'another.published_images', 'select')"
FILES = {
    "packages.yml": f"packages:\n  - local: {PROJECT}\n",
    "dbt_project.yml": """
name: another_catalog
version: 1.0.0
profile: another_catalog
dispatch:
  - macro_namespace: dbt
    search_order: [another_catalog, label_refinery, dbt]
vars:
  label_refinery:
    catalog_schema: pictures
    catalog_table: picture
models:
  label_refinery:
    +grants:
      select: [picture_reader]
    evidence:
      +enabled: false
seeds:
  label_refinery:
    evidence:
      +enabled: false
""",
    "profiles.yml": """
another_catalog:
  target: dev
  outputs:
    dev:
      type: postgres
      host: "{{ env_var('PGHOST') }}"
      port: 5432
      user: "{{ env_var('PGUSER') }}"
      password: ""
      dbname: "{{ env_var('PGDATABASE') }}"
      schema: another
""",
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
        path.write_text(text)
    return folder


def test_a_project_with_the_package_publishes_the_same_tags(
    sample: Database, another_project: Path
) -> None:
    with sample.connect() as connection:
        connection.execute("create schema pictures")
        connection.execute("create table pictures.picture as select * from catalog.image")
        connection.execute("create role picture_reader")
        try:
            deps = sample.run(Path(sys.executable).with_name("dbt"), "deps", folder=another_project)
            assert deps.returncode == 0, deps.stdout
            dbt = partial(sample.build, folder=another_project)
            dbt("build", "--exclude-resource-types", "unit_test", "test")
            own = connection.execute(READ.format("refinery")).fetchall()
            assert connection.execute(READ.format("another")).fetchall() == own
            assert len(own) == 20_000
            # Its own models are dbt's: a view of another oid each time. Ours is replaced in place,
            # and those who may read it still may.
            before = oids(sample, "another")
            dbt("run", "--select", "cats", "published_images")
            dbt("seed", "--full-refresh")
            after = oids(sample, "another")
            assert after["cats"] != before["cats"]
            assert after["published_images"] == before["published_images"]
            assert after["included_labels"] == before["included_labels"]
            assert connection.execute(MAY_READ).fetchone() == (True,)
        finally:
            connection.execute("drop schema if exists another, pictures cascade")
            connection.execute("drop role picture_reader")
