"""What a command costs: wall time, CPU of client and server, and the client's peak memory."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from loader.connect import PROJECT
from loader.errors import UserError

Command = Sequence[str | Path]

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """What one command, or several after one another, took."""

    wall: float
    client_cpu: float
    server_cpu: float | None
    client_peak_mb: float

    def __add__(self, other: "Usage") -> "Usage":
        known = self.server_cpu is not None and other.server_cpu is not None
        return Usage(
            self.wall + other.wall,
            self.client_cpu + other.client_cpu,
            (self.server_cpu or 0) + (other.server_cpu or 0) if known else None,
            max(self.client_peak_mb, other.client_peak_mb),
        )


@dataclass(frozen=True)
class ServerClock:
    """The CPU seconds that a Postgres has used; unknown where its processes cannot be seen."""

    postmaster: int | None

    @classmethod
    def of(cls, data_folder: Path | None) -> "ServerClock":
        """Return the clock of the server with this data folder, on this machine."""
        pid_file = data_folder and data_folder / "postmaster.pid"
        if pid_file is None or not pid_file.exists() or not Path("/proc/self/stat").exists():
            return cls(None)
        return cls(int(pid_file.read_text().split()[0]))

    def read(self) -> float | None:
        """Return the CPU seconds of all its processes, those that have ended included."""
        if self.postmaster is None:
            return None
        # Each process of a server is a child of the postmaster, which waits for all of them. One
        # that ends while they are added up would be missed, or counted twice: then once more.
        while True:
            before = _stat(self.postmaster)
            of_children = sum(sum(own) for own in _of_children(self.postmaster))
            if _stat(self.postmaster).of_ended_children == before.of_ended_children:
                ticks = sum(before.own) + sum(before.of_ended_children) + of_children
                return ticks / _TICKS_A_SECOND


@dataclass(frozen=True)
class _Stat:
    parent: int
    own: tuple[int, int]
    of_ended_children: tuple[int, int]


def _stat(pid: int) -> _Stat:
    # The second field, the name in brackets, may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = [int(field) for field in fields[11:15]]
    return _Stat(int(fields[1]), (ticks[0], ticks[1]), (ticks[2], ticks[3]))


def _of_children(parent: int) -> Iterator[tuple[int, int]]:
    for folder in Path("/proc").iterdir():
        try:
            stat = _stat(int(folder.name)) if folder.name.isdigit() else None
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended since
        if stat and stat.parent == parent:
            yield stat.own


def measure(command: Command, clock: ServerClock) -> Usage:
    """Run a command in the project's folder and return what it took; it has to succeed.

    CPU and peak memory include the processes that it started and waited for; the peak is that of
    the largest single one.
    """
    with tempfile.TemporaryFile() as said:
        server_before, began = clock.read(), time.perf_counter()
        process = subprocess.Popen(command, cwd=PROJECT, stdout=said, stderr=subprocess.STDOUT)
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        wall, server_after = time.perf_counter() - began, clock.read()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            raise _failure(command, said.read().decode(errors="replace"))
    return Usage(
        wall,
        used.ru_utime + used.ru_stime,
        None if server_before is None or server_after is None else server_after - server_before,
        used.ru_maxrss / 1024,
    )


def succeed(command: Command) -> None:
    """Run a command that nobody measures; it has to succeed."""
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise _failure(command, done.stdout + done.stderr)


def _failure(command: Command, said: str) -> UserError:
    what, lines = " ".join(map(str, command[1:4])), said.strip().splitlines()
    return UserError(f"{what} … failed: " + "\n".join(lines[-20:]))
