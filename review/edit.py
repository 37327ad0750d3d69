"""Changing the label policy's files: the lines concerned alone, in all files or in none."""

import csv
import difflib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from loader.errors import UserError
from loader.printable import printable
from review.check import alias_of, check, problems
from review.files import COLUMNS, Line, label_key, parse, read_text, write

# How close a reviewed label has to be (0 to 1) to be offered for one that nobody reviewed.
SIMILARITY = 0.8


class Edit:
    """A change of the policy's files, made in memory; `save` writes it or refuses it whole."""

    def __init__(self, folder: Path, *, may_add: bool = False) -> None:
        """Read the files; raises UserError if they are not in order."""
        if found := check(folder):
            # An edit puts lines where they belong by order, so the order has to be there.
            raise _refusal([*found, "Mend the files first; see the lines above."])
        self._may_add = may_add
        self._refusals: list[str] = []
        self._remarks: list[str] = []
        self._folder = folder
        self._texts = {file: read_text(file, folder) for file in COLUMNS}
        self._before = {
            file: {line.key: line for line in parse(file, text)}
            for file, text in self._texts.items()
        }
        self._after = {file: dict(lines) for file, lines in self._before.items()}

    def include(
        self,
        labels: Sequence[str],
        *,
        minimum_accuracy: str | None = None,
        note: str | None = None,
        no_longer_withheld: bool = False,
    ) -> None:
        """Have the labels shown."""
        for key, label in self._known(labels):
            if self._is_withheld(key):
                if not no_longer_withheld:
                    self._refusals.append(
                        f"{self._withheld(key)}; to show it all the same, say "
                        "--no-longer-withheld, which takes its line out of sensitive_labels.csv"
                    )
                    continue
                label = self._after["sensitive_labels"].pop(key).name
            if note is None and key not in self._after["included_labels"]:
                self._remark_note(key)
            self._review(key, label, note)
            old = self._value("included_labels", key, "minimum_accuracy")
            accuracy = old if minimum_accuracy is None else minimum_accuracy
            self._set("included_labels", key, label, accuracy)

    def exclude(self, labels: Sequence[str], *, note: str) -> None:
        """Have the labels, and their aliases, not shown."""
        for key, label in self._known(labels):
            self._review(key, label, note)
            self._hide(key)

    def withhold(self, labels: Sequence[str], *, category: str, reason: str) -> None:
        """Have the labels never shown, as they say something about people."""
        for key, label in self._known(labels):
            self._review(key, label, None)
            self._hide(key)
            self._set("sensitive_labels", key, label, category, "withhold", reason)

    def flag(self, labels: Sequence[str], *, category: str, reason: str) -> None:
        """Have the images that show the labels carry the category."""
        for label in labels:
            key = label_key(label)
            if self._is_withheld(key):
                self._refusals.append(f"{self._withheld(key)}, so a flag would do nothing")
            elif key not in self._after["included_labels"]:
                unknown = f"“{label}” is not included{self._similar(key, 'included_labels')}"
                self._refusals.append(f"{unknown}, so a flag would do nothing")
            else:
                self._set("sensitive_labels", key, label, category, "flag", reason)

    def save(self) -> list[str]:
        """Write the files; return a sentence for each line changed, and what to know of it.

        Raises UserError, and writes nothing, if the files would not be in order.
        """
        after = {
            file: sorted(lines.values(), key=lambda line: line.key)
            for file, lines in self._after.items()
        }
        wrong = self._refusals or [f"“{line.name}” {words}" for line, words in problems(after)]
        if wrong:
            raise _refusal(dict.fromkeys(wrong))
        texts = {file: _text(self._texts[file], lines) for file, lines in after.items()}
        changed = {file: text for file, text in texts.items() if text != self._texts[file]}
        try:
            write(changed, self._folder)
        except OSError as error:
            raise _refusal([str(error)]) from None
        changes = [change for file in COLUMNS for change in self._changes(file)]
        return [printable(words) for words in changes + self._remarks]

    def _known(self, labels: Sequence[str]) -> list[tuple[str, str]]:
        """Return the labels by their keys; those that may be misspelled are refused."""
        known = []
        for label in labels:
            key = label_key(label)
            files = (self._after["reviewed_labels"], self._after["sensitive_labels"])
            if self._may_add or any(key in lines for lines in files):
                known.append((key, label))
            else:
                unknown = f"nobody has reviewed “{label}”{self._similar(key, 'reviewed_labels')}"
                self._refusals.append(f"{unknown}; to add it as a new label, say --new")
        return known

    def _similar(self, key: str, file: str) -> str:
        lines = self._after[file]
        similar = difflib.get_close_matches(key, lines, n=3, cutoff=SIMILARITY)
        names = ", ".join(f"“{lines[match].name}”" for match in similar)
        return f" (close to it: {names})" if names else ""

    def _review(self, key: str, label: str, note: str | None) -> None:
        old = self._value("reviewed_labels", key, "note")
        self._set("reviewed_labels", key, label, old if note is None else _joined(old, note))

    def _hide(self, key: str) -> None:
        """Take a label, and with it its aliases, out of what is shown."""
        self._after["included_labels"].pop(key, None)
        if not self._is_withheld(key):
            self._after["sensitive_labels"].pop(key, None)
        for alias in self._after["reviewed_labels"].values():
            of = alias_of(alias["note"])
            is_alias = of is not None and label_key(of) == key
            if is_alias and alias.key in self._after["included_labels"]:
                self._remarks.append(f"“{alias.name}” goes too: it is an alias of “{of}”.")
                self._hide(alias.key)

    def _remark_note(self, key: str) -> None:
        """Say it when a note stays that may be of why the label was not shown."""
        note = self._value("reviewed_labels", key, "note")
        if note != _joined(note, ""):
            name = self._after["reviewed_labels"][key].name
            self._remarks.append(f"“{name}” keeps its note “{note}”; --note replaces it.")

    def _is_withheld(self, key: str) -> bool:
        return self._value("sensitive_labels", key, "handling") == "withhold"

    def _withheld(self, key: str) -> str:
        line = self._after["sensitive_labels"][key]
        return f"“{line.name}” is withheld ({line['category']}: {line['reason']})"

    def _value(self, file: str, key: str, column: str) -> str:
        line = self._after[file].get(key)
        return line[column] if line else ""

    def _set(self, file: str, key: str, label: str, *others: str) -> None:
        """Put a line in its place; one that says the same already stays as it is written."""
        old = self._after[file].get(key)
        spelt = old or self._after["reviewed_labels"].get(key)
        spelt = spelt or self._after["sensitive_labels"].get(key)
        name = spelt.name if spelt else label
        values = dict(zip(COLUMNS[file], (name, *others), strict=True))
        if old is None or old.values != values:
            self._after[file][key] = Line(file, 0, values, _quoted(values.values()))

    def _changes(self, file: str) -> list[str]:
        before, after = self._before[file], self._after[file]
        return [
            f"{file}.csv: {sign} {_said(lines[key])}"
            for key in sorted(before.keys() | after.keys())
            if before.get(key) != after.get(key)
            for sign, lines in (("-", before), ("+", after))
            if key in lines
        ]


def _refusal(reasons: Iterable[str]) -> UserError:
    return UserError(*reasons, "Nothing was changed.")


def _joined(old: str, new: str) -> str:
    """Return a new note; of which label this one is an alias remains said."""
    of = alias_of(old)
    if of is None or alias_of(new) is not None:
        return new
    return f"alias of {of}; {new}" if new else f"alias of {of}"


def _text(old: str, lines: Sequence[Line]) -> str:
    """Return a file's new text: its header, these lines, and a line end if it had one."""
    header = old.split("\n", maxsplit=1)[0]
    end = "\n" if old.endswith("\n") else ""
    return "\n".join([header, *(line.text for line in lines)]) + end


def _quoted(values: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def _said(line: Line) -> str:
    others = [value for value in list(line.values.values())[1:] if value]
    return f"{line.name} ({', '.join(others)})" if others else line.name
