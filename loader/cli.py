"""The loader's commands."""

import json
import logging
import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import psycopg

from loader import labellers, ledger, rejects, schema
from loader.connect import connect
from loader.errors import Commands
from loader.files import check_readable, find_files, fingerprint
from loader.load import DEFAULTS, Options, RejectLimit, load_files
from loader.printable import log_to_terminal, printable

log = logging.getLogger("loader")


@click.group(
    cls=Commands,
    context_settings={"show_default": True},
    epilog="It uses the server that PGHOST, PGHOSTADDR or PGSERVICE names, else the embedded one. "
    "Exit status: 0 all is loaded, rejects included in the count; 1 something could not be "
    "loaded; 2 wrong usage.",
)
def cli() -> None:
    """Bring label files, whole and unaltered, into Postgres."""
    log_to_terminal()
    for chatty in ("boto3", "botocore", "smart_open"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C


@cli.command()
@click.option(
    "--unlogged/--logged",
    default=None,
    show_default="logged, or as they are",
    help="Write the tables of raw without a log: faster, but after a crash of the server Postgres "
    "empties them and the files have to be loaded again; what dbt has built stays.",
)
@click.option(
    "--distributed",
    is_flag=True,
    show_default="as they are",
    help="Distribute the responses over the workers of a Citus cluster, see docs/scale.md. Other "
    "tables stay on its coordinator.",
)
def init(unlogged: bool | None, distributed: bool) -> None:
    """Create the schema raw and its tables; repeatable."""
    with connect(as_owner_of="raw") as connection:
        schema.create_schema(connection, unlogged, distributed)


def _known_labeller(_: click.Context, __: click.Parameter, name: str) -> str:
    known = labellers.labellers()
    if name not in known:
        listed = f"the var labellers of {labellers.LIST} has {', '.join(known)}"
        raise click.BadParameter(f"{name} is not known: {listed}.")
    return name


@cli.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option(
    "--labeller",
    default=DEFAULTS.labeller,
    callback=_known_labeller,
    metavar="NAME",
    help="Whose responses these are, by a name of the var labellers in dbt_project.yml.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=DEFAULTS.workers,
    show_default=f"half of this machine's cores, here {DEFAULTS.workers}",
    help="Connections that COPY at the same time; a core of the server each is best.",
)
@click.option(
    "--max-rejects",
    type=RejectLimit.parse,
    default=str(DEFAULTS.max_rejects),
    metavar="COUNT|PERCENT%",
    help="Stop when more lines of a file are rejected: it is plainly the wrong file. A percentage "
    "counts from 100 rejects on, and at the end of a file.",
)
@click.option(
    "--give-up-after",
    type=click.IntRange(min=1),
    default=DEFAULTS.give_up_after_seconds,
    metavar="SECONDS",
    help="How long to try again when the connection is lost.",
)
@click.option("--quiet", is_flag=True, help="No progress, only the account.")
def load(
    files: tuple[str, ...],
    labeller: str,
    workers: int,
    max_rejects: RejectLimit,
    give_up_after: int,
    quiet: bool,
) -> None:
    """Load label files; what is loaded is skipped.

    FILE is a path or s3:// address, a glob of these in quotes, or - for standard input. Those that
    end in .gz, .bz2 or .zst are decompressed.
    """
    with connect() as connection:  # a wrong address is said at once, not tried again
        schema.require_schema(connection)
    load_files(find_files(files), Options(workers, max_rejects, give_up_after, quiet, labeller))


as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")

STATUS = (
    "{name}: {state} ({labeller}), {loaded_lines:,} loaded + {rejected_lines:,} rejected + "
    "{blank_lines:,} blank lines, {loaded_bytes:,} bytes in {seconds:,.0f} s "
    "({bytes_per_second:,.0f} a second); a second run {second_run}"
)
TOTALS = (
    "in all {files:,}, unfinished {unfinished:,}: {loaded_lines:,} loaded + "
    "{rejected_lines:,} rejected + {blank_lines:,} blank lines, {loaded_bytes:,} bytes"
)
REJECT = "{file}: byte {byte_offset}: {reason}: {beginning}"


@cli.command()
@as_json
def status(as_json: bool) -> None:
    """Show what has been loaded."""
    with connect() as connection:
        schema.require_schema(connection)
        files = ledger.file_statuses(connection)
    for file in files:
        as_line = json.dumps(file, default=datetime.isoformat)
        click.echo(as_line if as_json else printable(STATUS.format(**file)))
    if not as_json:
        click.echo(TOTALS.format(**_totals(files)) if files else "nothing has been loaded")


def _totals(files: list[dict[str, Any]]) -> dict[str, int]:
    counts = ("loaded_lines", "rejected_lines", "blank_lines", "loaded_bytes")
    totals = {name: sum(file[name] for file in files) for name in counts}
    unfinished = sum(file["state"] == "unfinished" for file in files)
    return totals | {"files": len(files), "unfinished": unfinished}


@cli.command("rejects")
@as_json
def list_rejects(as_json: bool) -> None:
    """List the lines that Postgres did not take."""
    with connect() as connection:
        schema.require_schema(connection)
        for line in rejects.list_rejects(connection):
            click.echo(json.dumps(line) if as_json else printable(REJECT.format(**line)))


@cli.command()
def retry_rejects() -> None:
    """Load the rejected lines that Postgres takes by now."""
    with connect() as connection:
        schema.require_schema(connection)
        loaded, left = rejects.retry_rejects(connection)
    log.info("%s lines loaded, %s still rejected", f"{loaded:,}", f"{left:,}")


@cli.command()
@click.argument("file")
def forget(file: str) -> None:
    """Take FILE, or what `status` calls so, back: its lines and the ledger's."""
    lines = _with_known_file(ledger.forget, file)
    words = "%s: %s lines taken back. The next `dbt run` takes back the tags made of them"
    log.info(words, file, f"{lines:,}")


@cli.command()
@click.argument("file")
def release(file: str) -> None:
    """Drop the documents of FILE, or what `status` calls so, and keep the labels made of them."""
    documents = _with_known_file(ledger.release, file)
    if documents:
        log.info("%s: %s documents dropped, their labels are kept", file, f"{documents:,}")
    else:
        log.info("%s: released, nothing more to do", file)


def _with_known_file(work: Callable[[psycopg.Connection, str, str | None], int], file: str) -> int:
    path = Path(file)
    if path.is_file():
        check_readable(path)
    known_by = fingerprint(path) if path.is_file() else None
    with connect() as connection:
        schema.require_schema(connection)
        return work(connection, file, known_by)
