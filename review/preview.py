"""What the files of the working tree would change, compared with the policy that is live."""

from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from review.live import files_instead, relation

NOT_THERE = "—"
HEADER = ("label", "machine", "before", "after", "images")


@dataclass(frozen=True)
class Shown:
    """What the policy makes of a machine's label, and on how many images it shows."""

    decision: str
    images: int


@dataclass(frozen=True)
class Effect:
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
    nothing = Shown(NOT_THERE, 0)
    found = []
    for provider, label in sorted(before.keys() | after.keys()):
        old, new = before.get((provider, label), nothing), after.get((provider, label), nothing)
        if old != new:
            change = new.images - old.images
            found.append(Effect(provider, label, old.decision, new.decision, change))
    return sorted(found, key=lambda effect: (-abs(effect.images), effect.label))


def _shown(connection: psycopg.Connection) -> dict[tuple[str, str], Shown]:
    query = sql.SQL(
        """
        select
            coalesce(provider, ''),
            label,
            decision,
            case when decision = 'published' then images_at_minimum_accuracy else 0 end
        from {}
        """
    ).format(relation("labels"))
    rows = connection.execute(query).fetchall()
    return {
        (provider, label): Shown(decision, images) for provider, label, decision, images in rows
    }


def as_table(found: list[Effect], style: str) -> str:
    """Return the effects as a table, `text` or `markdown`, with the three largest in words."""
    if not found:
        return "Nothing would change: the files say what is live."
    table = _as_markdown(found) if style == "markdown" else _as_text(found)
    bullet = "- " if style == "markdown" else ""
    return "\n".join([table, "", *(bullet + effect.in_words() for effect in found[:3])])


def _as_text(found: list[Effect]) -> str:
    rows = [HEADER, *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _as_markdown(found: list[Effect]) -> str:
    rows = [HEADER, ("---", "---", "---", "---", "---:"), *map(_row, found)]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows
    )


def _row(effect: Effect) -> tuple[str, str, str, str, str]:
    return (effect.label, effect.provider, effect.before, effect.after, f"{effect.images:+,}")
