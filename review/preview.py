"""What the files of the working tree would change, compared with the policy that is live."""

import string
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import sql

from loader.printable import printable
from review.live import files_as_seeds, relation

# So many labels are listed, unless all are asked for.
MOST = 20
HEADER = ("label", "machine", "before", "after", "images")
CHANGED = """
select coalesce(provider, ''), label, decision, seeded_decision, seeded_images_shown - images_shown
from {labels}
where (decision, images_shown) <> (seeded_decision, seeded_images_shown)
"""
# What dbt would stop the edit for, see macros/refuse_large_policy_change.sql.
LARGE = "select sentence from {change} where share > largest_share order by share desc, sentence"
# All that could be markup in a table of a pull request.
MARKUP = {ord(sign): f"&#{ord(sign)};" for sign in string.punctuation if sign not in "'(),-/"}


class Effect(NamedTuple):
    """What an edit would do to a machine's label."""

    provider: str
    label: str
    before: str
    after: str
    images: int  # that gain the tag; that lose it if negative

    def in_words(self) -> str:
        """Say the effect in a sentence."""
        if self.images > 0:
            return f"“{self.label}” would show on {self.images:,} more images."
        if self.images < 0:
            return f"“{self.label}” would show on {-self.images:,} fewer images."
        return f"“{self.label}” would be decided by another rule and still show on no image."


class Preview(NamedTuple):
    """What an edit would do to labels, the largest effects first, and why dbt would stop it."""

    effects: list[Effect]
    stopped_for: list[str]


def preview_edit(connection: psycopg.Connection, folder: Path) -> Preview:
    """Return what the files of a folder would change.

    Counts are those of the last refresh, from the histogram; of images 1,000 are read.
    """
    changed = sql.SQL(CHANGED).format(labels=relation("int_labels_by_policy"))
    large = sql.SQL(LARGE).format(change=relation("int_policy_change"))
    with files_as_seeds(connection, folder):
        effects = [Effect(*row) for row in connection.execute(changed)]
        stopped_for = [sentence for (sentence,) in connection.execute(large)]
    effects.sort(key=lambda effect: (-abs(effect.images), effect.label, effect.provider))
    return Preview(effects, stopped_for)


def as_table(effects: list[Effect], style: str, most: int | None = MOST) -> str:
    """Return the effects as a table, `text` or `markdown`, with the three largest in words.

    Of more effects than `most` that many, with the totals of all.
    """
    if not effects:
        return "Nothing would change: the files say what is live."
    is_markdown = style == "markdown"
    written = _for_markdown if is_markdown else printable
    words = _totals(effects, most) if most is not None and len(effects) > most else []
    effects = [
        effect._replace(label=written(effect.label), provider=written(effect.provider))
        for effect in effects[:most]
    ]
    rows = [
        (effect.label, effect.provider, effect.before, effect.after, f"{effect.images:+,}")
        for effect in effects
    ]
    lines = _as_markdown(rows) if is_markdown else _as_text(rows)
    bullet = "- " if is_markdown else ""
    words += [effect.in_words() for effect in effects[:3]]
    return "\n".join([*lines, "", *(bullet + sentence for sentence in words)])


def _totals(effects: list[Effect], most: int) -> list[str]:
    """Say what the effects come to, and how to see them all."""
    gained = sum(effect.images for effect in effects if effect.images > 0)
    lost = sum(-effect.images for effect in effects if effect.images < 0)
    return [
        f"{len(effects):,} labels would change: {gained:,} tags would be published, {lost:,} "
        "withdrawn.",
        f"Above are the {most} largest; `python -m review preview --all` lists all of them.",
    ]


def as_list(lines: list[str], style: str) -> str:
    """Return lines, `text` or `markdown`, below one another."""
    return "\n".join(f"- {_for_markdown(line)}" if style == "markdown" else line for line in lines)


def _for_markdown(text: str) -> str:
    return printable(text).translate(MARKUP)


def _as_text(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(HEADER, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (HEADER, *rows)
    ]


def _as_markdown(rows: list[tuple[str, ...]]) -> list[str]:
    header = (HEADER, ("---", "---", "---", "---", "---:"))
    return [f"| {' | '.join(row)} |" for row in (*header, *rows)]
