"""A real Postgres of each version for every test, and the project built on it."""

import gc
import io
import json
import logging
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from click import Group
from click.testing import CliRunner, Result
from pytest_postgresql.janitor import DatabaseJanitor

from loader.cli import cli
from loader.connect import OWN_SERVER, PROJECT
from loader.schema import create_schema
from review.files import FOLDER
from trial.catalog import load_catalog
from trial.sample import write_sample
from trial.server import ROLE, Server, find_binaries

# `make test` hands these on; a make that a test runs would speak of them.
for name in ("MAKEFLAGS", "MAKELEVEL"):
    os.environ.pop(name, None)

# What `dbt seed` ends with, for tests that fill the seeds' tables themselves.
PUT_IN_FORCE = """
create temporary table correction_counts on commit drop as
select * from refinery.int_seeded_correction_counts;
delete from refinery.int_label_counts where is_correction;
insert into refinery.int_label_counts select true, *, '{}' from correction_counts;
drop table correction_counts;
delete from refinery.int_label_policy_in_force;
insert into refinery.int_label_policy_in_force select * from refinery.int_seeded_label_policy;
"""

KILL_SEED = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(1 << 32))

# A label of the fixture `sample`, on 7 images from 0.9 on, that nobody has reviewed.
UNHEARD_OF = "Unheard Of"

# What a test records to be printed after the suite.
SUMMARY = "summary"

# The project as dbt has parsed it, by the database's host and name.
PARSED: dict[tuple[str, str], Any] = {}

# Postgres 15 is the oldest that the project promises to work on; Debian's package puts it there.
BINARIES = {18: None, 15: Path("/usr/lib/postgresql/15/bin")}


@dataclass(frozen=True)
class Database:
    """A database of its own, and how to run the project's programs on it."""

    host: str
    name: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if name not in OWN_SERVER}
        where = {"PGHOST": self.host, "PGPORT": "5432", "PGUSER": ROLE, "PGDATABASE": self.name}
        return clean | where

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=self.host, port=5432, user=ROLE, dbname=self.name, autocommit=True
        )

    def run(self, *command: str | Path, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
        """Run a program in the project's folder on this database, as a user would."""
        return subprocess.run(
            command,
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def loader(self, *arguments: str | Path) -> str:
        """Run a loader command that has to succeed, in this process; return what it printed."""
        done = self.invoke(cli, *arguments)
        assert done.exit_code == 0, done.stderr
        return done.stdout + done.stderr

    def invoke(self, group: Group, *arguments: str | Path, **environment: str) -> Result:
        """Run a command of one of the project's programs, in this process."""
        here = self.environment | {"DBT_TARGET_PATH": str(self.folder / "target")} | environment
        with (
            mock.patch.dict(os.environ, here, clear=True),
            mock.patch.object(logging.root, "handlers", []),  # or the command would add none
            mock.patch("signal.signal"),  # the command sets its process's own
            chdir(PROJECT),
        ):
            return CliRunner().invoke(group, [str(a) for a in arguments], catch_exceptions=False)

    def dbt(self, *arguments: str, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
        """Run dbt in a project's folder; in this process, because each start of one takes 3 s."""
        from dbt.cli.main import dbtRunner  # takes 2 s, and most tests do without

        said = io.StringIO()
        in_our_place = mock.patch.dict(os.environ, self.environment, clear=True)
        with in_our_place, chdir(folder), redirect_stdout(said):
            # What is parsed with other vars is not what the next run needs.
            is_ours = folder == PROJECT and "--vars" not in arguments
            parsed = self._parsed_project() if is_ours else None
            # A parsed project is written at length by each run, for nobody to read.
            with mock.patch("dbt.contracts.graph.manifest.Manifest.write"):
                done = dbtRunner(parsed).invoke(self._dbt_arguments(*arguments, folder=folder))
        status = 0 if done.success else 2 if done.exception else 1
        return subprocess.CompletedProcess(arguments, status, said.getvalue(), "")

    def _parsed_project(self) -> Any:  # noqa: ANN401 - dbt's Manifest, imported only where it runs
        """Return the project as dbt parses it for this database: once, as it takes 4 s."""
        from dbt.cli.main import dbtRunner

        known_by = (self.host, self.name)
        if known_by not in PARSED:
            done = dbtRunner().invoke(self._dbt_arguments("--quiet", "parse"))
            PARSED[known_by] = done.result
            gc.freeze()  # or each look for garbage would go through it
        return PARSED[known_by]

    def _dbt_arguments(self, *arguments: str, folder: Path = PROJECT) -> list[str]:
        """Return arguments that let dbt keep our project's artifacts in this database's folder."""
        target = ("--target-path", str((self.folder if folder == PROJECT else folder) / "target"))
        return ["--no-use-colors", *arguments, *target, "--log-level-file", "none"]

    def start_dbt(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start dbt as a program of its own, to be waited for by the caller."""
        return subprocess.Popen(
            [Path(sys.executable).with_name("dbt"), *self._dbt_arguments(*arguments)],
            cwd=PROJECT,
            env=self.environment,
            stdout=subprocess.DEVNULL,
        )

    def build(self, *arguments: str, folder: Path = PROJECT) -> None:
        """Run dbt with arguments that have to succeed."""
        done = self.dbt(*arguments, folder=folder)
        assert done.returncode == 0, done.stdout

    def results(self) -> list[dict[str, Any]]:
        """Return the results of the last dbt command, one a node."""
        results = json.loads((self.folder / "target" / "run_results.json").read_text())["results"]
        assert isinstance(results, list)
        return results

    def compiled(self, model: str) -> str:
        """Return the SQL that dbt made of a model in its last run."""
        folder = self.folder / "target" / "compiled" / "label_refinery" / "models"
        (path,) = folder.rglob(f"{model}.sql")
        return path.read_text()


@pytest.fixture(scope="session", params=BINARIES, ids=lambda version: f"postgres{version}")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A running server of each version that is installed."""
    home = tmp_path_factory.mktemp(f"postgres{request.param}") / "home"
    with running_server(request.param, home) as running:
        yield running


@contextmanager
def running_server(version: int, home: Path) -> Iterator[Server]:
    """Start a server of a version; skip the test where that is not installed."""
    binaries = BINARIES[version]
    if binaries is not None and not binaries.exists():
        pytest.skip(f"Postgres {version} is not installed in {binaries}")
    running = Server(home, binaries or find_binaries())
    running.start()
    switch_fsync_off(running)
    yield running
    running.remove()


def switch_fsync_off(server: Server) -> None:
    """Let a server not wait for the disk.

    A killed process leaves the kernel what it wrote; only a power cut would tell.
    """
    with psycopg.connect(**server.parameters(), autocommit=True) as connection:
        connection.execute("alter system set fsync = off")
        connection.execute("select pg_reload_conf()")


@contextmanager
def fresh_database(server: Server, name: str, folder: Path) -> Iterator[Database]:
    """Create a database, and drop it afterwards."""
    host = server.parameters()["host"]
    with DatabaseJanitor(user=ROLE, host=host, port=5432, dbname=name, connection_timeout=10):
        yield Database(host, name, folder)


@pytest.fixture
def database(server: Server, tmp_path: Path) -> Iterator[Database]:
    """An empty database."""
    with fresh_database(server, "empty", tmp_path) as fresh:
        yield fresh


@pytest.fixture
def loaded(database: Database) -> Database:
    """A database in which `init` has been run."""
    with database.connect() as connection:
        create_schema(connection)
    return database


@pytest.fixture(scope="session")
def project(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The project built on an empty catalog, for tests that bring their own rows."""
    folder = tmp_path_factory.mktemp("project")
    with fresh_database(server, "project", folder) as fresh:
        fresh.loader("init")
        with fresh.connect() as connection:
            connection.execute((PROJECT / "trial" / "catalog.sql").read_bytes())
        fresh.build("build", "--exclude-resource-types", "unit_test", "test")
        yield fresh


@pytest.fixture(scope="session")
def sample(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The project built on the sample, the evidence too, with all of dbt's tests."""
    folder = tmp_path_factory.mktemp("sample")
    catalog, labels = write_sample(folder)
    # Whatever people approve of, it is none of this.
    labels.write_bytes(labels.read_bytes().replace(b'"Bucket Hat"', f'"{UNHEARD_OF}"'.encode()))
    with fresh_database(server, "sample", folder) as fresh:
        fresh.loader("init")
        with fresh.connect() as connection:
            load_catalog(connection, catalog)
        fresh.loader("load", str(labels))
        fresh.dbt("build", "--select", "*")
        yield fresh


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """The dice of a test that kills; KILL_SEED, which it prints, repeats a run."""
    print(f"KILL_SEED={KILL_SEED}")
    return random.Random(f"{KILL_SEED} {request.node.name}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the label policy's files."""
    copy_policy(tmp_path)
    return tmp_path


def copy_policy(folder: Path) -> None:
    """Copy the label policy's files into a folder."""
    for path in FOLDER.glob("*.csv"):
        shutil.copy(path, folder)


def edit(folder: Path, file: str, old: str, new: str) -> None:
    """Replace the first of what has to be in a copy of the label policy."""
    path = folder / f"{file}.csv"
    text = path.read_text()
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many of dbt's tests ran; tests/test_dbt.py fails if any is missing."""
    for report in terminalreporter.stats.get("passed", []):
        for name, line in report.user_properties:
            if name == SUMMARY:
                terminalreporter.write_line(line)
