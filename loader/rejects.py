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


# Locked, so that of two retries at once only one loads a line. On the side, see copy.py.
PARSE = """
create temporary table retried_lines on commit drop as
select line.file_id, line.byte_offset, line.chunk_id, file.labeller, parsed.document
from raw.rejected_lines as line
inner join raw.loaded_files as file using (file_id)
cross join lateral raw.parse_line(line.line) as parsed
where line.is_whole and parsed.reason is null
for update of line
"""
LOAD = sql.SQL(
    """
    insert into {} (chunk_id, document)
    select chunk_id, document from pg_temp.retried_lines
    where labeller = %s
    order by file_id, byte_offset
    """
)
TAKE = """
delete from raw.rejected_lines as line using pg_temp.retried_lines as retried
where line.file_id = retried.file_id and line.byte_offset = retried.byte_offset
"""
COUNT = "select chunk_id, count(*) from pg_temp.retried_lines group by chunk_id order by chunk_id"


def retry_rejects(connection: psycopg.Connection) -> tuple[int, int]:
    """Load the whole rejected lines that Postgres takes by now; return how many, and are left."""
    with connection.transaction():
        ledger.lock_responses(connection)
        connection.execute(PARSE)
        for (labeller,) in connection.execute(
            "select distinct labeller from pg_temp.retried_lines"
        ):
            connection.execute(LOAD.format(responses_of(labeller)), (labeller,))
        loaded = connection.execute(TAKE).rowcount
        for chunk_id, lines in connection.execute(COUNT):
            ledger.count_lines(connection, chunk_id, Account(loaded=lines, rejected=-lines))
        (left,) = connection.execute("select count(*) from raw.rejected_lines").fetchone() or (0,)
    return loaded, left
