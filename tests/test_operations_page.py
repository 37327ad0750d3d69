"""docs/operations.md: what it says to run is run, on a database of its own."""

import fcntl
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from conftest import WITHOUT_TESTS, Database, fresh_database, running_server
from loads import fetch, polled

from loader.connect import PROJECT
from trial.server import Server, find_binaries

SLOW = pytest.mark.slow
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


# After the five fields that say when.
LINE = blocks("cron")[0].splitlines()[-1].split(maxsplit=5)[5]
STEPS = re.findall(r"sh -ec '(.*)'", LINE)[0].split("; ")


def shell(
    database: Database, text: str, binaries: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run what the page says as it stands there, but for its folders."""
    here = str(database.folder)
    places = {"/srv/label-refinery": str(PROJECT), "/data/labels": here, "logs": here}
    for place, ours in places.items():
        text = text.replace(place, ours)
    text = text.replace("label-refinery.dump", f"{here}/label-refinery.dump")
    path = f"{binaries or find_binaries()}:/usr/bin:/bin"
    settings = f"export DBT_TARGET_PATH={here}/target DBT_LOG_PATH={here} PATH={path}"
    return database.run("/bin/sh", "-c", f"{settings}\n{text}")


# In place of the programs: it notes how it was called, and fails if it is told to.
STAND_IN = """#!/bin/sh
echo "$0 $*" >>steps
test ! -e fails
"""


def test_the_line_for_cron_does_each_step_and_tells_how_it_ended(tmp_path: Path) -> None:
    assert "%" not in LINE  # cron would make a new line of it
    programs, noted = tmp_path / ".venv" / "bin", tmp_path / "steps"
    programs.mkdir(parents=True)
    for name in ("python", "dbt"):
        (programs / name).write_text(STAND_IN)
        (programs / name).chmod(0o755)

    def cron() -> str:
        line = LINE.replace("/srv/label-refinery", str(tmp_path))
        return subprocess.run(["/bin/sh", "-c", line], stdout=subprocess.PIPE, text=True).stdout

    assert cron() == ""
    assert noted.read_text().splitlines() == [step.replace('"', "") for step in STEPS]
    with (tmp_path / "logs" / "refresh.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "ended with 75" in cron()
    (tmp_path / "fails").touch()
    assert "ended with 1" in cron()
    assert len(noted.read_text().splitlines()) == len(STEPS) + 1


@pytest.mark.parametrize("as_programs", [False, pytest.param(True, marks=SLOW)])
def test_the_steps_of_a_schedule_refresh(
    few: Database, built_few: Database, as_programs: bool
) -> None:
    shutil.copy(built_few.folder / "labels.jsonl", few.folder)
    before = len(fetch(few, REFRESHES))
    with polled(few, DIGEST):
        if as_programs:
            done = shell(few, LINE)
            said = done.stdout + done.stderr + (few.folder / "refresh.log").read_text()
        else:
            load, run, test, freshness = (shlex.split(step)[1:] for step in STEPS)
            said = few.loader(*load[2:-1], load[-1].replace("/data/labels", str(few.folder)))
            few.build(*run)
            few.build(*test, "--select", "machines_are_listed")
            few.build(*freshness)
    assert "loaded before, nothing to do" in said
    assert "ended with" not in said
    assert len(fetch(few, REFRESHES)) == before + 1


def test_the_dag_for_airflow_has_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow, tasks = MagicMock(), [MagicMock() for _ in STEPS]
    airflow.BashOperator.side_effect = tasks
    for module in ("airflow.sdk", "airflow.providers.standard.operators.bash"):
        monkeypatch.setitem(sys.modules, module, airflow)
    (source,) = blocks("python")
    exec(compile(source, "operations.md", "exec"), {})  # noqa: S102 - our own page
    assert airflow.DAG.call_args.kwargs["max_active_runs"] == 1
    asked = [call.kwargs for call in airflow.BashOperator.call_args_list]
    assert [step["bash_command"] for step in asked] == STEPS
    assert {step["cwd"] for step in asked} == {"/srv/label-refinery"}
    for task, following in pairwise(tasks):
        task.__rshift__.assert_called_once_with(following)


@pytest.mark.parametrize("query", blocks("sql"), ids=lambda query: query.split()[1])
def test_a_query_of_the_page_is_answered(few: Database, query: str) -> None:
    assert fetch(few, query) or "pg_stat_activity" in query


@pytest.mark.both_versions
@pytest.mark.parametrize(
    "without", [(*WITHOUT_TESTS, "seed"), pytest.param(WITHOUT_TESTS[:2], marks=SLOW)]
)
def test_a_dump_is_restored_on_this_version_or_a_newer_and_built_anew(
    server: Server, few: Database, tmp_path: Path, without: tuple[str, ...]
) -> None:
    before, refreshes = fetch(few, DIGEST), fetch(few, REFRESHES)
    is_newest = server.binaries == find_binaries()
    dump = command("pg_dump --format" if is_newest else "pg_dump --no-toast")
    done = shell(few, dump, server.binaries)
    assert done.returncode == 0, done.stderr
    with (
        nullcontext(server) if is_newest else running_server(18, tmp_path / "home") as newer,
        fresh_database(newer, "restored", few.folder) as restored,
    ):
        done = shell(restored, command("pg_restore --no-owner"))
        assert done.returncode == 0, done.stderr
        assert fetch(restored, "select count(*) from refinery.machine_tags") == [(0,)]
        restored.build("build", *without)
        assert fetch(restored, DIGEST) == before
        assert before[0][0] == 300
        assert fetch(restored, REFRESHES)[:-1] == refreshes
