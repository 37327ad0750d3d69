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
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from click import Group
from click.testing import CliRunner, Result
from psycopg import sql
from pytest_postgresql.janitor import DatabaseJanitor

from loader import files
from loader.cli import cli
from loader.connect import OWN_SERVER, PROJECT
from loader.schema import create_schema, tables
from review.files import COLUMNS, FOLDER, read
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

DBT = Path(sys.executable).with_name("dbt")

KILL_SEED = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(1 << 32))

WITHOUT_TESTS = ("--exclude-resource-types", "unit_test", "test")

# A label of the fixture `sample`, on 7 images from 0.9 on, that nobody has reviewed.
UNHEARD_OF = "Unheard Of"

# What tests of the label policy's files decide on; to them come those that are corrected.
# fmt: off
SOME_LABELS = {
    "Abies", "Adult", "Ape", "Boy", "Casa Milà", "Cat", "Cathedral", "Cattle", "Child", "Corrosion",
    "Cow", "Dog", "Fir", "Key", "Kid", "Kiss", "Kissing", "Kite", "Make Out", "Polar Bear", "Rifle",
    "Woman", "Zoo",
}
# fmt: on

# What a test records to be printed after the suite.
SUMMARY = "summary"

# The project as dbt has parsed it, and the file that it wrote, by the vars that it was parsed with.
PARSED: dict[str, tuple[Any, Path]] = {}

# Postgres 15 is the oldest that the project promises to work on; Debian's package puts it there.
BINARIES = {18: None, 15: Path("/usr/lib/postgresql/15/bin")}


@dataclass(frozen=True)
class Database:
    """A database of its own, and how to run the project's programs on it."""

    host: str
    name: str
    folder: Path
    user: str = ROLE

    @property
    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if name not in OWN_SERVER}
        where = {
            "PGHOST": self.host,
            "PGPORT": "5432",
            "PGUSER": self.user,
            "PGDATABASE": self.name,
        }
        return clean | where

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=self.host, port=5432, user=self.user, dbname=self.name, autocommit=True
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

    def invoke(
        self, group: Group, *arguments: str | Path, stdin: bytes = b"", **environment: str
    ) -> Result:
        """Run a command of one of the project's programs, in this process."""
        files._standard_input.cache_clear()  # a process reads it once
        here = self.environment | {"DBT_TARGET_PATH": str(self.folder / "target")} | environment
        with (
            mock.patch.dict(os.environ, here, clear=True),
            mock.patch.object(logging.root, "handlers", []),  # or the command would add none
            mock.patch("signal.signal"),  # the command sets its process's own
            chdir(PROJECT),
        ):
            words = [str(argument) for argument in arguments]
            return CliRunner().invoke(group, words, stdin, catch_exceptions=False)

    def dbt(self, *arguments: str, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
        """Run dbt in a project's folder; in this process, because each start of one takes 3 s."""
        from dbt.cli.main import dbtRunner  # takes 2 s, and most tests do without

        said = io.StringIO()
        in_our_place = mock.patch.dict(os.environ, self.environment, clear=True)
        with in_our_place, chdir(folder), redirect_stdout(said):
            parsed = self._parsed_project(arguments) if folder == PROJECT else None
            # A parsed project is written at length by each run, for nobody to read.
            with mock.patch("dbt.contracts.graph.manifest.Manifest.write"):
                done = dbtRunner(parsed).invoke(self._dbt_arguments(*arguments, folder=folder))
        status = 0 if done.success else 2 if done.exception else 1
        return subprocess.CompletedProcess(arguments, status, said.getvalue(), "")

    def _parsed_project(self, arguments: tuple[str, ...]) -> Any:  # noqa: ANN401 - dbt's Manifest, imported only where it runs
        """Return the project as dbt parses it: once, as that takes 4 s, and for this database."""
        from dbt.cli.main import dbtRunner

        at = arguments.index("--vars") if "--vars" in arguments else len(arguments)
        variables = arguments[at : at + 2]
        own = self.folder / "target" / "manifest.json"
        if (known_by := "".join(variables)) not in PARSED:
            done = dbtRunner().invoke(self._dbt_arguments("--quiet", "parse", *variables))
            PARSED[known_by] = done.result, own
            gc.freeze()  # or each look for garbage would go through it
        parsed, written = PARSED[known_by]
        if not own.exists():
            own.parent.mkdir(exist_ok=True)
            own.hardlink_to(written)
        for kind in ("nodes", "sources", "functions"):
            for resource in getattr(parsed, kind).values():
                if resource.relation_name:
                    _, rest = resource.relation_name.split(".", 1)
                    resource.relation_name = f'"{self.name}".{rest}'
                resource.database = self.name
                # What macros see of it.
                seen = parsed.flat_graph[kind][resource.unique_id]
                seen |= {"database": self.name, "relation_name": resource.relation_name}
        return parsed

    def _dbt_arguments(self, *arguments: str, folder: Path = PROJECT) -> list[str]:
        """Return arguments that let dbt keep our project's artifacts in this database's folder."""
        target = ("--target-path", str((self.folder if folder == PROJECT else folder) / "target"))
        return ["--no-use-colors", *arguments, *target, "--log-level-file", "none"]

    def start_dbt(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start dbt as a program of its own, to be waited for by the caller."""
        return subprocess.Popen(
            [DBT, *self._dbt_arguments(*arguments)],
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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on Postgres 18, and what differs by version on 15 too."""
    if "server" in metafunc.fixturenames:
        differs = metafunc.definition.get_closest_marker("both_versions")
        versions = list(BINARIES) if differs else [18]
        ids = [f"postgres{version}" for version in versions]
        metafunc.parametrize("server", versions, indirect=True, ids=ids, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Tell the groups of `make test` apart."""
    for item in items:
        if "postgres15" in item.name:
            item.add_marker("postgres15")
        if {"built_project", "built_sample"} & set(item.fixturenames):
            item.add_marker("built")


@pytest.fixture(scope="session")
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A running server of a version, if that is installed."""
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


@contextmanager
def clone(server: Server, built: Database, name: str, folder: Path) -> Iterator[Database]:
    """Copy a database that has been built, with what dbt wrote of it, and drop it afterwards."""
    shutil.copytree(built.folder / "target", folder / "target")
    with psycopg.connect(**server.parameters(), autocommit=True) as admin:
        copy, original = sql.Identifier(name), sql.Identifier(built.name)
        admin.execute(sql.SQL("create database {} template {}").format(copy, original))
        try:
            yield Database(built.host, name, folder)
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(copy))


@pytest.fixture
def database(server: Server, tmp_path: Path) -> Iterator[Database]:
    """An empty database."""
    with fresh_database(server, "empty", tmp_path) as fresh:
        yield fresh


@pytest.fixture
def own_loaded(database: Database) -> Database:
    """A database in which `init` has been run, to be changed."""
    with database.connect() as connection:
        create_schema(connection)
    return database


@pytest.fixture(scope="session")
def initialised(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database in which `init` has been run, once: that takes longer than most loads."""
    with fresh_database(server, "initialised", tmp_path_factory.mktemp("initialised")) as fresh:
        with fresh.connect() as connection:
            create_schema(connection)
        yield fresh


@pytest.fixture
def loaded(initialised: Database) -> Database:
    """The same with nothing in it, for tests that leave its schema as it is."""
    empty(initialised)
    return initialised


def empty(database: Database) -> None:
    """Take all rows out of the loader's tables."""
    names = sql.SQL(", ").join(sql.Identifier("raw", table) for table in tables())
    with database.connect() as connection:
        connection.execute(sql.SQL("truncate {} restart identity").format(names))


# What is built once on each server, and only cloned


@pytest.fixture(scope="session")
def built_project(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The project built on an empty catalog."""
    with fresh_database(server, "built_project", tmp_path_factory.mktemp("built")) as fresh:
        fresh.loader("init")
        with fresh.connect() as connection:
            connection.execute((PROJECT / "trial" / "catalog.sql").read_bytes())
        fresh.build("build", *WITHOUT_TESTS)
        yield fresh


@pytest.fixture(scope="session")
def built_few(
    server: Server, built_project: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """The project on 300 images, 200 of them labelled."""
    folder = tmp_path_factory.mktemp("few")
    catalog, labels = write_sample(folder, images=300, labelled=200)
    with clone(server, built_project, "built_few", folder) as few:
        with few.connect() as connection:
            # A catalog file replaces only a table that is from one.
            connection.execute(
                "comment on table catalog.image is 'Loaded by label-refinery from nothing (0:0)'"
            )
            load_catalog(connection, catalog)
        few.loader("load", labels)
        few.build("run", "--selector", "refresh")
        yield few


@pytest.fixture(scope="session")
def built_sample(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The project built on the sample, the evidence too, with all of dbt's tests."""
    folder = tmp_path_factory.mktemp("sample")
    catalog, labels = write_sample(folder)
    # Whatever people approve of, it is none of this.
    labels.write_bytes(labels.read_bytes().replace(b'"Bucket Hat"', f'"{UNHEARD_OF}"'.encode()))
    with fresh_database(server, "built_sample", folder) as fresh:
        fresh.loader("init")
        with fresh.connect() as connection:
            load_catalog(connection, catalog)
        fresh.loader("load", str(labels))
        fresh.dbt("build", "--select", "*")
        yield fresh


# Clones that tests share: a test leaves them as it found them


@pytest.fixture(scope="session")
def project(
    server: Server, built_project: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """The project on an empty catalog, for tests that bring their own rows and take them away."""
    with clone(server, built_project, "project", tmp_path_factory.mktemp("project")) as shared:
        yield shared


@pytest.fixture(scope="session")
def sample(
    server: Server, built_sample: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """The project on the sample."""
    with clone(server, built_sample, "sample", tmp_path_factory.mktemp("shared")) as shared:
        yield shared


@pytest.fixture(scope="module")
def few(
    server: Server, built_few: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """The project on 300 images, to be changed by the tests of one file."""
    with clone(server, built_few, "few", tmp_path_factory.mktemp("few")) as shared:
        yield shared


# Clones of a test's own


@pytest.fixture
def own_project(server: Server, built_project: Database, tmp_path: Path) -> Iterator[Database]:
    """The project on an empty catalog, to be changed."""
    with clone(server, built_project, "own_project", tmp_path) as own:
        yield own


@pytest.fixture
def own_few(server: Server, built_few: Database, tmp_path: Path) -> Iterator[Database]:
    """The project on 300 images, to be changed."""
    with clone(server, built_few, "own_few", tmp_path) as own:
        yield own


@pytest.fixture
def own_sample(server: Server, built_sample: Database, tmp_path: Path) -> Iterator[Database]:
    """The project on the sample, to be changed."""
    with clone(server, built_sample, "own_sample", tmp_path) as own:
        yield own


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


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """What the label policy's files say of a few labels: checked in 3 ms, and the whole in 100."""
    copy_few_lines(tmp_path)
    return tmp_path


def copy_few_lines(folder: Path) -> None:
    """Copy what the label policy's files say of a few labels into a folder."""
    for file, text in few_lines().items():
        (folder / f"{file}.csv").write_text(text)


@cache
def few_lines() -> dict[str, str]:
    """Return the lines of the label policy's files that decide on a few labels, by file."""
    corrections = read("label_corrections")
    labels = SOME_LABELS | {spelling for line in corrections for spelling in line.values.values()}
    texts = {}
    for file, (name, *_) in COLUMNS.items():
        lines = [line.text for line in read(file) if name != "label" or line.name in labels]
        texts[file] = "\n".join([",".join(COLUMNS[file]), *lines, ""])
    return texts


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
