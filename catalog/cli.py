"""The catalog's commands."""

import json
import logging
import signal
from datetime import datetime

import click

from catalog import ledger
from catalog.batches import Batches, Done
from catalog.relations import EVERYTHING, PUBLISHED, find_relations
from catalog.undo import Undo
from catalog.write import Writer
from loader.connect import connect
from loader.errors import Commands, UserError
from loader.printable import log_to_terminal

log = logging.getLogger("catalog")


@click.group(
    cls=Commands,
    context_settings={"show_default": True},
    epilog="It uses the server that PGHOST, PGHOSTADDR or PGSERVICE names, else the embedded one. "
    "Exit status: 0 done, or there was nothing to do; 1 refused, or rows are left; 2 wrong usage.",
)
def cli() -> None:
    """Write machines' tags into the catalog's own table, and take them back."""
    log_to_terminal()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C


@cli.command()
def init() -> None:
    """Create the schema tag_writes, for the tags as they were; repeatable."""
    with connect(as_owner_of=ledger.SCHEMA) as connection:
        ledger.create_schema(connection)


batch = click.option(
    "--batch", type=click.IntRange(min=1), default=10_000, help="Images in one transaction."
)
pause = click.option(
    "--pause", type=click.FloatRange(min=0), default=0.0, help="Seconds after each batch."
)
quiet = click.option("--quiet", is_flag=True, help="No progress, only the account.")


@cli.command()
@click.option(
    "--published", is_flag=True, help="The tags of published_images, not those of catalog_images."
)
@click.option(
    "--touch",
    metavar="COLUMN",
    help="A column that says when a row was changed, to be set to now; that of the var "
    "catalog_changed_at, if it names one.",
)
@click.option("--dry-run", is_flag=True, help="Write nothing, and say how many rows it would.")
@batch
@pause
@quiet
def write_tags(
    published: bool, touch: str | None, dry_run: bool, batch: int, pause: float, quiet: bool
) -> None:
    """Give images that have labels the tags of a view, where they differ.

    What is written is kept as it was, for `undo`. Broken off, the same command goes on.
    """
    view = PUBLISHED if published else EVERYTHING
    with connect(as_owner_of=ledger.SCHEMA) as connection:
        ledger.require_schema(connection)
        relations = find_relations(connection, view, touch)
        ledger.lock(connection)
        writer = Writer(connection, relations, touch, dry_run)
        done = writer.write_all(Batches(batch, pause, quiet))
    if dry_run:
        click.echo(f"{done.written:,} rows of {relations.catalog} would be written")
        return
    run = f"run {writer.run.run_id}: " if writer.run else ""
    click.echo(f"{run}{done.written:,} rows of {relations.catalog} written")
    _refuse_what_is_left(done)


@cli.command()
@click.argument("run", type=int, required=False)
@batch
@pause
@quiet
def undo(run: int | None, batch: int, pause: float, quiet: bool) -> None:
    """Give rows back what they held before RUN, by default the last.

    Rows that others have changed since keep what they have; their identifiers are printed.
    """
    with connect(as_owner_of=ledger.SCHEMA) as connection:
        ledger.require_schema(connection)
        written = ledger.run_to_undo(connection, run)
        relations = find_relations(connection, written.view_name, written.touched_column)
        if str(relations.catalog) != written.catalog_table:
            raise UserError(
                f"run {written.run_id} wrote into {written.catalog_table}, and the catalog is "
                f"{relations.catalog} now: set the vars catalog_schema and catalog_table back"
            )
        ledger.lock(connection)
        done = Undo(connection, relations.catalog, written).give_back_all(
            Batches(batch, pause, quiet)
        )
    for identifier in done.kept:
        click.echo(f"{identifier}: changed since, left as it is")
    click.echo(
        f"run {written.run_id}: {done.written:,} rows of {relations.catalog} given back, "
        f"{len(done.kept):,} changed since"
    )
    _refuse_what_is_left(done)


def _refuse_what_is_left(done: Done) -> None:
    if done.left:
        raise UserError(
            f"{len(done.left):,} rows were locked or changed by others all the while: run the "
            "same command again for them"
        )


STATUS = (
    "run {run_id}: {view_name} into {catalog_table}, {state}, {rows_written:,} rows written in "
    "{seconds:,.0f} s ({rows_per_second:,.0f} a second), {rows_given_back:,} given back, backup "
    "{backup}; a second run {second_run}"
)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def status(as_json: bool) -> None:
    """Show the runs."""
    with connect(as_owner_of=ledger.SCHEMA) as connection:
        ledger.require_schema(connection)
        runs = ledger.run_statuses(connection)
    for run in runs:
        size = run["backup_bytes"]
        backup = "dropped" if size is None else f"{size / 1e6:,.1f} MB"
        as_line = json.dumps(run, default=datetime.isoformat)
        click.echo(as_line if as_json else STATUS.format(**run, backup=backup))
    if not runs and not as_json:
        click.echo("nothing has been written")


@cli.command()
@click.argument("run", type=int)
def drop_backup(run: int) -> None:
    """Drop what RUN has kept, when nobody needs the way back."""
    with connect(as_owner_of=ledger.SCHEMA) as connection:
        ledger.require_schema(connection)
        ledger.lock(connection)
        freed = ledger.drop_backup(connection, run)
    click.echo(f"run {run}: its backup of {freed / 1e6:,.1f} MB is dropped")
