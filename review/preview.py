"""What the files of the working tree would change, compared with the policy that is live."""

from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import sql

from review.live import files_instead, relation

HEADER = ("label", "machine", "before", "after", "images")
NOT_THERE = ("—", 0)
# What the policy makes of each machine's label, and on how many images it shows.
SHOWN = """
select
    coalesce(provider, ''),
    label,
    decision,
    case when decision = 'published' then images_at_minimum_accuracy else 0 end
from {labels}
"""


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


def effects(connection: psycopg.Connection, folder: Path) -> list[Effect]:
    """Return what the files of a folder would change, the largest effects first.

    Counts are those of the last refresh, from the histogram; no image is read.
    """
    before = _shown(connection)
    with files_instead(connection, folder):
        after = _shown(connection)
    found = []
    for provider, label in before.keys() | after.keys():
        old, old_images = before.get((provider, label), NOT_THERE)
        new, new_images = after.get((provider, label), NOT_THERE)
        if (old, old_images) != (new, new_images):
            found.append(Effect(provider, label, old, new, new_images - old_images))
    return sorted(found, key=lambda effect: (-abs(effect.images), effect.label, effect.provider))


def _shown(connection: psycopg.Connection) -> dict[tuple[str, str], tuple[str, int]]:
    rows = connection.execute(sql.SQL(SHOWN).format(labels=relation("labels")))
    return {(provider, label): (decision, images) for provider, label, decision, images in rows}


def as_table(found: list[Effect], style: str) -> str:
    """Return the effects as a table, `text` or `markdown`, with the three largest in words."""
    if not found:
        return "Nothing would change: the files say what is live."
    rows = [
        (effect.label, effect.provider, effect.before, effect.after, f"{effect.images:+,}")
        for effect in found
    ]
    lines = _as_markdown(rows) if style == "markdown" else _as_text(rows)
    bullet = "- " if style == "markdown" else ""
    return "\n".join([*lines, "", *(bullet + effect.in_words() for effect in found[:3])])


def _as_text(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(HEADER, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (HEADER, *rows)
    ]


def _as_markdown(rows: list[tuple[str, ...]]) -> list[str]:
    return [
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"
        for row in (HEADER, ("---", "---", "---", "---", "---:"), *rows)
    ]
