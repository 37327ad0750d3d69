"""The page on which reviewers look at labels: their images by rank, and how sure the machine is.

One file that needs no other. Everything in it is escaped by the template; what it may load and run
is bounded by its own Content-Security-Policy, whatever a catalog's titles hold.
"""

import base64
import hashlib
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psycopg
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from psycopg import sql
from psycopg.rows import dict_row

from loader.errors import UserError
from review.live import relation

FOLDER = Path(__file__).parent

# The labels that show on most images, counted by the last refresh; no image is read for it. All
# images are read once for the galleries and once for the distributions, hence `materialized`.
SECTIONS = """
with chosen as materialized (
    select provider, label
    from {labels}
    where
        decision = 'published'
        and (%(labels)s::text[] is null or label = any(%(labels)s))
    order by images_at_minimum_accuracy desc, label collate "C", provider collate "C"
    limit %(most)s
),

galleries as materialized (
    select
        gallery.provider,
        gallery.label,
        jsonb_agg(to_jsonb(gallery) order by gallery.rank) as gallery
    from {label_gallery} as gallery
    inner join chosen
        on gallery.label = chosen.label and gallery.provider is not distinct from chosen.provider
    group by gallery.provider, gallery.label
),

distributions as materialized (
    select distribution.*
    from {confidence_distribution} as distribution
    inner join chosen
        on
            distribution.label = chosen.label
            and distribution.provider is not distinct from chosen.provider
)

select
    distributions.*,
    coalesce(galleries.gallery, '[]') as gallery
from distributions
left join galleries
    on
        distributions.label = galleries.label
        and distributions.provider is not distinct from galleries.provider
"""

# The plot's size and margins, in its own units.
WIDTH, HEIGHT, BOTTOM = 500, 120, 18

Section = dict[str, Any]
"""What the page shows of a label: the columns of confidence_distribution, and as `gallery` the rows
of label_gallery."""


class Bar(NamedTuple):
    """A bar of the plot, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    words: str


class Plot(NamedTuple):
    """A histogram and the fitted curve over it, in the plot's units."""

    bars: list[Bar]
    curve: str
    ticks: list[tuple[float, str]]
    highest: int


def write_page(
    connection: psycopg.Connection, path: Path, labels: list[str] | None, most: int
) -> tuple[int, int]:
    """Write the page of the labels (None: any); return how many labels and images are on it."""
    with _writing(path):  # before the long work, not after it
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
            raise UserError(
                f"{path} cannot be written; check that it is a file, and who may write it"
            )
    sections = read_sections(connection, labels, most)
    with _writing(path):
        path.write_text(render(sections), encoding="utf-8")
    return len(sections), sum(len(section["gallery"]) for section in sections)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def read_sections(
    connection: psycopg.Connection, labels: list[str] | None, most: int
) -> list[Section]:
    """Return the most frequent of the labels (None: of all), in alphabetical order."""
    models = ("labels", "label_gallery", "confidence_distribution")
    query = sql.SQL(SECTIONS).format(**{model: relation(model) for model in models})
    with connection.cursor(row_factory=dict_row) as cursor:
        sections = cursor.execute(query, {"labels": labels, "most": most}).fetchall()
    if not sections:
        raise UserError("no such label is published; `refinery.labels` says what each gets")
    return sorted(
        sections, key=lambda row: (row["label"].casefold(), row["label"], row["provider"] or "")
    )


def plot(section: Section) -> Plot:
    """Return the histogram in bins of 0.01, with the images that the log-normal expects in each."""
    counts = {round(float(low) * 100): count for low, count in section["histogram"].items()}
    first = min([50, *counts])
    expected = expected_counts(section, first)
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


def expected_counts(section: Section, first: int) -> list[float]:
    """Return the images that the fitted log-normal expects in each bin from `first` to 1.00."""
    mean, deviation = section["log_mean"], section["log_standard_deviation"]
    if mean is None or not deviation:
        return []
    logs = NormalDist(float(mean), float(deviation))
    images = section["images"] - section["images_at_zero"]

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
    environment.filters["plot"] = plot
    style = (FOLDER / "page.css").read_text(encoding="utf-8")
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    return environment.get_template("page.html.jinja").render(
        sections=sections,
        has_providers=len({section["provider"] for section in sections}) > 1,
        width=WIDTH,
        height=HEIGHT,
        floor=HEIGHT - BOTTOM,
        style=Markup(style),  # noqa: S704 - the project's own file
        script=Markup(script),  # noqa: S704 - the project's own file
        policy=content_security_policy(style, script),
    )


def content_security_policy(style: str, script: str) -> str:
    """Return a policy by which the page's own style and script run, and nothing else."""
    rules = (
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
