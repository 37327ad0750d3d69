"""What has been measured, as Markdown."""

import os
import platform
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from benchmarks.contestants import Contestant
from benchmarks.inputs import NEW_PERCENT, Inputs
from benchmarks.measure import Usage
from benchmarks.refreshes import LOOKS, STORED, UNPREPARED_LOOKS, Afterwards, Percentiles, Refresh
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
seeds, the tags, and a count of all labels that no other contestant makes: targets compare ours
without it, and name what it is with it."""


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
    """Return what each contestant took that has run, and each of its steps if it has several."""
    megabytes = inputs.labels.stat().st_size / 1e6
    rows = []
    for contestant in [each for each in contestants if each.name in records]:
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


def targets(
    records: Mapping[str, Record],
    first: Refresh,
    afterwards: Afterwards,
    loads: Sequence[tuple[Usage, Usage]],
) -> list[Target]:
    """Return each speed to reach, with what was measured."""
    looks = [found.of_95 for found in (afterwards.prepared, afterwards.unprepared) if found]
    peak = records["ours"].total().client_peak_mb
    return [
        faster("DuckDB that keeps the raw lines", 1.25, records, "duckdb_keep"),
        faster("DuckDB that drops the raw lines", 1.1, records, "duckdb_drop"),
        faster("row by row", 4, records, "row_by_row"),
        _server_cpu("publishing all as a table", "publish", 6, records, "publish"),
        _server_cpu("extraction and count", "dbt", 2.2, records, "load"),
        _loader(loads),
        _nothing_new(afterwards),
        _refresh(f"refresh with {NEW_PERCENT} % new", first, afterwards.new_responses),
        _refresh(
            f"refresh with {NEW_PERCENT} % of the catalog changed", first, afterwards.changed_rows
        ),
        _under("policy edit to visible, dbt's start included", 8, afterwards.policy_edit, "s"),
        _under("one image by identifier, p95", 2, max(looks, default=None), "ms", digits=2),
        _under("peak client memory, ours", 150, peak, "MB", digits=0),
        Target("time per image from 50 k to 800 k", "does not grow"),
    ]


def _under(what: str, limit: float, found: float | None, unit: str, digits: int = 1) -> Target:
    wanted = f"under {limit:g} {unit}"
    if found is None:
        return Target(what, wanted)
    return Target(what, wanted, f"{found:.{digits}f} {unit}", found < limit)


def _nothing_new(afterwards: Afterwards) -> Target:
    what, wanted = "refresh with nothing new, all but dbt's start", "under 1 s, no row written"
    if afterwards.nothing_new is None:
        return Target(what, wanted)
    took, rows = afterwards.nothing_new.without_start_up, afterwards.rows_written
    return Target(what, wanted, f"{took:.2f} s, {rows} rows", took < 1 and rows == 0)


def faster(than: str, factor: float, records: Mapping[str, Record], other: str) -> Target:
    """Return how many times as fast ours is, without the label count and with it."""
    what, wanted = f"ours against {than}, end to end", f"{factor:g} times as fast"
    if other not in records or "without_count" not in records:
        return Target(what, wanted)
    ratio, with_count = (
        records[other].total().wall / records[ours].total().wall
        for ours in ("without_count", "ours")
    )
    measured = f"{ratio:.2f} times, with the label count {with_count:.2f}"
    return Target(what, wanted, measured, ratio >= factor)


def _server_cpu(
    what: str, step: str, factor: float, records: Mapping[str, Record], of_floor: str
) -> Target:
    what, wanted = f"{what}, server CPU against the floor's {of_floor}", f"within {factor:g} times"
    floor = records["floor"].step(of_floor).server_cpu if "floor" in records else None
    ours = records["ours"].step(step).server_cpu
    if not ours or not floor:
        return Target(what, wanted)
    return Target(what, wanted, f"{ours / floor:.1f} times", ours <= factor * floor)


def _loader(pairs: Sequence[tuple[Usage, Usage]]) -> Target:
    what = f"loader against bare COPY, median of {len(pairs)} pairs"
    if not pairs:
        return Target(what, "within 1.2 times its time")
    ratio = median(ours.wall / copy.wall for ours, copy in pairs)
    return Target(what, "within 1.2 times its time", f"{ratio:.2f} times", ratio <= 1.2)


def _refresh(what: str, first: Refresh, later: Refresh | None) -> Target:
    what, wanted = f"{what}, against the first run, dbt's start apart", "under 5 %"
    if later is None:
        return Target(what, wanted)
    share = later.without_start_up / first.without_start_up
    measured = f"{share:.1%} ({later.without_start_up:.2f} s of {first.without_start_up:.1f})"
    return Target(what, wanted, measured, share < 0.05)


def targets_table(rows: Sequence[Target]) -> str:
    """Return the speeds to reach, each met or not met."""
    said = {True: "met", False: "**not met**", None: "–"}
    return table(
        ["what", "target", "measured", "met"],
        [[row.what, row.at_least, row.measured, said[row.is_met]] for row in rows],
    )


def afterwards_table(first: Refresh, afterwards: Afterwards) -> str:
    """Return the rest that was measured."""
    rows = [
        *_refresh_rows("first run", first),
        *_refresh_rows(f"refresh, {NEW_PERCENT} % new", afterwards.new_responses),
        *_refresh_rows(f"refresh, {NEW_PERCENT} % of the catalog changed", afterwards.changed_rows),
        *_refresh_rows("refresh, nothing new", afterwards.nothing_new),
    ]
    others = {
        "policy edit to visible": seconds(afterwards.policy_edit),
        f"one image, prepared as psycopg does ({LOOKS:,})": percentiles(afterwards.prepared),
        f"one image, never prepared ({UNPREPARED_LOOKS:,})": percentiles(afterwards.unprepared),
        "`select * from labels`": seconds(afterwards.labels),
    }
    rows += [[what, measured] for what, measured in others.items() if measured]
    return table(["also", "measured"], rows)


def _refresh_rows(name: str, refresh: Refresh | None) -> list[list[str]]:
    if refresh is None:
        return []
    run = refresh.run
    rows = {
        "load": refresh.load.wall,
        "dbt's start-up": refresh.start_up,
        "seeds": run.seconds(*(node for node in run.nodes if node in SEEDS)),
        **{f"`{model}`": run.seconds(model) for model in STORED},
        "all": refresh.load.wall + refresh.dbt.wall,
    }
    return [[f"{name}: {what}", seconds(value)] for what, value in rows.items() if value]


SEEDS = (
    *("included_labels", "reviewed_labels", "sensitive_labels"),
    *("label_corrections", "tag_providers", "denied_tag_patterns"),
)


def seconds(value: float | None) -> str:
    """Return seconds as text, nothing of what was not measured."""
    return "" if value is None else f"{value:.2f} s"


def percentiles(found: Percentiles | None) -> str:
    """Return percentiles as text, nothing of what was not measured."""
    return f"p50 {found.median:.2f} ms, p95 {found.of_95:.2f} ms" if found else ""


@dataclass
class Size:
    """What a number of images took; None: not measured yet."""

    inputs: Inputs
    records: defaultdict[str, Record] = field(default_factory=lambda: defaultdict(Record))
    policy_edit: float | None = None
    nothing_new: Refresh | None = None

    def seconds_a_thousand(self, name: str = "ours") -> float:
        """Seconds of a contestant for 1,000 labelled images, all steps together."""
        return self.records[name].total().wall / self.inputs.images * 1000


def growth_report(sizes: Sequence[Size], contestants: Sequence[Contestant]) -> str:
    """Return how the time grows with the number of images."""
    rows = []
    for size in sizes:
        for contestant in [each for each in contestants if each.name in size.records]:
            record = size.records[contestant.name]
            what = f"{size.inputs.images:,}, {contestant.title}"
            a_thousand = f"{size.seconds_a_thousand(contestant.name):.3f}"
            rows.append([what, a_thousand, *figures(record.total(), str(len(record.runs)))])
    head = "images|s/1,000 images|wall s|n|client CPU s|server CPU s|client peak MB"
    return f"{table(head.split('|'), rows)}\n\n{targets_table(growth_targets(sizes))}"


def growth_targets(sizes: Sequence[Size]) -> list[Target]:
    """Return the speeds to reach at all sizes that were measured."""
    ran = [size for size in sizes if "ours" in size.records]
    if not ran:
        return []
    smallest, largest = ran[0], ran[-1]
    growth = largest.seconds_a_thousand() / smallest.seconds_a_thousand() - 1
    grown = (f"{growth:+.1%}", growth <= 0) if len(ran) > 1 else ()
    edits = [size.policy_edit for size in ran if size.policy_edit is not None]
    nothing = [size.nothing_new.without_start_up for size in ran if size.nothing_new]
    refreshed = (", ".join(map(seconds, nothing)), max(nothing) < 1) if nothing else ()
    sizes_compared = f"from {smallest.inputs.images:,} to {largest.inputs.images:,}"
    return [
        faster("DuckDB that keeps the raw lines", 1.6, largest.records, "duckdb_keep"),
        faster("DuckDB that drops the raw lines", 1.35, largest.records, "duckdb_drop"),
        Target(f"time per image {sizes_compared}", "does not grow", *grown),
        _under("policy edit, at every size", 8, max(edits, default=None), "s"),
        Target("refresh with nothing new, all but dbt's start", "under 1 s", *refreshed),
    ]
