"""The embedded server: started, asked, stopped, and in the way."""

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from click.testing import CliRunner
from conftest import BINARIES
from loads import wait_for

from benchmarks.refreshes import copy_project
from loader.connect import OWN_SERVER, PROJECT, owner_of
from loader.errors import UserError
from trial.cli import main
from trial.server import MARK, Server, find_binaries

PID = "$(head -n 1 data/postmaster.pid)"
STOP = f"kill -INT {PID}; while [ -e data/postmaster.pid ]; do sleep 0.1; done;"
NO_SETTINGS = rf'{STOP} sed -i "\|^{MARK}|,\$d" data/postgresql.conf'
# What becomes of one, as a shell does it in its home.
MISHAPS = {
    "killed": f"kill -9 {PID}",  # as the kernel does when memory is short; its processes linger
    "socket swept away": "rm -r socket",
    "pid file empty": f"{STOP} >data/postmaster.pid",
    "pid file without a number": f"{STOP} echo no number >data/postmaster.pid",
    # As after a reboot: this process would be interrupted instead.
    "pid file of another process": f"{STOP} printf '%s\\n' $PPID / >data/postmaster.pid",
    "without our settings": NO_SETTINGS,
    "without our settings, never run": f"{NO_SETTINGS}; rm data/postmaster.opts",
}


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """One that has yet to be made."""
    monkeypatch.chdir(tmp_path)  # as each command is run in its project's folder
    server = Server(tmp_path / "home")
    yield server
    server.remove()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # A path longer than a socket's may be, in a folder that only its owner can enter.
    folder = tmp_path_factory.mktemp("server") / ("long" * 30)
    folder.mkdir(mode=0o700)
    server = Server(folder / "home")
    yield server
    server.remove()


@pytest.fixture
def running(made: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """One that runs, with a database that is `mine`; a test leaves it so that it starts again."""
    monkeypatch.chdir(made.home.parent)
    made.start()
    if "mine" not in databases(made):
        administer(made, "create database mine")
    return made


def administer(server: Server, statement: LiteralString) -> list[tuple[Any, ...]]:
    with psycopg.connect(**server.parameters(), autocommit=True) as connection:
        done = connection.execute(statement)
        return done.fetchall() if done.description else []


def databases(server: Server) -> set[str]:
    return {name for (name,) in administer(server, "select datname from pg_database")}


def let_happen(server: Server, mishap: str) -> None:
    subprocess.run(["/bin/sh", "-c", mishap], cwd=server.home, check=True)


def test_start_and_stop_can_be_repeated(running: Server) -> None:
    for stopped in (True, False):
        assert running.stop() is stopped
        assert not running.is_up()
    for started in (True, False):
        assert running.start() is started
        assert running.is_up()


@pytest.mark.parametrize("mishap", MISHAPS)
def test_it_starts_whatever_has_become_of_it_and_lets_nobody_in_but_its_user(
    running: Server, mishap: str
) -> None:
    let_happen(running, MISHAPS[mishap])
    assert running.start()
    assert running.is_up()
    assert administer(running, "show listen_addresses") == [("",)]
    assert Path(running.parameters()["host"]).stat().st_mode & 0o077 == 0
    assert ("mine" in databases(running)) is not mishap.endswith("never run")


@pytest.mark.skipif(not Path(str(BINARIES[15])).exists(), reason="Postgres 15 is not installed")
def test_a_data_folder_of_another_version_is_left_alone(running: Server) -> None:
    running.stop()
    with pytest.raises(UserError, match=r"made by Postgres 18, the program is 15"):
        Server(running.home, BINARIES[15]).start()


def copy_of(server: Server) -> Server:
    """Copy a project's folder as people do, with all that is in it."""
    copy = server.home.with_name("copy")
    subprocess.run(["/bin/cp", "-a", server.home, copy], check=True)
    return Server(copy)


@pytest.mark.parametrize("runs", [True, False], ids=["running", "stopped"])
def test_a_copy_has_data_of_its_own(running: Server, runs: bool) -> None:
    if not runs:
        running.stop()
    copy = copy_of(running)
    try:
        assert not copy.is_up()
        assert copy.stop() is False
        if runs and os.geteuid() != 0:
            with pytest.raises(UserError, match="may be torn"):
                copy.start()
        else:
            copy.start()
            administer(copy, "create database copied")
        assert running.start() is not runs
        assert "copied" not in databases(running)
    finally:
        copy.remove()
    assert not copy.home.exists()
    assert "mine" in databases(running)


@pytest.mark.parametrize("runs", [True, False], ids=["running", "killed"])
def test_a_moved_one_is_still_itself(running: Server, runs: bool) -> None:
    if not runs:
        let_happen(running, MISHAPS["killed"])
    moved = Server(running.home.rename(running.home.with_name("moved")))
    try:
        assert moved.start() is not runs
        assert "mine" in databases(moved)
        assert owner_of(moved.home) == moved.home  # or the loader would refuse it from here on
        assert not running.is_up()
    finally:
        moved.home.rename(running.home)


def test_what_0_2_made_goes_on_and_a_copy_of_it_is_none(running: Server, tmp_path: Path) -> None:
    """Of its home no file names the owner; its socket lay elsewhere, where a link led."""
    running.stop()
    (running.home / "socket").rmdir()
    (tmp_path / "sockets").mkdir()
    (running.home / "socket").symlink_to(tmp_path / "sockets")
    (running.home / "owner").unlink(missing_ok=True)
    (running.data / "PG_VERSION").touch()  # it is newer than the link
    if running.home.is_symlink():
        copy = copy_of(running)
        for refused in (copy.start, copy.remove):
            with pytest.raises(UserError, match=r"is it a copy\? If so, delete the link"):
                refused()
        copy.home.unlink()
    running.start()
    assert "mine" in databases(running)
    assert not (tmp_path / "sockets").exists()
    assert owner_of(running.home) == running.home


def test_one_that_runs_elsewhere_is_left_alone(
    fresh: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in another container, where its data folder has another path and no process is seen."""
    fresh.start()
    there = fresh.data.parent
    here = there.rename(there.with_name(f"{there.name}-here"))
    if fresh.home.is_symlink():
        fresh.home.unlink()
        fresh.home.symlink_to(here)
    seen_from_here = Server(fresh.home if fresh.home.is_symlink() else here)
    with monkeypatch.context() as patched:
        patched.setattr(Server, "_postmaster", lambda _: None)
        with pytest.raises(UserError, match="use it there, or stop it there"):
            seen_from_here.start()
    assert seen_from_here.is_up()
    assert seen_from_here.remove()


# What is there when it is killed, and whether its `initdb` and its server live on.
@pytest.mark.parametrize(
    ("there", "alone"), [("data.unfinished*/*", True), ("data/postmaster.pid", False)]
)
def test_it_is_complete_or_made_anew_when_killed_on_the_way(
    fresh: Server, there: str, alone: bool
) -> None:
    """Guards: a half-made one would listen on a port, and let everybody in."""
    program = "import sys; from pathlib import Path; from trial.server import Server; "
    command = [sys.executable, "-c", f"{program} Server(Path(sys.argv[1])).start()", fresh.home]
    starting = subprocess.Popen(command, start_new_session=True, cwd=PROJECT)
    wait_for(lambda: fresh.home.exists() and any(fresh.home.glob(there)))
    (os.kill if alone else os.killpg)(starting.pid, signal.SIGKILL)
    starting.wait()
    fresh.start()
    assert administer(fresh, "show listen_addresses") == [("",)]


def test_two_may_start_it_at_once(running: Server) -> None:
    with ThreadPoolExecutor() as pool:
        for end in (running.stop, lambda: let_happen(running, MISHAPS["killed"])):
            end()
            started = pool.map(Server.start, (running, Server(running.home)))
            assert sorted(started) == [False, True]
    assert running.is_up()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PGHOST", "/nowhere", "that server is used instead"),
        ("POSTGRES_BINDIR", "/nowhere", "POSTGRES_BINDIR=/nowhere holds no initdb"),
        ("POSTGRES_BINDIR", '"quotes" and $dollars', "move the project"),
    ],
)
def test_what_it_cannot_use_is_named(
    fresh: Server, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    Path('"quotes" and $dollars').symlink_to(find_binaries())
    monkeypatch.setattr(Server, "of_project", lambda: fresh)
    monkeypatch.setenv(name, value)
    done = CliRunner().invoke(main, ["server", "start"])
    assert (done.exit_code, words in done.stderr) == (1, True)


def test_dbt_seeds_a_copy_of_the_project_but_not_on_the_server_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dbt.cli.main import dbtRunner  # takes 2 s, and the other tests do without

    copy = tmp_path / "project"
    copy_project(copy)
    (tmp_path / "link").symlink_to(copy)
    for name in OWN_SERVER:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(copy)
    parsed = dbtRunner().invoke(["--quiet", "parse", "--log-level-file", "none"])
    assert parsed.success, parsed.exception
    server = Server(copy / ".postgres")
    umask = os.umask(0o077)  # a strict one: dbt asks whose the server is, and may read that
    try:
        server.start()
        assert os.umask(0o077) == 0o077
        # However its folder is named, it is its own.
        for folder, is_own in ((tmp_path / "link", True), (copy, False)):
            if not is_own:
                (server.home / "owner").write_text("/original/.postgres")
            command = ["seed", "--select", "sensitive_labels", "--project-dir", str(folder)]
            said = io.StringIO()
            with redirect_stdout(said):
                done = dbtRunner(parsed.result).invoke([*command, "--log-level-file", "none"])
            assert done.success is is_own, said.getvalue()
            assert ("belongs to /original/.postgres" in said.getvalue()) is not is_own
    finally:
        os.umask(umask)
        (server.home / "owner").unlink(missing_ok=True)
        server.remove()


def test_dbt_says_how_to_start_one_that_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    profile = (PROJECT / "profiles.yml").read_text()
    (default,) = re.findall(r"env_var\('PGHOST', '(/.*?)'\)", profile)
    with pytest.raises(psycopg.OperationalError, match="python -m trial server start"):
        psycopg.connect(host=default, port=5432)


# Without a host dbt would go to the embedded server instead.
SERVICES = {
    "user=me": {"PGHOST=/", "PGUSER=me\n"},
    "host=db.example.org\nuser=it's me\npassword=secret\ndbname=pics": {
        *("PGHOST=db.example.org\n", "PGUSER='it'\"'\"'s me'\n", "PGDATABASE=pics\n")
    },
}


@pytest.mark.parametrize("service", SERVICES)
def test_env_resolves_a_service(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, service: str
) -> None:
    (tmp_path / "services.conf").write_text(f"[mine]\n{service}\n")
    for name in ("PGHOST", "PGHOSTADDR", "PGUSER", "PGDATABASE", "PGPORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services.conf"))
    monkeypatch.setenv("PGSERVICE", "mine")
    monkeypatch.setenv("PGPASSWORD", "secret too")
    done = CliRunner().invoke(main, ["server", "env"])
    assert done.exit_code == 0
    assert {words for words in SERVICES[service] if f"export {words}" not in done.stdout} == set()
    assert "secret" not in done.output


@pytest.mark.parametrize(
    "arguments",
    ["server", "server restart", "psql now", "load-catalog", "load-catalog a b", "run a", "what"],
)
def test_wrong_usage_exits_with_2_and_says_why(arguments: str) -> None:
    done = CliRunner().invoke(main, arguments.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Error: " in done.stderr
