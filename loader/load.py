"""A load: which files and chunks are still to do, and when to stop."""

import logging
import os
import re
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

import psycopg

from loader.chunks import Cutter, LoadedChunk
from loader.connect import connect
from loader.copy import Account
from loader.errors import UserError
from loader.files import STANDARD_INPUT, LabelFile, open_lines
from loader.progress import Progress
from loader.workers import Session, Workers

log = logging.getLogger(__name__)

DEFAULT_WORKERS = max(1, (os.cpu_count() or 1) // 2)
MAX_CHUNK_BYTES = 8 << 20
# Of all chunks in memory: one in each worker's hands, and one that is being read.
CHUNK_MEMORY_BYTES = 32 << 20
# A share of rejects says nothing of the first few lines.
REJECTS_BEFORE_SHARE_COUNTS = 100
SECONDS_BETWEEN_LOOKS_AT_A_LOCK = 2


@dataclass(frozen=True)
class RejectLimit:
    """How many lines of a file may be rejected before it is plainly the wrong file."""

    count: float
    is_percent: bool

    @classmethod
    def parse(cls, text: str) -> "RejectLimit":
        """Read `500` or `1%`; raises ValueError."""
        if not re.fullmatch(r"\d+|\d+(\.\d+)?%", text):
            raise ValueError(f"{text} is no count, as 500, and no percentage, as 1%")
        return cls(float(text.rstrip("%")), text.endswith("%"))

    def is_exceeded(self, account: Account, at_end: bool) -> bool:
        """Whether too many of the lines are rejects."""
        if not self.is_percent:
            return account.rejected > self.count
        if at_end and not account.loaded and account.rejected and self.count < 100:
            return True
        return (
            account.rejected >= REJECTS_BEFORE_SHARE_COUNTS
            and account.rejected * 100 > self.count * account.lines
        )


@dataclass(frozen=True)
class Options:
    """How to load; see `python -m loader load --help`."""

    workers: int
    max_line_bytes: int
    max_rejects: RejectLimit
    give_up_after_seconds: float
    is_quiet: bool

    @property
    def chunk_bytes(self) -> int:
        """The chunk size for a file that no load has begun yet."""
        return max(1 << 20, min(MAX_CHUNK_BYTES, CHUNK_MEMORY_BYTES // (self.workers + 1)))


DEFAULTS = Options(
    workers=DEFAULT_WORKERS,
    max_line_bytes=64 << 20,
    max_rejects=RejectLimit.parse("1%"),
    give_up_after_seconds=120,
    is_quiet=False,
)


@dataclass(frozen=True)
class _Entry:
    """A file's row in raw.loaded_files."""

    file_id: int
    chunk_bytes: int
    is_finished: bool


def load_files(files: Iterable[LabelFile], options: Options = DEFAULTS) -> Account:
    """Load what is not loaded yet of each file, in order. Returns the account of this load."""
    total = Account()
    with connect():
        pass  # a wrong address is said at once, not tried again
    control = Session(options.give_up_after_seconds, threading.Event())
    workers = Workers(options.workers, options.max_line_bytes, options.give_up_after_seconds)
    with closing(control), workers:
        for file in files:
            total += _load_file(file, control, workers, options)
    return total


def _load_file(file: LabelFile, control: Session, workers: Workers, options: Options) -> Account:
    entry = control.run(lambda connection: _enter(connection, file, options.chunk_bytes))
    if entry.is_finished and file.name != STANDARD_INPUT:
        log.info("%s: loaded before, nothing to do", file.name)
        return Account()
    _wait_until_alone(control, file, entry.file_id)
    loaded, before = control.run(lambda connection: _read_ledger(connection, entry.file_id))
    done = Account()
    loaded_bytes = sum(chunk.end_byte - begin for begin, chunk in loaded.items())
    with (
        open_lines(file) as (lines, stored),
        Progress(file, loaded_bytes, stored, options.is_quiet) as progress,
    ):
        cutter = Cutter(lines, entry.chunk_bytes, options.max_line_bytes)
        chunks = cutter.chunks(
            loaded, file.can_seek, lambda skipped: progress.advance(skipped, Account())
        )
        for result in workers.load(entry.file_id, chunks):
            done += result.account
            progress.advance(result.bytes, result.account)
            _check_rejects(file, before + done, options.max_rejects, at_end=False)
    _check_rejects(file, before + done, options.max_rejects, at_end=True)
    control.run(lambda connection: _finish(connection, entry.file_id))
    log.info("%s: %s", file.name, done)
    return done


def _enter(connection: psycopg.Connection, file: LabelFile, chunk_bytes: int) -> _Entry:
    row = connection.execute(
        """
        insert into raw.loaded_files (name, bytes, fingerprint, chunk_bytes)
        values (%s, %s, %s, %s)
        on conflict (fingerprint) do update set name = excluded.name
        returning file_id, chunk_bytes, finished_at is not null
        """,
        (file.name, file.size, file.fingerprint, chunk_bytes),
    ).fetchone()
    assert row is not None  # noqa: S101 - an upsert returns its row
    return _Entry(*row)


def _wait_until_alone(control: Session, file: LabelFile, file_id: int) -> None:
    """Wait until no other loader is at the file, and lock it until `_finish` or our end.

    It saves two loaders from reading the same file. What keeps lines from being there twice is
    the ledger's unique key, also where this lock is lost with its connection.
    """
    take = "select pg_try_advisory_lock('raw.loaded_files'::regclass::oid::integer, %s::integer)"
    has_waited = False
    while control.run(lambda connection: connection.execute(take, (file_id,)).fetchone()) == (
        False,
    ):
        if not has_waited:
            log.info("%s: another loader is at it; waiting until that has ended", file.name)
        has_waited = True
        time.sleep(SECONDS_BETWEEN_LOOKS_AT_A_LOCK)


def _finish(connection: psycopg.Connection, file_id: int) -> None:
    connection.execute(
        "update raw.loaded_files set finished_at = now() where file_id = %s", (file_id,)
    )
    connection.execute("select pg_advisory_unlock_all()")


def _read_ledger(
    control: psycopg.Connection, file_id: int
) -> tuple[dict[int, LoadedChunk], Account]:
    chunks: dict[int, LoadedChunk] = {}
    account = Account()
    for first_byte, end_byte, checksum, *counts in control.execute(
        """
        select first_byte, end_byte, checksum, loaded_lines, rejected_lines, blank_lines
        from raw.loaded_chunks
        where file_id = %s
        """,
        (file_id,),
    ):
        chunks[first_byte] = LoadedChunk(end_byte, checksum)
        account += Account(*counts)
    return chunks, account


def _check_rejects(file: LabelFile, account: Account, limit: RejectLimit, at_end: bool) -> None:
    if limit.is_exceeded(account, at_end):
        raise UserError(
            f"{file.name}: {account.rejected:,} of {account.lines:,} lines are no JSON; is it a "
            "label file? What is loaded stays. `python -m loader rejects` shows the lines; with "
            "a higher --max-rejects the same command goes on."
        )
