"""What a run has written, given back."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg import sql

from catalog import ledger
from catalog.batches import Batches, Done, lock_rows_only_shortly
from catalog.ledger import Run
from catalog.relations import Name
from catalog.write import touched

# Only what is still as the run has written it.
GIVE_BACK = """
update {catalog} as image
set tags = backup.tags_before{touch}
from tag_writes.backups as backup
where
    backup.run_id = %(run_id)s
    and backup.identifier = any(%(identifiers)s)
    and image.identifier = any(%(identifiers)s)
    and image.identifier = backup.identifier
    and md5(image.tags::text)::uuid = backup.tags_written
"""
KEPT = """
select backup.identifier
from tag_writes.backups as backup
left join {catalog} as image
    on backup.identifier = image.identifier and image.identifier = any(%(identifiers)s)
where
    backup.run_id = %(run_id)s
    and backup.identifier = any(%(identifiers)s)
    and (image.identifier is null or image.tags::text is distinct from backup.tags_before::text)
order by backup.identifier
"""


@dataclass(frozen=True)
class Undo:
    """Gives the rows of a run back what they held."""

    connection: psycopg.Connection
    catalog: Name
    run: Run

    def give_back_all(self, batches: Batches) -> Done:
        """Give all rows back that nobody has changed since."""
        ledger.begin_undo(self.connection, self.run)
        total = ledger.backed_up(self.connection, self.run)
        done = batches.run(self._next_page, self._give_back, total)
        if not done.left:
            ledger.finish_undo(self.connection, self.run)
        return done

    def _next_page(self, after: UUID | None, size: int) -> list[UUID]:
        return ledger.backed_up_after(self.connection, self.run, after, size)

    def _give_back(self, identifiers: Sequence[UUID]) -> Done:
        of_batch = {"run_id": self.run.run_id, "identifiers": list(identifiers)}
        parts = {"catalog": self.catalog.sql, "touch": touched(self.run.touched_column)}
        with self.connection.transaction():
            lock_rows_only_shortly(self.connection, self.catalog)
            given_back = self.connection.execute(
                sql.SQL(GIVE_BACK).format(**parts), of_batch, prepare=False
            ).rowcount
            kept = self.connection.execute(sql.SQL(KEPT).format(**parts), of_batch, prepare=False)
            done = Done(given_back, kept=[identifier for (identifier,) in kept])
            ledger.enter_batch(self.connection, self.run, given_back, is_undo=True)
        return done
