"""One chunk, one transaction: its lines, its refused lines and its ledger row, or nothing."""

import struct
from collections.abc import Callable, Iterator

import psycopg
from psycopg import errors, sql

from loader import ledger
from loader.chunks import LONGEST_LINE_BYTES, Chunk, OverlongLine
from loader.ledger import Account, FileEntry

# COPY's binary format takes any byte as it is: no quoting, and no character that cannot occur.
_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
# A row of two fields: 8 bytes of a bigint, then the length of the line that follows. jsonb wants
# its format's version, 1, before the text.
_BIGINT_AND_JSONB = struct.Struct(">hiqib")
_BIGINT_AND_BYTEA = struct.Struct(">hiqi")
_WRITE_BYTES = 1 << 16  # psycopg copies a block of more than twice that once again

# What a line's own content can raise.
_REFUSALS = (psycopg.DataError, errors.ProgramLimitExceeded, errors.StatementTooComplex)

# Postgres' error holds all of a line that was cut, eight times over by the time it is a Python
# exception. A chunk with such a line goes the way on which no error comes back.
_LONG_LINE_BYTES = 1 << 20


def load_chunk(connection: psycopg.Connection, file: FileEntry, chunk: Chunk) -> Account:
    """Load a chunk in one transaction, and return what became of its lines.

    A chunk that is in the ledger already, as after a commit whose answer got lost, is not loaded
    again: its account is the ledger's.
    """
    try:
        return _load(connection, file, chunk, _copy_documents)
    except _REFUSALS:
        return _load(connection, file, chunk, _load_line_by_line)


# Returns how many of a chunk's lines are loaded, and how many rejected.
_Way = Callable[[psycopg.Connection, FileEntry, int, Chunk], tuple[int, int]]


def _load(connection: psycopg.Connection, file: FileEntry, chunk: Chunk, way: _Way) -> Account:
    with connection.transaction():
        ledger.lock_responses(connection)
        chunk_id = ledger.enter_chunk(
            connection, file.file_id, chunk.first_byte, chunk.end_byte, chunk.checksum
        )
        if chunk_id is None:
            return ledger.loaded_chunks(connection, file.file_id)[chunk.first_byte].account
        loaded, rejected = way(connection, file, chunk_id, chunk)
        blank = chunk.line_count - loaded - rejected
        if chunk.overlong:
            _reject_overlong(connection, file.file_id, chunk_id, chunk.overlong)
            rejected += 1
        account = Account(loaded, rejected, blank)
        ledger.count_lines(connection, chunk_id, account)
    return account


def _copy_documents(
    connection: psycopg.Connection, file: FileEntry, chunk_id: int, chunk: Chunk
) -> tuple[int, int]:
    """COPY the lines as documents; raises one of _REFUSALS."""

    def row_head(begin: int, end: int) -> bytes:
        if end - begin > _LONG_LINE_BYTES:
            raise errors.ProgramLimitExceeded
        return _BIGINT_AND_JSONB.pack(2, 8, chunk_id, end - begin + 1, 1)

    statement = sql.SQL("copy {} (chunk_id, document) from stdin (format binary)")
    return _copy(connection, statement.format(file.responses), _blocks(chunk, row_head)), 0


def _load_line_by_line(
    connection: psycopg.Connection, file: FileEntry, chunk_id: int, chunk: Chunk
) -> tuple[int, int]:
    """Load a refused chunk in one pass on the server, however many of its lines are bad."""
    # Uncompressed: what is here for a moment is not worth the time.
    connection.execute(
        """
        create temporary table if not exists refused_lines (
            byte_offset bigint, line bytea, document jsonb, reason text
        )
        with (toast_tuple_target = 8160) on commit delete rows;
        alter table pg_temp.refused_lines
            alter line set storage external, alter document set storage external
        """
    )

    def row_head(begin: int, end: int) -> bytes:
        return _BIGINT_AND_BYTEA.pack(2, 8, chunk.first_byte + begin, end - begin)

    statement = sql.SQL("copy pg_temp.refused_lines (byte_offset, line) from stdin (format binary)")
    lines = _copy(connection, statement, _blocks(chunk, row_head))
    # By itself: Citus bears no error that is caught while rows go to its workers.
    connection.execute(
        """
        update pg_temp.refused_lines
        set (document, reason) = (select * from raw.parse_line(line))
        """
    )
    connection.execute(
        sql.SQL(
            """
            insert into {} (chunk_id, document)
            select %s, document from pg_temp.refused_lines
            where reason is null
            order by byte_offset
            """
        ).format(file.responses),
        (chunk_id,),
    )
    rejected = connection.execute(
        """
        insert into raw.rejected_lines (file_id, chunk_id, byte_offset, line, is_whole, reason)
        select %s, %s, byte_offset, line, true, reason from pg_temp.refused_lines
        where reason is not null
        """,
        (file.file_id, chunk_id),
    ).rowcount
    return lines - rejected, rejected


def _copy(
    connection: psycopg.Connection, statement: sql.Composable, blocks: Iterator[bytearray]
) -> int:
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for block in blocks:
                copy.write(block)
        return cursor.rowcount


def _blocks(chunk: Chunk, row_head: Callable[[int, int], bytes]) -> Iterator[bytearray]:
    """Yield the lines in COPY's format, a long one in slices, so that no copy of it is whole."""
    data = memoryview(chunk.data)
    block = bytearray(_SIGNATURE)
    for begin, end in chunk.lines():
        block += row_head(begin, end)
        for place in range(begin, end, _WRITE_BYTES):
            block += data[place : min(end, place + _WRITE_BYTES)]
            if len(block) >= _WRITE_BYTES:
                yield block
                block = bytearray()
    yield block + _TRAILER


def _reject_overlong(
    connection: psycopg.Connection, file_id: int, chunk_id: int, line: OverlongLine
) -> None:
    most = f"the {LONGEST_LINE_BYTES >> 20} MB that a line may have"
    reason = f"{line.bytes} bytes are more than {most}; the beginning is kept"
    connection.execute(
        """
        insert into raw.rejected_lines (file_id, chunk_id, byte_offset, line, is_whole, reason)
        values (%s, %s, %s, %s, false, %s)
        """,
        (file_id, chunk_id, line.first_byte, line.beginning, reason),
    )
