"""A connection for a load, made again when it is lost."""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import psycopg
import tenacity
from tenacity.nap import sleep_using_event

from loader.connect import open_connection, unreachable
from loader.errors import UserError

log = logging.getLogger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LONGEST_PAUSE_SECONDS = 30
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
        connection = self._connection
        if connection and not connection.closed:
            try:
                connection.cancel_safe(timeout=timeout)
            except psycopg.Error:
                log.debug("the server did not hear the request to cancel", exc_info=True)

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
