"""Each target of the Makefile and each command that docs print is run, in a copy of the project.

Guards: what is not run rots.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

import pytest
from loads import copy_project, longest_wait, wait_for, write

from loader.connect import PROJECT
from trial.sample import write_sample

INSTALLED = Path(".venv/installed")
Done = subprocess.CompletedProcess[str]

# Why a target is not run here, or a command of docs, which alone begins so.
TARGETS_LEFT_OUT = {
    **dict.fromkeys(("test", "test-built", "test-unbuilt", "test-postgres15"), "other tests"),
    "test-slow": "these tests",
    **dict.fromkeys(("lint-sql", "lint-the-rest"), "lint runs them"),
}
COMMANDS_LEFT_OUT = {
    "a server of the reader's own": ["export PGHOST=…"],
    "S3": ["export AWS_PROFILE=…", ".venv/bin/python -m loader load --workers 8 's3:"],
    "tests": [".venv/bin/python -m pytest"],
    "tests/test_labellers.py": [".venv/bin/python -m loader load --labeller acme"],
    "tests/test_distributed.py": [".venv/bin/python -m loader init --distributed", "psql -c"],
    "tests/test_operations_page.py": ["pg_dump", "pg_restore"],
    "another version": ["git pull"],
    "another version of Postgres": [
        *("export POSTGRES_BINDIR", "$POSTGRES_BINDIR/pg_dump", "mv .postgres", "unset"),
        *(".venv/bin/python -m trial server stop", ".venv/lib"),
    ],
}
# What stands for the reader's files.
PLACES = {
    "/data/labels/wrong.jsonl": "clarifai.jsonl",
    "/data/labels/old.jsonl": "sample/labels.jsonl",
    "/data/*.jsonl": "sample/labels.jsonl",
}
IMAGE = b"044bcd5e-da2f-4c37-bc88-4c0e06796a76"
CONCEPTS = b'{"data": {"concepts": [{"name": "dog", "value": 0.98}]}}'
OF_CLARIFAI = b'{"image_uuid": "%s", "response": {"outputs": [%s]}}' % (IMAGE, CONCEPTS)

README = PROJECT / "README.md"
PAGES = (README, PROJECT / "CONTRIBUTING.md", *sorted(PROJECT.glob("docs/*.md")))
BLOCKS = "".join(
    re.findall(r"^ *```sh\n(.*?)^ *```", "\n".join(page.read_text() for page in PAGES), re.S | re.M)
)
LINES = [re.sub(r"\s+# .*", "", line).strip() for line in BLOCKS.splitlines()]
# Each once, but for what reads what the command before it has brought.
DBT_RUN = ".venv/bin/dbt run"
PRINTED = [
    line for n, line in enumerate(LINES) if line and (line == DBT_RUN or line not in LINES[:n])
]
LEFT_OUT = tuple(beginning for group in COMMANDS_LEFT_OUT.values() for beginning in group)
BENCHMARKS = [f"make {target} IMAGES=2000 ROUNDS=1" for target in ("bench", "bench-growth")]
COMMANDS = [
    *(line for line, _ in groupby(line for line in PRINTED if not line.startswith(LEFT_OUT))),
    *("make help", "make review", "make lint", *BENCHMARKS),
]
NEEDS_UV = pytest.mark.skipif(not shutil.which("uv"), reason="uv is not installed")
(QUESTION,) = re.findall(r"^=# (.*?;)$", README.read_text(), re.S | re.M)  # as typed into psql


def test_no_target_is_forgotten_and_nothing_is_left_out_that_is_not_there() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    targets = re.findall(r"^([a-z_-][a-z0-9_-]*):", makefile, re.MULTILINE)
    run = {command.split()[1] for command in COMMANDS if command.startswith("make ")}
    assert sorted({*run, "lock", "clean", *TARGETS_LEFT_OUT}) == sorted(targets)
    for beginning in LEFT_OUT:
        assert [line.startswith(beginning) for line in PRINTED].count(True) == 1, beginning


def run(folder: Path, command: str) -> Done:
    """Run a command as it is printed, but for the reader's own files; psql is asked a question."""
    for place, here in PLACES.items():
        command = command.replace(place, here)
    others = ("PG", "DBT_", "VIRTUAL_ENV")
    return subprocess.run(
        ["/bin/bash", "-c", command],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith(others)},
        input=QUESTION,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy with a small sample; each command finds it as those before have left it."""
    copy = copy_project(tmp_path_factory.mktemp("reader") / "copy")
    write_sample(copy / "sample", images=2000, labelled=1500)
    write(copy / "clarifai.jsonl", OF_CLARIFAI)
    yield copy
    run(copy, "make clean")


@pytest.fixture(scope="module")
def meanwhile(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Done]]]:
    """The benchmarks, if they are asked for, in another copy: there are two cores."""
    copy = copy_project(tmp_path_factory.mktemp("benchmarks") / "copy")
    if (installed := PROJECT / "benchmarks" / ".venv").exists():
        (copy / "benchmarks" / ".venv").symlink_to(installed.resolve())
    names = " ".join(item.name for item in request.session.items)
    with ThreadPoolExecutor(1) as threads:
        yield {line: threads.submit(run, copy, line) for line in BENCHMARKS if line in names}


@pytest.mark.slow
@pytest.mark.parametrize("command", [*COMMANDS, pytest.param("make lock", marks=NEEDS_UV)])
def test_it_runs(copy: Path, meanwhile: dict[str, Future[Done]], command: str) -> None:
    done = meanwhile[command].result() if command in meanwhile else run(copy, command)
    assert done.returncode == 0, done.stdout
    assert command != "make psql" or "by-nc       | eol  " in done.stdout


@pytest.mark.slow
def test_clean_deletes_all_that_git_is_told_to_ignore(copy: Path) -> None:
    done = run(copy, "make clean")
    assert done.returncode == 0, done.stdout
    ignored = [line[1:] for line in (copy / ".gitignore").read_text().split() if line[0] == "/"]
    assert [path for path in ignored if os.path.lexists(copy / path.rstrip("/"))] == []


# The virtual environment, of which all else is run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with nothing but the Makefile, and names that shells and make read otherwise."""
    folder = tmp_path / 'a "project" of $mine'
    folder.mkdir()
    shutil.copy(PROJECT / "Makefile", folder)
    (folder / "requirements.lock").touch()
    return folder


def makes_anew(folder: Path) -> bool:
    return "-m venv" in run(folder, "make install --dry-run").stdout


def test_a_virtual_environment_that_was_copied_or_moved_is_made_anew(project: Path) -> None:
    python = project / "python"
    python.write_text(
        '#!/bin/sh\n[ "$2" != venv ] || { mkdir -p .venv/bin && cp "$0" .venv/bin/python; }\n'
    )
    python.chmod(0o755)
    assert makes_anew(project)
    run(project, "make install PYTHON=./python")
    assert not makes_anew(project)
    copy = shutil.copytree(project, project.with_name("copy"), symlinks=True)
    assert makes_anew(copy)
    # That of another project may be used by a link: worktrees share one.
    shutil.rmtree(copy / ".venv")
    (copy / ".venv").symlink_to(project / ".venv")
    assert not makes_anew(copy)
    (copy / INSTALLED).write_text("")  # as in 0.2
    assert not makes_anew(copy)
    (copy / "requirements.lock").touch()
    run(copy, "make install PYTHON=./python")  # one of its own: the other's is left alone
    assert not makes_anew(copy)
    assert (project / INSTALLED).read_text() == ""


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
    _, said = making.communicate(timeout=longest_wait())
    sentence, *of_make = said.splitlines()
    assert sentence == "Error: interrupted; run the same command again to go on"
    assert [line.startswith("make: ***") for line in of_make] == [True]
    assert making.returncode == -signal.SIGINT  # which shells call 130
    assert makes_anew(project)
