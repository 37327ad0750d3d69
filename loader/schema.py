"""The loader's own schema, `raw`."""

from pathlib import Path

import psycopg
from psycopg import sql

from loader.distribution import distribute, distributed_tables
from loader.errors import UserError
from loader.labellers import labellers, responses_of

DDL = Path(__file__).with_name("schema.sql")
RESPONSES_DDL = Path(__file__).with_name("responses.sql")


def tables() -> list[str]:
    """Return the names of all tables, one that refers to another before it."""
    return [
        *("rejected_lines", "loaded_chunks", "loaded_files"),
        *(f"{labeller}_responses" for labeller in labellers()),
        *("forgotten_responses", "released_responses", "read_responses"),
    ]


def responses_tables() -> list[str]:
    """Return the names of the tables that have a row per response."""
    return [*(f"{labeller}_responses" for labeller in labellers()), "released_responses"]


def create_schema(
    connection: psycopg.Connection, unlogged: bool | None = None, is_distributed: bool = False
) -> None:
    """Create what is missing of schema.sql; `unlogged` None: as the ledger is.

    What is distributed stays so, and new tables with it.
    """
    (encoding,) = connection.execute("show server_encoding").fetchone() or ("",)
    if encoding != "UTF8":
        raise UserError(
            f"the database's encoding is {encoding}; labels need UTF8: "
            "create database refinery encoding 'UTF8' template template0"
        )
    with connection.transaction():
        connection.execute(DDL.read_bytes())
        responses_ddl = sql.SQL(RESPONSES_DDL.read_text())
        for labeller in labellers():
            names = {
                "table": responses_of(labeller),
                "name": sql.Literal(f"raw.{labeller}_responses"),
                "index": sql.Identifier(f"{labeller}_responses_brin"),
            }
            connection.execute(responses_ddl.format(**names))
        _set_logging(connection, unlogged)
        if is_distributed or distributed_tables(connection):
            _refuse_unlogged(connection)
            distribute(connection, responses_tables())


# All together, new ones too: after a crash Postgres empties what is unlogged, and numbers
# chunks as before. A ledger that outlived its lines would call them loaded; lines that outlived it
# would be another chunk's. A table that refers to another becomes unlogged before it.
def _set_logging(connection: psycopg.Connection, unlogged: bool | None) -> None:
    persistences = dict(
        connection.execute(
            """
            select relname, relpersistence::text
            from pg_class
            where relnamespace = 'raw'::regnamespace
            """
        ).fetchall()
    )
    if unlogged is None:
        unlogged = persistences["loaded_files"] == "u"
    statement = sql.SQL("alter table raw.{} set {}")
    wanted = sql.SQL("unlogged" if unlogged else "logged")
    for table in tables() if unlogged else reversed(tables()):
        if (persistences[table] == "u") != unlogged:  # changing it writes the whole table again
            connection.execute(statement.format(sql.Identifier(table), wanted))


# A worker that crashes would empty its part of them, and the coordinator's ledger stay as it is.
def _refuse_unlogged(connection: psycopg.Connection) -> None:
    query = "select relpersistence = 'u' from pg_class where oid = 'raw.loaded_files'::regclass"
    if connection.execute(query).fetchone() == (True,):
        raise UserError(
            "unlogged tables cannot be distributed: a crash of one worker would empty its part, "
            "and the ledger call it loaded. Say `python -m loader init --distributed --logged`"
        )


def require_schema(connection: psycopg.Connection) -> None:
    """Raise UserError unless `init` has been run with this version and these labellers."""
    (is_there,) = connection.execute(
        "select bool_and(to_regclass('raw.' || name) is not null) from unnest(%s::text[]) as name",
        (tables(),),
    ).fetchone() or (False,)
    if not is_there:
        raise UserError(
            "the schema raw is not there, or of an earlier version, or lacks a new labeller's "
            "table: run `python -m loader init` first"
        )
