"""One chunk, one transaction: its lines, its refused lines and its ledger row, or nothing."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg import errors

from loader.files import Chunk

# COPY's binary format takes any byte as it is: no quoting, and no character that cannot occur.
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
# Of a row: 2 fields; 8 bytes of chunk_id; the document's length and jsonb's format version, 1.
_ROW_HEAD = struct.Struct(">hiqib")
_WRITE_BYTES = 1 << 18

# What a line's own content can raise.
_REFUSALS = (psycopg.DataError, errors.ProgramLimitExceeded, errors.StatementTooComplex)


@dataclass(frozen=True)
class Account:
    """What became of lines: each is loaded, rejected or blank."""

    loaded: int = 0
    rejected: int = 0
    blank: int = 0

    def __add__(self, other: "Account") -> "Account":
        return Account(
            self.loaded + other.loaded, self.rejected + other.rejected, self.blank + other.blank
        )

    @property
    def lines(self) -> int:
        """All lines."""
        return self.loaded + self.rejected + self.blank


def load_chunk(connection: psycopg.Connection, file_id: int, chunk: Chunk) -> Account:
    """Load a chunk in one transaction, and return what became of its lines.

    A chunk that is in the ledger already, by another loader, adds nothing to it.
    """
    lines = chunk.lines()
    account = Account(loaded=len(lines), blank=chunk.line_count() - len(lines))
    with connection.transaction():
        # Shared among loaders; machine_tags takes it alone for a moment, see its pre-hook.
        connection.execute(
            "select pg_advisory_xact_lock_shared('raw.rekognition_responses'::regclass::bigint)"
        )
        chunk_id = _enter_into_ledger(connection, file_id, chunk, account)
        if chunk_id is None:
            return Account()
        try:
            with connection.transaction():
                _copy(connection, chunk_id, lines)
        except _REFUSALS:
            account = _load_line_by_line(connection, file_id, chunk_id, lines, account.blank)
    return account


def _enter_into_ledger(
    connection: psycopg.Connection, file_id: int, chunk: Chunk, account: Account
) -> int | None:
    entered = connection.execute(
        """
        insert into raw.loaded_chunks
            (file_id, first_byte, end_byte, loaded_lines, rejected_lines, blank_lines)
        values (%s, %s, %s, %s, 0, %s)
        on conflict (file_id, first_byte) do nothing
        returning chunk_id
        """,
        (file_id, chunk.first_byte, chunk.end_byte, account.loaded, account.blank),
    ).fetchone()
    return entered[0] if entered else None


def _copy(connection: psycopg.Connection, chunk_id: int, lines: list[tuple[int, bytes]]) -> None:
    statement = "copy raw.rekognition_responses (chunk_id, document) from stdin (format binary)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for block in _blocks(chunk_id, lines):
            copy.write(block)


def _blocks(chunk_id: int, lines: list[tuple[int, bytes]]) -> Iterator[bytes]:
    parts, size = [_SIGNATURE], 0
    for _, line in lines:
        parts += (_ROW_HEAD.pack(2, 8, chunk_id, len(line) + 1, 1), line)
        size += len(line)
        if size >= _WRITE_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    yield b"".join([*parts, _TRAILER])


def _load_line_by_line(
    connection: psycopg.Connection,
    file_id: int,
    chunk_id: int,
    lines: list[tuple[int, bytes]],
    blank: int,
) -> Account:
    """Load a refused chunk in one pass on the server, however many of its lines are bad."""
    offsets = [offset for offset, _ in lines]
    rejected = connection.execute(
        """
        with parsed as materialized (
            select byte_offset, line, document, reason
            from unnest(%b::bigint[], %b::bytea[]) as line (byte_offset, line)
            cross join lateral raw.parse_line(line.line)
        ),
        loaded as (
            insert into raw.rekognition_responses (chunk_id, document)
            select %s, document from parsed where reason is null order by byte_offset
        )
        insert into raw.rejected_lines (file_id, chunk_id, byte_offset, line, reason)
        select %s, %s, byte_offset, line, reason from parsed where reason is not null
        """,
        (offsets, [line for _, line in lines], chunk_id, file_id, chunk_id),
    ).rowcount
    account = Account(len(lines) - rejected, rejected, blank)
    connection.execute(
        "update raw.loaded_chunks set loaded_lines = %s, rejected_lines = %s where chunk_id = %s",
        (account.loaded, account.rejected, chunk_id),
    )
    return account
