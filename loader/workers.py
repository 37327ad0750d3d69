"""Connections that load chunks at the same time, each made again when it is lost."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Queue, SimpleQueue
from typing import TypeVar, TypeVarTuple

import psycopg
import tenacity
from tenacity.nap import sleep_using_event

from loader.chunks import Chunk
from loader.connect import open_connection, unreachable
from loader.copy import load_chunk
from loader.errors import UserError
from loader.ledger import Account, FileEntry, LoadedChunk

log = logging.getLogger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LONGEST_PAUSE_SECONDS = 30
SECONDS_TO_STOP = 1.5
# What another try may mend: the connection or the server was lost, a deadlock, a lock's time-out.
PASSING_CLASSES = ("08", "40")
PASSING_STATES = (None, "57P01", "57P02", "57P03", "55P03")


class Session:
    """A connection that is made again, after growing pauses, when it is lost."""

    def __init__(self, give_up_after_seconds: float, stop: threading.Event) -> None:
        self._connection: psycopg.Connection | None = None
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_passing),
            wait=tenacity.wait_exponential(max=LONGEST_PAUSE_SECONDS),
            stop=tenacity.stop_after_delay(give_up_after_seconds)
            | tenacity.stop_when_event_set(stop),
            sleep=sleep_using_event(stop),
            before_sleep=_say_that_it_is_tried_again,
            reraise=True,
        )

    def run(self, work: Callable[[psycopg.Connection, *Ts], T], *arguments: *Ts) -> T:
        """Do some work, which is all or nothing, on the connection."""
        try:
            return self._retrying(lambda: work(self._open(), *arguments))
        except psycopg.OperationalError as error:
            if _is_passing(error):
                raise UserError(
                    f"{unreachable(error)} What is loaded stays; run the same command again to "
                    "go on."
                ) from error
            raise

    def _open(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = open_connection(statement_timeout="15min")  # a chunk takes seconds
        return self._connection

    def cancel(self, timeout: float) -> None:
        """Ask the server to break off what it is doing for us."""
        if (connection := self._connection) and not connection.closed:
            with suppress(psycopg.Error):  # what we have not committed goes with us anyway
                connection.cancel_safe(timeout=timeout)

    def close(self) -> None:
        """Close the connection."""
        if self._connection:
            self._connection.close()


def _is_passing(error: BaseException) -> bool:
    if not isinstance(error, psycopg.OperationalError):
        return False
    return error.sqlstate in PASSING_STATES or (error.sqlstate or "")[:2] in PASSING_CLASSES


def _say_that_it_is_tried_again(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause = state.next_action.sleep if state.next_action else 0
    reason = " ".join(str(error).split())
    log.warning("connection lost (%s); trying again in %.0f s", reason, pause)


class Workers:
    """Threads with a session each.

    They are daemons: a server that does not answer must not keep Ctrl-C from ending the program.
    What they have not committed then, Postgres rolls back.
    """

    def __init__(self, count: int, give_up_after_seconds: float) -> None:
        self._stop = threading.Event()
        self._tasks: Queue[tuple[FileEntry, Chunk] | None] = Queue()
        self._results: SimpleQueue[tuple[int, Account] | Exception] = SimpleQueue()
        self._sessions = [Session(give_up_after_seconds, self._stop) for _ in range(count)]
        self._threads = [
            threading.Thread(target=self._work, args=(session,), daemon=True)
            for session in self._sessions
        ]

    def __enter__(self) -> "Workers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        deadline = time.monotonic() + SECONDS_TO_STOP if error[0] else None
        if deadline:
            self._stop.set()
            for session in self._sessions:
                session.cancel(timeout=max(0.1, deadline - time.monotonic()))
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()) if deadline else None)

    def load(
        self, file: FileEntry, chunks: Iterator[Chunk | LoadedChunk]
    ) -> Iterator[tuple[int, Account]]:
        """Load the chunks that are not loaded; yield each one's bytes, and what became of them.

        As many are under way as there are workers, while one more is being read. The first
        failure is raised; of the chunks under way then, each is committed or not there.
        """
        under_way = 0
        unreadable: UserError | None = None
        while True:
            try:
                chunk = next(chunks)
            except StopIteration:
                break
            except UserError as error:
                unreadable = error  # the chunks before it are good
                break
            if isinstance(chunk, LoadedChunk):
                yield chunk.bytes, Account()
                continue
            while under_way == len(self._threads):
                yield self._next_result()
                under_way -= 1
            self._tasks.put((file, chunk))
            under_way += 1
            del chunk  # or its bytes would be kept while the next ones are read
        for _ in range(under_way):
            yield self._next_result()
        if unreadable:
            raise unreadable

    def _next_result(self) -> tuple[int, Account]:
        if isinstance(result := self._results.get(), Exception):
            raise result
        return result

    def _work(self, session: Session) -> None:
        while (task := self._tasks.get()) is not None:
            if not self._stop.is_set():
                self._results.put(self._load(session, *task))
            del task  # the chunk's bytes; this thread may wait long for the next
        session.close()

    def _load(
        self, session: Session, file: FileEntry, chunk: Chunk
    ) -> tuple[int, Account] | Exception:
        try:
            return chunk.end_byte - chunk.first_byte, session.run(load_chunk, file, chunk)
        except Exception as error:
            self._stop.set()  # it is raised again where the results are read
            return error
