"""What must hold in the label policy's files, each rule with the words for who breaks it."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path

from loader.errors import UserError
from loader.printable import printable
from review.files import (
    COLUMNS,
    FOLDER,
    SEEDS,
    WHITE_SPACE,
    Line,
    is_empty,
    label_key,
    read,
    text_of,
)

WITHHELD_CATEGORIES = (
    "age",
    "gender",
    "sexual_orientation",
    "nationality",
    "race",
    "marital_status",
    "religion",
    "health",
    "appearance",
    "emotion",
    "occupation",
    "political_affiliation",
)
FLAGGED_CATEGORIES = ("weapons", "adult", "drugs", "injury")
MAY_BE_EMPTY = ("minimum_accuracy", "note")
# The others are empty in a catalog that has nothing to correct or to deny.
NEEDS_LINES = ("included_labels", "reviewed_labels", "sensitive_labels", "tag_providers")

Files = dict[str, list[Line]]
# A line, and what is wrong with it.
Problem = tuple[Line, str]


def check(folder: Path = FOLDER) -> list[str]:
    """Return what is wrong with the files of a folder, and where; nothing if all is well."""
    files: Files = {}
    malformed = []
    for name in COLUMNS:
        try:
            files[name] = read(name, folder)
        except UserError as error:
            malformed.append(error.message)
    malformed += [
        f"{name}.csv:1: has no lines below the header; take them back from git"
        for name in NEEDS_LINES
        if files.get(name) == []
    ]
    return malformed or [
        printable(f"{line.place}: “{line.name}” {problem}") for line, problem in problems(files)
    ]


def check_evidence(folder: Path = SEEDS / "evidence") -> list[str]:
    """Return which of the evidence's seeds dbt could not read, and why."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".csv")
    except OSError as error:
        return [printable(f"{folder} cannot be read ({error.strerror}); take it back from git")]
    problems = []
    for path in paths:
        try:
            text_of(path)
        except UserError as error:
            problems.append(error.message)
    return problems


def problems(files: Files) -> Iterator[Problem]:
    """Yield what is wrong with the lines of all files."""
    yield from policy_problems(files)
    for lines in files.values():
        yield from _check_order(lines)
    yield from _check_characters(files)


def policy_problems(files: Files) -> Iterator[Problem]:
    """Yield what keeps a policy from coming into force, as int_label_policy_problems does."""
    for lines in files.values():
        yield from _check_lines(lines)
    yield from _check_values(files)
    yield from _check_across(files)


def is_accuracy(text: str) -> bool:
    """Return whether a text can be a minimum accuracy; an empty one is the provider's."""
    try:
        # Decimal reads 0_9 and other scripts' digits as well, Postgres does not.
        plain = text.isascii() and "_" not in text
        return text == "" or (plain and 0 <= Decimal(text) <= 1)
    except InvalidOperation:
        return False


def is_day(text: str) -> bool:
    """Return whether a text is a day, as 2026-11-22."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def alias_of(note: str) -> str | None:
    """Return the label of which a reviewed label is an alias, as its note says."""
    alias = re.match(r"alias of ([^;]+)", note)
    return alias and alias[1].strip(WHITE_SPACE)


def _check_lines(lines: list[Line]) -> Iterator[Problem]:
    seen: dict[str, Line] = {}
    for line in lines:
        for column, value in line.values.items():
            if is_empty(value) and column not in MAY_BE_EMPTY:
                yield line, f"has no {column}"
            elif value != value.strip(WHITE_SPACE):
                yield line, f"has white space around its {column}; take it away"
        first = seen.setdefault(line.key, line)
        if first is not line:
            yield line, f"is there already, in line {first.number}; keep one"


def _check_order(lines: list[Line]) -> Iterator[Problem]:
    for before, line in pairwise(lines):
        if line.key < before.key:
            yield line, f"stands after “{before.name}”; sort the lines by name"


def _check_values(files: Files) -> Iterator[Problem]:
    for line in files["included_labels"] + files["tag_providers"]:
        if not is_accuracy(line["minimum_accuracy"]):
            yield line, "has a minimum_accuracy that is no number from 0 to 1"
    for line in files["tag_providers"]:
        if line["is_withheld"] not in ("true", "false"):
            yield line, "needs true or false as is_withheld"
    for line in files["reviewed_labels"]:
        if line["reviewed_on"] and not is_day(line["reviewed_on"]):
            yield line, "has a reviewed_on that is no day as 2026-11-22"
    for line in files["denied_tag_patterns"]:
        if line["match"] not in ("exact", "contains"):
            yield line, "needs exact or contains as match"
    categories = {"withhold": WITHHELD_CATEGORIES, "flag": FLAGGED_CATEGORIES}
    for line in files["sensitive_labels"]:
        allowed = categories.get(line["handling"])
        if allowed is None:
            yield line, "needs withhold or flag as handling"
        elif line["category"] not in allowed:
            one_of = ", ".join(allowed)
            yield line, f"has handling {line['handling']}; its category is one of {one_of}"


def _check_characters(files: Files) -> Iterator[Problem]:
    labels = files["reviewed_labels"] + files["included_labels"] + files["sensitive_labels"]
    for line in labels:
        # Most are printable, and need no look at each character.
        for character in sorted(set(line.name)) if not line.name.isprintable() else ():
            if unicodedata.category(character).startswith("C"):
                code = f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip()
                yield line, f"has a character that nobody sees, {code}; take it away"
    # A correction may be there for that very difference.
    corrected = {line.key for line in files["label_corrections"]}
    seen: dict[str, Line] = {}
    for line in labels:
        if line.key not in corrected:
            twin = seen.setdefault(_visible(line.name), line)
            if line.key != twin.key:
                differs = f"differs from “{twin.name}” only by white space or Unicode form"
                yield line, f"{differs}; keep one"


def _visible(name: str) -> str:
    """Return what a name has in common with all names that look the same but for letter case."""
    return label_key(" ".join(unicodedata.normalize("NFKC", name).split()))


def _check_across(files: Files) -> Iterator[Problem]:
    included = {line.key for line in files["included_labels"]}
    reviewed = {line.key for line in files["reviewed_labels"]}
    withheld = {line.key for line in files["sensitive_labels"] if line["handling"] == "withhold"}
    for line in files["included_labels"]:
        if line.key not in reviewed:
            yield line, "is included but not in reviewed_labels.csv; add it there"
        if line.key in withheld:
            yield line, "is included, and sensitive_labels.csv withholds it; keep one"
        for pattern in files["denied_tag_patterns"]:
            if denies(pattern, line.key):
                yield line, f"is included, but the pattern “{pattern.name}” denies it; keep one"
    for line in files["sensitive_labels"]:
        if line["handling"] == "flag" and line.key not in included:
            yield line, "is flagged but not included, so the flag does nothing"
    originals = {line.name for line in files["label_corrections"]}
    for line in files["label_corrections"]:
        corrected = line["corrected"]
        if label_key(corrected) not in included:
            to_do = "include that, or take the line out of label_corrections.csv"
            yield line, f"becomes “{corrected}”, which is not included; {to_do}"
        if corrected in originals:
            yield line, f"becomes “{corrected}”, which is corrected too; say the last spelling"
        if line.key not in reviewed:
            yield line, "is corrected but not in reviewed_labels.csv; add it there"
        if line.key != label_key(corrected) and line.key in included:
            yield (
                line,
                f"becomes “{corrected}” by label_corrections.csv, so only that can be included",
            )
    for line in files["reviewed_labels"]:
        alias = alias_of(line["note"])
        if alias is not None and line.key in included and label_key(alias) not in included:
            yield line, f"is an alias of “{alias}”, which is not included; include both or neither"


def denies(pattern: Line, key: str) -> bool:
    """Return whether no tag may have a name with such a key, as a denied pattern says."""
    return key == pattern.key or (pattern["match"] == "contains" and pattern.key in key)
