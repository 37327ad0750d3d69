"""What the commands say instead of a traceback."""

import logging
from collections.abc import Callable

import click
import psycopg

log = logging.getLogger(__name__)


class UserError(click.ClickException):
    """Something the user can mend; the message says what is wrong and what to do."""


class Commands(click.Group):
    """Commands that end with a sentence and exit status 1 where they cannot do what they should."""

    def invoke(self, context: click.Context) -> object:
        """Run a command; raises UserError for what Postgres refuses and for Ctrl-C."""
        try:
            return super().invoke(context)
        except psycopg.Error as error:
            raise UserError(f"the database says: {' '.join(str(error).split())}") from None
        except KeyboardInterrupt:
            raise UserError("interrupted; run the same command again to go on") from None


def exit_status(command: Callable[[], None]) -> int:
    """Run a command; return 0, or 1 after saying in a line or two why it did not do."""
    try:
        command()
    except UserError as error:
        log.error("error: %s", error)
    except psycopg.Error as error:
        log.error("error: the database says: %s", " ".join(str(error).split()))
    except KeyboardInterrupt:
        log.error("interrupted; run the same command again to go on")
    else:
        return 0
    return 1
