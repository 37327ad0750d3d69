"""What the commands say instead of a traceback."""

import logging
from collections.abc import Callable

import psycopg

log = logging.getLogger(__name__)


class LoaderError(Exception):
    """Something the user can mend; the message says what is wrong and what to do."""


def exit_status(command: Callable[[], None]) -> int:
    """Run a command; return 0, or 1 after saying in a line or two why it did not do."""
    try:
        command()
    except LoaderError as error:
        log.error("error: %s", error)
    except psycopg.Error as error:
        log.error("error: the database says: %s", " ".join(str(error).split()))
    except KeyboardInterrupt:
        log.error("interrupted; run the same command again to go on")
    else:
        return 0
    return 1
