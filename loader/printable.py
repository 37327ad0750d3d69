"""Text of files and databases as it may be printed: it must not steer a terminal or a list."""

import logging


def printable(text: object) -> str:
    """Return a text on one line, with escapes for what nobody sees, as `\\x1b` or `\\u202e`."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(text)
    )


class _PrintableFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def log_to_terminal() -> None:
    """Let the logs of a command go to stderr, a line each."""
    handler = logging.StreamHandler()
    handler.setFormatter(_PrintableFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # Of a lost connection the commands say it all; psycopg would add that it cannot roll back.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
