"""A load: each file from its entry into the ledger to its end there, and when to stop."""

import logging
import os
import re
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

import click

from loader import ledger
from loader.chunks import LONGEST_LINE_BYTES, cut
from loader.errors import UserError
from loader.files import STANDARD_INPUT, LabelFile, open_lines
from loader.labellers import DEFAULT
from loader.ledger import Account
from loader.progress import Progress
from loader.workers import Session, Workers

log = logging.getLogger(__name__)

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
        """Read `500` or `1%`; raises click.BadParameter."""
        if not re.fullmatch(r"\d+|\d+(\.\d+)?%", text):
            raise click.BadParameter(f"{text} is no count, as 500, and no percentage, as 1%")
        return cls(float(text.rstrip("%")), text.endswith("%"))

    def __str__(self) -> str:
        return f"{self.count:g}{'%' if self.is_percent else ''}"

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

    workers: int = max(1, (os.cpu_count() or 1) // 2)
    max_rejects: RejectLimit = RejectLimit(1, is_percent=True)
    give_up_after_seconds: float = 120
    is_quiet: bool = False
    labeller: str = DEFAULT

    @property
    def chunk_bytes(self) -> int:
        """The chunk size for a file that no load has begun yet."""
        return max(1 << 20, min(LONGEST_LINE_BYTES, CHUNK_MEMORY_BYTES // (self.workers + 1)))


DEFAULTS = Options()


def load_files(files: Iterable[LabelFile], options: Options = DEFAULTS) -> Account:
    """Load what is not loaded yet of each file, in order. Returns the account of this load."""
    control = Session(options.give_up_after_seconds, threading.Event())
    workers = Workers(options.workers, options.give_up_after_seconds)
    with closing(control), workers:
        return sum((_load_file(file, control, workers, options) for file in files), Account())


def _load_file(file: LabelFile, control: Session, workers: Workers, options: Options) -> Account:
    entry = control.run(ledger.enter_file, file, options.labeller, options.chunk_bytes)
    if entry.is_released:
        words = "its labels are kept; to have the documents again, `forget` it and load it again"
        log.info("%s: loaded and released: %s", file.name, words)
        return Account()
    if entry.is_finished and file.name != STANDARD_INPUT:
        log.info("%s: loaded before, nothing to do", file.name)
        return Account()
    _wait_until_alone(file, entry.file_id, control)
    loaded = control.run(ledger.loaded_chunks, entry.file_id)
    before = sum((chunk.account for chunk in loaded.values()), Account())
    loaded_bytes = sum(chunk.bytes for chunk in loaded.values())
    done = Account()
    with (
        open_lines(file) as (lines, stored),
        Progress(file, loaded_bytes, stored, options.is_quiet) as progress,
    ):
        chunks = cut(file, lines, entry.chunk_bytes, loaded)
        for line_bytes, account in workers.load(entry, chunks):
            done += account
            progress.advance(line_bytes, account)
            _check_rejects(file, before + done, options.max_rejects, at_end=False)
    _check_rejects(file, before + done, options.max_rejects, at_end=True)
    control.run(ledger.finish_file, entry.file_id)
    log.info("%s: %s", file.name, done)
    return done


def _wait_until_alone(file: LabelFile, file_id: int, control: Session) -> None:
    """Wait until no other loader is at the file: two would read and send the same lines."""
    has_waited = False
    while not control.run(ledger.lock_file, file_id):
        if not has_waited:
            log.info("%s: another loader is at it; waiting until that has ended", file.name)
        has_waited = True
        time.sleep(SECONDS_BETWEEN_LOOKS_AT_A_LOCK)


def _check_rejects(file: LabelFile, account: Account, limit: RejectLimit, at_end: bool) -> None:
    if limit.is_exceeded(account, at_end):
        raise UserError(
            f"{file.name}: {account.rejected:,} of {account.lines:,} lines are no JSON; is it a "
            "label file? What is loaded stays. `python -m loader rejects` shows the lines; with "
            "a higher --max-rejects the same command goes on."
        )
