"""The loader's own schema, `raw`."""

from pathlib import Path

import psycopg
from psycopg import sql

from loader.errors import UserError

DDL = Path(__file__).with_name("schema.sql")

# All together: after a crash Postgres empties what is unlogged, and a ledger that outlived
# its lines would call them loaded. A table that refers to another becomes unlogged before it.
TABLES = (
    "rejected_lines",
    "loaded_chunks",
    "loaded_files",
    "rekognition_responses",
    "forgotten_responses",
)


def create_schema(connection: psycopg.Connection, unlogged: bool | None = None) -> None:
    """Create what is missing of schema.sql; `unlogged` None leaves tables as they are."""
    (encoding,) = connection.execute("show server_encoding").fetchone() or ("",)
    if encoding != "UTF8":
        raise UserError(
            f"the database's encoding is {encoding}; labels need UTF8: "
            "create database refinery encoding 'UTF8' template template0"
        )
    with connection.transaction():
        connection.execute(DDL.read_bytes())
        if unlogged is not None:
            _set_logging(connection, unlogged)


def _set_logging(connection: psycopg.Connection, unlogged: bool) -> None:
    statement = sql.SQL("alter table raw.{} set {}")
    wanted = sql.SQL("unlogged" if unlogged else "logged")
    for table in TABLES if unlogged else reversed(TABLES):
        (persistence,) = connection.execute(
            "select relpersistence::text from pg_class where oid = %s::regclass", (f"raw.{table}",)
        ).fetchone() or ("",)
        if (persistence == "u") != unlogged:  # changing it writes the whole table again
            connection.execute(statement.format(sql.Identifier(table), wanted))


def require_schema(connection: psycopg.Connection) -> None:
    """Raise UserError unless `init` has been run."""
    (is_there,) = connection.execute(
        "select to_regclass('raw.forgotten_responses') is not null"
    ).fetchone() or (False,)
    if not is_there:
        raise UserError(
            "the schema raw is not there, or of an earlier version: "
            "run `python -m loader init` first"
        )
