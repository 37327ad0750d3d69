"""What the commands say instead of a traceback."""

import click
import psycopg

from loader import interrupts
from loader.printable import printable


class UserError(click.ClickException):
    """Something the user can mend; the message says what is wrong and what to do, in lines."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(map(printable, lines)))


class UserInterruptError(UserError):
    """Ctrl-C."""

    exit_code = interrupts.EXIT_STATUS


class Commands(click.Group):
    """Commands that end with a sentence and exit status 1 where they cannot do what they should."""

    def invoke(self, context: click.Context) -> object:
        """Run a command; raises UserError for what Postgres refuses and for Ctrl-C."""
        try:
            with interrupts.raised():
                return super().invoke(context)
        except psycopg.errors.InsufficientPrivilege as error:
            raise UserError(
                f"the database says: {' '.join(str(error).split())}. Of which role one has to be a "
                "member is in docs/security.md."
            ) from None
        except psycopg.Error as error:
            raise UserError(f"the database says: {' '.join(str(error).split())}") from None
        except KeyboardInterrupt:
            raise UserInterruptError(interrupts.SENTENCE) from None
