"""Where the database is, and a connection to it.

The user's own server if `PGHOST`, `PGHOSTADDR` or `PGSERVICE` is set; else the embedded one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from loader.errors import UserError

PROJECT = Path(__file__).resolve().parent.parent
# The embedded server's, as in profiles.yml.
HOME = PROJECT / ".postgres"
# The file in a home that names the link to it; there is one for root alone.
OWNER = "owner"
SOCKET_PATH_BYTES = 103  # macOS'; Linux has 107
ROLE = "refinery"
DATABASE = "refinery"

# Instead of what was set for interactive users; taking a file back may take hours.
SETTINGS = {
    "lock_timeout": "1min",
    "idle_in_transaction_session_timeout": "15min",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",  # from 17 on
}
OWN_SERVER = ("PGHOST", "PGHOSTADDR", "PGSERVICE")


def has_own_server() -> bool:
    """Whether the environment names a server, so that the embedded one is left alone."""
    return any(os.environ.get(name) for name in OWN_SERVER)


def owner_of(home: Path) -> Path | None:
    """Return the link that a home belongs to: itself, if it is none; None if 0.2 has made it."""
    try:
        if not home.is_symlink() or not home.exists():
            return home
        owner = home / OWNER
        return Path(owner.read_text()) if owner.exists() else None
    except PermissionError:
        raise UserError(f"{home} is another user's: run this as root, who made it") from None


def _socket_folder(home: Path) -> str:
    """Return the folder of a home's socket, from here on if its path is too long for a socket."""
    folder = home.resolve() / "socket"
    is_short = len(os.fsencode(folder / ".s.PGSQL.5432")) <= SOCKET_PATH_BYTES
    if is_short or not Path("/proc/self/cwd").exists():
        return str(folder)
    return f"/proc/self/cwd/{os.path.relpath(folder)}"


def embedded_parameters(home: Path = HOME) -> dict[str, str]:
    """Return the libpq parameters of a connection to the embedded server, running or not."""
    return {
        "host": _socket_folder(home),
        "port": "5432",
        "user": ROLE,
        "dbname": DATABASE,
    }


@contextmanager
def connect(as_owner_of: str | None = None) -> Iterator[psycopg.Connection]:
    """Open a connection for a while; raises UserError if there is none to be had.

    As a member of the role that owns a schema it acts for that one, so that what it makes is not
    its own alone.
    """
    if not has_own_server() and (owner := owner_of(HOME)) != HOME:
        raise UserError(
            f"the embedded server of {HOME} belongs to {owner or 'nobody that it names'}: "
            "`python -m trial server start` gives this folder its own"
        )
    try:
        connection = open_connection()
    except psycopg.OperationalError as error:
        raise UserError(unreachable(error)) from None
    with connection:
        if as_owner_of:
            connection.execute(
                """
                select set_config('role', pg_get_userbyid(nspowner), false)
                from pg_namespace
                where nspname = %s and pg_has_role(nspowner, 'usage')
                """,
                (as_owner_of,),
            )
        yield connection


def open_connection(statement_timeout: str = "0") -> psycopg.Connection:
    """Open a connection in autocommit mode, so that each transaction is an explicit block."""
    where = {} if has_own_server() else embedded_parameters()
    if (host := os.environ.get("PGHOST")) and not os.environ.get("PGSERVICE"):
        where["host"] = host  # as libpq has it too, but psycopg would not name it in its errors
    if not (os.environ.get("PGDATABASE") or os.environ.get("PGSERVICE")):
        where["dbname"] = DATABASE
    connection = psycopg.connect(
        **where,
        autocommit=True,
        application_name="label-refinery",
        client_encoding="UTF8",
        connect_timeout=10,
    )
    # By a statement, because a pooler refuses them as start-up options.
    settings = SETTINGS | {"statement_timeout": statement_timeout}
    connection.execute(
        """
        select set_config(name, value, false)
        from unnest(%s::text[], %s::text[]) as setting (name, value)
        where current_setting(name, true) is not null
        """,
        (list(settings), list(settings.values())),
    )
    return connection


def unreachable(error: psycopg.OperationalError) -> str:
    """Return what to do about a database that does not answer."""
    reason = " ".join(str(error).split()).rstrip(".?")
    if has_own_server():
        return f"no connection: {reason}. Check PGHOST, PGPORT, PGUSER, PGDATABASE and PGPASSWORD."
    return (
        f"no connection to the embedded server: {reason}. Start it with "
        "`python -m trial server start`, or set PGHOST to use your own."
    )
