"""The Makefile's own part: the virtual environment, of which all else is run."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from loads import LONGEST_WAIT_SECONDS, wait_for

from loader.connect import PROJECT

INSTALLED = Path(".venv/installed")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with nothing but the Makefile, and names that shells and make read otherwise."""
    folder = tmp_path / 'a "project" of $mine'
    folder.mkdir()
    shutil.copy(PROJECT / "Makefile", folder)
    (folder / "requirements.lock").touch()
    return folder


def install(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = ["make", "install", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)


def makes_anew(folder: Path) -> bool:
    return "-m venv" in install(folder, "--dry-run").stdout


def test_a_virtual_environment_that_was_copied_or_moved_is_made_anew(project: Path) -> None:
    python = project / "python"
    python.write_text(
        '#!/bin/sh\n[ "$2" != venv ] || { mkdir -p .venv/bin && cp "$0" .venv/bin/python; }\n'
    )
    python.chmod(0o755)
    assert makes_anew(project)
    install(project, "PYTHON=./python")
    assert not makes_anew(project)
    copy = Path(shutil.copytree(project, project.with_name("copy"), symlinks=True))
    assert makes_anew(copy)
    # That of another project may be used by a link: worktrees share one.
    shutil.rmtree(copy / ".venv")
    (copy / ".venv").symlink_to(project / ".venv")
    assert not makes_anew(copy)
    (copy / INSTALLED).write_text("")  # as in 0.2
    assert not makes_anew(copy)


def test_ctrl_c_while_it_is_made(project: Path) -> None:
    making = subprocess.Popen(
        ["/usr/bin/env", "make", "install"],
        cwd=project,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_for((project / ".venv" / "bin" / "python").exists)  # pip is being put into it
    os.killpg(making.pid, signal.SIGINT)
    _, said = making.communicate(timeout=LONGEST_WAIT_SECONDS)
    sentence, *of_make = said.splitlines()
    assert sentence == "Error: interrupted; run the same command again to go on"
    assert [line.startswith("make: ***") for line in of_make] == [True]
    assert making.returncode == -signal.SIGINT  # which shells call 130
    assert makes_anew(project)
