"""The label policy's commands: `python -m review --help`."""

import argparse
import io
import logging
import sys
import unicodedata
from pathlib import Path
from uuid import UUID

from loader.errors import UserError, exit_status
from review.check import FLAGGED_CATEGORIES, WITHHELD_CATEGORIES, check, is_accuracy
from review.edit import Edit, RefusedError
from review.explain import explain
from review.files import COLUMNS, FOLDER, WHITE_SPACE, MalformedFileError
from review.live import open_live
from review.preview import as_table, effects


def main(arguments: list[str] | None = None, folder: Path = FOLDER) -> int:
    """Run one command; return 0 if all is well, 1 if not. Wrong usage exits with 2."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A label may have letters that the terminal's encoding has not.
        sys.stdout.reconfigure(errors="backslashreplace")
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options, folder))
    except RefusedError as error:
        print(*error.reasons, "Nothing was changed.", sep="\n", file=sys.stderr)
    except OSError as error:
        print(f"{error}\nNothing was changed.", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m review",
        description="The label policy: checking, changing and explaining its CSV files.",
        epilog="Labels are found in any letter case; put those with spaces in quotes. What a "
        "command cannot do for all labels it does for none. Exit status: 0 done, or there was "
        "nothing to do; 1 refused; 2 wrong usage.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("check", help="check the CSV files, without a database")
    command.set_defaults(run=_check)

    command = commands.add_parser(
        "preview", help="what the files would change, compared with the policy that is live"
    )
    command.add_argument(
        "--format",
        choices=("text", "markdown"),
        default="text",
        help="markdown for a pull request (default: %(default)s)",
    )
    command.set_defaults(run=_preview)

    command = commands.add_parser("explain", help="why each tag of an image is or is not shown")
    command.add_argument("identifier", type=UUID, help="the image's UUID in the catalog")
    command.set_defaults(run=_explain)

    command = _add_edit(commands, "include", "have labels shown")
    command.add_argument(
        "--minimum-accuracy",
        type=_accuracy,
        metavar="X",
        help="show the label from this accuracy on, 0 to 1; '' for the provider's (default: as it "
        "is, at first the provider's)",
    )
    command.add_argument("--note", type=_text, metavar="TEXT", help="why; '' for no note")
    command.add_argument(
        "--no-longer-withheld",
        action="store_true",
        help="include even what sensitive_labels.csv withholds, and take it out of there",
    )
    _add_new(command)
    command.set_defaults(run=_include)

    command = _add_edit(commands, "exclude", "have labels, and their aliases, not shown")
    command.add_argument("--note", type=_reason, required=True, metavar="TEXT", help="why")
    _add_new(command)
    command.set_defaults(run=_exclude)

    command = _add_edit(commands, "withhold", "exclude labels that say something about people")
    _add_sensitive(command, WITHHELD_CATEGORIES)
    _add_new(command)
    command.set_defaults(run=_withhold)

    command = _add_edit(commands, "flag", "have images that show labels carry a category")
    _add_sensitive(command, FLAGGED_CATEGORIES)
    command.set_defaults(run=_flag)
    return parser


def _add_edit(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, purpose: str
) -> argparse.ArgumentParser:
    description = f"{purpose.capitalize()}."
    # --no-longer-withheld is to be meant, so it has to be spelled out.
    command = commands.add_parser(name, help=purpose, description=description, allow_abbrev=False)
    command.add_argument("labels", nargs="+", type=_reason, metavar="LABEL")
    return command


def _add_new(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--new", action="store_true", help="also labels that nobody has reviewed before"
    )


def _add_sensitive(command: argparse.ArgumentParser, categories: tuple[str, ...]) -> None:
    command.add_argument(
        "--category",
        choices=categories,
        required=True,
        metavar="CATEGORY",
        help=f"one of {', '.join(categories)}",
    )
    command.add_argument("--reason", type=_reason, required=True, metavar="TEXT", help="why")


def _text(text: str) -> str:
    text = text.strip(WHITE_SPACE)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise argparse.ArgumentTypeError(f"{text!r} is not one line of text")
    return text


def _reason(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty")
    return _text(text)


def _accuracy(text: str) -> str:
    if not is_accuracy(text.strip()):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return text.strip()


def _check(_options: argparse.Namespace, folder: Path) -> int:
    problems = check(folder)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(f"{len(problems)} to mend in {folder}", file=sys.stderr)
        return 1
    print(f"{len(COLUMNS)} files of the label policy are in order")
    return 0


def _preview(options: argparse.Namespace, folder: Path) -> int:
    def show() -> None:
        problems = check(folder)
        try:
            with open_live() as connection:
                found = effects(connection, folder)
        except MalformedFileError as error:
            raise UserError(f"{error.problem}; mend that first") from None
        print(as_table(found, options.format))
        if problems:
            print("\nThe tests would refuse this edit:")
            print(*problems, sep="\n")

    return exit_status(show)


def _explain(options: argparse.Namespace, folder: Path) -> int:
    def show() -> None:
        with open_live() as connection:
            print(*explain(connection, options.identifier, folder), sep="\n")

    return exit_status(show)


def _include(options: argparse.Namespace, folder: Path) -> int:
    edit = Edit(folder, may_add=options.new)
    edit.include(
        options.labels,
        minimum_accuracy=options.minimum_accuracy,
        note=options.note,
        no_longer_withheld=options.no_longer_withheld,
    )
    return _save(edit)


def _exclude(options: argparse.Namespace, folder: Path) -> int:
    edit = Edit(folder, may_add=options.new)
    edit.exclude(options.labels, note=options.note)
    return _save(edit)


def _withhold(options: argparse.Namespace, folder: Path) -> int:
    edit = Edit(folder, may_add=options.new)
    edit.withhold(options.labels, category=options.category, reason=options.reason)
    return _save(edit)


def _flag(options: argparse.Namespace, folder: Path) -> int:
    edit = Edit(folder)
    edit.flag(options.labels, category=options.category, reason=options.reason)
    return _save(edit)


def _save(edit: Edit) -> int:
    changes = edit.save()
    if not changes:
        print("Nothing to change: the files say so already.")
        return 0
    print(*changes, *edit.remarks, sep="\n")
    print("See what it would change: python -m review preview\nMake it live: dbt seed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
