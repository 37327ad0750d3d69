"""One chunk, one transaction: its lines, its refused lines and its ledger row, or nothing."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
from psycopg import errors

from loader.chunks import Chunk, OverlongLine

# COPY's binary format takes any byte as it is: no quoting, and no character that cannot occur.
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
# A row of two fields: 8 bytes of a bigint, then the length of the line that follows. jsonb wants
# its format's version, 1, before the text.
_BIGINT_AND_JSONB = struct.Struct(">hiqib")
_BIGINT_AND_BYTEA = struct.Struct(">hiqi")
_WRITE_BYTES = 1 << 16  # psycopg copies a block of more than twice that once again

_RowHead = Callable[[int, int], bytes]

# What a line's own content can raise.
REFUSALS = (psycopg.DataError, errors.ProgramLimitExceeded, errors.StatementTooComplex)

# Postgres' error holds all of a line that was cut, eight times over by the time it is a Python
# exception: 600 MB for 60. A chunk with such a line goes the way on which no error comes back.
_LONG_LINE_BYTES = 1 << 20


class _LongLine(Exception):  # noqa: N818 - it only says which way a chunk has to go
    """A line is too long for a plain COPY."""


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

    def __str__(self) -> str:
        return (
            f"{self.lines:,} lines = {self.loaded:,} loaded + {self.rejected:,} rejected"
            f" + {self.blank:,} blank"
        )


def load_chunk(
    connection: psycopg.Connection, file_id: int, chunk: Chunk, max_line_bytes: int
) -> Account:
    """Load a chunk in one transaction, and return what became of its lines.

    A chunk that is in the ledger already, as after a commit whose answer got lost, is not loaded
    again: its account is the ledger's.
    """
    with connection.transaction():
        lock_responses_shared(connection)
        chunk_id = _enter_into_ledger(connection, file_id, chunk)
        if chunk_id is None:
            return _account_in_ledger(connection, file_id, chunk)
        lines = _Lines(chunk, max_line_bytes)
        try:
            with connection.transaction():
                lines.copy(connection, chunk_id)
            account = Account(lines.count, 0, lines.blank)
        except (*REFUSALS, _LongLine):
            account = _load_line_by_line(connection, file_id, chunk_id, lines)
        account += _reject_overlong(connection, file_id, chunk_id, lines.overlong)
        connection.execute(
            """
            update raw.loaded_chunks
            set loaded_lines = %s, rejected_lines = %s, blank_lines = %s
            where chunk_id = %s
            """,
            (account.loaded, account.rejected, account.blank, chunk_id),
        )
    return account


def lock_responses_shared(connection: psycopg.Connection) -> None:
    """Say, until the transaction ends, that responses with new ids are on their way.

    int_machine_labels takes the lock alone for a moment, see macros/settle_responses.sql.
    """
    connection.execute(
        "select pg_advisory_xact_lock_shared('raw.rekognition_responses'::regclass::bigint)"
    )


def _enter_into_ledger(connection: psycopg.Connection, file_id: int, chunk: Chunk) -> int | None:
    entered = connection.execute(
        """
        insert into raw.loaded_chunks (file_id, first_byte, end_byte, checksum)
        values (%s, %s, %s, %s)
        on conflict (file_id, first_byte) do nothing
        returning chunk_id
        """,
        (file_id, chunk.first_byte, chunk.end_byte, chunk.checksum),
    ).fetchone()
    return entered[0] if entered else None


def _account_in_ledger(connection: psycopg.Connection, file_id: int, chunk: Chunk) -> Account:
    counts = connection.execute(
        """
        select loaded_lines, rejected_lines, blank_lines
        from raw.loaded_chunks
        where file_id = %s and first_byte = %s
        """,
        (file_id, chunk.first_byte),
    ).fetchone()
    return Account(*counts) if counts else Account()


class _Lines:
    """The lines of a chunk on their way into a COPY, counted as they pass."""

    def __init__(self, chunk: Chunk, max_line_bytes: int) -> None:
        self._chunk = chunk
        self._max_line_bytes = max_line_bytes
        self.count = 0
        self.blank = 0
        self.overlong: list[OverlongLine] = []

    def copy(self, connection: psycopg.Connection, chunk_id: int) -> None:
        """COPY the lines as documents; raises one of REFUSALS or _LongLine."""
        statement = "copy raw.rekognition_responses (chunk_id, document) from stdin (format binary)"

        def row_head(begin: int, end: int) -> bytes:
            if end - begin > _LONG_LINE_BYTES:
                raise _LongLine
            return _BIGINT_AND_JSONB.pack(2, 8, chunk_id, end - begin + 1, 1)

        self._copy(connection, statement, row_head)

    def copy_bytes(self, connection: psycopg.Connection) -> None:
        """COPY the lines as bytes, with where they begin, into the temporary table."""
        first_byte = self._chunk.first_byte
        self._copy(
            connection,
            "copy pg_temp.refused_lines (byte_offset, line) from stdin (format binary)",
            lambda begin, end: _BIGINT_AND_BYTEA.pack(2, 8, first_byte + begin, end - begin),
        )

    def _copy(self, connection: psycopg.Connection, statement: str, row_head: _RowHead) -> None:
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for block in self._blocks(row_head):
                copy.write(block)

    def _blocks(self, row_head: _RowHead) -> Iterator[bytearray]:
        data = memoryview(self._chunk.data)
        block = bytearray(_SIGNATURE)
        for begin, end in self._good_lines():
            block += row_head(begin, end)
            # A long line goes in slices, so that no second copy of it is ever whole.
            while end - begin > _WRITE_BYTES:
                block += data[begin : begin + _WRITE_BYTES]
                begin += _WRITE_BYTES
                yield block
                block = bytearray()
            block += data[begin:end]
            if len(block) >= _WRITE_BYTES:
                yield block
                block = bytearray()
        yield block + _TRAILER

    def _good_lines(self) -> Iterator[tuple[int, int]]:
        chunk = self._chunk
        self.count, self.blank = 0, 0
        self.overlong = [chunk.overlong] if chunk.overlong else []
        for begin, end in chunk.lines():
            if end - begin > self._max_line_bytes:
                self.overlong.append(chunk.overlong_at(begin, end))
            elif _is_blank(chunk.data, begin, end):
                self.blank += 1
            else:
                self.count += 1
                yield begin, end


def _is_blank(data: bytearray, begin: int, end: int) -> bool:
    # The first byte tells for nearly every line.
    return begin == end or (data[begin] <= 0x20 and data[begin:end].isspace())


def _load_line_by_line(
    connection: psycopg.Connection, file_id: int, chunk_id: int, lines: _Lines
) -> Account:
    """Load a refused chunk in one pass on the server, however many of its lines are bad."""
    connection.execute(
        """
        create temporary table if not exists refused_lines (byte_offset bigint, line bytea)
        on commit delete rows
        """
    )
    lines.copy_bytes(connection)
    rejected = connection.execute(
        """
        with parsed as materialized (
            select refused.byte_offset, refused.line, parsed.document, parsed.reason
            from pg_temp.refused_lines as refused
            cross join lateral raw.parse_line(refused.line) as parsed
        ),
        loaded as (
            insert into raw.rekognition_responses (chunk_id, document)
            select %s, document from parsed where reason is null order by byte_offset
        )
        insert into raw.rejected_lines (file_id, chunk_id, byte_offset, line, is_whole, reason)
        select %s, %s, byte_offset, line, true, reason from parsed where reason is not null
        """,
        (chunk_id, file_id, chunk_id),
    ).rowcount
    return Account(lines.count - rejected, rejected, lines.blank)


def _reject_overlong(
    connection: psycopg.Connection, file_id: int, chunk_id: int, lines: list[OverlongLine]
) -> Account:
    for line in lines:
        reason = f"{line.bytes} bytes are more than --max-line-mb allows; the beginning is kept"
        connection.execute(
            """
            insert into raw.rejected_lines (file_id, chunk_id, byte_offset, line, is_whole, reason)
            values (%s, %s, %s, %s, false, %s)
            """,
            (file_id, chunk_id, line.first_byte, line.beginning, reason),
        )
    return Account(rejected=len(lines))
