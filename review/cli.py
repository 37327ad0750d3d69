"""The commands for the people of the policy: `python -m review --help`."""

import csv
import io
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import click
import psycopg

from loader.errors import Commands, UserError
from loader.printable import printable
from review.check import (
    FLAGGED_CATEGORIES,
    WITHHELD_CATEGORIES,
    check,
    check_evidence,
    is_accuracy,
)
from review.decisions import in_words, read_decisions
from review.draw_sample import most_shown_labels, write_sample
from review.edit import Decision, Edit
from review.explain import explain
from review.files import COLUMNS, FOLDER, SEEDS, WHITE_SPACE, is_one_line
from review.live import connect_to, spellings
from review.page import write_page
from review.preview import MOST, as_list, as_table, preview_edit
from review.signatures import each_once, names, this_person, today

POLICY = ("labels", "dbt build")
PREVIEW = ("int_policy_change", "dbt build")
NEXT = ["See what it would change: python -m review preview", "Make it live: dbt seed"]
NO_CHANGE = "Nothing to change: the files say so already."
EVIDENCE = ("label_gallery", "dbt build --selector evidence")
EXAMPLES = ("label_examples", "dbt build --selector evidence")


@click.group(
    cls=Commands,
    epilog="Labels are found in any letter case; put those with spaces in quotes. What a command "
    "cannot do for all labels it does for none. Exit status: 0 done, or there was nothing to do; "
    "1 refused; 2 wrong usage.",
)
def cli() -> None:
    """Check, change and explain the label policy, and look at labels."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A label may have letters that the terminal's encoding has not.
        sys.stdout.reconfigure(errors="backslashreplace")


def _text(text: str) -> str:
    text = text.strip(WHITE_SPACE)
    if not is_one_line(text):
        raise click.BadParameter(f"{text!r} is not one line of text")
    return text


def _filled(text: str) -> str:
    if not text.strip():
        raise click.BadParameter("is empty")
    return _text(text)


def _listed(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[str]:
    """Return the labels of texts in each of which several may stand, with commas between."""
    try:
        rows = [next(csv.reader([text], skipinitialspace=True, strict=True)) for text in texts]
    except csv.Error as error:
        raise click.BadParameter(f"is no list of labels: {error}") from None
    return [_filled(label) for row in rows for label in row or [""]]


def _accuracy(text: str) -> str:
    if not is_accuracy(text.strip()):
        raise click.BadParameter(f"{text!r} is no number from 0 to 1")
    return text.strip()


def _width(text: str) -> Decimal:
    if not is_accuracy(text) or not text or Decimal(text) == 0:
        raise click.BadParameter(f"{text!r} is no number above 0, up to 1")
    return Decimal(text)


def _reviewers(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[str]:
    """Return the names of texts in each of which several may stand, with `;` between."""
    found = each_once(name for text in texts or [this_person()] for name in names(text))
    if not found:
        raise click.BadParameter("names nobody")
    return found


labels_to_edit = click.argument("labels", nargs=-1, required=True, type=_filled, metavar="LABEL...")
labels_to_show = click.argument("labels", nargs=-1, callback=_listed, metavar="[LABEL]...")
may_be_new = click.option("--new", is_flag=True, help="Also labels nobody has reviewed before.")
reason_option = click.option("--reason", required=True, type=_filled, metavar="TEXT", help="Why.")
reviewers_option = click.option(
    "--reviewed-by",
    "reviewers",
    multiple=True,
    type=_filled,
    callback=_reviewers,
    metavar="NAME",
    help="Who decides; may be said several times.  [default: git's user.name, else the login name]",
)


@cli.command("check")
def check_() -> None:
    """Check the CSV files, without a database."""
    problems = check(FOLDER) + check_evidence()
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise UserError(f"{len(problems)} to mend in {SEEDS}")
    print(f"{len(COLUMNS)} files of the label policy are in order")


@cli.command()
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "markdown"]),
    default="text",
    show_default=True,
    help="Markdown is for a pull request.",
)
@click.option("all_labels", "--all", is_flag=True, help=f"List all labels, not just {MOST}.")
def preview(style: str, all_labels: bool) -> None:
    """Show what the files would change in the live policy."""
    print(_previewed(style, None if all_labels else MOST))


def _previewed(style: str = "text", most: int | None = MOST) -> str:
    problems = check(FOLDER)
    with connect_to(*PREVIEW) as connection:
        try:
            found = preview_edit(connection, FOLDER)
        except psycopg.DataError as error:
            # As of a minimum accuracy that is no number: the check says it better.
            raise (UserError(*problems) if problems else error) from None
    lines = [as_table(found.effects, style, most)]
    if problems:
        lines += ["\n`python -m review check` refuses this edit:", as_list(problems, style)]
    if found.stopped_for:
        lines += ["\ndbt would not put this edit in force:", as_list(found.stopped_for, style)]
        lines += ["\nIf it is meant: `dbt seed --vars 'largest_policy_change: 1'`"]
    return "\n".join(lines)


@cli.command("explain")
@click.argument("identifier", type=click.UUID)
def explain_(identifier: UUID) -> None:
    """Say why each tag of an image is or is not shown.

    IDENTIFIER is the image's UUID in the catalog.
    """
    with connect_to(*POLICY) as connection:
        print(*explain(connection, identifier, FOLDER), sep="\n")


@cli.command()
@labels_to_edit
@click.option(
    "--minimum-accuracy",
    type=_accuracy,
    metavar="X",
    help="Show the label from this accuracy on, 0 to 1; '' for the provider's.  "
    "[default: as it is, at first the provider's]",
)
@click.option(
    "--note", type=_text, metavar="TEXT", help="Why; '' for no note.  [default: as it is]"
)
@click.option(
    "--no-longer-withheld",
    is_flag=True,
    help="Include even what sensitive_labels.csv withholds, and take it out of there.",
)
@may_be_new
@reviewers_option
def include(
    labels: tuple[str, ...],
    minimum_accuracy: str | None,
    note: str | None,
    no_longer_withheld: bool,
    new: bool,
    reviewers: list[str],
) -> None:
    """Have labels shown.

    A label that is flagged stays so.
    """
    edit = Edit(FOLDER, may_add=new, no_longer_withheld=no_longer_withheld)
    said = Decision("", "include", reviewers, today(), minimum_accuracy, reason=note)
    _decide(edit, labels, said)


@cli.command()
@labels_to_edit
@click.option("--note", required=True, type=_filled, metavar="TEXT", help="Why.")
@may_be_new
@reviewers_option
def exclude(labels: tuple[str, ...], note: str, new: bool, reviewers: list[str]) -> None:
    """Have labels, and their aliases, not shown."""
    said = Decision("", "exclude", reviewers, today(), reason=note)
    _decide(Edit(FOLDER, may_add=new), labels, said)


@cli.command()
@labels_to_edit
@click.option("--category", required=True, type=click.Choice(WITHHELD_CATEGORIES))
@reason_option
@may_be_new
@reviewers_option
def withhold(
    labels: tuple[str, ...], category: str, reason: str, new: bool, reviewers: list[str]
) -> None:
    """Exclude labels that say something about people."""
    said = Decision("", "withhold", reviewers, today(), category=category, reason=reason)
    _decide(Edit(FOLDER, may_add=new), labels, said)


@cli.command()
@labels_to_edit
@click.option("--category", required=True, type=click.Choice(FLAGGED_CATEGORIES))
@reason_option
@reviewers_option
def flag(labels: tuple[str, ...], category: str, reason: str, reviewers: list[str]) -> None:
    """Have images that show labels carry a category."""
    said = Decision("", "flag", reviewers, today(), category=category, reason=reason)
    _decide(Edit(FOLDER), labels, said)


def _decide(edit: Edit, labels: tuple[str, ...], said: Decision) -> None:
    edit.decide([replace(said, label=label) for label in labels])
    changes = edit.save()
    print(*changes, *edit.remarks, *(NEXT if changes else [NO_CHANGE]), sep="\n")


@cli.command("apply")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
def apply_(files: tuple[Path, ...]) -> None:
    """Put the decisions of reviewers into the policy's files.

    Each FILE is a decisions.csv, as a reviewer exports it from the page that `page` writes. Where
    reviewers decide the same on a label, all of them sign it. A label they disagree on stays as
    it is, and is named at the end. One line that is wrong, and nothing is changed.
    """
    decided = read_decisions(files)
    try:
        if decided.agreed:
            left = [group[0].key for group in decided.disputed]
            edit = Edit(FOLDER, may_add=True, left=left)
            edit.decide(decided.agreed)
            changes = edit.save()
            effects = _effects() if changes else [NO_CHANGE]
            print(*changes, *edit.remarks, *effects, sep="\n")
        elif not decided.disputed:
            print("Nothing to apply: no line decides on a label.")
    finally:
        # After a refusal too, as labels that are left may be what the others need.
        if decided.disputed:
            print(in_words(decided.disputed))


def _effects() -> list[str]:
    """Return the preview of what has been written, or how to have one, and what is next."""
    try:
        return ["", _previewed(), "", NEXT[1]]
    except (UserError, psycopg.Error):
        # The decisions are in the files, whatever the database is like; `preview` says what is.
        return NEXT


@cli.command()
@labels_to_show
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("label-review"),
    show_default=True,
    help="The folder to write.",
)
def page(labels: list[str], output: Path) -> None:
    """Write the page on which labels are reviewed.

    It opens from the folder or from any web server, and exports decisions.csv. By default it has
    all labels. Several may stand in one LABEL, with commas between.
    """
    with connect_to(*EXAMPLES) as connection:
        click.echo("Reading what is known of the labels", err=True)
        path, facts = write_page(connection, output, labels)
    counted = f"{len(facts['labels']):,} labels with {len(facts['images']):,} images"
    print(f"{printable(path)}: {counted}")


@cli.command()
@labels_to_show
@click.option(
    "--most",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="So many labels, where none is named.",
)
@click.option(
    "--each",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="So many tags of each label and bin of accuracy.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same draws the same.")
@click.option(
    "--width",
    type=_width,
    default="0.05",
    show_default=True,
    metavar="X",
    help="Of a bin, above 0 and up to 1.",
)
@click.option(
    "--with-urls",
    is_flag=True,
    help="A further column with the images' addresses, to be taken out of the seed.",
)
def draw_sample(
    labels: list[str], most: int, each: int, seed: int, width: Decimal, with_urls: bool
) -> None:
    """Draw machine tags for people to judge, as CSV.

    As many from each label and each bin of accuracy, in the columns of
    seeds/evidence/label_judgements.csv, with the weight by which each counts. By default of the
    labels that are shown on most images.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    with connect_to(*EVIDENCE) as connection:
        named = spellings(connection, labels)
        drawn = write_sample(
            connection,
            sys.stdout,
            most_shown_labels(connection, most) if named is None else named,
            each=each,
            seed=seed,
            width=width,
            with_urls=with_urls,
        )
    if drawn == 0:
        raise UserError("no machine says such a label of an image in the catalog")
