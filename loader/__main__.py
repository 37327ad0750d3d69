"""The loader's commands: `python -m loader --help`."""

import argparse
import dataclasses
import json
import logging
import os
import shlex
import signal
import sys
from functools import partial
from pathlib import Path

from loader.connect import connect, connection_environment, has_own_server
from loader.errors import UserError, exit_status
from loader.files import find_files, fingerprint
from loader.ledger import FileStatus, file_statuses, forget
from loader.load import DEFAULTS, Options, RejectLimit, load_files
from loader.rejects import list_rejects, retry_rejects
from loader.schema import create_schema, require_schema
from trial.catalog import load_catalog
from trial.server import Server, find_binaries

log = logging.getLogger("loader")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0 if all went well, 1 if not. Wrong usage exits with 2."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    for chatty in ("boto3", "botocore", "smart_open"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Of a lost connection the workers say it all; psycopg would add that it cannot roll back.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    options = _parser().parse_args(arguments)
    try:
        return exit_status(partial(options.run, options))
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does; nothing more can be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loader",
        description="Brings label files, whole and unaltered, into Postgres.",
        epilog="It uses the server that PGHOST, PGHOSTADDR or PGSERVICE names, else the embedded "
        "one. Exit status: 0 all is loaded, rejects included in the count; 1 something could not "
        "be loaded; 2 wrong usage.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    init = commands.add_parser("init", help="create the schema raw and its tables; repeatable")
    logging_mode = init.add_mutually_exclusive_group()
    logging_mode.add_argument(
        "--unlogged",
        action="store_true",
        default=None,
        help="write the tables of raw without a log: faster, but after a crash of the server "
        "Postgres empties them and the files have to be loaded again; what dbt has built stays "
        "(default: logged, or as they are)",
    )
    logging_mode.add_argument(
        "--logged",
        action="store_false",
        dest="unlogged",
        default=None,
        help="write them with a log, so that they outlive a crash",
    )
    init.set_defaults(run=_init)

    load = commands.add_parser("load", help="load label files; what is loaded is skipped")
    load.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="a path or s3:// address, a glob of these in quotes, or - for standard input; "
        "those ending in .gz, .bz2 or .zst are decompressed",
    )
    load.add_argument(
        "--workers",
        type=_positive,
        default=DEFAULTS.workers,
        help="connections that COPY at the same time (default: half of this machine's cores, here "
        "%(default)s, since those of the server are not known; there a core each is best)",
    )
    load.add_argument(
        "--max-rejects",
        type=_reject_limit,
        default=DEFAULTS.max_rejects,
        metavar="COUNT|PERCENT%",
        help="stop when more lines of a file are rejected: it is plainly the wrong file; a "
        "percentage counts from 100 rejects on, and at the end of a file (default: 1%%)",
    )
    load.add_argument(
        "--max-line-mb",
        type=_line_limit,
        default=DEFAULTS.max_line_bytes >> 20,
        help="reject longer lines, without holding them in memory (default: %(default)s)",
    )
    load.add_argument(
        "--give-up-after",
        type=_positive,
        default=DEFAULTS.give_up_after_seconds,
        metavar="SECONDS",
        help="how long to try again when the connection is lost (default: %(default)s)",
    )
    load.add_argument("--quiet", action="store_true", help="no progress, only the account")
    load.set_defaults(run=_load)

    catalog = commands.add_parser(
        "load-catalog", help="make catalog.image hold a CSV or TSV file, to try the project out"
    )
    catalog.add_argument("file", metavar="FILE", help=".csv or .tsv with a header, or these .gz")
    catalog.set_defaults(run=_load_catalog)

    status = commands.add_parser("status", help="show what has been loaded")
    status.add_argument("--json", action="store_true", help="one JSON object a line")
    status.set_defaults(run=_status)

    rejects = commands.add_parser("rejects", help="list the lines that Postgres did not take")
    rejects.add_argument("--json", action="store_true", help="one JSON object a line")
    rejects.set_defaults(run=_rejects)

    retry = commands.add_parser(
        "retry-rejects", help="load the rejected lines that Postgres takes by now"
    )
    retry.set_defaults(run=_retry_rejects)

    forgetting = commands.add_parser("forget", help="take a file back: its lines and the ledger's")
    forgetting.add_argument("file", metavar="FILE", help="the file, or its name in `status`")
    forgetting.set_defaults(run=_forget)

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


def _reject_limit(text: str) -> RejectLimit:
    try:
        return RejectLimit.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _line_limit(text: str) -> int:
    # Postgres holds no value over 1 GB, the line in its rejected form included.
    if (limit := _positive(text)) > 500:
        raise argparse.ArgumentTypeError(f"{text} is more than Postgres can hold; at most 500")
    return limit


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 up")
    return int(text)


def _init(options: argparse.Namespace) -> None:
    with connect() as connection:
        create_schema(connection, options.unlogged)


def _load(options: argparse.Namespace) -> None:
    with connect() as connection:
        require_schema(connection)
    load_files(
        find_files(options.files),
        Options(
            workers=options.workers,
            max_line_bytes=options.max_line_mb << 20,
            max_rejects=options.max_rejects,
            give_up_after_seconds=options.give_up_after,
            is_quiet=options.quiet,
        ),
    )


def _load_catalog(options: argparse.Namespace) -> None:
    with connect() as connection:
        rows = load_catalog(connection, Path(options.file))
    if rows is None:
        log.info("%s: catalog.image holds it already, nothing to do", options.file)
    else:
        log.info("%s: %s rows into catalog.image", options.file, rows)


def _status(options: argparse.Namespace) -> None:
    with connect() as connection:
        require_schema(connection)
        statuses = file_statuses(connection)
    for status in statuses:
        if options.json:
            print(json.dumps(dataclasses.asdict(status), default=str))
        else:
            print(_status_line(status))
    if not statuses and not options.json:
        print("nothing has been loaded")


def _status_line(status: FileStatus) -> str:
    lines = f"{status.loaded_lines:,} loaded + {status.rejected_lines:,} rejected"
    return (
        f"{status.name}: {status.state}, {lines} + {status.blank_lines:,} blank lines, "
        f"{status.loaded_bytes:,} bytes in {status.seconds:,.0f} s "
        f"({status.bytes_per_second / 1e6:,.1f} MB/s); a second run {status.second_run}"
    )


def _rejects(options: argparse.Namespace) -> None:
    with connect() as connection:
        require_schema(connection)
        for line in list_rejects(connection):
            if options.json:
                print(json.dumps(dataclasses.asdict(line)))
            else:
                where = f"{line.file}: byte {line.byte_offset}"
                print(_printable(f"{where}: {line.reason.rstrip('.')}: {line.beginning}"))


def _printable(text: str) -> str:
    # What a broken line holds must not steer the terminal.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _retry_rejects(_: argparse.Namespace) -> None:
    with connect() as connection:
        require_schema(connection)
        loaded, left = retry_rejects(connection)
    log.info("%s lines loaded, %s still rejected", f"{loaded:,}", f"{left:,}")


def _forget(options: argparse.Namespace) -> None:
    path = Path(options.file)
    known_by = fingerprint(path) if path.is_file() else None
    with connect() as connection:
        require_schema(connection)
        lines = forget(connection, options.file, known_by)
    log.info(
        "%s: %s lines taken back. The tags made of them stay until `dbt run --full-refresh`",
        options.file,
        f"{lines:,}",
    )


def _psql(_: argparse.Namespace) -> None:
    program = find_binaries() / "psql"
    os.execve(program, [program], os.environ | connection_environment())  # noqa: S606 - no shell


def _server(options: argparse.Namespace) -> None:
    if options.action == "env":
        for name, value in connection_environment().items():
            print(f"export {name}={shlex.quote(value)}")
        return
    if has_own_server():
        raise UserError("PGHOST or PGSERVICE is set: that server is used, and left alone")
    server = Server.of_project()
    {"start": server.start, "stop": server.stop, "remove": server.remove}[options.action]()


if __name__ == "__main__":
    sys.exit(main())
