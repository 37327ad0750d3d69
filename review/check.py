"""What must hold in the label policy's files, each rule with the words for who breaks it."""

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path

from review.files import (
    COLUMNS,
    FOLDER,
    WHITE_SPACE,
    Line,
    MalformedFileError,
    Problem,
    label_key,
    read,
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
)
FLAGGED_CATEGORIES = ("weapons", "adult", "drugs", "injury")
MAY_BE_EMPTY = ("minimum_accuracy", "note")

Files = dict[str, list[Line]]


def check(folder: Path = FOLDER) -> list[Problem]:
    """Return what is wrong with the files of a folder; nothing if all is well."""
    files: Files = {}
    malformed = []
    for name in COLUMNS:
        try:
            files[name] = read(name, folder)
        except MalformedFileError as error:
            malformed.append(error.problem)
    return malformed or check_lines(files)


def check_lines(files: Files) -> list[Problem]:
    """Return what is wrong with the lines of all files; nothing if all is well."""
    problems = [problem for lines in files.values() for problem in _check_lines(lines)]
    problems += _check_values(files)
    problems += _check_characters(files)
    problems += _check_across(files)
    return problems


def alias_of(note: str) -> str | None:
    """Return the label of which a reviewed label is an alias, as its note says."""
    alias = re.match(r"alias of ([^;]+)", note)
    return alias and alias[1].strip(WHITE_SPACE)


def _problem(line: Line, text: str) -> Problem:
    return Problem(line.path, line.number, f"“{line.name}” {text}")


def _check_lines(lines: list[Line]) -> Iterator[Problem]:
    seen: dict[str, Line] = {}
    for line in lines:
        for column, value in line.values.items():
            if not value.strip(WHITE_SPACE) and column not in MAY_BE_EMPTY:
                yield _problem(line, f"has no {column}")
            elif value != value.strip(WHITE_SPACE):
                yield _problem(line, f"has white space around its {column}; take it away")
        if line.key in seen:
            yield _problem(line, f"is there already, in line {seen[line.key].number}; keep one")
        seen.setdefault(line.key, line)
    for before, line in pairwise(lines):
        if line.key < before.key:
            yield _problem(line, f"stands after “{before.name}”; sort the lines by name")


def _check_values(files: Files) -> Iterator[Problem]:
    for line in files["included_labels"] + files["tag_providers"]:
        if not is_accuracy(line["minimum_accuracy"]):
            yield _problem(line, "has a minimum_accuracy that is no number from 0 to 1")
    for line in files["tag_providers"]:
        if line["is_withheld"] not in ("true", "false"):
            yield _problem(line, "needs true or false as is_withheld")
    for line in files["denied_tag_patterns"]:
        if line["match"] not in ("exact", "contains"):
            yield _problem(line, "needs exact or contains as match")
    for line in files["sensitive_labels"]:
        categories = {"withhold": WITHHELD_CATEGORIES, "flag": FLAGGED_CATEGORIES}
        if line["handling"] not in categories:
            yield _problem(line, "needs withhold or flag as handling")
        elif line["category"] not in categories[line["handling"]]:
            allowed = ", ".join(categories[line["handling"]])
            yield _problem(
                line, f"has handling {line['handling']}; its category is one of {allowed}"
            )


def is_accuracy(text: str) -> bool:
    """Return whether a text can be a minimum accuracy; an empty one is the provider's."""
    try:
        # Decimal reads 0_9 and other scripts' digits as well, Postgres does not.
        plain = text.isascii() and "_" not in text
        return text == "" or (plain and 0 <= Decimal(text) <= 1)
    except InvalidOperation:
        return False


def _check_characters(files: Files) -> Iterator[Problem]:
    labels = files["reviewed_labels"] + files["included_labels"] + files["sensitive_labels"]
    for line in labels:
        for character in sorted(set(line.name)):
            if unicodedata.category(character).startswith("C"):
                code = f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip()
                yield _problem(line, f"has a character that nobody sees, {code}; take it away")
    # A correction may be there for that very difference.
    corrected = {line.key for line in files["label_corrections"]}
    seen: dict[str, Line] = {}
    for line in labels:
        if line.key not in corrected:
            twin = seen.setdefault(_visible(line.name), line)
            if line.key != twin.key:
                differs = f"differs from “{twin.name}” only by white space or Unicode form"
                yield _problem(line, f"{differs}; keep one")


def _visible(name: str) -> str:
    """Return what a name has in common with all names that look the same but for letter case."""
    return label_key(" ".join(unicodedata.normalize("NFKC", name).split()))


def _check_across(files: Files) -> Iterator[Problem]:
    included = {line.key for line in files["included_labels"]}
    reviewed = {line.key for line in files["reviewed_labels"]}
    withheld = {line.key for line in files["sensitive_labels"] if line["handling"] == "withhold"}
    for line in files["included_labels"]:
        if line.key not in reviewed:
            yield _problem(line, "is included but not in reviewed_labels.csv; add it there")
        if line.key in withheld:
            yield _problem(line, "is included, and sensitive_labels.csv withholds it; keep one")
    for line in files["sensitive_labels"]:
        if line["handling"] == "flag" and line.key not in included:
            yield _problem(line, "is flagged but not included, so the flag does nothing")
    for line in files["label_corrections"]:
        if label_key(line["corrected"]) not in included:
            yield _problem(line, f"becomes “{line['corrected']}”, which is not included")
        if line.key not in reviewed:
            yield _problem(line, "is corrected but not in reviewed_labels.csv; add it there")
        if line.key != label_key(line["corrected"]) and line.key in included:
            yield _problem(line, "is corrected, so only its correction can be included")
    for line in files["reviewed_labels"]:
        alias = alias_of(line["note"])
        hidden = alias is not None and label_key(alias) not in included
        if hidden and line.key in included:
            yield _problem(line, f"is included, but alias of {alias} and that is not; exclude both")
    for line in files["included_labels"]:
        for pattern in files["denied_tag_patterns"]:
            if _denies(pattern, line.key):
                denied = f"is included, but the pattern “{pattern.name}” denies it; keep one"
                yield _problem(line, denied)


def _denies(pattern: Line, key: str) -> bool:
    return key == pattern.key or (pattern["match"] == "contains" and pattern.key in key)
