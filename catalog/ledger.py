"""The ledger: runs, their batches, and the tags as they were. All SQL of its tables is here.

A batch's row and the tags as they were are written in the transaction that writes the catalog's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from loader.errors import UserError

SCHEMA = "tag_writes"
LOCK_TIMEOUT = "1s"
DDL = Path(__file__).with_name("schema.sql")


@dataclass(frozen=True)
class Run:
    """A run of `write-tags`."""

    run_id: int
    catalog_table: str
    view_name: str
    touched_column: str | None


def create_schema(connection: psycopg.Connection) -> None:
    """Create what is missing of schema.sql."""
    with connection.transaction():
        connection.execute(DDL.read_bytes())


def require_schema(connection: psycopg.Connection) -> None:
    """Raise UserError unless `init` has been run; whoever asks needs no right for it."""
    query = """
        select from pg_class inner join pg_namespace on pg_namespace.oid = relnamespace
        where nspname = 'tag_writes' and relname = 'backups'
    """
    if connection.execute(query).fetchone() is None:
        raise UserError("tag_writes is not there: run `python -m catalog init` first")


def lock(connection: psycopg.Connection) -> None:
    """Take the place of the one that writes; raises UserError if another is at it.

    The server may be at the end of a session for a moment after its command has ended.
    """
    try:
        with connection.transaction():
            connection.execute("select set_config('lock_timeout', %s, true)", (LOCK_TIMEOUT,))
            connection.execute("select pg_advisory_lock('tag_writes.runs'::regclass::bigint)")
    except psycopg.errors.LockNotAvailable:
        words = "another `python -m catalog` is writing: stop that one, or wait for it"
        raise UserError(words) from None


def unfinished_run(
    connection: psycopg.Connection, catalog_table: str, view_name: str, touch: str | None
) -> Run | None:
    """Return the run of the same kind that was broken off, to go on with."""
    row = connection.execute(
        """
        select run_id, catalog_table, view_name, touched_column from tag_writes.runs
        where
            coalesce(finished_at, undo_started_at, backup_dropped_at) is null
            and catalog_table = %s and view_name = %s and touched_column is not distinct from %s
        order by run_id desc limit 1
        """,
        (catalog_table, view_name, touch),
    ).fetchone()
    return Run(*row) if row else None


def begin_run(
    connection: psycopg.Connection, catalog_table: str, view_name: str, touch: str | None
) -> Run:
    """Enter a run, and make the room for the tags as they were."""
    (run_id,) = connection.execute(
        """
        insert into tag_writes.runs (catalog_table, view_name, touched_column)
        values (%s, %s, %s) returning run_id
        """,
        (catalog_table, view_name, touch),
    ).fetchone() or (0,)
    connection.execute(
        sql.SQL("create table {} partition of tag_writes.backups for values in ({})").format(
            _partition(run_id), sql.Literal(run_id)
        )
    )
    return Run(run_id, catalog_table, view_name, touch)


def _partition(run_id: int) -> sql.Identifier:
    return sql.Identifier("tag_writes", f"backups_{run_id}")


def back_up(connection: psycopg.Connection, run: Run, identifiers: Sequence[UUID]) -> None:
    """Keep the tags as they were of images in `tag_batch`; what an earlier try kept stays."""
    connection.execute(
        """
        insert into tag_writes.backups (run_id, identifier, tags_before, tags_written)
        select %s, identifier, tags_before, md5(tags::text)::uuid
        from pg_temp.tag_batch
        where identifier = any(%s)
        on conflict (run_id, identifier) do update set tags_written = excluded.tags_written
        """,
        (run.run_id, list(identifiers)),
        prepare=False,
    )


def enter_batch(connection: psycopg.Connection, run: Run, rows: int, is_undo: bool) -> None:
    """Enter a batch of the transaction's."""
    connection.execute(
        """
        insert into tag_writes.batches (run_id, is_undo, rows_written, started_at)
        values (%s, %s, %s, now())
        """,
        (run.run_id, is_undo, rows),
    )


def finish_run(connection: psycopg.Connection, run: Run) -> None:
    """Note that a run has seen all images."""
    connection.execute(
        "update tag_writes.runs set finished_at = now() where run_id = %s", (run.run_id,)
    )


def run_to_undo(connection: psycopg.Connection, run_id: int | None) -> Run:
    """Return a run, or the last that is not undone; raises UserError if it cannot be undone."""
    row = connection.execute(
        """
        select
            run_id, catalog_table, view_name, touched_column,
            undone_at is not null, backup_dropped_at is not null
        from tag_writes.runs
        where run_id = %(run)s
            or %(run)s::bigint is null and coalesce(undone_at, backup_dropped_at) is null
        order by run_id desc limit 1
        """,
        {"run": run_id},
    ).fetchone()
    if row is None:
        what = "nothing to undo" if run_id is None else f"there is no run {run_id}"
        raise UserError(f"{what}; `python -m catalog status` lists the runs")
    *run, is_undone, is_dropped = row
    if is_dropped:
        raise UserError(f"run {row[0]} cannot be undone: its backup was dropped")
    if is_undone:
        raise UserError(f"run {row[0]} is undone already")
    return Run(*run)


def backed_up(connection: psycopg.Connection, run: Run) -> int:
    """Return how many images' tags a run has kept."""
    (count,) = connection.execute(
        "select count(*) from tag_writes.backups where run_id = %s", (run.run_id,)
    ).fetchone() or (0,)
    return int(count)


def backed_up_after(
    connection: psycopg.Connection, run: Run, after: UUID | None, size: int
) -> list[UUID]:
    """Return the next images whose tags a run has kept, by identifier."""
    rows = connection.execute(
        """
        select identifier from tag_writes.backups
        where run_id = %(run_id)s and (%(after)s::uuid is null or identifier > %(after)s)
        order by identifier limit %(size)s
        """,
        {"run_id": run.run_id, "after": after, "size": size},
        prepare=False,
    )
    return [identifier for (identifier,) in rows]


def begin_undo(connection: psycopg.Connection, run: Run) -> None:
    """Note that a run is being undone, so that no `write-tags` goes on with it."""
    connection.execute(
        "update tag_writes.runs set undo_started_at = coalesce(undo_started_at, now()) "
        "where run_id = %s",
        (run.run_id,),
    )


def finish_undo(connection: psycopg.Connection, run: Run) -> None:
    """Note that all rows of a run have been given back, or left to who changed them."""
    connection.execute(
        "update tag_writes.runs set undone_at = now() where run_id = %s", (run.run_id,)
    )


def drop_backup(connection: psycopg.Connection, run_id: int) -> int:
    """Drop what a run has kept; return the bytes. Raises UserError if there is nothing to drop."""
    with connection.transaction():
        dropped = connection.execute(
            """
            update tag_writes.runs set backup_dropped_at = now()
            where run_id = %s and backup_dropped_at is null
            returning pg_total_relation_size('tag_writes.backups_' || run_id)
            """,
            (run_id,),
        ).fetchone()
        if dropped is None:
            raise UserError(
                f"there is no run {run_id} with a backup; `python -m catalog status` lists the runs"
            )
        connection.execute(sql.SQL("drop table {}").format(_partition(run_id)))
    return int(dropped[0])


def run_statuses(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """Return what there is of each run; seconds are those of its batches, pauses not counted."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """
            select
                run.run_id,
                run.catalog_table,
                run.view_name,
                case
                    when run.undone_at is not null then 'undone'
                    when run.undo_started_at is not null then 'undone in part'
                    when run.finished_at is not null then 'finished'
                    else 'unfinished'
                end as state,
                batches.rows_written,
                batches.rows_given_back,
                run.started_at,
                run.finished_at,
                batches.seconds,
                coalesce(batches.rows_written / nullif(batches.seconds, 0), 0) as rows_per_second,
                case
                    when run.backup_dropped_at is null
                    then pg_total_relation_size('tag_writes.backups_' || run.run_id)
                end as backup_bytes,
                case
                    when run.undone_at is not null then 'writes all again'
                    when run.undo_started_at is not null then 'writes what is undone'
                    when run.finished_at is not null then 'writes what differs by then'
                    else 'goes on'
                end as second_run
            from tag_writes.runs as run
            cross join lateral (
                select
                    coalesce(sum(rows_written) filter (where not is_undo), 0)::bigint
                        as rows_written,
                    coalesce(sum(rows_written) filter (where is_undo), 0)::bigint
                        as rows_given_back,
                    coalesce(
                        sum(extract(epoch from finished_at - started_at))
                        filter (where not is_undo),
                        0
                    )::float8 as seconds
                from tag_writes.batches
                where run_id = run.run_id
            ) as batches
            order by run.run_id
            """
        ).fetchall()
