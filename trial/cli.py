"""The commands of a machine that has nothing: `python -m trial --help`."""

import logging
import os
import shlex
from pathlib import Path

import click

from loader.connect import PROJECT, connect, has_own_server
from loader.errors import Commands, UserError
from loader.printable import log_to_terminal
from trial import run as make_run
from trial.catalog import load_catalog
from trial.environment import connection_environment
from trial.sample import FOLDER, write_sample
from trial.server import Server, find_binaries

log = logging.getLogger(__name__)


@click.group(cls=Commands)
def main() -> None:
    """What a machine without Postgres or data needs, to try the project out.

    The server is the one that PGHOST, PGHOSTADDR or PGSERVICE names, else the embedded one. Exit
    status: 0 done, or nothing to do; 1 refused or failed; 2 wrong usage.
    """
    log_to_terminal()


@main.command()
@click.option("--labels", default="", help="Label files and globs, in one string.")
@click.option("--catalog", metavar="FILE", default="", help="A catalog file, as for load-catalog.")
def run(labels: str, catalog: str) -> None:
    """Load, build and sum up what is where.

    Where no files are named: what the database holds, else the sample.
    """
    make_run.run(labels, catalog)


@main.command()
@click.argument("action", type=click.Choice(["start", "stop", "env", "remove"]))
def server(action: str) -> None:
    """Start or stop the embedded Postgres, for trials.

    env prints `export PGHOST=…` lines for eval; remove stops it and deletes its data.
    """
    if action == "env":
        where = connection_environment()
        if where["PGHOST"].startswith("/proc/self/"):
            raise UserError(
                f"the path of {PROJECT} is too long for a socket's, so that other programs cannot "
                "connect; `make psql` can, or move the project"
            )
        for name, value in where.items():
            click.echo(f"export {name}={shlex.quote(value)}")
        return
    if action == "start" and has_own_server():
        raise UserError("PGHOST, PGHOSTADDR or PGSERVICE is set: that server is used instead")
    embedded = Server.of_project()
    if action == "start":
        said = "started" if embedded.start() else "runs already"
    elif action == "stop":
        said = "stopped" if embedded.stop() else "was not running"
    else:
        said = "removed, with its data" if embedded.remove() else "was not there"
    log.info("the embedded Postgres in %s: %s", embedded.home, said)


@main.command()
def psql() -> None:
    """Open the database in psql."""
    program = find_binaries() / "psql"
    os.execve(program, [program], os.environ | connection_environment())  # noqa: S606 - no shell


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), default=FOLDER)
def sample(folder: Path) -> None:
    """Write a sample catalog and its labels.

    FOLDER is ./sample by default. A file that is there already stays as it is. The paths of both
    files are printed.
    """
    for path in write_sample(folder):
        click.echo(path)


@main.command("load-catalog")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--may-shrink", is_flag=True, help="Also if less than half of the images are left.")
def load_catalog_(file: Path, may_shrink: bool) -> None:
    """Make catalog.image hold a catalog file.

    FILE is a .csv or .tsv with a header, or one of these with .gz.
    """
    with connect() as connection:
        rows = load_catalog(connection, file, may_shrink=may_shrink)
    if rows is None:
        log.info("%s: catalog.image holds it already, nothing to do", file)
    else:
        log.info("%s: %s rows into catalog.image", file, f"{rows:,}")
