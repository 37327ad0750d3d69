"""Ctrl-C: one sentence and exit status 130, at any moment."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Database
from loads import fetch, longest_wait, wait_for, wait_until_blocked

from loader.connect import PROJECT


def start(database: Database, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """Start a program of the project as a terminal does: Ctrl-C reaches all that it starts."""
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=PROJECT,
        env=database.environment
        | {"DBT_TARGET_PATH": str(database.folder / "target")}
        | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
        process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def interrupt(command: "subprocess.Popen[str]") -> list[str]:
    """Press Ctrl-C, and return the lines that the command ended with."""
    os.killpg(command.pid, signal.SIGINT)
    said, _ = command.communicate(timeout=longest_wait())
    assert "Traceback" not in said
    assert command.returncode == 130, said
    lines = said.splitlines()
    assert lines[-1] == "Error: interrupted; run the same command again to go on"
    return lines


def read_until(command: "subprocess.Popen[str]", beginning: str) -> None:
    assert command.stdout is not None
    for line in command.stdout:
        if line.startswith(beginning):
            return
    raise AssertionError(f"{beginning} was never said")


# In click's place: an import that lasts until somebody presses Ctrl-C.
SLOW_IMPORT = """
import pathlib, signal
pathlib.Path(__file__).with_name("begun").touch()
signal.pause()
"""


@pytest.mark.parametrize("module", ["loader", "trial", "review", "catalog", "benchmarks"])
def test_while_python_still_imports(loaded: Database, tmp_path: Path, module: str) -> None:
    (tmp_path / "click.py").write_text(SLOW_IMPORT)
    command = start(loaded, module, "--help", PYTHONPATH=str(tmp_path))
    wait_for((tmp_path / "begun").exists)
    assert interrupt(command)[:-1] == []


# Of transactions that write: dbt's, and there are many in a build.
NEXT_TRANSACTION = "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint"


@pytest.mark.parametrize("rounds", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_in_make_run(own_few: Database, rng: random.Random, rounds: int) -> None:
    """While dbt starts, and in many rounds at any moment of its build; then it goes on."""
    for number in range(rounds):
        command = start(own_few, "trial", "run")
        read_until(command, "▸ Building")
        if number:
            ((before,),) = fetch(own_few, NEXT_TRANSACTION)
            later = before + rng.randint(1, 40)
            wait_for(lambda: fetch(own_few, NEXT_TRANSACTION)[0][0] >= later)  # noqa: B023 - asked at once
        assert interrupt(command)[:-1] == []
    if rounds > 1:
        command = start(own_few, "trial", "run")
        said, _ = command.communicate(timeout=longest_wait())
        assert command.returncode == 0, said


def test_in_a_query(project: Database) -> None:
    with project.connect() as connection, connection.transaction():
        connection.execute("lock table refinery.int_label_policy_in_force")
        command = start(project, "review", "preview")
        with project.connect() as other:
            wait_until_blocked(other)
        assert interrupt(command)[:-1] == []
