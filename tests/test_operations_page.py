"""docs/operations.md: what it says to run is run, on a database of its own."""

import fcntl
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import BINARIES, Database, fresh_database, switch_fsync_off
from loads import fetch, on_one_version

from loader.connect import PROJECT
from trial.catalog import load_catalog
from trial.sample import write_sample
from trial.server import Server, find_binaries

PAGE = (PROJECT / "docs" / "operations.md").read_text()
DIGEST = """
select count(*), md5(string_agg(image::text, '' order by identifier))
from refinery.published_images as image
"""
REFRESHES = "select * from refinery.refreshes order by finished_at"


def blocks(language: str) -> list[str]:
    """Return the page's code in a language, block by block."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def command(beginning: str) -> str:
    """Return the page's command that begins so; it reads alike wherever it stands."""
    found = {line for block in blocks("sh") for line in block.splitlines() if beginning in line}
    (line,) = {line[line.index(beginning) :] for line in found}
    return line


def build_small(database: Database, folder: Path) -> None:
    """Build the project on a few images."""
    catalog, labels = write_sample(folder, images=300, labelled=200)
    database.loader("init")
    with database.connect() as connection:
        load_catalog(connection, catalog)
    database.loader("load", labels)
    database.build("build", "--exclude-resource-types", "unit_test", "test")


@pytest.fixture(scope="module")
def small(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("small")
    with fresh_database(server, "small", folder) as fresh:
        build_small(fresh, folder)
        yield fresh


def shell(
    database: Database, text: str, binaries: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run what the page says as it stands there, but for its folders."""
    places = {
        "/srv/label-refinery": str(PROJECT),
        "/data/labels/*.jsonl": f"{database.folder}/*.jsonl",
        "logs": str(database.folder),
        "label-refinery.dump": str(database.folder.parent / "label-refinery.dump"),
    }
    for place, here in places.items():
        text = text.replace(place, here)
    folders = {
        "DBT_TARGET_PATH": str(database.folder / "target"),
        "DBT_LOG_PATH": str(database.folder),
        "PATH": f"{binaries or find_binaries()}:/usr/bin:/bin",
    }
    return subprocess.run(
        ["/bin/sh", "-c", text],
        cwd=PROJECT,
        env=database.environment | folders,
        capture_output=True,
        text=True,
        check=False,
    )


@on_one_version
def test_the_line_for_cron_refreshes_and_tells_how_it_ended(small: Database) -> None:
    (block,) = blocks("cron")
    *_, line = block.splitlines()
    fields = line.split(maxsplit=5)
    assert "%" not in fields[5]  # cron would make a new line of it
    before = len(fetch(small, REFRESHES))

    done = shell(small, fields[5])
    log = small.folder / "refresh.log"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), log.read_text()
    assert "loaded before, nothing to do" in log.read_text()
    assert len(fetch(small, REFRESHES)) == before + 1

    with (small.folder / "refresh.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "ended with 75" in shell(small, fields[5]).stdout
    failing = fields[5].replace("/data/labels/", "/data/nowhere/")
    assert "ended with 1" in shell(small, failing).stdout
    assert len(fetch(small, REFRESHES)) == before + 1


class Step:
    """What an operator of Airflow is asked for."""

    def __init__(self, steps: list["Step"], **asked: Any) -> None:  # noqa: ANN401 - Airflow's
        self.asked = asked
        self.follows: Step | None = None
        steps.append(self)

    def __rshift__(self, following: "Step") -> None:
        following.follows = self


@on_one_version
def test_the_dag_for_airflow_refreshes(small: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[Step] = []
    dags: list[dict[str, object]] = []

    class DAG:
        def __init__(self, **asked: object) -> None:
            dags.append(asked)

        def __enter__(self) -> None: ...
        def __exit__(self, *error: object) -> None: ...

    names = {"BashOperator": lambda **asked: Step(steps, **asked), "DAG": DAG}
    for module in ("airflow.sdk", "airflow.providers.standard.operators.bash"):
        stub = ModuleType(module)
        vars(stub).update(names)
        monkeypatch.setitem(sys.modules, module, stub)
    (source,) = blocks("python")
    exec(compile(source, "operations.md", "exec"), {})  # noqa: S102 - our own page

    assert [dag["max_active_runs"] for dag in dags] == [1]
    assert [step.follows for step in steps] == [None, *steps[:-1]]
    before = len(fetch(small, REFRESHES))
    for step in steps:
        assert step.asked["cwd"] == "/srv/label-refinery"
        done = shell(small, step.asked["bash_command"])
        assert done.returncode == 0, done.stdout + done.stderr
    assert len(fetch(small, REFRESHES)) == before + 1


@on_one_version
@pytest.mark.parametrize("query", blocks("sql"), ids=lambda query: query.split()[1])
def test_a_query_of_the_page_is_answered(small: Database, query: str) -> None:
    assert fetch(small, query) or "pg_stat_activity" in query


@on_one_version
def test_a_dump_is_restored_and_built_anew(server: Server, small: Database) -> None:
    before, refreshes = fetch(small, DIGEST), fetch(small, REFRESHES)
    binaries = server.binaries
    done = shell(small, command("pg_dump --format"), binaries)
    assert done.returncode == 0, done.stderr
    with fresh_database(server, "restored", small.folder) as restored:
        done = shell(restored, command("pg_restore --no-owner"), binaries)
        assert done.returncode == 0, done.stderr
        assert fetch(restored, "select count(*) from refinery.int_rekognition_labels") == [(0,)]
        restored.build("build", "--exclude-resource-types", "unit_test")
        assert fetch(restored, DIGEST) == before
        assert before[0][0] == 300
        assert fetch(restored, REFRESHES)[:-1] == refreshes


def test_the_data_of_an_older_server_go_into_a_newer_one(tmp_path: Path) -> None:
    old_binaries = BINARIES[15]
    if old_binaries is None or not old_binaries.exists():
        pytest.skip(f"Postgres 15 is not installed in {old_binaries}")
    home = tmp_path / "home"
    old, new = Server(home, old_binaries), Server(home)

    def database(server: Server, name: str) -> Database:
        (tmp_path / name).mkdir()
        return Database(server.parameters()["host"], "refinery", tmp_path / name)

    old.start()
    switch_fsync_off(old)
    try:
        before = database(old, "before")
        build_small(before, before.folder)
        digest, refreshes = fetch(before, DIGEST), fetch(before, REFRESHES)
        done = shell(before, command("pg_dump --no-toast"), old_binaries)
        assert done.returncode == 0, done.stderr
    finally:
        old.stop()
    aside = Server(home.rename(tmp_path / "home-15"))
    try:
        new.start()
        after = database(new, "after")
        done = shell(after, command("pg_restore --no-owner"), find_binaries())
        assert done.returncode == 0, done.stderr
        after.build("build", "--exclude-resource-types", "unit_test")
        assert fetch(after, DIGEST) == digest
        assert fetch(after, REFRESHES)[:-1] == refreshes
    finally:
        new.remove()
        aside.remove()
