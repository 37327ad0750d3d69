"""A catalog file into catalog.image, for people who try the project out."""

import csv
import gzip
import re
import shlex
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import psycopg
from psycopg import errors, sql

from loader.errors import UserError
from loader.files import check_readable, fingerprint, read_errors

NEEDED_COLUMNS = ("identifier", "provider", "tags")
DDL = Path(__file__).with_name("catalog.sql")
# What COPY needs to know of each kind of file. A .tsv is what Postgres' own COPY TO writes.
FORMATS = {".csv": "csv", ".tsv": "text"}

# A catalog grows; one that has lost more is a file that was cut off, or the wrong one.
LEAST_SHARE = 0.5

# The table's comment says which file it holds: a table without it is the user's own.
_MARK = "Loaded by label-refinery from {file} ({fingerprint})"
_MARK_PATTERN = re.compile(r"Loaded by label-refinery from (.*) \((\d+:\w+)\)")
_WRITE_BYTES = 1 << 18


@dataclass(frozen=True)
class Origin:
    """Where catalog.image is from: a file, if `load_catalog` made it, else unknown."""

    exists: bool
    file: str | None = None
    fingerprint: str | None = None


def catalog_origin(connection: psycopg.Connection) -> Origin:
    """Return where catalog.image is from."""
    exists, comment = connection.execute(
        """
        select table_oid is not null, obj_description(table_oid, 'pg_class')
        from to_regclass('catalog.image') as table_oid
        """
    ).fetchone() or (False, None)
    mark = _MARK_PATTERN.fullmatch(comment or "")
    return Origin(exists, mark[1], mark[2]) if mark else Origin(exists)


def load_catalog(
    connection: psycopg.Connection, path: Path, *, may_shrink: bool = False
) -> int | None:
    """Make catalog.image hold what the file holds, in one transaction.

    Returns the number of rows, or None if it holds this file already. A table that was not made
    by this function is never touched, and one that would lose most of its rows only if it
    `may_shrink`.
    """
    columns = read_header(path)
    known_by = fingerprint(path)
    origin = catalog_origin(connection)
    if origin.exists and origin.file is None:
        raise UserError(
            "catalog.image is there and was not made by load-catalog, so it is left alone. To "
            "use it as it is, give no catalog file."
        )
    if origin.fingerprint == known_by:
        return None
    with connection.transaction():
        connection.execute(DDL.read_bytes())
        (before,) = connection.execute("select count(*) from catalog.image").fetchone() or (0,)
        with _open(path) as file:
            connection.execute("truncate catalog.image")
            rows = _copy(connection, path, file, columns)
        if rows < before * LEAST_SHARE and not may_shrink:
            raise UserError(
                f"{path} has {rows:,} images and catalog.image {before:,}: it may be cut off, so "
                "nothing was loaded. If it is what you mean: "
                f"python -m trial load-catalog --may-shrink {shlex.quote(str(path))}"
            )
        _write_mark(connection, path, known_by)
    connection.execute("analyze catalog.image")
    return rows


def _write_mark(connection: psycopg.Connection, path: Path, known_by: str) -> None:
    mark = _MARK.format(file=path, fingerprint=known_by)
    connection.execute(sql.SQL("comment on table catalog.image is {}").format(sql.Literal(mark)))


def _open(path: Path) -> AbstractContextManager[BinaryIO]:
    if path.suffix == ".gz":
        return cast(AbstractContextManager[BinaryIO], gzip.open(path, "rb"))
    return path.open("rb")


def _format(path: Path) -> str:
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    if plain.suffix not in FORMATS:
        raise UserError(f"{path}: a catalog file's name ends in .csv or .tsv, or these with .gz")
    return FORMATS[plain.suffix]


def read_header(path: Path) -> list[str]:
    """Return the columns of a catalog file; raises UserError if it is none or has no rows."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; name the catalog file in it")
    check_readable(path)
    delimiter = "," if _format(path) == "csv" else "\t"
    try:
        with _open(path) as file:
            header = file.readline().decode("utf-8-sig").rstrip("\r\n")
            has_rows = file.readline().strip() != b""
        columns = next(csv.reader([header], delimiter=delimiter), [])
    except (*read_errors(), csv.Error) as error:
        raise UserError(f"{path} is no catalog file, or is damaged: {error}") from None
    missing = [column for column in NEEDED_COLUMNS if column not in columns]
    if missing:
        raise UserError(
            f"{path} lacks the column {', '.join(missing)}: its first line must name the columns, "
            f"{', '.join(NEEDED_COLUMNS)} among them"
        )
    if "" in columns:
        raise UserError(
            f"{path}: the first line names no column {columns.index('') + 1}; a comma too many, in "
            "each line, is often a spreadsheet's"
        )
    if not has_rows:
        raise UserError(f"{path} has a header and no rows; nothing was loaded")
    return columns


def _copy(connection: psycopg.Connection, path: Path, file: BinaryIO, columns: list[str]) -> int:
    statement = sql.SQL("copy catalog.image ({}) from stdin (format {}, header)").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(_format(path))
    )
    try:
        with connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                while data := file.read(_WRITE_BYTES):
                    copy.write(data)
            return cursor.rowcount
    except errors.UniqueViolation as error:
        raise UserError(
            f"{path} has an identifier twice: {error.diag.message_detail} Nothing was loaded; "
            "leave one row of each image in the file."
        ) from None
    except (errors.UndefinedColumn, errors.DuplicateColumn) as error:
        raise UserError(
            f"{path}: {error.diag.message_primary}. Nothing was loaded; the columns of the table "
            f"are in {DDL.relative_to(DDL.parent.parent)}."
        ) from None
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        where = (error.diag.context or "").splitlines()[-1:]
        raise UserError(
            f"{path}: {error.diag.message_primary} ({''.join(where)}). Nothing was loaded; mend "
            "that line and try again."
        ) from None
    except read_errors() as error:
        raise UserError(
            f"{path} is damaged: {error}. Nothing was loaded; fetch it, or compress it, anew."
        ) from None
