"""The embedded server: started, asked, stopped, and in the way."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from conftest import BINARIES

from loader.errors import UserError
from trial.cli import main
from trial.server import Server, find_binaries


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Server]:
    # A path longer than a socket's may be, in a folder that only its owner can enter.
    folder = tmp_path / ("long" * 30)
    folder.mkdir(mode=0o700)
    server = Server(folder / "home")
    yield server
    server.remove()


def test_start_and_stop_can_be_repeated(fresh: Server) -> None:
    assert not fresh.is_up()
    for _ in range(2):
        fresh.start()
        assert fresh.is_up()
    with psycopg.connect(**fresh.parameters()) as connection:
        connection.execute("create table kept (is_there boolean)")
    for _ in range(2):
        fresh.stop()
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
    pid = int((fresh.data / "postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)
    fresh.start()
    assert fresh.is_up()


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


def test_a_data_folder_in_use_says_so(
    fresh: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trial.server.LINGER_SECONDS", 1)  # it may be one that was just killed
    fresh.start()
    second = Server(tmp_path / "second")
    second._make_home()
    second.data.symlink_to(fresh.data)
    with pytest.raises(UserError, match=r"lock file .* already exists"):
        second.start()
    second.data.unlink()
    second.remove()


def test_binaries_that_are_not_there_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_BINDIR", "/nowhere")
    with pytest.raises(UserError, match="POSTGRES_BINDIR=/nowhere"):
        find_binaries()


def test_with_an_own_server_no_other_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "/nowhere")
    done = CliRunner().invoke(main, ["server", "start"])
    assert done.exit_code == 1
    assert "that server is used instead" in done.stderr


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
