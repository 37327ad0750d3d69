"""Changing the label policy's files by decisions: in all files, or in none."""

import csv
import difflib
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from loader.errors import UserError
from loader.printable import printable
from review.check import alias_of, check, problems
from review.files import COLUMNS, Line, label_key, parse, read_text, write
from review.signatures import each_once, names

# How close a reviewed label has to be (0 to 1) to be offered for one that nobody reviewed.
SIMILARITY = 0.8


@dataclass(frozen=True)
class Decision:
    """What reviewers decide on a label; what is None stays as the files have it."""

    label: str
    kind: str  # include, exclude, withhold or flag
    reviewers: Sequence[str]
    day: str
    minimum_accuracy: str | None = None  # "" is the provider's
    category: str | None = None  # "" is of a label that is not sensitive
    reason: str | None = None
    places: Sequence[str] = ()  # where it is written, as `decisions.csv:7`

    @property
    def key(self) -> str:
        """The label as it is compared."""
        return label_key(self.label)

    @property
    def is_shown(self) -> bool:
        """Whether the label is shown from then on."""
        return self.kind in ("include", "flag")

    @property
    def substance(self) -> tuple[str, Decimal | None, str | None]:
        """What reviewers have to agree on: all but their reasons."""
        return self.kind, _number(self.minimum_accuracy), self.category


class Edit:
    """A change of the policy's files, made in memory; `save` writes it or refuses it whole."""

    def __init__(
        self,
        folder: Path,
        *,
        may_add: bool = False,
        no_longer_withheld: bool = False,
        left: Iterable[str] = (),
    ) -> None:
        """Read the files; raises UserError if they are not in order.

        What is left are keys of labels that do not go along with the label they are an alias of.
        """
        if found := check(folder):
            # An edit puts lines where they belong by order, so the order has to be there.
            raise _refusal([*found, "Mend the files first; see the lines above."])
        self._may_add = may_add
        self._no_longer_withheld = no_longer_withheld
        self._left = frozenset(left)
        self._refusals: list[str] = []
        self._remarks: list[str] = []
        self._decided: dict[str, Decision] = {}
        self._folder = folder
        self._texts = {file: read_text(file, folder) for file in COLUMNS}
        self._before = {
            file: {line.key: line for line in parse(file, text)}
            for file, text in self._texts.items()
        }
        self._after = {file: dict(lines) for file, lines in self._before.items()}
        self._aliases: dict[str, list[Line]] = defaultdict(list)
        for line in self._before["reviewed_labels"].values():
            if of := alias_of(line["note"]):
                self._aliases[label_key(of)].append(line)

    def decide(self, decisions: Sequence[Decision]) -> None:
        """Have the files say what is decided, one decision a label; the later decision stands."""
        outdated = [decision for decision in decisions if self._is_outdated(decision)]
        self._remarks += map(self._since, outdated)
        decisions = [decision for decision in decisions if decision not in outdated]
        self._decided |= {decision.key: decision for decision in decisions}
        for decision in decisions:
            if objection := self._objection(decision):
                self._refusals.append(objection)
                continue
            key, label = decision.key, decision.label
            self._sign(decision)
            if decision.is_shown:
                self._set("included_labels", key, label, self._accuracy(decision))
            else:
                self._hide(key, decision)
            handling = self._value("sensitive_labels", key, "handling")
            if decision.category:
                values = (decision.category, decision.kind, decision.reason or "")
                self._set("sensitive_labels", key, label, *values)
            elif decision.category == "" or (handling == "flag") != decision.is_shown:
                self._after["sensitive_labels"].pop(key, None)
                if decision.is_shown and handling:
                    self._remarks.append(f"{self._sensitive(key, 'was')}, and now is no longer.")

    def save(self) -> list[str]:
        """Write the files; return a sentence for each line changed.

        Raises UserError, and writes nothing, if the files would not be in order.
        """
        after = {
            file: sorted(lines.values(), key=lambda line: line.key)
            for file, lines in self._after.items()
        }
        wrong = self._refusals or [
            f"{place}“{line.name}” {words}"
            for line, words in problems(after)
            for place in self._places([line.name, *re.findall("“(.*?)”", words)])
        ]
        if wrong:
            raise _refusal(dict.fromkeys(wrong))
        texts = {file: _text(self._texts[file], lines) for file, lines in after.items()}
        changed = {file: text for file, text in texts.items() if text != self._texts[file]}
        try:
            write(changed, self._folder)
        except OSError as error:
            raise _refusal([str(error)]) from None
        return [printable(change) for file in COLUMNS for change in self._changes(file)]

    @property
    def remarks(self) -> list[str]:
        """What to know of the decisions, a sentence each."""
        return [printable(words) for words in self._remarks]

    def _objection(self, decision: Decision) -> str | None:
        """Say why a decision is not taken, as it may be a slip."""
        key, label = decision.key, decision.label
        is_withheld = self._value("sensitive_labels", key, "handling") == "withhold"
        is_flag_alone = decision.kind == "flag" and decision.minimum_accuracy is None
        if is_flag_alone and is_withheld:
            return f"{self._sensitive(key)}, so a flag would do nothing"
        if is_flag_alone and key not in self._before["included_labels"]:
            similar = self._similar(key, "included_labels")
            return f"“{label}” is not included{similar}, so a flag would do nothing"
        files = ("reviewed_labels", "sensitive_labels")
        if not self._may_add and not any(key in self._before[file] for file in files):
            similar = self._similar(key, "reviewed_labels")
            return f"nobody has reviewed “{label}”{similar}; to add it as a new label, say --new"
        stays_withheld = decision.category is None and not self._no_longer_withheld
        if decision.kind == "include" and is_withheld and stays_withheld:
            return (
                f"{self._sensitive(key)}; to show it all the same, say "
                "--no-longer-withheld, which takes its line out of sensitive_labels.csv"
            )
        return None

    def _sign(self, decision: Decision) -> None:
        """Have a label reviewed: who decides what the files say already stands behind it too."""
        key = decision.key
        old = [self._value("reviewed_labels", key, c) for c in COLUMNS["reviewed_labels"][1:]]
        note, reviewed_by, reviewed_on = old
        if decision.category:
            has_new_reason = decision.reason != self._value("sensitive_labels", key, "reason")
        else:
            if decision.reason is not None:
                note = _joined(note, decision.reason)
            elif decision.kind == "include" and key not in self._before["included_labels"]:
                if decision.places:
                    note = _joined(note, "")  # it said why the label was not shown
                else:
                    self._remark_note(key, note)
            has_new_reason = note != old[0]
        if not self._say(decision):
            reviewed_by = reviewed_on = ""
        signed = names(reviewed_by)
        together = each_once([*signed, *decision.reviewers])
        if has_new_reason or together != signed:
            reviewed_by, reviewed_on = ";".join(together), max(reviewed_on, decision.day)
        self._set("reviewed_labels", key, decision.label, note, reviewed_by, reviewed_on)

    def _say(self, decision: Decision) -> bool:
        """Whether the files say already what is decided, for whatever reason."""
        key = decision.key
        is_shown = key in self._before["included_labels"]
        return (
            is_shown == decision.is_shown
            and decision.category in (None, self._value("sensitive_labels", key, "category"))
            and not (
                is_shown
                and self._accuracy(decision)
                != self._value("included_labels", key, "minimum_accuracy")
            )
        )

    def _accuracy(self, decision: Decision) -> str:
        """Return a decision's minimum accuracy, as the file writes it if it is the same number."""
        old = self._value("included_labels", decision.key, "minimum_accuracy")
        new = decision.minimum_accuracy
        return old if new is None or _number(new) == _number(old) else new

    def _hide(self, key: str, decision: Decision) -> None:
        """Take a label, and with it its aliases, out of what is shown."""
        self._after["included_labels"].pop(key, None)
        for alias in self._aliases[key]:
            is_decided = alias.key in self._decided or alias.key in self._left
            if alias.key in self._after["included_labels"] and not is_decided:
                of = alias_of(alias["note"])
                self._remarks.append(f"“{alias.name}” goes too: it is an alias of “{of}”.")
                signed = (";".join(decision.reviewers), decision.day)
                self._set("reviewed_labels", alias.key, alias.name, alias["note"], *signed)
                self._after["sensitive_labels"].pop(alias.key, None)
                self._hide(alias.key, decision)

    def _is_outdated(self, decision: Decision) -> bool:
        """Whether the files have another decision of a later day."""
        later = self._value("reviewed_labels", decision.key, "reviewed_on") > decision.day
        return later and not self._say(decision)

    def _since(self, decision: Decision) -> str:
        """Say what was decided since, and what to do about it."""
        line = self._before["reviewed_labels"][decision.key]
        since = f"was decided otherwise since, on {line['reviewed_on']} by {line['reviewed_by']}"
        return (
            f"{', '.join(decision.places)}: “{line.name}” {since}, and stays so; to {decision.kind}"
            f" it all the same, give the decision of {decision.day} a later day."
        )

    def _remark_note(self, key: str, note: str) -> None:
        """Say it when a note stays that may be of why the label was not shown."""
        if note != _joined(note, ""):
            name = self._before["reviewed_labels"][key].name
            self._remarks.append(f"“{name}” keeps its note “{note}”; `include --note` replaces it.")

    def _places(self, labels: Iterable[str]) -> list[str]:
        """Return where the first of the labels that is decided on is written, to begin lines."""
        keys = [key for key in map(label_key, labels) if key in self._decided]
        places = self._decided[keys[0]].places if keys else ()
        return [f"{place}: " for place in places] or [""]

    def _similar(self, key: str, file: str) -> str:
        lines = self._before[file]
        similar = difflib.get_close_matches(key, lines, n=3, cutoff=SIMILARITY)
        close = ", ".join(f"“{lines[match].name}”" for match in similar)
        return f" (close to it: {close})" if close else ""

    def _sensitive(self, key: str, verb: str = "is") -> str:
        line = self._before["sensitive_labels"][key]
        handling = "withheld" if line["handling"] == "withhold" else "flagged"
        return f"“{line.name}” {verb} {handling} ({line['category']}: {line['reason']})"

    def _value(self, file: str, key: str, column: str) -> str:
        line = self._before[file].get(key)
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


def _number(accuracy: str | None) -> Decimal | None:
    return Decimal(accuracy) if accuracy else None


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
