"""The loader's commands: `python -m loader --help`."""

import argparse
import logging
import os
import shlex
import sys
from pathlib import Path

import psycopg

from loader.catalog import load_catalog
from loader.connect import connect, connection_environment, has_own_server
from loader.errors import LoaderError
from loader.files import find_files
from loader.load import DEFAULT_WORKERS, load_files
from loader.schema import create_schema, require_schema
from loader.server import Server, find_binaries

log = logging.getLogger("loader")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0 if all went well, 1 if not. Wrong usage exits with 2."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except LoaderError as error:
        log.error("error: %s", error)
        return 1
    except psycopg.Error as error:
        log.error("error: the database says: %s", " ".join(str(error).split()))
        return 1
    except KeyboardInterrupt:
        log.error("interrupted; run the same command again to go on")
        return 1
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does; nothing more can be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loader",
        description="Brings label files, whole and unaltered, into Postgres.",
        epilog="It uses the server that PGHOST or PGSERVICE names, else the embedded one.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    init = commands.add_parser("init", help="create the schema raw and its tables; repeatable")
    init.set_defaults(run=_init)

    load = commands.add_parser("load", help="load label files; what is loaded is skipped")
    load.add_argument("files", nargs="+", metavar="FILE", help="a path, or a glob in quotes")
    load.add_argument(
        "--workers",
        type=_positive,
        default=DEFAULT_WORKERS,
        help="connections that COPY at the same time (default: half of this machine's cores, "
        "%(default)s; more helps where the server has more)",
    )
    load.set_defaults(run=_load)

    catalog = commands.add_parser(
        "load-catalog", help="make catalog.image hold a CSV or TSV file, to try the project out"
    )
    catalog.add_argument("file", metavar="FILE", help=".csv or .tsv with a header, or these .gz")
    catalog.set_defaults(run=_load_catalog)

    status = commands.add_parser("status", help="show what has been loaded")
    status.set_defaults(run=_status)

    rejects = commands.add_parser("rejects", help="list the lines that Postgres did not take")
    rejects.set_defaults(run=_rejects)

    psql = commands.add_parser("psql", help="open the database in psql")
    psql.set_defaults(run=_psql)

    server = commands.add_parser("server", help="the embedded Postgres, for trials")
    server.add_argument(
        "action",
        choices=("start", "stop", "env", "remove"),
        help="env prints `export PGHOST=…` lines for eval; remove stops it and deletes its data",
    )
    server.set_defaults(run=_server)
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 up")
    return int(text)


def _init(_: argparse.Namespace) -> None:
    with connect() as connection:
        create_schema(connection)


def _load(options: argparse.Namespace) -> None:
    paths = find_files(options.files)
    with connect() as connection:
        require_schema(connection)
    load_files(paths, options.workers)


def _load_catalog(options: argparse.Namespace) -> None:
    with connect() as connection:
        rows = load_catalog(connection, Path(options.file))
    if rows is None:
        log.info("%s: catalog.image holds it already, nothing to do", options.file)
    else:
        log.info("%s: %s rows into catalog.image", options.file, rows)


def _status(_: argparse.Namespace) -> None:
    with connect() as connection:
        require_schema(connection)
        rows = connection.execute(
            """
            select
                file.name,
                case when file.finished_at is null then 'unfinished' else 'loaded' end,
                coalesce(sum(chunk.end_byte - chunk.first_byte), 0),
                file.bytes,
                coalesce(sum(chunk.loaded_lines), 0),
                coalesce(sum(chunk.rejected_lines), 0)
            from raw.loaded_files as file
            left join raw.loaded_chunks as chunk using (file_id)
            group by file.file_id
            order by file.file_id
            """
        ).fetchall()
    for name, state, done, size, loaded, rejected in rows:
        print(f"{name}: {state}, {done} of {size} bytes, {loaded} loaded, {rejected} rejected")
    if not rows:
        print("nothing has been loaded")


def _rejects(_: argparse.Namespace) -> None:
    with connect() as connection:
        require_schema(connection)
        for name, offset, reason in connection.execute(
            """
            select file.name, line.byte_offset, line.reason
            from raw.rejected_lines as line
            inner join raw.loaded_files as file using (file_id)
            order by line.file_id, line.byte_offset
            """
        ):
            print(f"{name}: byte {offset}: {reason}")


def _psql(_: argparse.Namespace) -> None:
    program = find_binaries() / "psql"
    os.execve(program, [program], os.environ | connection_environment())  # noqa: S606 - no shell


def _server(options: argparse.Namespace) -> None:
    if options.action == "env":
        for name, value in connection_environment().items():
            print(f"export {name}={shlex.quote(value)}")
        return
    if has_own_server():
        raise LoaderError("PGHOST or PGSERVICE is set: that server is used, and left alone")
    server = Server.of_project()
    {"start": server.start, "stop": server.stop, "remove": server.remove}[options.action]()


if __name__ == "__main__":
    sys.exit(main())
