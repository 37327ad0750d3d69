"""What comes after the first run: refreshes, an edit of the policy, and looking at images."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

import psycopg

from benchmarks.contestants import dbt
from benchmarks.inputs import NEW_PERCENT, Inputs
from benchmarks.measure import Command, ServerClock, Usage, measure, succeed
from benchmarks.ours import COUNT, REFRESH, load
from loader.connect import PROJECT, connect
from loader.errors import UserError
from review.edit import Decision, Edit

STORED = ("int_rekognition_labels", *COUNT)
LOOKS, UNPREPARED_LOOKS = 2_000, 500

# The folder of the project that the benchmark edits, and where dbt writes.
EDITED, WRITTEN = "seeds", ("target", "logs")
CHANGE = """
update catalog.image
set
    tags = tags || '[{"name": "Changed", "provider": "clarifai", "accuracy": 0.95}]',
    updated_on = now()
where jsonb_typeof(tags) = 'array' and abs(hashtext(identifier::text)) %% 100 < %s
"""
EDITED_LABEL = "Nature"
SHOWS_LABEL = "select tags @> %s::jsonb from refinery.published_images where identifier = %s"
ONE_THAT_SHOWS_IT = "select identifier from published where tags @> %s::jsonb limit 1"


@dataclass(frozen=True)
class DbtRun:
    """When each node of dbt's last run began and ended."""

    nodes: Mapping[str, tuple[datetime, datetime]]

    @classmethod
    def last(cls) -> "DbtRun":
        """Read it from dbt's target folder."""
        path = Path(os.environ["DBT_TARGET_PATH"]) / "run_results.json"
        nodes = {}
        for result in json.loads(path.read_text())["results"]:
            times = [
                datetime.fromisoformat(timing[end])
                for timing in result["timing"]
                for end in ("started_at", "completed_at")
            ]
            if times:
                nodes[result["unique_id"].split(".")[-1]] = (min(times), max(times))
        return cls(nodes)

    def seconds(self, *names: str) -> float:
        """Return for how long one or more of the nodes were running."""
        total, until = timedelta(), datetime.min.replace(tzinfo=UTC)
        for begin, end in sorted(self.nodes[name] for name in names):
            total += max(timedelta(), end - max(begin, until))
            until = max(until, end)
        return total.total_seconds()

    @property
    def span(self) -> float:
        """The seconds from the beginning of the first node to the end of the last."""
        begins, ends = zip(*self.nodes.values(), strict=True)
        return (max(ends) - min(begins)).total_seconds()


@dataclass(frozen=True)
class Refresh:
    """A load and a `dbt run`, the first or a later one."""

    load: Usage
    dbt: Usage
    run: DbtRun

    @property
    def start_up(self) -> float:
        """The seconds that dbt takes before its first hook and after its last."""
        return self.dbt.wall - self.run.span

    @property
    def without_start_up(self) -> float:
        """The seconds of the load and of all that dbt does."""
        return self.load.wall + self.run.span


@dataclass(frozen=True)
class Percentiles:
    """Of times, in milliseconds."""

    median: float
    of_95: float


@dataclass
class Afterwards:
    """All that is measured on a database that ours has built; None: not yet."""

    policy_edit: float | None = None
    prepared: Percentiles | None = None
    unprepared: Percentiles | None = None
    labels: float | None = None
    new_responses: Refresh | None = None
    changed_rows: Refresh | None = None  # of the catalog
    nothing_new: Refresh | None = None
    rows_written: int = 0  # by the last


@contextmanager
def own_dbt_folder() -> Iterator[None]:
    """Let dbt write its files to a folder of the benchmark's, parsed before any measured run."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DBT_TARGET_PATH": f"{folder}/target", "DBT_LOG_PATH": f"{folder}/logs"}
        yield


def measure_afterwards(
    found: Afterwards, inputs: Inputs, connections: int, clock: ServerClock
) -> None:
    """Measure all of it on the database of the environment, which is changed by it."""
    found.policy_edit = measure_policy_edit(clock)
    found.prepared = measure_looks(LOOKS, is_prepared=None)
    found.unprepared = measure_looks(UNPREPARED_LOOKS, is_prepared=False)
    found.labels = measure_labels()
    found.new_responses = refresh(inputs.new_labels, connections, clock)
    change_catalog()
    found.changed_rows = refresh(inputs.new_labels, connections, clock)
    before = rows_written()
    found.nothing_new = refresh(inputs.new_labels, connections, clock)
    found.rows_written = rows_written() - before


def refresh(labels: Path, connections: int, clock: ServerClock) -> Refresh:
    """Load a file and run all that a refresh runs."""
    loaded = measure(load(labels, connections), clock)
    return Refresh(loaded, measure(REFRESH, clock), DbtRun.last())


def change_catalog() -> None:
    """Change some rows of the catalog, and their tags, as its own ingestion would."""
    with connect() as connection:
        connection.execute(CHANGE, (NEW_PERCENT,))


def rows_written() -> int:
    """Return how many rows of what a refresh fills were ever inserted, updated or deleted."""
    with connect() as connection:
        (written,) = connection.execute(
            """
            select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_user_tables
            where schemaname = 'refinery' and relname = any(%s)
            """,
            (list(STORED),),
        ).fetchone() or (0,)
    return int(written)


def measure_policy_edit(clock: ServerClock) -> float:
    """Return the seconds from `dbt seed`, after a label is excluded, until it is out of sight."""
    tag = json.dumps([{"name": EDITED_LABEL, "provider": "rekognition"}])
    with connect() as connection, parsed_copy() as seed:
        (image,) = connection.execute(ONE_THAT_SHOWS_IT, (tag,)).fetchone() or (None,)
        if image is None:
            raise UserError(f"no image shows {EDITED_LABEL}; the benchmark needs more images")
        edit = Edit(seed.folder / "seeds" / "label_policy")
        reason = "for a moment, by the benchmark"
        edit.decide([Decision(EDITED_LABEL, "exclude", ["benchmark"], "2026-11-22", reason=reason)])
        edit.save()
        edited = measure(seed.command, clock)
        began = time.perf_counter()
        if connection.execute(SHOWS_LABEL, (tag, image)).fetchone() != (False,):
            raise UserError(f"{EDITED_LABEL} was excluded, and is still shown")
        seconds = edited.wall + time.perf_counter() - began
    succeed(dbt("seed"))
    return seconds


@dataclass(frozen=True)
class Seed:
    """`dbt seed` of a copy of the project."""

    folder: Path

    @property
    def command(self) -> Command:
        """The command; what dbt has parsed is kept beside the copy."""
        where = ["--project-dir", self.folder, "--profiles-dir", self.folder]
        return dbt("seed", *where, "--target-path", self.folder / "target")


@contextmanager
def parsed_copy() -> Iterator[Seed]:
    """Let dbt parse a copy of the project, so that nobody's files are touched."""
    with tempfile.TemporaryDirectory() as folder:
        copy_project(Path(folder))
        seed = Seed(Path(folder))
        succeed(seed.command)
        yield seed


def copy_project(folder: Path) -> None:
    """Copy what is edited, and link all else, whatever the project consists of."""
    folder.mkdir(exist_ok=True)
    for part in PROJECT.iterdir():
        if part.name == EDITED:
            shutil.copytree(part, folder / EDITED)
        elif part.name not in WRITTEN and not part.name.startswith("."):
            (folder / part.name).symlink_to(part)


def measure_looks(count: int, is_prepared: bool | None) -> Percentiles:
    """Return how long one image takes by its identifier, asked for as a client does.

    None leaves it to psycopg, which prepares a statement when it comes for the sixth time.
    """
    with connect() as connection:
        identifiers = connection.execute(
            "select identifier from catalog.image order by random() limit %s", (count,)
        ).fetchall()
        seconds = [look(connection, identifier, is_prepared) for (identifier,) in identifiers]
    return Percentiles(median(seconds) * 1000, quantiles(seconds, n=20)[-1] * 1000)


def look(connection: psycopg.Connection, identifier: object, is_prepared: bool | None) -> float:
    """Return the seconds that one image takes."""
    query = "select * from refinery.published_images where identifier = %s"
    began = time.perf_counter()
    connection.execute(query, (identifier,), prepare=is_prepared).fetchone()
    return time.perf_counter() - began


def measure_labels() -> float:
    """Return the seconds that the view `labels` takes."""
    with connect() as connection:
        began = time.perf_counter()
        connection.execute("select * from refinery.labels").fetchall()
        return time.perf_counter() - began
