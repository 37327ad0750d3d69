"""Images a batch at a time: what is locked is left, and tried again in later rounds."""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
from psycopg import errors, sql
from tqdm import tqdm

from catalog.relations import Name
from loader.errors import UserError

log = logging.getLogger(__name__)

LOCK_TIMEOUT = "200ms"
ROUNDS, SECONDS_BETWEEN_ROUNDS = 3, 1.0
SECONDS_BETWEEN_LINES = 30

NextPage = Callable[[UUID | None, int], list[UUID]]


@dataclass
class Done:
    """What became of images: `written` rows; `left`: locked, or changed while it was looked at.

    `kept` are those that others have changed since they were written, or removed.
    """

    written: int = 0
    left: list[UUID] = field(default_factory=list)
    kept: list[UUID] = field(default_factory=list)

    def add(self, other: "Done") -> None:
        """Add what became of others."""
        self.written += other.written
        self.left += other.left
        self.kept += other.kept


Work = Callable[[Sequence[UUID]], Done]


@dataclass(frozen=True)
class Batches:
    """How many images in one transaction, how long to pause after each, and what to say."""

    size: int
    pause: float
    is_quiet: bool

    def run(self, next_page: NextPage, work: Work, total: int) -> Done:
        """Do the work on all images, in the order of their identifiers, and then on those left.

        `work` is one transaction, and raises what Postgres says of a lock that is not to be had.
        """
        done = Done()
        with self._progress(total) as progress:
            for page in self._pages(next_page):
                done.add(_in_halves(page, work))
                progress.set_postfix_str(f"{done.written:,} rows", refresh=False)
                progress.update(len(page))
                time.sleep(self.pause)
        for _ in range(ROUNDS):
            if not done.left:
                break
            log.info("%s images are locked or changing: trying again", f"{len(done.left):,}")
            time.sleep(SECONDS_BETWEEN_ROUNDS)
            again, done.left = done.left, []
            for identifier in again:
                done.add(_in_halves([identifier], work))
        return done

    def _pages(self, next_page: NextPage) -> Iterator[list[UUID]]:
        after = None
        while page := next_page(after, self.size):
            yield page
            after = page[-1]

    def _progress(self, total: int) -> "tqdm[None]":
        is_terminal = sys.stderr.isatty()
        return tqdm(
            total=total,
            unit=" images",
            mininterval=0.1 if is_terminal else SECONDS_BETWEEN_LINES,
            bar_format=None if is_terminal else "{n:,} of {total:,}, {rate_fmt}{postfix}\n",
            disable=self.is_quiet,
        )


def lock_rows_only_shortly(connection: psycopg.Connection, catalog: Name) -> None:
    """Let a transaction wait shortly for rows, and longer, before that, for the whole table."""
    try:
        connection.execute(sql.SQL("lock table {} in row exclusive mode").format(catalog.sql))
    except errors.LockNotAvailable:
        raise UserError(
            f"{catalog} is locked by another, as by `create index`: run the same command again "
            "later to go on"
        ) from None
    # On Citus the workers are told so too; elsewhere the first of these is nobody's.
    connection.execute(
        sql.SQL(
            "set local citus.propagate_set_commands = 'local'; set local lock_timeout = {}"
        ).format(sql.Literal(LOCK_TIMEOUT))
    )


def _in_halves(identifiers: Sequence[UUID], work: Work) -> Done:
    """Do the work; where rows are locked, on each half by itself, until only those are left."""
    try:
        return work(identifiers)
    except (errors.LockNotAvailable, errors.DeadlockDetected):
        if len(identifiers) == 1:
            return Done(left=list(identifiers))
    middle = len(identifiers) // 2
    done = _in_halves(identifiers[:middle], work)
    done.add(_in_halves(identifiers[middle:], work))
    return done
