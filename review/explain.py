"""Why each tag of an image is or is not shown, with the line of the policy behind it."""

from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql

from loader.errors import UserError
from loader.printable import printable
from review.check import denies
from review.files import WHITE_SPACE, Line, label_key, read
from review.live import relation

SENTENCES = {
    "malformed": "It is no object, has no name, or an accuracy that is no number from 0 to 1.",
    "denied_pattern": "No tag may have such a name, whoever made it.",
    "provider_withheld": "All tags of this machine are withheld, as are those of any machine that "
    "tag_providers.csv does not list.",
    "below_minimum_accuracy": "Its accuracy is under the label's minimum, else the machine's, "
    "else the default.",
    "sensitive_label": "The label says something about people and is withheld.",
    "superseded_spelling": "Another spelling replaces just this one.",
    "unreviewed_label": "Nobody has reviewed the label.",
    "excluded_label": "The label has been reviewed, and is not among those that are shown.",
    "published": "It is shown.",
}
UNSIGNED = "Fewer have signed the label than have to, or its line is not live yet: `dbt seed`."
OWN_TAG = "It is from where the image is from; such tags are shown unless a rule above holds."
IMAGE = "select provider from {published_images} where identifier = %s"
TAGS = """
select name, provider, accuracy, decision
from {tag_decisions}
where identifier = %s
order by position
"""
# What is decided on a label, not by a machine or a pattern.
OF_LABELS = ("sensitive_label", "unreviewed_label", "excluded_label", "published")
# The start of the last run of rows that decide the same: a signature changes no decision.
SINCE = """
with rows as (
    select
        *,
        row(in_force_from, decision, minimum_accuracy, category) is distinct from lag(
            row(in_force_until, decision, minimum_accuracy, category)
        ) over (partition by label_key order by in_force_from) as is_change
    from {policy_history}
    where label_key = any(%s)
)

select
    label_key,
    max(in_force_from) filter (where is_change),
    max(reviewed_by) filter (where in_force_until is null),
    max(reviewed_on) filter (where in_force_until is null)
from rows
group by label_key
having bool_or(in_force_until is null)
"""


class Explanation(NamedTuple):
    """A tag's decision, the rule's sentence, the line behind it if there is one, and since when."""

    name: str | None
    provider: str | None
    accuracy: Decimal | None
    decision: str
    sentence: str
    line: Line | None
    since: str | None = None

    def __str__(self) -> str:
        accuracy = "" if self.accuracy is None else f" {self.accuracy}"
        who = f" ({self.provider or 'no provider'}{accuracy})"
        lines = [f"{self.name or 'a tag without a name'}{who}: {self.decision}"]
        lines.append(f"    {self.sentence}")
        if self.line:
            lines.append(f"    {self.line.place}: {','.join(self.line.values.values())}")
        if self.since:
            lines.append(f"    {self.since}")
        return "\n".join(map(printable, lines))


def explain(connection: psycopg.Connection, identifier: UUID, folder: Path) -> list[Explanation]:
    """Return the explanation of each tag of an image, in their order.

    Decisions are those of the live policy, lines those of the files in the folder.
    """
    query = sql.SQL(IMAGE).format(published_images=relation("published_images"))
    image = connection.execute(query, (identifier,)).fetchone()
    if image is None:
        raise UserError(f"the catalog has no image {identifier}")
    lines = _Lines(folder)
    explained = []
    query = sql.SQL(TAGS).format(tag_decisions=relation("tag_decisions"))
    tags = connection.execute(query, (identifier,)).fetchall()
    since = _since(connection, [label_key(name) for name, *_ in tags if name])
    for name, provider, accuracy, decision in tags:
        is_own = provider == image[0] if provider is not None else accuracy is None
        if decision == "published" and is_own:
            sentence, line = OWN_TAG, None
        else:
            sentence, line = SENTENCES[decision], lines.behind(decision, name, provider)
            if decision == "unreviewed_label" and line:
                sentence = UNSIGNED
        decided = since.get(label_key(name or "")) if line and decision in OF_LABELS else None
        explained.append(Explanation(name, provider, accuracy, decision, sentence, line, decided))
    return explained


def _since(connection: psycopg.Connection, keys: list[str]) -> dict[str, str]:
    """Return since when what is decided on labels is in force, and who stands behind it."""
    query = sql.SQL(SINCE).format(policy_history=relation("policy_history"))
    return {
        key: f"In force since {start:%Y-%m-%d %H:%M}"
        + (f"; reviewed by {reviewers} on {day}" if reviewers else "")
        for key, start, reviewers, day in connection.execute(query, (keys,))
    }


class _Lines:
    """The lines of the policy's files, by what they decide on."""

    def __init__(self, folder: Path) -> None:
        files = ("included_labels", "reviewed_labels", "sensitive_labels")
        self._by_key = {file: {line.key: line for line in read(file, folder)} for file in files}
        self._providers = {line.name: line for line in read("tag_providers", folder)}
        self._corrections = {line.name: line for line in read("label_corrections", folder)}
        self._patterns = read("denied_tag_patterns", folder)

    def behind(self, decision: str, name: str | None, provider: str | None) -> Line | None:
        """Return the line that made a decision; None if it was a rule without one."""
        if name is None:
            return None
        key = label_key(name)
        included = self._by_key["included_labels"].get(key)
        of_provider = self._providers.get(provider or "")
        has_own_minimum = included and included["minimum_accuracy"]
        return {
            "denied_pattern": next((line for line in self._patterns if denies(line, key)), None),
            "provider_withheld": of_provider,
            "below_minimum_accuracy": included if has_own_minimum else of_provider,
            "sensitive_label": self._by_key["sensitive_labels"].get(key),
            "superseded_spelling": self._corrections.get(name.strip(WHITE_SPACE)),
            "unreviewed_label": self._by_key["reviewed_labels"].get(key),
            "excluded_label": self._by_key["reviewed_labels"].get(key),
            "published": included,
        }.get(decision)
