"""Whether all contestants end with the same: tag by tag on a sample, by digest over all."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from psycopg import sql

from benchmarks.contestants import Contestant
from loader.connect import connect
from loader.errors import UserError

SAMPLE_SIZE = 1_000

# jsonb prints the same value in the same way, a number's zeros included.
DIGEST = """
select
    count(*),
    sum(jsonb_array_length(tags)),
    sum(hashtextextended(identifier::text || tags::text, 0)::numeric)
from ({}) as result
"""
# The images first, so that a view makes the tags of no others.
SAMPLE = """
select identifier::text, tags::text
from ({0}) as result
where identifier in (
    select identifier from ({0}) as all_images
    order by hashtextextended(identifier::text, 1)
    limit %s
)
"""

Sample = Mapping[str, str]


@dataclass(frozen=True)
class Result:
    """What a query yields, in short: how many rows and tags, a digest of all, some of the rows."""

    rows: int
    tags: int
    digest: Decimal
    sample: Sample

    def difference(self, other: "Result") -> str | None:
        """Return the first difference to another result, None if they are the same."""
        for identifier, tags in self.sample.items():
            if identifier not in other.sample:
                return f"image {identifier} is missing"
            if found := _first_other_tag(tags, other.sample[identifier]):
                return f"image {identifier}, {found}"
        if (self.rows, self.tags) != (other.rows, other.tags):
            return (
                f"{self.rows:,} images with {self.tags:,} tags expected, "
                f"{other.rows:,} with {other.tags:,} found"
            )
        if self.digest != other.digest:
            return f"other digests, though {len(self.sample):,} images are the same tag by tag"
        return None


def _first_other_tag(expected: str, found: str) -> str | None:
    if expected == found:
        return None
    one, another = (json.loads(tags, parse_float=Decimal) for tags in (expected, found))
    for place, (tag, other) in enumerate(zip(one, another, strict=False)):
        if str(tag) != str(other):
            return f"tag {place + 1}: {tag} expected, {other} found"
    return f"{len(one)} tags expected, {len(another)} found"


def read_result(query: str) -> Result:
    """Read a result from the database of the environment."""
    with connect() as connection:
        rows, tags, digest = connection.execute(_around(DIGEST, query)).fetchone() or (0, 0, 0)
        sample = connection.execute(_around(SAMPLE, query), (SAMPLE_SIZE,)).fetchall()
    return Result(rows, tags or 0, digest or Decimal(0), dict(sample))


def _around(outer: str, query: str) -> sql.Composed:
    return sql.SQL(outer).format(sql.SQL(query))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Results:
    """Both results of a run; a contestant that has none of the first kind is not asked for it."""

    machine_labels: Result | None
    published: Result

    @classmethod
    def of(cls, contestant: Contestant) -> "Results":
        """Read the results of the contestant's run from the database of the environment."""
        labels = contestant.machine_labels
        return cls(read_result(labels) if labels else None, read_result(contestant.published))

    def require_equal(self, other: "Results", title: str) -> None:
        """Raise UserError with the first difference if the other's are not the same."""
        found = {"published tags": self.published.difference(other.published)}
        if self.machine_labels and other.machine_labels:
            found["machine labels"] = self.machine_labels.difference(other.machine_labels)
        for what, difference in found.items():
            if difference:
                raise UserError(f"{title} ends with other {what} than ours: {difference}")
