"""What has been measured, as Markdown."""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.contestants import Contestant
from benchmarks.inputs import NEW_PERCENT, Inputs
from benchmarks.measure import Usage
from benchmarks.refreshes import LOOKS, UNPREPARED_LOOKS, Afterwards, Percentiles, Refresh
from benchmarks.rounds import Record
from loader.connect import connect

PACKAGES = ("dbt-core", "dbt-postgres", "psycopg", "duckdb", "dlt")
SETTINGS = (
    *("shared_buffers", "maintenance_work_mem", "work_mem", "max_wal_size", "jit"),
    *("max_parallel_workers_per_gather", "fsync", "synchronous_commit"),
)

# How to read the first table.
NOTES = """\
Medians of n runs, in turns, each on a new database that holds the catalog. CPU is that of all
processes, the peak that of the largest. Ours' `dbt` is `dbt build` without tests: its start-up, the
seeds, the tags, and a count of all labels that no other contestant makes."""


@dataclass(frozen=True)
class Target:
    """A speed to reach, what was measured, and whether that reaches it; None: not measured."""

    what: str
    at_least: str
    measured: str = "not in this run"
    is_met: bool | None = None


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, its columns but the first aligned to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Return the day, the machine, the versions and the server's settings."""
    cpuinfo, meminfo = Path("/proc/cpuinfo"), Path("/proc/meminfo")
    cpu = platform.processor() or platform.machine()
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    memory = ""
    if meminfo.exists():
        memory = f", {int(meminfo.read_text().split()[1]) / (1 << 20):.0f} GB"
    with connect() as connection:
        postgres = connection.info.parameter_status("server_version")
        rows = connection.execute(
            "select name, current_setting(name) from unnest(%s::text[]) as name", (list(SETTINGS),)
        ).fetchall()
    settings = [" ".join(row) for row in rows]
    versions = [f"{name} {found}" for name in PACKAGES if (found := package_version(name))]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}. {cpu}, {os.cpu_count()} cores{memory}. "
        f"Postgres {postgres}, Python {platform.python_version()}, {', '.join(versions)}. "
        f"Postgres' settings: {', '.join(settings)}; all staging tables are unlogged."
    )


def package_version(name: str) -> str | None:
    """Return the version of a package, None if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def contestants_table(
    contestants: Sequence[Contestant], records: Mapping[str, Record], inputs: Inputs
) -> str:
    """Return what each contestant took, and each of its steps where it has several."""
    megabytes = inputs.labels.stat().st_size / 1e6
    rows = []
    for contestant in contestants:
        record = records[contestant.name]
        walls = record.walls()
        spread = f"{min(walls):.1f}–{max(walls):.1f}"
        total = record.total()
        speed = f"{megabytes / total.wall:.1f}"
        rows.append([f"**{contestant.title}**", *figures(total, spread), speed, str(len(walls))])
        steps = list(record.runs[0])
        if len(steps) > 1:
            rows += [[f"  {name}", *figures(record.step(name), ""), "", ""] for name in steps]
    head = "contestant|wall s|min–max|client CPU s|server CPU s|client peak MB|MB/s|n"
    return table(head.split("|"), rows)


def figures(usage: Usage, after_wall: str) -> list[str]:
    """Return the columns of what something took, with another one after the wall time."""
    server = "–" if usage.server_cpu is None else f"{usage.server_cpu:.1f}"
    times = [f"{usage.wall:.1f}", after_wall, f"{usage.client_cpu:.1f}", server]
    return [*times, f"{usage.client_peak_mb:.0f}"]


def targets(records: Mapping[str, Record], first: Refresh, afterwards: Afterwards) -> list[Target]:
    """Return each speed to reach, but growth, with what was measured."""
    ours = records["ours"]
    new, nothing = afterwards.new_responses, afterwards.nothing_new
    share = new.counted / first.counted
    worst_look = max(afterwards.prepared.of_95, afterwards.unprepared.of_95)
    database = nothing.machine_tags
    _, rows_of_nothing = afterwards.rows_written
    return [
        _at_least("ours against row by row, end to end", 15, ours, records.get("row_by_row")),
        _at_least(
            "ours against DuckDB that keeps the raw lines in Postgres too, end to end",
            1.2,
            ours,
            records.get("duckdb_keep"),
        ),
        _at_most(
            "ours against DuckDB that throws the raw lines away",
            2,
            ours.total(),
            records["duckdb_drop"].total() if "duckdb_drop" in records else None,
        ),
        _at_most(
            "ours against the floor",
            1.5,
            ours.total(),
            records["floor"].total() if "floor" in records else None,
        ),
        _at_most(
            "loader against bare COPY with as many connections",
            1.1,
            ours.step("load"),
            records["floor"].step("load") if "floor" in records else None,
        ),
        _client_share(ours.step("load")),
        Target(
            f"refresh with {NEW_PERCENT} % new responses against the first",
            "under 4 % of its time",
            f"{share:.1%} ({new.counted:.2f} s of {first.counted:.1f})",
            share < 0.04,
        ),
        Target(
            "refresh with nothing new",
            "no row of `machine_tags` written, under 1 s of database time",
            f"{rows_of_nothing} rows, {database:.2f} s",
            rows_of_nothing == 0 and database < 1,
        ),
        Target(
            "policy edit to visible, dbt's start-up included",
            "under 10 s",
            f"{afterwards.policy_edit:.1f} s",
            afterwards.policy_edit < 10,
        ),
        Target(
            "one image by identifier, p95", "under 5 ms", f"{worst_look:.2f} ms", worst_look < 5
        ),
    ]


def _at_least(what: str, factor: float, ours: Record, other: Record | None) -> Target:
    wanted = f"{factor:g} times as fast"
    if other is None:
        return Target(what, wanted)
    ratio = other.total().wall / ours.total().wall
    return Target(what, wanted, f"{ratio:.2f} times", ratio >= factor)


def _at_most(what: str, factor: float, ours: Usage, other: Usage | None) -> Target:
    wanted = f"within {factor:g} times its time"
    if other is None:
        return Target(what, wanted)
    ratio = ours.wall / other.wall
    return Target(what, wanted, f"{ratio:.2f} times", ratio <= factor)


def _client_share(load: Usage) -> Target:
    what, wanted = "loader's client CPU", "under 15 % of the server's"
    if not load.server_cpu:
        return Target(what, wanted)
    share = load.client_cpu / load.server_cpu
    return Target(what, wanted, f"{share:.1%}", share < 0.15)


def targets_table(rows: Sequence[Target]) -> str:
    """Return the speeds to reach, each met or not met."""
    said = {True: "met", False: "**not met**", None: "–"}
    return table(
        ["what", "target", "measured", "met"],
        [[row.what, row.at_least, row.measured, said[row.is_met]] for row in rows],
    )


def afterwards_table(first: Refresh, afterwards: Afterwards) -> str:
    """Return the rest that was measured."""
    new, nothing, written = (
        afterwards.new_responses,
        afterwards.nothing_new,
        afterwards.rows_written,
    )
    rows = [
        *_refresh_rows("first run", first),
        *_refresh_rows(f"refresh, {NEW_PERCENT} % new", new),
        *_refresh_rows("refresh, nothing new", nothing),
        ["rows of `machine_tags` written by these refreshes", f"{written[0]:,} and {written[1]:,}"],
        ["policy edit to visible", seconds(afterwards.policy_edit)],
        [f"one image, prepared as psycopg does ({LOOKS:,})", percentiles(afterwards.prepared)],
        [f"one image, never prepared ({UNPREPARED_LOOKS:,})", percentiles(afterwards.unprepared)],
        ["`select * from labels`", seconds(afterwards.labels)],
    ]
    return table(["also", "measured"], rows)


def _refresh_rows(name: str, refresh: Refresh) -> list[list[str]]:
    run = refresh.run
    rows = {
        "load": refresh.load.wall,
        "dbt's start-up": refresh.start_up,
        "seeds": run.seconds(*(node for node in run.nodes if node in SEEDS)),
        "`machine_tags`, alone": refresh.machine_tags,
        "label count": run.label_count,
        "all": refresh.load.wall + refresh.dbt.wall,
    }
    return [[f"{name}: {what}", seconds(value)] for what, value in rows.items() if value]


SEEDS = (
    *("included_labels", "reviewed_labels", "sensitive_labels"),
    *("label_corrections", "tag_providers", "denied_tag_patterns"),
)


def seconds(value: float) -> str:
    """Return seconds as text."""
    return f"{value:.2f} s"


def percentiles(found: Percentiles) -> str:
    """Return percentiles as text."""
    return f"p50 {found.median:.2f} ms, p95 {found.of_95:.2f} ms"


@dataclass(frozen=True)
class Size:
    """What a number of images took."""

    inputs: Inputs
    record: Record
    policy_edit: float

    @property
    def seconds_a_thousand(self) -> float:
        """Seconds for 1,000 labelled images, all steps together."""
        return self.record.total().wall / self.inputs.images * 1000


def growth_report(sizes: Sequence[Size]) -> str:
    """Return how the time grows with the number of images."""
    rows = []
    for size in sizes:
        walls = size.record.walls()
        steps = [
            f"{size.record.step(name).wall / size.inputs.images * 1000:.3f}"
            for name in size.record.runs[0]
        ]
        total = f"{size.seconds_a_thousand:.3f}"
        edit = f"{size.policy_edit:.1f}"
        rows.append([f"{size.inputs.images:,}", total, *steps, edit, str(len(walls))])
    steps = [f"{name}, s/1,000" for name in sizes[0].record.runs[0]]
    head = ["images", "s/1,000 images", *steps, "policy edit s", "n"]
    growth = sizes[-1].seconds_a_thousand / sizes[0].seconds_a_thousand - 1
    slowest = max(size.policy_edit for size in sizes)
    span = f"time per image from {sizes[0].inputs.images:,} to {sizes[-1].inputs.images:,}"
    reached = [
        Target(span, "grows by under 10 %", f"{growth:+.1%}", growth < 0.1),
        Target("policy edit, at every size", "under 10 s", f"{slowest:.1f} s", slowest < 10),
    ]
    return f"{table(head, rows)}\n\n{targets_table(reached)}"
