"""Changing the label policy's files: the lines concerned alone, in all files or in none."""

import csv
import difflib
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from review.check import alias_of, check, check_lines
from review.files import COLUMNS, FOLDER, Line, label_key, parse, read_text, write

SIMILARITY = 0.8
"""How close a reviewed label has to be (0 to 1) to be offered for one that nobody reviewed."""


class RefusedError(Exception):
    """An edit that would leave the files wrong, with a sentence for each reason."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


class Edit:
    """A change of the policy's files, made in memory; `save` writes it or refuses it whole."""

    def __init__(self, folder: Path = FOLDER, *, may_add: bool = False) -> None:
        problems = check(folder)
        if problems:
            # An edit puts lines where they belong by order, so the order has to be there.
            raise RefusedError([*map(str, problems), "Mend the files first; see the lines above."])
        self.remarks: list[str] = []
        self._may_add = may_add
        self._refusals: list[str] = []
        self._folder = folder
        self._texts = {file: read_text(folder / f"{file}.csv") for file in COLUMNS}
        self._before = {file: self._parse(file, text) for file, text in self._texts.items()}
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
        keys = []
        for label in labels:
            key = self._find(label)
            if key is None or self._is_corrected(key):
                continue
            withheld = self._is_withheld(key)
            if withheld and not no_longer_withheld:
                self._refuse(
                    f"{self._withheld(key)}; to show it all the same, say --no-longer-withheld, "
                    "which takes its line out of sensitive_labels.csv"
                )
                continue
            keys.append(key)
            self._remark_kept_note(key, note)
            self._review(key, label, note)
            old = self._value("included_labels", key, "minimum_accuracy")
            accuracy = old if minimum_accuracy is None else minimum_accuracy
            self._set("included_labels", key, label, accuracy)
            if withheld:
                del self._after["sensitive_labels"][key]
        self._refuse_aliases(keys)

    def exclude(self, labels: Sequence[str], *, note: str) -> None:
        """Have the labels, and their aliases, not shown."""
        for key, label in self._find_all(labels):
            self._review(key, label, note)
            self._hide(key)

    def withhold(self, labels: Sequence[str], *, category: str, reason: str) -> None:
        """Have the labels never shown, as they say something about people."""
        for key, label in self._find_all(labels):
            self._review(key, label, None)
            self._hide(key)
            self._set("sensitive_labels", key, label, category, "withhold", reason)

    def flag(self, labels: Sequence[str], *, category: str, reason: str) -> None:
        """Have the images that show the labels carry the category."""
        for label in labels:
            key = label_key(label)
            if self._is_withheld(key):
                self._refuse(f"{self._withheld(key)}, so a flag would do nothing")
            elif key not in self._after["included_labels"]:
                similar = self._similar(key, "included_labels")
                self._refuse(f"“{label}” is not included{similar}, so a flag would do nothing")
            else:
                self._set("sensitive_labels", key, label, category, "flag", reason)

    def save(self) -> list[str]:
        """Write the files and return a sentence for each line changed; raises RefusedError."""
        texts = {file: self._render(file) for file in COLUMNS}
        after = {file: list(self._parse(file, text).values()) for file, text in texts.items()}
        problems = self._refusals or [problem.text for problem in check_lines(after)]
        if problems:
            raise RefusedError(list(dict.fromkeys(problems)))
        write(
            {file: text for file, text in texts.items() if text != self._texts[file]}, self._folder
        )
        return list(self._changes())

    def _find_all(self, labels: Sequence[str]) -> list[tuple[str, str]]:
        found = [(self._find(label), label) for label in labels]
        return [(key, label) for key, label in found if key is not None]

    def _find(self, label: str) -> str | None:
        """Return a label's key; or None, having refused it, if it may be misspelled."""
        key = label_key(label)
        known = key in self._after["reviewed_labels"] or key in self._after["sensitive_labels"]
        if known or self._may_add:
            return key
        similar = self._similar(key, "reviewed_labels")
        self._refuse(f"nobody has reviewed “{label}”{similar}; to add it as a new label, say --new")
        return None

    def _similar(self, key: str, file: str) -> str:
        lines = self._after[file]
        similar = difflib.get_close_matches(key, lines, n=3, cutoff=SIMILARITY)
        names = [f"“{lines[match].name}”" for match in similar]
        return f" (close to it: {', '.join(names)})" if names else ""

    def _review(self, key: str, label: str, note: str | None) -> None:
        old = self._value("reviewed_labels", key, "note")
        self._set("reviewed_labels", key, label, old if note is None else _joined(old, note))

    def _hide(self, key: str) -> None:
        """Take a label, and with it its aliases, out of what is shown."""
        for correction in self._after["label_corrections"].values():
            if label_key(correction["corrected"]) == key:
                self._refuse(
                    f"“{correction['corrected']}” is shown instead of “{correction.name}”, so it "
                    "has to stay; take that line out of label_corrections.csv first"
                )
        self._after["included_labels"].pop(key, None)
        if not self._is_withheld(key):
            self._after["sensitive_labels"].pop(key, None)
        for alias in self._after["reviewed_labels"].values():
            of = alias_of(alias["note"])
            is_alias = of is not None and label_key(of) == key
            if is_alias and alias.key in self._after["included_labels"]:
                self.remarks.append(f"“{alias.name}” goes too: it is an alias of “{of}”.")
                self._hide(alias.key)

    def _is_withheld(self, key: str) -> bool:
        return self._value("sensitive_labels", key, "handling") == "withhold"

    def _withheld(self, key: str) -> str:
        line = self._after["sensitive_labels"][key]
        return f"“{line.name}” is withheld ({line['category']}: {line['reason']})"

    def _is_corrected(self, key: str) -> bool:
        """Return whether another name is shown instead of a label, having refused it if so."""
        corrected = self._value("label_corrections", key, "corrected")
        if label_key(corrected) in ("", key):
            return False
        name = self._after["label_corrections"][key].name
        self._refuse(
            f"“{name}” becomes “{corrected}” by label_corrections.csv, so only “{corrected}” can "
            "be included"
        )
        return True

    def _refuse_aliases(self, keys: Sequence[str]) -> None:
        for key in keys:
            line = self._after["reviewed_labels"][key]
            of = alias_of(line["note"])
            if of is not None and label_key(of) not in self._after["included_labels"]:
                self._refuse(
                    f"“{line.name}” is an alias of “{of}”, which is not included; include both or "
                    "neither"
                )

    def _refuse(self, reason: str) -> None:
        self._refusals.append(reason)

    def _remark_kept_note(self, key: str, note: str | None) -> None:
        """Say it when a label is shown from now on, and its note may be of why it was not."""
        kept = self._value("reviewed_labels", key, "note")
        says_more = kept != _joined(kept, "")
        if note is None and says_more and key not in self._after["included_labels"]:
            name = self._after["reviewed_labels"][key].name
            self.remarks.append(f"“{name}” keeps its note “{kept}”; --note replaces it.")

    def _value(self, file: str, key: str, column: str) -> str:
        line = self._after[file].get(key)
        return line[column] if line else ""

    def _set(self, file: str, key: str, label: str, *others: str) -> None:
        """Put a line in its place; one that says the same already stays as it is written."""
        old = self._after[file].get(key)
        name = old.name if old else self._spelling(key, label)
        values = dict(zip(COLUMNS[file], (name, *others), strict=True))
        if old is None or old.values != values:
            path = self._folder / f"{file}.csv"
            self._after[file][key] = Line(path, 0, values, _quoted(values.values()))

    def _spelling(self, key: str, label: str) -> str:
        for file in ("reviewed_labels", "sensitive_labels"):
            if key in self._after[file]:
                return self._after[file][key].name
        return label

    def _parse(self, file: str, text: str) -> dict[str, Line]:
        return {line.key: line for line in parse(self._folder / f"{file}.csv", text)}

    def _render(self, file: str) -> str:
        old = self._texts[file]
        header = old.split("\n", maxsplit=1)[0]
        lines = sorted(self._after[file].values(), key=lambda line: line.key)
        end = "\n" if old.endswith("\n") else ""
        return "\n".join([header, *(line.text for line in lines)]) + end

    def _changes(self) -> Iterator[str]:
        for file in COLUMNS:
            before, after = self._before[file], self._after[file]
            for key in sorted(before.keys() | after.keys()):
                if before.get(key) != after.get(key):
                    for sign, lines in (("-", before), ("+", after)):
                        if key in lines:
                            yield f"{file}.csv: {sign} {_said(lines[key])}"


def _joined(old: str, new: str) -> str:
    """Return a new note; of which label this one is an alias remains said."""
    of = alias_of(old)
    if of is None or alias_of(new) is not None:
        return new
    return f"alias of {of}; {new}" if new else f"alias of {of}"


def _quoted(values: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def _said(line: Line) -> str:
    others = [value for value in list(line.values.values())[1:] if value]
    return f"{line.name} ({', '.join(others)})" if others else line.name
