"""What the ledger says of each file, and taking a file back."""

from dataclasses import dataclass
from datetime import datetime

import psycopg

from loader.errors import UserError


@dataclass(frozen=True)
class FileStatus:
    """A file as the ledger has it; bytes are those of its lines, decompressed."""

    name: str
    state: str
    stored_bytes: int | None
    loaded_bytes: int
    loaded_lines: int
    rejected_lines: int
    blank_lines: int
    started_at: datetime
    seconds: float
    bytes_per_second: float
    second_run: str


def file_statuses(connection: psycopg.Connection) -> list[FileStatus]:
    """Return the status of each file, in the order in which they were begun.

    `seconds` runs from the first chunk's beginning to the last one's commit, pauses included.
    """
    rows = connection.execute(
        """
        with files as (
            select
                file.file_id,
                file.name,
                file.finished_at is not null as is_finished,
                file.bytes,
                coalesce(sum(chunk.end_byte - chunk.first_byte), 0)::bigint as loaded_bytes,
                coalesce(sum(chunk.loaded_lines), 0)::bigint as loaded_lines,
                coalesce(sum(chunk.rejected_lines), 0)::bigint as rejected_lines,
                coalesce(sum(chunk.blank_lines), 0)::bigint as blank_lines,
                file.started_at,
                coalesce(
                    extract(epoch from max(chunk.loaded_at) - file.started_at), 0
                )::float8 as seconds
            from raw.loaded_files as file
            left join raw.loaded_chunks as chunk using (file_id)
            group by file.file_id
        )
        select
            name,
            case when is_finished then 'loaded' else 'unfinished' end,
            bytes,
            loaded_bytes,
            loaded_lines,
            rejected_lines,
            blank_lines,
            started_at,
            seconds,
            case when seconds > 0 then loaded_bytes / seconds else 0 end,
            case
                when is_finished then 'loads nothing'
                else 'goes on after ' || loaded_bytes || ' bytes'
            end
        from files
        order by file_id
        """
    )
    return [FileStatus(*row) for row in rows]


def forget(connection: psycopg.Connection, name: str, fingerprint: str | None) -> int:
    """Remove a file's lines, rejects and ledger rows in one transaction; return its loaded lines.

    The file is found by content where it is still as it was, else by its name in `status`.
    """
    with connection.transaction():
        found = connection.execute(
            "select file_id from raw.loaded_files where fingerprint = %s for update",
            (fingerprint,),
        ).fetchall()
        found = (
            found
            or connection.execute(
                "select file_id from raw.loaded_files where name = %s for update", (name,)
            ).fetchall()
        )
        if len(found) != 1:
            raise UserError(
                f"{name}: {'no file' if not found else 'more than one file'} of this name has been "
                "loaded; `python -m loader status` lists them"
            )
        (file_id,) = found[0]
        responses = connection.execute(
            """
            delete from raw.rekognition_responses
            where chunk_id = any (
                select chunk_id from raw.loaded_chunks where file_id = %s
            )
            """,
            (file_id,),
        ).rowcount
        connection.execute("delete from raw.rejected_lines where file_id = %s", (file_id,))
        connection.execute("delete from raw.loaded_chunks where file_id = %s", (file_id,))
        connection.execute("delete from raw.loaded_files where file_id = %s", (file_id,))
    return responses
