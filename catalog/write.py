"""Tags of a view into the catalog's table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from catalog import ledger
from catalog.batches import Batches, Done, lock_rows_only_shortly
from catalog.ledger import Run
from catalog.relations import Relations

# Text, because to jsonb 0.90 and 0.9 are equal. `offset 0`, so that Postgres looks each image up:
# where it joined the view instead, a batch took 0.7 s, or minutes, as the statistics were.
READ = """
insert into pg_temp.tag_batch (identifier, tags_before, tags)
select image.identifier, image.tags, shown.tags
from {catalog} as image
cross join lateral (
    select tags from {view} as shown
    where shown.identifier = image.identifier
    offset 0
) as shown
where image.identifier = any(%(identifiers)s) and image.tags::text is distinct from shown.tags::text
"""
# Compares with what was read, in the statement that writes: a row that another has changed
# meanwhile is not written.
WRITE = """
update {catalog} as image
set tags = batch.tags{touch}
from pg_temp.tag_batch as batch
where
    image.identifier = any(%(identifiers)s)
    and image.identifier = batch.identifier
    and image.tags::text is not distinct from batch.tags_before::text
returning image.identifier
"""
# Of each store by itself: of their union Postgres reads all for each page.
OF_STORE = """
(
    select identifier from {store}
    where %(after)s::uuid is null or identifier > %(after)s
    order by identifier limit %(size)s
)
"""
NEXT_PAGE = "select distinct identifier from ({}) as labelled order by identifier limit %(size)s"


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
        self.run = ledger.unfinished_run(self.connection, *self._kind)
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

    @property
    def _kind(self) -> tuple[str, str, str | None]:
        return str(self.relations.catalog), self.relations.view.relation, self.touch

    def _count(self) -> int:
        stores = sql.SQL(" union ").join(
            sql.SQL("select identifier from {}").format(store.sql)
            for store in self.relations.stores
        )
        query = sql.SQL("select count(*) from ({}) as labelled").format(stores)
        (count,) = self.connection.execute(query).fetchone() or (0,)
        return int(count)

    def _next_page(self, after: UUID | None, size: int) -> list[UUID]:
        pages = sql.SQL(" union all ").join(
            sql.SQL(OF_STORE).format(store=store.sql) for store in self.relations.stores
        )
        rows = self._execute(sql.SQL(NEXT_PAGE).format(pages), after=after, size=size)
        return [identifier for (identifier,) in rows]

    def _write(self, identifiers: Sequence[UUID]) -> Done:
        with self.connection.transaction(force_rollback=self.is_dry):
            lock_rows_only_shortly(self.connection, self.relations.catalog)
            self._execute(self._sql(READ), identifiers=list(identifiers))
            rows = self.connection.execute("select identifier from pg_temp.tag_batch").fetchall()
            differ = {identifier for (identifier,) in rows}
            if self.is_dry or not differ:
                return Done(len(differ))
            rows = self._execute(self._sql(WRITE), identifiers=list(differ)).fetchall()
            written = {identifier for (identifier,) in rows}
            if written:
                self._enter(written)
        return Done(len(written), left=sorted(differ - written))

    def _enter(self, written: set[UUID]) -> None:
        self.run = self.run or ledger.begin_run(self.connection, *self._kind)
        ledger.back_up(self.connection, self.run, list(written))
        ledger.enter_batch(self.connection, self.run, len(written), is_undo=False)

    def _sql(self, statement: LiteralString) -> sql.Composed:
        return sql.SQL(statement).format(
            catalog=self.relations.catalog.sql,
            view=self.relations.view.sql,
            touch=touched(self.touch),
        )

    def _execute(self, statement: sql.Composed, **values: object) -> psycopg.Cursor:
        # Not prepared: a plan for any page would be one for the whole table.
        return self.connection.execute(statement, values, prepare=False)
