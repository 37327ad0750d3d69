"""Ctrl-C: one sentence and exit status 130, at any moment."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Database
from loads import LONGEST_WAIT_SECONDS, on_one_version, wait_for, wait_until_blocked

from loader.connect import PROJECT
from trial.sample import write_sample

pytestmark = on_one_version


def start(database: Database, *command: str | Path) -> "subprocess.Popen[str]":
    """Start a command as a terminal does: Ctrl-C reaches all that it starts."""
    return subprocess.Popen(
        command,
        cwd=PROJECT,
        env=database.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
        process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def python(database: Database, *arguments: str | Path) -> "subprocess.Popen[str]":
    return start(database, sys.executable, "-m", *arguments)


def interrupt(command: "subprocess.Popen[str]") -> list[str]:
    """Press Ctrl-C, and return the lines that the command ended with."""
    os.killpg(command.pid, signal.SIGINT)
    said, _ = command.communicate(timeout=LONGEST_WAIT_SECONDS)
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


@pytest.mark.parametrize("module", ["loader", "trial", "review", "benchmarks"])
def test_while_python_still_imports(database: Database, module: str) -> None:
    command = python(database, module, "--help")
    maps = Path(f"/proc/{command.pid}/maps")
    wait_for(lambda: "_psycopg" in maps.read_text() or "_datetime" in maps.read_text())
    assert interrupt(command)[:-1] == []


def test_in_make_run(database: Database, tmp_path: Path, rng: random.Random) -> None:
    catalog, labels = write_sample(tmp_path, images=2_000, labelled=2_000)
    for seconds in (0, rng.uniform(0, 9)):
        command = python(database, "trial", "run", "--labels", str(labels), "--catalog", catalog)
        read_until(command, "▸ Building" if seconds else "▸ Loading")
        time.sleep(seconds)
        assert interrupt(command)[:-1] == []
    done = database.run(
        sys.executable, "-m", "trial", "run", "--labels", str(labels), "--catalog", catalog
    )
    assert done.returncode == 0, done.stdout


def test_in_a_query(project: Database) -> None:
    with project.connect() as connection, connection.transaction():
        connection.execute("lock table refinery.int_label_policy_in_force")
        command = python(project, "review", "preview")
        with project.connect() as other:
            wait_until_blocked(other)
        assert interrupt(command)[:-1] == []
