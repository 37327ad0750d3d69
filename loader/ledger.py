"""The ledger: what has been loaded of each file. All SQL of its tables is here.

A chunk's row is written in the transaction that loads its lines; its unique key keeps any line from
being there twice. The locks only spare work, or tell readers to wait.
"""

import shlex
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from loader.errors import UserError
from loader.files import LabelFile
from loader.labellers import responses_of


@dataclass(frozen=True)
class Account:
    """What became of lines: each is loaded, rejected or blank."""

    loaded: int = 0
    rejected: int = 0
    blank: int = 0

    def __add__(self, other: "Account") -> "Account":
        loaded, rejected = self.loaded + other.loaded, self.rejected + other.rejected
        return Account(loaded, rejected, self.blank + other.blank)

    @property
    def lines(self) -> int:
        """All lines."""
        return self.loaded + self.rejected + self.blank

    def __str__(self) -> str:
        return (
            f"{self.lines:,} lines = {self.loaded:,} loaded + {self.rejected:,} rejected"
            f" + {self.blank:,} blank"
        )


@dataclass(frozen=True)
class FileEntry:
    """A file's row."""

    file_id: int
    labeller: str
    chunk_bytes: int
    is_finished: bool
    is_released: bool

    @property
    def responses(self) -> sql.Identifier:
        """The table that its lines are loaded into."""
        return responses_of(self.labeller)


@dataclass(frozen=True)
class LoadedChunk:
    """A chunk's row: its bytes in the file's lines, their CRC-32, and what became of the lines."""

    first_byte: int
    end_byte: int
    checksum: int
    account: Account

    @property
    def bytes(self) -> int:
        """Bytes of its lines."""
        return self.end_byte - self.first_byte


def enter_file(
    connection: psycopg.Connection, file: LabelFile, labeller: str, chunk_bytes: int
) -> FileEntry:
    """Enter a file, or the name by which a known one goes now; what cuts it stays as it was.

    Raises UserError for one that is known as another labeller's.
    """
    with connection.transaction():
        row = connection.execute(
            """
            insert into raw.loaded_files (name, bytes, fingerprint, labeller, chunk_bytes)
            values (%s, %s, %s, %s, %s)
            on conflict (fingerprint) do update set name = excluded.name
            returning
                file_id, labeller, chunk_bytes, finished_at is not null, released_at is not null
            """,
            (file.name, file.size, file.fingerprint, labeller, chunk_bytes),
        ).fetchone()
        assert row is not None  # noqa: S101 - an upsert returns its row
        entry = FileEntry(*row)
        if entry.labeller != labeller:
            raise UserError(
                f"{file.name} was loaded with --labeller {entry.labeller}, not {labeller}; if that "
                f"was wrong, take it back first: python -m loader forget {shlex.quote(file.name)}"
            )
    return entry


def lock_file(connection: psycopg.Connection, file_id: int) -> bool:
    """Lock a file until it is finished or the connection ends; False if another loader has it."""
    return connection.execute(
        "select pg_try_advisory_lock('raw.loaded_files'::regclass::oid::integer, %s::integer)",
        (file_id,),
    ).fetchone() == (True,)


def finish_file(connection: psycopg.Connection, file_id: int) -> None:
    """Say that all chunks of a file are there, and unlock it."""
    connection.execute(
        "update raw.loaded_files set finished_at = now() where file_id = %s", (file_id,)
    )
    connection.execute("select pg_advisory_unlock_all()")


def loaded_chunks(connection: psycopg.Connection, file_id: int) -> dict[int, LoadedChunk]:
    """Return the chunks of a file by their first byte."""
    rows = connection.execute(
        """
        select first_byte, end_byte, checksum, loaded_lines, rejected_lines, blank_lines
        from raw.loaded_chunks
        where file_id = %s
        """,
        (file_id,),
    )
    return {
        first_byte: LoadedChunk(first_byte, end_byte, checksum, Account(*counts))
        for first_byte, end_byte, checksum, *counts in rows
    }


def lock_responses(connection: psycopg.Connection) -> None:
    """Say, until the transaction ends, that responses with new ids are on their way.

    dbt takes the lock alone for a moment, see macros/settle_responses.sql.
    """
    connection.execute(
        "select pg_advisory_xact_lock_shared('raw.rekognition_responses'::regclass::bigint)"
    )


def enter_chunk(
    connection: psycopg.Connection, file_id: int, first_byte: int, end_byte: int, checksum: int
) -> int | None:
    """Enter a chunk and return its id, or None if it is there: its lines are loaded then."""
    row = connection.execute(
        """
        insert into raw.loaded_chunks (file_id, first_byte, end_byte, checksum)
        values (%s, %s, %s, %s)
        on conflict (file_id, first_byte) do nothing
        returning chunk_id
        """,
        (file_id, first_byte, end_byte, checksum),
    ).fetchone()
    return row[0] if row else None


def count_lines(connection: psycopg.Connection, chunk_id: int, account: Account) -> None:
    """Add to what became of a chunk's lines."""
    connection.execute(
        """
        update raw.loaded_chunks
        set loaded_lines = loaded_lines + %s,
            rejected_lines = rejected_lines + %s,
            blank_lines = blank_lines + %s
        where chunk_id = %s
        """,
        (account.loaded, account.rejected, account.blank, chunk_id),
    )


def file_statuses(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """Return what there is of each file, in the order in which they were begun.

    Loaded bytes are those of its lines, decompressed. `seconds` run from the first chunk's
    beginning to the last one's commit, pauses included.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            select
                file.name,
                file.labeller,
                case
                    when file.finished_at is null then 'unfinished'
                    when file.released_at is null then 'loaded'
                    else 'released'
                end as state,
                file.bytes as stored_bytes,
                chunks.loaded_bytes, chunks.loaded_lines, chunks.rejected_lines, chunks.blank_lines,
                file.started_at,
                chunks.last_loaded_at,
                file.finished_at,
                chunks.seconds,
                coalesce(chunks.loaded_bytes / nullif(chunks.seconds, 0), 0) as bytes_per_second,
                case
                    when file.finished_at is not null then 'loads nothing'
                    else 'goes on after ' || chunks.loaded_bytes || ' bytes'
                end as second_run
            from raw.loaded_files as file
            cross join lateral (
                select
                    coalesce(sum(end_byte - first_byte), 0)::bigint as loaded_bytes,
                    coalesce(sum(loaded_lines), 0)::bigint as loaded_lines,
                    coalesce(sum(rejected_lines), 0)::bigint as rejected_lines,
                    coalesce(sum(blank_lines), 0)::bigint as blank_lines,
                    max(loaded_at) as last_loaded_at,
                    coalesce(extract(epoch from max(loaded_at) - file.started_at), 0)::float8
                        as seconds
                from raw.loaded_chunks
                where file_id = file.file_id
            ) as chunks
            order by file.file_id
            """
        ).fetchall()


# A BRIN index finds a range at once, and each chunk by itself in a pass of its own.
OF_FILE = sql.SQL(
    """
    chunk_id between
        (select min(chunk_id) from raw.loaded_chunks where file_id = %(file_id)s)
        and (select max(chunk_id) from raw.loaded_chunks where file_id = %(file_id)s)
    and chunk_id in (select chunk_id from raw.loaded_chunks where file_id = %(file_id)s)
    """
)


def forget(connection: psycopg.Connection, name: str, fingerprint: str | None) -> int:
    """Remove a file's lines, rejects and ledger rows in one transaction; return its loaded lines.

    What dbt needs to take the labels back too is noted for its next run.

    The file is found by content where it is still as it was, else by its name in `status`.
    """
    with connection.transaction():
        file = _lock_known_file(connection, name, fingerprint)
        # The rejects first: `retry-rejects`, which makes responses of them, locks them too.
        connection.execute("delete from raw.rejected_lines where file_id = %s", (file.file_id,))
        (lines, *ids) = connection.execute(
            sql.SQL(
                """
                with documents as (
                    delete from {responses} where {of_file} returning response_id
                ),
                released as (
                    delete from raw.released_responses where {of_file} returning response_id
                ),
                forgotten as (select * from documents union all select * from released)
                select count(*), min(response_id), max(response_id) from forgotten
                """
            ).format(responses=file.responses, of_file=OF_FILE),
            {"file_id": file.file_id},
        ).fetchone() or (0,)
        if lines:
            lock_responses(connection)  # late, or loads and runs would wait for the deletion
            connection.execute(
                """
                insert into raw.forgotten_responses (first_response_id, last_response_id)
                values (%s, %s)
                """,
                ids,
            )
        for table in ("loaded_chunks", "loaded_files"):
            connection.execute(
                sql.SQL("delete from raw.{} where file_id = %s").format(sql.Identifier(table)),
                (file.file_id,),
            )
    return int(lines)


def release(connection: psycopg.Connection, name: str, fingerprint: str | None) -> int:
    """Remove a file's documents in one transaction, noting their responses; return how many.

    Raises UserError for a file that is not loaded to its end, or whose labels dbt has yet to take.
    The file is found as by `forget`.
    """
    with connection.transaction():
        file = _lock_known_file(connection, name, fingerprint)
        if not file.is_finished:
            raise UserError(f"{name} is not loaded to its end: load it first")
        parts = {"responses": file.responses, "of_file": OF_FILE}
        (last,) = connection.execute(
            sql.SQL("select max(response_id) from {responses} where {of_file}").format(**parts),
            {"file_id": file.file_id},
        ).fetchone() or (None,)
        if last is None and file.is_released:
            return 0
        # Or dbt would miss the documents when it gives their images back.
        (forgotten,) = connection.execute(
            "select coalesce(max(response_id), 0) from raw.forgotten_responses"
        ).fetchone() or (0,)
        _require_read(connection, name, file, max(last or 0, forgotten))
        # Up to the last, because `retry-rejects` may add some meanwhile.
        documents = connection.execute(
            sql.SQL(
                """
                with released as (
                    delete from {responses} where {of_file} and response_id <= %(last)s
                    returning response_id, chunk_id
                )
                insert into raw.released_responses (response_id, chunk_id)
                select response_id, chunk_id from released
                """
            ).format(**parts),
            {"file_id": file.file_id, "last": last},
        ).rowcount
        connection.execute(
            "update raw.loaded_files set released_at = now() where file_id = %s", (file.file_id,)
        )
    return documents


def _require_read(connection: psycopg.Connection, name: str, file: FileEntry, last: int) -> None:
    """Raise UserError unless dbt has taken the labels up to a response into each store there is."""
    stores = connection.execute(
        """
        select store, last_response_id >= %s
        from raw.read_responses
        where
            labeller = %s
            and store in (
                select nspname || '.' || relname
                from pg_class
                inner join pg_namespace on pg_namespace.oid = relnamespace
            )
        order by store
        """,
        (last, file.labeller),
    ).fetchall()
    late = [store for store, has_read in stores if not has_read]
    if late or not stores:
        where = ", ".join(late) or "any store"
        raise UserError(f"{name}: not all of its labels are in {where} yet: run `dbt run` first")


def _lock_known_file(
    connection: psycopg.Connection, name: str, fingerprint: str | None
) -> FileEntry:
    found = connection.execute(
        """
        select
            fingerprint,
            file_id, labeller, chunk_bytes, finished_at is not null, released_at is not null
        from raw.loaded_files
        where fingerprint = %s or name = %s
        """,
        (fingerprint, name),
    ).fetchall()
    found = [row for row in found if row[0] == fingerprint] or found
    if len(found) != 1:
        raise UserError(
            f"{name}: {'more than one file' if found else 'no file'} of this name has been "
            "loaded; `python -m loader status` lists them"
        )
    file = FileEntry(*found[0][1:])
    if not lock_file(connection, file.file_id):
        raise UserError(f"{name}: another loader is at it; stop that one, or wait for its end")
    return file
