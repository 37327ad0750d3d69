"""The label policy's commands: `python -m policy --help`."""

import argparse
import sys

from policy.check import check
from policy.files import COLUMNS, FOLDER


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0 if all is well, 1 if not. Wrong usage exits with 2."""
    parser = argparse.ArgumentParser(prog="python -m policy", description="The label policy.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("check", help="check the CSV files, without a database")
    command.set_defaults(run=_check)
    return int(parser.parse_args(arguments).run())


def _check() -> int:
    problems = check()
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(f"{len(problems)} to mend in {FOLDER}", file=sys.stderr)
        return 1
    print(f"{len(COLUMNS)} files of the label policy are in order")
    return 0


if __name__ == "__main__":
    sys.exit(main())
