"""The lines that Postgres did not take: listing them, and trying them again."""

from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from loader import ledger
from loader.labellers import responses_of
from loader.ledger import Account


def list_rejects(connection: psycopg.Connection) -> Iterator[dict[str, Any]]:
    """Yield the rejected lines, file by file, in the file's order."""
    with connection.transaction(), connection.cursor("rejects", row_factory=dict_row) as cursor:
        yield from cursor.execute(
            """
            select
                file.name as file,
                line.byte_offset,
                octet_length(line.line) as bytes,
                line.reason,
                encode(substring(line.line from 1 for 60), 'escape') as beginning
            from raw.rejected_lines as line
            inner join raw.loaded_files as file using (file_id)
            order by line.file_id, line.byte_offset
            """
        )


RETRY = sql.SQL(
    """
    with parsed as materialized (
        select line.file_id, line.byte_offset, parsed.document
        from raw.rejected_lines as line
        inner join raw.loaded_files as file using (file_id)
        cross join lateral raw.parse_line(line.line) as parsed
        where file.labeller = %s and line.is_whole and parsed.reason is null
    ),
    -- Who deletes a line loads it, so that of two retries at once only one does.
    taken as (
        delete from raw.rejected_lines as line
        using parsed
        where line.file_id = parsed.file_id and line.byte_offset = parsed.byte_offset
        returning line.file_id, line.byte_offset, line.chunk_id
    ),
    loaded as (
        insert into {} (chunk_id, document)
        select taken.chunk_id, parsed.document
        from taken
        inner join parsed using (file_id, byte_offset)
        order by file_id, byte_offset
    )
    select chunk_id, count(*) from taken group by chunk_id order by chunk_id
    """
)


def retry_rejects(connection: psycopg.Connection) -> tuple[int, int]:
    """Load the whole rejected lines that Postgres takes by now; return how many, and are left."""
    with connection.transaction():
        ledger.lock_responses(connection)
        labellers = connection.execute(
            "select distinct labeller from raw.loaded_files order by labeller"
        ).fetchall()
        loaded = [
            row
            for (labeller,) in labellers
            for row in connection.execute(RETRY.format(responses_of(labeller)), (labeller,))
        ]
        for chunk_id, lines in loaded:
            ledger.count_lines(connection, chunk_id, Account(loaded=lines, rejected=-lines))
        (left,) = connection.execute("select count(*) from raw.rejected_lines").fetchone() or (0,)
    return sum(lines for _, lines in loaded), left
