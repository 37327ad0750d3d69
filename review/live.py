"""The label policy that is live, and what dbt has built on it."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from loader.connect import PROJECT, connect
from loader.errors import UserError
from review.files import COLUMNS, is_empty, label_key, read

SCHEMA = "refinery"


def manifest() -> dict[str, Any]:
    """Return what dbt's last run knew of the project; nothing if it has not run here."""
    path = PROJECT / os.environ.get("DBT_TARGET_PATH", "target") / "manifest.json"
    return _parsed(path, path.stat().st_mtime_ns) if path.exists() else {}


@lru_cache(maxsize=1)  # 2 MB, asked for each relation
def _parsed(path: Path, changed_at: int) -> dict[str, Any]:
    del changed_at
    return json.loads(path.read_text())


def relation(name: str) -> sql.Identifier:
    """Return the relation of a seed or model, in the schema that dbt's last run used."""
    return sql.Identifier(schema_of(name), name)


def function(name: str) -> sql.Identifier:
    """Return a function; dbt makes them where the marts are."""
    return sql.Identifier(schema_of("labels"), name)


def schema_of(name: str) -> str:
    """Return the schema of a seed or model."""
    schemas = {
        node["schema"]
        for node in manifest().get("nodes", {}).values()
        if (node["package_name"], node["name"]) == ("label_refinery", name)
    }
    return schemas.pop() if len(schemas) == 1 else SCHEMA


@contextmanager
def connect_to(model: str, built_by: str) -> Iterator[psycopg.Connection]:
    """Open a connection to a database that has a model; else say what builds it."""
    with connect() as connection:
        name = relation(model).as_string(connection)
        if connection.execute("select to_regclass(%s)", (name,)).fetchone() == (None,):
            raise UserError(f"{model} is not there yet: run `make run` or `{built_by}` first")
        yield connection


def spellings(connection: psycopg.Connection, named: Sequence[str]) -> list[str] | None:
    """Return each spelling that machines use of the labels named; None for all if none is."""
    if not named:
        return None
    keys = {label_key(name) for name in named}
    query = sql.SQL("select distinct label from {}").format(relation("labels"))
    return [label for (label,) in connection.execute(query) if label_key(label) in keys]


@contextmanager
def files_as_seeds(connection: psycopg.Connection, folder: Path) -> Iterator[None]:
    """Let the connection see the files of a folder in the seeds; nobody else sees them.

    They are filled in a transaction that is rolled back.
    """
    with connection.transaction(force_rollback=True):
        fill_seeds(connection, folder)
        yield


def fill_seeds(connection: psycopg.Connection, folder: Path) -> None:
    """Have the seeds hold the files of a folder, as `dbt seed` would."""
    for file, columns in COLUMNS.items():
        seed = relation(file)
        connection.execute(sql.SQL("delete from {}").format(seed))
        insert = sql.SQL("copy {} ({}) from stdin").format(
            seed, sql.SQL(", ").join(map(sql.Identifier, columns))
        )
        with connection.cursor() as cursor, cursor.copy(insert) as copy:
            for line in read(file, folder):
                copy.write_row(
                    [None if is_empty(line[column]) else line[column] for column in columns]
                )
