"""The page on which reviewers look at labels: their images by rank, and how sure the machine is.

One file that needs no other. Everything in it is escaped by the template; what it may load and run
is bounded by its own Content-Security-Policy, whatever a catalog's titles hold.
"""

import base64
import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from statistics import NormalDist
from urllib.parse import urlsplit

import psycopg
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from psycopg import sql
from psycopg.rows import class_row

from loader.errors import UserError
from review.live import relation

FOLDER = Path(__file__).parent

# The labels that show on most images, counted by the last refresh; no image is read for it.
FREQUENT = """
select provider, label
from {labels}
where
    decision = 'published'
    and (%(wanted)s::text[] is null or lower(label) = any(%(wanted)s))
order by images_at_minimum_accuracy desc, label collate "C", provider collate "C"
limit %(most)s
"""
CHOSEN = """
    inner join unnest(%(providers)s::text[], %(labels)s::text[]) as chosen (provider, label)
        on evidence.label = chosen.label and evidence.provider is not distinct from chosen.provider
"""
SHOWN = (
    """
select
    evidence.provider, evidence.label, evidence.rank, evidence.identifier, evidence.accuracy,
    evidence.title, evidence.url, evidence.landing_page, evidence.creator, evidence.license,
    evidence.license_version, evidence.location
from {label_gallery} as evidence
"""
    + CHOSEN
    + "order by evidence.rank"
)
DISTRIBUTIONS = (
    """
select
    evidence.provider, evidence.label, evidence.images, evidence.images_at_zero,
    evidence.histogram, evidence.mean_accuracy, evidence.standard_deviation,
    evidence.threshold, evidence.share_at_threshold,
    evidence.log_mean, evidence.log_standard_deviation
from {confidence_distribution} as evidence
"""
    + CHOSEN
)

# The plot's size and margins, in its own units.
WIDTH, HEIGHT, BOTTOM = 500, 120, 18


@dataclass(frozen=True)
class Image:
    """An image in a label's gallery."""

    provider: str | None
    label: str
    rank: int
    identifier: object
    accuracy: Decimal
    title: str | None
    url: str | None
    landing_page: str | None
    creator: str | None
    license: str | None
    license_version: str | None
    location: str | None


@dataclass(frozen=True)
class Distribution:
    """How sure the machine is where it says a label."""

    provider: str | None
    label: str
    images: int
    images_at_zero: int
    histogram: dict[str, int]
    mean_accuracy: Decimal
    standard_deviation: Decimal
    threshold: Decimal
    share_at_threshold: Decimal
    log_mean: Decimal | None
    log_standard_deviation: Decimal | None


@dataclass(frozen=True)
class Bar:
    """A bar of the plot, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True)
class Plot:
    """A histogram and the fitted curve over it, in the plot's units."""

    bars: list[Bar]
    curve: str
    ticks: list[tuple[float, str]]
    highest: int


@dataclass(frozen=True)
class Section:
    """What the page shows of a label."""

    number: int
    provider: str | None
    label: str
    images: list[Image]
    distribution: Distribution
    plot: Plot


def write_galleries(
    connection: psycopg.Connection, path: Path, wanted: list[str] | None, most: int
) -> tuple[int, int]:
    """Write the page; return how many labels and images are on it."""
    sections = read_sections(connection, wanted, most)
    page = render(sections)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return len(sections), sum(len(section.images) for section in sections)


def read_sections(
    connection: psycopg.Connection, wanted: list[str] | None, most: int
) -> list[Section]:
    """Return the labels with their images, the labels in alphabetical order."""
    keys = None if wanted is None else [label.lower() for label in wanted]
    query = sql.SQL(FREQUENT).format(labels=relation("labels"))
    chosen = connection.execute(query, {"wanted": keys, "most": most}).fetchall()
    if not chosen:
        raise UserError("no such label is published; `refinery.labels` says what each gets")
    values = {
        "providers": [provider for provider, _ in chosen],
        "labels": [label for _, label in chosen],
    }
    images: dict[tuple[str, str | None], list[Image]] = defaultdict(list)
    distributions: dict[tuple[str, str | None], Distribution] = {}
    with connection.cursor(row_factory=class_row(Image)) as cursor:
        query = sql.SQL(SHOWN).format(label_gallery=relation("label_gallery"))
        for image in cursor.execute(query, values):
            images[image.label, image.provider].append(image)
    with connection.cursor(row_factory=class_row(Distribution)) as cursor:
        query = sql.SQL(DISTRIBUTIONS).format(
            confidence_distribution=relation("confidence_distribution")
        )
        for found in cursor.execute(query, values):
            distributions[found.label, found.provider] = found
    ordered = sorted(distributions, key=lambda key: (key[0].casefold(), key[0], key[1] or ""))
    return [
        Section(number, provider, label, images[label, provider], found, plot(found))
        for number, (label, provider) in enumerate(ordered, start=1)
        for found in [distributions[label, provider]]
    ]


def plot(distribution: Distribution) -> Plot:
    """Return the histogram in bins of 0.01, with the images that the log-normal expects in each."""
    counts = {round(float(low) * 100): count for low, count in distribution.histogram.items()}
    first = min([50, *counts])
    expected = expected_counts(distribution, first)
    top = max([*counts.values(), *expected])
    step = WIDTH / (101 - first)

    def height(count: float) -> float:
        return round(count / top * (HEIGHT - BOTTOM - 4), 2)

    floor = HEIGHT - BOTTOM
    bars = [
        Bar(
            x=round((bin_ - first) * step, 2),
            y=round(floor - height(count), 2),
            width=round(step - 1, 2),
            height=height(count),
            words=f"{bin_ / 100:.2f}: {count:,}",
        )
        for bin_, count in sorted(counts.items())
    ]
    curve = " ".join(
        f"{(place + 0.5) * step:.2f},{floor - height(count):.2f}"
        for place, count in enumerate(expected)
    )
    tenths = range(-(-first // 10) * 10, 101, 10)
    ticks = [(round((tenth - first) * step, 2), f"{tenth / 100:.1f}") for tenth in tenths]
    return Plot(bars, curve, ticks, max(counts.values()))


def expected_counts(distribution: Distribution, first: int) -> list[float]:
    """Return the images that the fitted log-normal expects in each bin from `first` to 1.00."""
    mean, deviation = distribution.log_mean, distribution.log_standard_deviation
    if mean is None or not deviation:
        return []
    logs = NormalDist(float(mean), float(deviation))
    images = distribution.images - distribution.images_at_zero

    def below(bin_: int) -> float:
        return logs.cdf(math.log(bin_ / 100)) if bin_ > 0 else 0.0

    return [images * (below(bin_ + 1) - below(bin_)) for bin_ in range(first, 101)]


def render(sections: list[Section]) -> str:
    """Return the page."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["web_address"] = web_address
    style = (FOLDER / "galleries.css").read_text(encoding="utf-8")
    script = (FOLDER / "galleries.js").read_text(encoding="utf-8")
    return environment.get_template("galleries.html.jinja").render(
        sections=sections,
        has_providers=len({section.provider for section in sections}) > 1,
        width=WIDTH,
        height=HEIGHT,
        floor=HEIGHT - BOTTOM,
        style=Markup(style),  # noqa: S704 - the project's own file
        script=Markup(script),  # noqa: S704 - the project's own file
        policy=content_security_policy(style, script),
    )


def content_security_policy(style: str, script: str) -> str:
    """Return a policy by which the page's own style and script run, and nothing else."""
    rules: Iterable[str] = (
        "default-src 'none'",
        "img-src http: https:",
        f"style-src '{_hash(style)}'",
        f"script-src '{_hash(script)}'",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def web_address(url: str | None) -> str | None:
    """Return an address that may be a link: http or https, with a host; else nothing."""
    try:
        parts = urlsplit((url or "").strip())
    except ValueError:
        return None
    return parts.geturl() if parts.scheme in ("http", "https") and parts.netloc else None
