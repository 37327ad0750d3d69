"""Tags of a view into the catalog's table."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg import sql

from catalog import ledger
from catalog.batches import Batches, Done, lock_rows_only_shortly
from catalog.ledger import Run
from catalog.relations import Relations

# Text, because to jsonb 0.90 and 0.9 are equal. A range, because Postgres reads view and table by
# their indexes then; of a list of 10,000 it read the whole catalog in each batch (6.1 s, now 0.4).
READ = """
insert into pg_temp.tag_batch (identifier, tags_before, tags)
select image.identifier, image.tags, shown.tags
from {catalog} as image
inner join {view} as shown on image.identifier = shown.identifier
where
    image.identifier between %(first)s and %(last)s
    and shown.identifier between %(first)s and %(last)s
    and image.identifier in (
        select identifier from {labelled} where identifier between %(first)s and %(last)s
    )
    and image.tags::text is distinct from shown.tags::text
"""
# Compares with what was read, in the statement that writes: a row that another has changed
# meanwhile is not written.
WRITE = """
update {catalog} as image
set tags = batch.tags{touch}
from pg_temp.tag_batch as batch
where
    image.identifier = batch.identifier
    and image.identifier between %(first)s and %(last)s
    and image.tags::text is not distinct from batch.tags_before::text
returning image.identifier
"""


def touched(column: str | None) -> sql.Composable:
    """Return what sets the column that says when a row was changed; none: nothing."""
    return sql.SQL(", {} = now()").format(sql.Identifier(column)) if column else sql.SQL("")


@dataclass
class Writer:
    """Writes images' tags; the run is entered with the first row that is written."""

    connection: psycopg.Connection
    relations: Relations
    touch: str | None
    is_dry: bool = False
    run: Run | None = None

    def write_all(self, batches: Batches) -> Done:
        """Write the tags of all images that have labels, where they differ."""
        kind = (str(self.relations.catalog), self.relations.view.relation, self.touch)
        self.run = ledger.unfinished_run(self.connection, *kind)
        self.connection.execute(
            """
            create temporary table if not exists tag_batch
            (identifier uuid, tags_before jsonb, tags jsonb) on commit delete rows
            """
        )
        done = batches.run(self._next_page, self._write, self._count())
        if self.run and not done.left and not self.is_dry:
            ledger.finish_run(self.connection, self.run)
        return done

    def _count(self) -> int:
        (count,) = self._execute(
            "select count(distinct identifier) from {labelled}"
        ).fetchone() or (0,)
        return int(count)

    def _next_page(self, after: UUID | None, size: int) -> list[UUID]:
        rows = self._execute(
            """
            select distinct identifier from {labelled}
            where %(after)s::uuid is null or identifier > %(after)s
            order by identifier limit %(size)s
            """,
            after=after,
            size=size,
        )
        return [identifier for (identifier,) in rows]

    def _write(self, identifiers: Sequence[UUID]) -> Done:
        within = {"first": identifiers[0], "last": identifiers[-1]}
        with self.connection.transaction(force_rollback=self.is_dry):
            lock_rows_only_shortly(self.connection, self.relations.catalog)
            self._execute(READ, **within)
            rows = self.connection.execute("select identifier from pg_temp.tag_batch").fetchall()
            differ = {identifier for (identifier,) in rows}
            if self.is_dry or not differ:
                return Done(len(differ))
            written = {identifier for (identifier,) in self._execute(WRITE, **within)}
            self._enter(written)
        return Done(len(written), left=sorted(differ - written))

    def _enter(self, written: set[UUID]) -> None:
        kind = (str(self.relations.catalog), self.relations.view.relation, self.touch)
        self.run = self.run or ledger.begin_run(self.connection, *kind)
        ledger.back_up(self.connection, self.run, list(written))
        ledger.enter_batch(self.connection, self.run, len(written), is_undo=False)

    def _execute(self, statement: str, **values: object) -> psycopg.Cursor:
        parts = {
            "catalog": self.relations.catalog.sql,
            "view": self.relations.view.sql,
            "labelled": self.relations.labelled.sql,
            "touch": touched(self.touch),
        }
        # Not prepared: a plan for any range would be one for the whole table.
        return self.connection.execute(
            sql.SQL(statement).format(**parts), values or None, prepare=False
        )
