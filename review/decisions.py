"""Reviewers' decisions as a page exports them: read, and put together to one a label."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from loader.errors import UserError
from loader.printable import printable
from review.check import FLAGGED_CATEGORIES, WITHHELD_CATEGORIES, is_accuracy, is_day
from review.edit import Decision
from review.files import WHITE_SPACE, decode, is_empty, is_one_line
from review.signatures import each_once, names

COLUMNS = (
    *("label", "decision", "minimum_accuracy", "category", "reason"),
    *("reviewed_by", "reviewed_on"),
)
CATEGORIES = {
    "include": ("",),
    "exclude": ("",),
    "withhold": WITHHELD_CATEGORIES,
    "flag": FLAGGED_CATEGORIES,
}


class Decided(NamedTuple):
    """What reviewers agree on, one decision a label; and of other labels what each of them says."""

    agreed: list[Decision]
    disputed: list[list[Decision]]


def read_decisions(paths: Iterable[Path]) -> Decided:
    """Return what files decide; raises UserError that names each line that is wrong."""
    wrong: list[str] = []
    by_label: dict[str, list[Decision]] = defaultdict(list)
    for path in paths:
        for decision in _read(path, wrong):
            by_label[decision.key].append(decision)
    if wrong:
        raise UserError(*dict.fromkeys(wrong), "Nothing was changed.")
    # Sorted, so that nothing depends on the order of the files.
    groups = [sorted(by_label[key], key=_age) for key in sorted(by_label)]
    agree = [len({decision.substance for decision in group}) == 1 for group in groups]
    return Decided(
        [_together(group) for group, do in zip(groups, agree, strict=True) if do],
        [group for group, do in zip(groups, agree, strict=True) if not do],
    )


def in_words(disputed: Sequence[Sequence[Decision]]) -> str:
    """Say on which labels reviewers disagree, and what each of them says."""
    lines = []
    for group in disputed:
        lines.append(f"Reviewers disagree on “{group[0].label}”, so none of this was applied:")
        lines += [f"    {_said(decision)}" for decision in group]
    labels = ", ".join(group[0].label for group in disputed)
    are = "label is" if len(disputed) == 1 else "labels are"
    lines.append(f"{len(disputed)} {are} left for you to agree on: {labels}")
    return "\n".join(map(printable, lines))


def _said(decision: Decision) -> str:
    accuracy = decision.minimum_accuracy and f" from {decision.minimum_accuracy} on"
    category = decision.category and f" as {decision.category}"
    reason = decision.reason and f": {decision.reason}"
    who = ", ".join(decision.reviewers)
    what = f"{decision.kind}{accuracy or ''}{category or ''}"
    return f"{decision.places[0]}: {what} ({who}){reason or ''}"


def _age(decision: Decision) -> tuple[object, ...]:
    said = (decision.minimum_accuracy, decision.reason or "")
    return decision.day, decision.reviewers, decision.label, *said, decision.places


def _together(group: Sequence[Decision]) -> Decision:
    """Return one decision of all reviewers who decide the same on a label."""
    return replace(
        group[0],
        reviewers=each_once(name for decision in group for name in decision.reviewers),
        day=max(decision.day for decision in group),
        reason="; ".join(dict.fromkeys(d.reason for d in group if d.reason)) or None,
        places=[place for decision in group for place in decision.places],
    )


def _read(path: Path, wrong: list[str]) -> list[Decision]:
    """Return a file's decisions, and add what is wrong with it to a list."""
    try:
        text = decode(path.read_bytes(), str(path))
    except OSError as error:
        wrong.append(f"{path}: cannot be read ({error.strerror}); say where it is")
        return []
    except UserError as error:
        wrong.append(error.message)
        return []
    found: dict[str, Decision] = {}
    decisions = []
    # A spreadsheet puts a byte order mark before the header.
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        if tuple(next(rows, ())) != COLUMNS:
            header = f"the first line must be {','.join(COLUMNS)}"
            wrong.append(f"{path}:1: {header}; choose a file that the page has exported")
            return []
        end = rows.line_num
        for row in rows:
            # A quoted value may go on in the next line.
            place, end = f"{path}:{end + 1}", rows.line_num
            values = [value.strip(WHITE_SPACE) for value in row]
            if not any(values):
                continue
            if problem := _problem(values):
                wrong.append(f"{place}: {problem}")
                continue
            decision = _decision(values, place)
            first = found.setdefault(decision.key, decision)
            if first.substance != decision.substance:
                other = f"decides on “{decision.label}” otherwise than {first.places[0]}"
                wrong.append(f"{place}: {other}; keep one of them")
            decisions.append(decision)
    except csv.Error as error:
        wrong.append(f"{path}:{rows.line_num}: is no CSV: {error}; put the quotation marks right")
    return decisions


def _decision(values: Sequence[str], place: str) -> Decision:
    label, kind, accuracy, category, reason, reviewed_by, day = values
    why = None if is_empty(reason) else reason
    return Decision(label, kind, names(reviewed_by), day, accuracy, category, why, [place])


def _problem(values: Sequence[str]) -> str | None:
    """Return what is wrong with a line, and what to do; None if nothing is."""
    if len(values) != len(COLUMNS):
        return f"has {len(values)} values, it needs {len(COLUMNS)}: {','.join(COLUMNS)}"
    label, kind, accuracy, category, reason, reviewed_by, reviewed_on = values
    if not all(map(is_one_line, values)):
        return "has a line end or a control character in a value; take it out"
    if is_empty(label):
        return "names no label; name one, or take the line out"
    if kind not in CATEGORIES:
        return f"decides “{kind}” on “{label}”; say one of {', '.join(CATEGORIES)}"
    if accuracy and kind in ("exclude", "withhold"):
        return f"has a minimum accuracy, which {kind} has not; leave it empty"
    if not is_accuracy(accuracy):
        return f"has the minimum accuracy “{accuracy}”; say a number from 0 to 1, or leave it empty"
    if category not in CATEGORIES[kind]:
        if kind in ("include", "exclude"):
            return f"has a category, which {kind} has not; leave it empty"
        return f"has the category “{category}”; for {kind} say one of {', '.join(CATEGORIES[kind])}"
    if is_empty(reason) and kind != "include":
        return f"has no reason; say why to {kind} “{label}”"
    if not any(not is_empty(name) for name in names(reviewed_by)):
        return f"does not say who reviewed “{label}”; name them in reviewed_by"
    if not is_day(reviewed_on):
        return f"has “{reviewed_on}” as reviewed_on; say the day as 2026-11-22"
    return None
