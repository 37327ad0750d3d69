"""The loader's own schema, `raw`."""

from pathlib import Path

import psycopg

from loader.errors import LoaderError

DDL = Path(__file__).with_name("schema.sql")


def create_schema(connection: psycopg.Connection) -> None:
    """Create what is missing of schema.sql, in one transaction."""
    (encoding,) = connection.execute("show server_encoding").fetchone() or ("",)
    if encoding != "UTF8":
        raise LoaderError(
            f"the database's encoding is {encoding}; labels need UTF8: "
            "create database refinery encoding 'UTF8' template template0"
        )
    with connection.transaction():
        connection.execute(DDL.read_bytes())


def require_schema(connection: psycopg.Connection) -> None:
    """Raise LoaderError unless `init` has been run."""
    (is_there,) = connection.execute(
        "select to_regclass('raw.rekognition_responses') is not null"
    ).fetchone() or (False,)
    if not is_there:
        raise LoaderError("the schema raw is not there yet: run `python -m loader init` first")
