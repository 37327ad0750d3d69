"""The embedded server: started, asked, stopped, and in the way."""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from click.testing import CliRunner
from conftest import BINARIES
from loads import wait_for

from loader.connect import OWN_SERVER, PROJECT, connect, owner_of
from loader.errors import UserError
from trial.cli import main
from trial.server import MARK, Server, find_binaries


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    # A path longer than a socket's may be, in a folder that only its owner can enter.
    folder = tmp_path / ("long" * 30)
    folder.mkdir(mode=0o700)
    monkeypatch.chdir(folder)  # as each command is run in its project's folder
    server = Server(folder / "home")
    yield server
    server.remove()


def test_start_and_stop_can_be_repeated(fresh: Server) -> None:
    assert not fresh.is_up()
    for started in (True, False):
        assert fresh.start() is started
        assert fresh.is_up()
    with psycopg.connect(**fresh.parameters()) as connection:
        connection.execute("create table kept (is_there boolean)")
    for stopped in (True, False):
        assert fresh.stop() is stopped
        assert not fresh.is_up()
    fresh.start()
    with psycopg.connect(**fresh.parameters()) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)


def test_it_listens_on_no_port_and_lets_nobody_else_in(fresh: Server) -> None:
    fresh.start()
    socket = Path(fresh.parameters()["host"])
    assert socket.stat().st_mode & 0o077 == 0
    with psycopg.connect(**fresh.parameters()) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("",)


def test_it_starts_after_it_was_killed(fresh: Server) -> None:
    fresh.start()
    kill(fresh)
    fresh.start()
    assert fresh.is_up()


def pid_of(server: Server) -> str:
    return (server.data / "postmaster.pid").read_text().split()[0]


def kill(server: Server) -> None:
    """Kill a server as the kernel does when memory is short; its processes linger."""
    os.kill(int(pid_of(server)), signal.SIGKILL)


def test_it_starts_after_the_socket_folder_was_swept_away(fresh: Server) -> None:
    fresh.start()
    fresh.stop()
    Path(fresh.parameters()["host"]).rmdir()
    fresh.start()
    assert fresh.is_up()


def test_a_data_folder_of_another_version_is_left_alone(fresh: Server) -> None:
    fresh.start()
    fresh.stop()
    other = BINARIES[15]
    if other is None or not other.exists():
        pytest.skip(f"Postgres 15 is not installed in {other}")
    with pytest.raises(UserError, match=r"made by Postgres 18, the program is 15"):
        Server(fresh.home, other).start()


def copy_of(server: Server) -> Server:
    """Copy a project's folder as people do, with all that is in it."""
    copy = server.home.with_name("copy")
    subprocess.run(["/bin/cp", "-a", server.home, copy], check=True)
    return Server(copy)


def databases(server: Server) -> set[str]:
    with psycopg.connect(**server.parameters()) as connection:
        return {name for (name,) in connection.execute("select datname from pg_database")}


def administer(server: Server, statement: LiteralString) -> None:
    with psycopg.connect(**server.parameters(), autocommit=True) as connection:
        connection.execute(statement)


def test_a_copy_of_one_that_runs_is_none(fresh: Server) -> None:
    fresh.start()
    administer(fresh, "create database original")
    copy = copy_of(fresh)
    try:
        assert not copy.is_up()
        assert copy.stop() is False
        if os.geteuid() == 0:
            copy.start()  # a server of its own
            assert "original" not in databases(copy)
        else:
            with pytest.raises(UserError, match="may be torn"):
                copy.start()
    finally:
        copy.remove()
    assert fresh.is_up()
    assert "original" in databases(fresh)
    assert not copy.home.exists()


def test_a_copy_of_one_that_was_stopped_has_its_own_data(fresh: Server) -> None:
    fresh.start()
    fresh.stop()
    copy = copy_of(fresh)
    try:
        copy.start()
        administer(copy, "create database copied")
        assert not fresh.is_up()
        assert fresh.start()
        assert fresh.data != copy.data
        assert "copied" not in databases(fresh)
        assert "copied" in databases(copy)
    finally:
        copy.remove()
    assert fresh.is_up()


@pytest.mark.parametrize("runs", [True, False], ids=["running", "killed"])
def test_a_moved_one_is_still_itself(fresh: Server, runs: bool) -> None:
    fresh.start()
    administer(fresh, "create database mine")
    if not runs:
        kill(fresh)
    moved = Server(fresh.home.rename(fresh.home.with_name("moved")))
    assert moved.start() is not runs
    assert "mine" in databases(moved)
    assert owner_of(moved.home) == moved.home  # or the loader would refuse it from here on
    moved.remove()
    assert not fresh.is_up()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's home is a link")
def test_a_copy_of_what_0_2_made_is_none(fresh: Server) -> None:
    fresh.start()
    (fresh.home / "owner").unlink()  # 0.2 wrote none
    copy = copy_of(fresh)
    assert not copy.is_up()
    assert copy.stop() is False
    for refused in (copy.start, copy.remove):
        with pytest.raises(UserError, match=r"is it a copy\? If so, delete the link"):
            refused()
    assert fresh.is_up()
    assert fresh.start() is False
    assert owner_of(fresh.home) == fresh.home


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


def test_another_server_with_the_pid_of_one_that_is_gone_is_not_stopped(fresh: Server) -> None:
    fresh.start()
    other = Server(fresh.home.with_name("other"))
    other.start()
    pid_file = fresh.data / "postmaster.pid"
    words = pid_file.read_text()
    fresh.stop()
    # As after a reboot, where they are numbered anew.
    pid_file.write_text("\n".join([pid_of(other), *words.splitlines()[1:]]))
    try:
        assert fresh.stop() is False
        assert fresh.start()
        assert other.is_up()
    finally:
        other.remove()


def test_what_0_2_made_goes_on(fresh: Server, tmp_path: Path) -> None:
    """Its socket lay in a folder of its own, to which a link led."""
    fresh.start()
    administer(fresh, "create database mine")
    fresh.stop()
    (fresh.home / "owner").unlink(missing_ok=True)
    (fresh.home / "socket").rmdir()
    (tmp_path / "sockets").mkdir()
    (fresh.home / "socket").symlink_to(tmp_path / "sockets")
    fresh.start()
    assert "mine" in databases(fresh)
    assert not (tmp_path / "sockets").exists()


def test_it_is_complete_or_made_anew_when_killed_on_the_way(fresh: Server) -> None:
    """Guards: a half-made one would listen on a port, and let everybody in."""
    program = "import sys; from pathlib import Path; from trial.server import Server; "
    program += "Server(Path(sys.argv[1])).start()"
    for seconds in (0.5, 1.5):
        starting = subprocess.Popen(
            [sys.executable, "-c", program, fresh.home], start_new_session=True, cwd=PROJECT
        )
        time.sleep(seconds)
        os.killpg(starting.pid, signal.SIGKILL)
        starting.wait()
        again = Server(fresh.home)
        again.start()
        with psycopg.connect(**again.parameters()) as connection:
            assert connection.execute("show listen_addresses").fetchone() == ("",)
        again.remove()


def test_an_initdb_that_outlived_its_parent_is_not_in_the_way(fresh: Server) -> None:
    program = "import sys; from pathlib import Path; from trial.server import Server; "
    program += "Server(Path(sys.argv[1])).start()"
    starting = subprocess.Popen([sys.executable, "-c", program, fresh.home], cwd=PROJECT)
    wait_for(lambda: fresh.home.exists() and any(fresh.home.glob("data.unfinished*/*")))
    starting.kill()
    starting.wait()
    fresh.start()
    assert fresh.is_up()


def test_root_may_have_a_strict_umask(fresh: Server) -> None:
    strict = os.umask(0o077)
    try:
        fresh.start()
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(strict)
    administer(fresh, "select pg_read_file('../owner', true)")  # which dbt asks for


@pytest.mark.parametrize("ran", [True, False], ids=["ran", "never ran"])
def test_a_data_folder_without_our_settings_gets_them(fresh: Server, ran: bool) -> None:
    fresh.start()
    administer(fresh, "create database mine")
    fresh.stop()
    settings = fresh.data / "postgresql.conf"
    settings.write_text(settings.read_text().partition(MARK)[0])
    if not ran:
        (fresh.data / "postmaster.opts").unlink()
    fresh.start()
    with psycopg.connect(**fresh.parameters()) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("",)
    assert ("mine" in databases(fresh)) is ran


def test_a_damaged_pid_file_is_mended(fresh: Server) -> None:
    fresh.start()
    for text in ("", "no number\n", "1\n/\n"):
        fresh.stop()
        (fresh.data / "postmaster.pid").write_text(text)
        fresh.start()
        assert fresh.is_up()


def test_it_can_be_reached_again_after_its_socket_was_swept_away(fresh: Server) -> None:
    fresh.start()
    shutil.rmtree(fresh.home / "socket")
    assert not fresh.is_up()
    fresh.start()
    assert fresh.is_up()


def test_two_may_start_it_at_once(fresh: Server) -> None:
    with ThreadPoolExecutor() as pool:
        for begin in (lambda: None, lambda: kill(fresh)):
            begin()
            started = pool.map(Server.start, (fresh, Server(fresh.home)))
            assert sorted(started) == [False, True]
    assert fresh.is_up()


def test_a_path_that_postgres_cannot_cope_with_is_refused(fresh: Server, tmp_path: Path) -> None:
    odd = tmp_path / 'with "quotes" and $dollars'
    odd.symlink_to(find_binaries())
    with pytest.raises(UserError, match="move the project"):
        Server(fresh.home, odd).start()


def test_a_host_that_is_unknown_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGSERVICE", raising=False)
    monkeypatch.setenv("PGHOST", "nowhere.invalid")
    with pytest.raises(UserError, match=r"failed to resolve host 'nowhere\.invalid'"), connect():
        pass


def test_binaries_that_are_not_there_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_BINDIR", "/nowhere")
    with pytest.raises(UserError, match="POSTGRES_BINDIR=/nowhere"):
        find_binaries()


def test_with_an_own_server_no_other_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "/nowhere")
    done = CliRunner().invoke(main, ["server", "start"])
    assert done.exit_code == 1
    assert "that server is used instead" in done.stderr


def test_dbt_leaves_the_server_of_another_project_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dbt.cli.main import dbtRunner  # takes 2 s, and the other tests do without

    copy = tmp_path / "project"
    left_out = shutil.ignore_patterns(".*", "target", "logs", "sample", "data")
    shutil.copytree(PROJECT, copy, ignore=left_out)
    for name in OWN_SERVER:
        monkeypatch.delenv(name, raising=False)
    server = Server(copy / ".postgres")
    server.start()
    try:
        # However its folder is named, it is its own.
        (tmp_path / "link").symlink_to(copy)
        for folder, status in ((".", 0), (tmp_path / "link", 0), (copy, 1)):
            if status:
                (server.home / "owner").write_text("/original/.postgres")
            command = ["seed", "--select", "sensitive_labels", "--project-dir", str(folder)]
            said = io.StringIO()
            with chdir(copy), redirect_stdout(said):
                done = dbtRunner().invoke([*command, "--log-level-file", "none"])
            words = said.getvalue()
            assert ("belongs to /original/.postgres" in words) is bool(status), words
            assert done.success is not bool(status), words
    finally:
        (server.home / "owner").unlink(missing_ok=True)
        server.stop()
        server.remove()


def test_dbt_says_how_to_start_one_that_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    profile = (PROJECT / "profiles.yml").read_text()
    default = re.search(r"env_var\('PGHOST', '(/.*?)'\)", profile)
    assert default
    with pytest.raises(psycopg.OperationalError, match="python -m trial server start"):
        psycopg.connect(host=default[1], port=5432)


def test_env_of_a_service_without_a_host_is_where_libpq_looks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services = tmp_path / "services.conf"
    services.write_text("[local]\nuser=me\n")
    for name in ("PGHOST", "PGHOSTADDR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGSERVICE", "local")
    done = CliRunner().invoke(main, ["server", "env"])
    assert done.exit_code == 0
    # Without it dbt would go to the embedded server instead.
    assert re.search("^export PGHOST=/", done.stdout, re.MULTILINE)


def test_env_resolves_a_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    services = tmp_path / "services.conf"
    services.write_text("[mine]\nhost=db.example.org\nuser=it's me\npassword=secret\ndbname=pics\n")
    for name in ("PGHOST", "PGHOSTADDR", "PGUSER", "PGDATABASE", "PGPORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("PGSERVICE", "mine")
    monkeypatch.setenv("PGPASSWORD", "secret too")
    done = CliRunner().invoke(main, ["server", "env"])
    assert done.exit_code == 0
    assert "export PGHOST=db.example.org" in done.stdout
    assert """export PGUSER='it'"'"'s me'""" in done.stdout
    assert "export PGDATABASE=pics" in done.stdout
    assert "secret" not in done.output


@pytest.mark.parametrize(
    "arguments",
    ["server", "server restart", "psql now", "load-catalog", "load-catalog a b", "run a", "what"],
)
def test_wrong_usage_exits_with_2_and_says_why(arguments: str) -> None:
    done = CliRunner().invoke(main, arguments.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Error: " in done.stderr
