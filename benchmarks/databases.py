"""The server that all contestants use, and a database for each of them."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import errors, sql

from benchmarks.contestants import CATALOG, python
from benchmarks.inputs import Inputs
from benchmarks.measure import ServerClock, succeed
from loader.connect import has_own_server
from trial.environment import connection_environment
from trial.server import Server

log = logging.getLogger(__name__)

MAINTENANCE = "postgres"


@contextmanager
def running_server() -> Iterator[ServerClock]:
    """Lead this process and its children to a server: the user's, else one of the benchmark's."""
    if has_own_server():
        os.environ |= connection_environment()
        os.environ.pop("PGSERVICE", None)
        yield ServerClock.of(None)
        return
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "home")
        try:
            server.start()
            os.environ |= server.environment()
            yield ServerClock.of(server.data)
        finally:
            server.remove()


def use(database: str) -> None:
    """Lead this process and its children to a database."""
    os.environ["PGDATABASE"] = database


def administer(*statements: str, **names: str) -> None:
    """Execute statements on the server itself, with the names in braces as identifiers."""
    identifiers = {key: sql.Identifier(name) for key, name in names.items()}
    with psycopg.connect(dbname=MAINTENANCE, autocommit=True) as connection:
        for statement in statements:
            connection.execute(sql.SQL(statement).format(**identifiers))  # type: ignore[arg-type]


def create(database: str, template: str) -> None:
    """Create a database as a copy, and write all that is in memory to disk."""
    drop(database)
    # The template's pages are copied as files: they need no log of their own.
    administer(
        "create database {database} template {template} strategy file_copy",
        "checkpoint",
        database=database,
        template=template,
    )


def create_lines_table(connection: psycopg.Connection, name: str) -> None:
    """Create a table for raw lines that stores them as loader/responses.sql does."""

    def execute(statement: LiteralString) -> None:
        connection.execute(sql.SQL(statement).format(table=sql.Identifier(name)))

    execute("create unlogged table {table} (document jsonb)")
    try:
        execute("alter table {table} alter document set compression lz4")
    except errors.FeatureNotSupported:
        execute("alter table {table} alter document set storage external")
        execute("alter table {table} set (toast_tuple_target = 8160)")


def drop(*databases: str) -> None:
    """Drop databases with all that is in them."""
    for database in databases:
        administer("drop database if exists {database} with (force)", database=database)


def create_catalog(inputs: Inputs) -> None:
    """Create the database that the contestants begin with: the catalog alone."""
    create(CATALOG, "template1")
    use(CATALOG)
    log.info("Loading the catalog of %s images", f"{2 * inputs.images:,}")
    succeed(python("trial", "load-catalog", inputs.catalog))
    # So that nobody pays for it in a run: all tuples are frozen and seen by all.
    with psycopg.connect(autocommit=True) as connection:
        connection.execute("create index on catalog.image (updated_on)")
        connection.execute("vacuum (freeze, analyze) catalog.image")
