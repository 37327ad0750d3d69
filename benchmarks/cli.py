"""Measure Label Refinery beside other ways to the same result, and print a Markdown report."""

import logging
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

import click

from benchmarks import with_dlt
from benchmarks.contestants import CATALOG, Contestant, dbt
from benchmarks.databases import MAINTENANCE, create, create_catalog, drop, running_server, use
from benchmarks.floor import FLOOR
from benchmarks.inputs import Inputs
from benchmarks.measure import ServerClock, Usage, measure, succeed
from benchmarks.ours import OURS, WITHOUT_COUNT, load
from benchmarks.processes import compare_processes
from benchmarks.refreshes import (
    Afterwards,
    DbtRun,
    Refresh,
    measure_afterwards,
    measure_policy_edit,
    own_dbt_folder,
    refresh,
)
from benchmarks.report import (
    NOTES,
    Size,
    afterwards_table,
    contestants_table,
    figures,
    growth_report,
    machine,
    table,
    targets,
    targets_table,
)
from benchmarks.rounds import Record, run_rounds
from benchmarks.row_by_row import ROW_BY_ROW
from benchmarks.with_duckdb import DROPPING, KEEPING
from loader.errors import Commands, UserError

log = logging.getLogger("benchmarks")

# The others are compared with the first; the floor begins with the database of ours.
CONTESTANTS = (WITHOUT_COUNT, OURS, FLOOR, DROPPING, KEEPING, ROW_BY_ROW)
DLT = "dlt"
DLT_IMAGES = 50_000
PAIRS = 5
GROWING = (WITHOUT_COUNT, OURS, DROPPING, KEEPING)

NAMES = [*(contestant.name for contestant in CONTESTANTS), DLT]


@click.group(cls=Commands, invoke_without_command=True)
@click.option("--images", default=200_000, show_default=True, help="Images that are labelled.")
@click.option("--rounds", default=3, show_default=True, help="Row by row has one.")
@click.option(
    "--growth",
    is_flag=True,
    help="Ours and DuckDB, at a quarter of the images, at all, at 4 times.",
)
@click.option(
    "--only", type=click.Choice(NAMES), multiple=True, default=NAMES, help="Repeatable; all."
)
def main(images: int, rounds: int, growth: bool, only: Sequence[str]) -> None:
    """Measure Label Refinery beside other ways to the same result, and print a Markdown report."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    if growth:
        sizes = {images // 4: rounds, images: rounds, 4 * images: 1}
        measure_growth(sizes, [c for c in GROWING if c is OURS or c.name in only])
    else:
        chosen = [c for c in CONTESTANTS if c is OURS or c.name in only]
        compare(chosen, images, rounds, with_dlt_too=DLT in only)


def say(*parts: str) -> None:
    """Print parts of the report as soon as they are measured: a step may fail after an hour."""
    print(*parts, sep="\n\n", end="\n\n", flush=True)


def compare(
    contestants: Sequence[Contestant], images: int, rounds: int, with_dlt_too: bool
) -> None:
    """Run all contestants and print what they took."""
    if with_dlt_too or {DROPPING, KEEPING} & set(contestants):
        require("duckdb", "dlt")
    inputs, connections = Inputs(images), os.cpu_count() or 1
    inputs.make()
    inputs.make_parts(connections)
    with running_server() as clock, own_dbt_folder():
        try:
            create_catalog(inputs)
            say(f"## {images:,} images labelled, {2 * images:,} in the catalog", machine())
            parse_project()
            records: defaultdict[str, Record] = defaultdict(Record)
            try:
                for name, run in run_rounds(contestants, inputs, connections, rounds, clock):
                    records[name].runs.append(run)
            finally:
                say(contestants_table(contestants, records, inputs), NOTES)
            compare_afterwards(contestants, records, inputs, connections, clock)
            say(compare_processes(inputs, clock))
            if with_dlt_too:
                say(compare_loads(min(images, DLT_IMAGES), connections, clock))
        finally:
            clean_up()


def compare_afterwards(
    contestants: Sequence[Contestant],
    records: Mapping[str, Record],
    inputs: Inputs,
    connections: int,
    clock: ServerClock,
) -> None:
    """Measure what comes after the last run of ours, and print it with the speeds to reach."""
    last = records[OURS.name].runs[-1]
    first = Refresh(last["load"], last["dbt"], DbtRun.last())
    afterwards, loads = Afterwards(), []
    use(OURS.database)
    log.info("Policy edit, looks at images, refreshes")
    try:
        measure_afterwards(afterwards, inputs, connections, clock)
        if FLOOR in contestants:
            loads = compare_with_copy(inputs, connections, clock)
    finally:
        reached = targets(records, first, afterwards, loads)
        say(targets_table(reached), afterwards_table(first, afterwards))


def measure_growth(sizes: Mapping[int, int], contestants: Sequence[Contestant]) -> None:
    """Run ours and DuckDB at several sizes and print how the time grows."""
    if {DROPPING, KEEPING} & set(contestants):
        require("duckdb")
    connections = os.cpu_count() or 1
    found: list[Size] = []
    with running_server() as clock, own_dbt_folder():
        use(MAINTENANCE)
        say("## Growth", machine())
        try:
            for images, rounds in sizes.items():
                found.append(Size(Inputs(images)))
                measure_size(found[-1], contestants, rounds, connections, clock)
        finally:
            say(growth_report(found, contestants))


def measure_size(
    size: Size,
    contestants: Sequence[Contestant],
    rounds: int,
    connections: int,
    clock: ServerClock,
) -> None:
    """Run the contestants at one size, and of ours an edit of the policy and a refresh."""
    inputs = size.inputs
    inputs.make()
    try:
        create_catalog(inputs)
        parse_project()
        for name, run in run_rounds(contestants, inputs, connections, rounds, clock):
            size.records[name].runs.append(run)
        use(OURS.database)
        size.policy_edit = measure_policy_edit(clock)
        refresh(inputs.new_labels, connections, clock)
        size.nothing_new = refresh(inputs.new_labels, connections, clock)
    finally:
        clean_up()


def compare_with_copy(
    inputs: Inputs, connections: int, clock: ServerClock
) -> list[tuple[Usage, Usage]]:
    """Return what the loader took, and bare COPY right after it, in several pairs."""
    pairs = []
    for _ in range(PAIRS):
        loads = []
        for contestant in (OURS, FLOOR):
            create(OURS.database, "template1")
            use(OURS.database)
            succeed(OURS.steps(inputs, connections)["init"])
            loads.append(measure(contestant.steps(inputs, connections)["load"], clock))
        pairs.append((loads[0], loads[1]))
    return pairs


def compare_loads(images: int, connections: int, clock: ServerClock) -> str:
    """Load the same file with dlt and with ours, and return a table of both."""
    inputs = Inputs(images)
    inputs.make()
    rows = []
    for name, command in (
        ("ours, the loader alone", load(inputs.labels, connections)),
        ("dlt", with_dlt.load(inputs.labels, connections)),
    ):
        create(OURS.database, "template1")
        use(OURS.database)
        succeed(OURS.steps(inputs, connections)["init"])
        used = measure(command, clock)
        rows.append([name, *figures(used, f"{used.wall / images * 1000:.3f}")])
        log.info("Load of %s lines: %s took %.1f s", f"{images:,}", name, used.wall)
    head = "wall s|s/1,000 lines|client CPU s|server CPU s|client peak MB"
    return table([f"load of {images:,} responses", *head.split("|")], rows)


def clean_up() -> None:
    """Drop all databases that the benchmark has made, as the server may be the user's."""
    use(MAINTENANCE)
    drop(*(contestant.database for contestant in CONTESTANTS), CATALOG)


def parse_project() -> None:
    """Let dbt parse the project, as it has in each run but a user's first."""
    use(OURS.database)  # it parses anew if what profiles.yml reads has changed
    succeed(dbt("parse"))


def require(*packages: str) -> None:
    """Raise UserError if a package that only the benchmark uses is not there."""
    if missing := [package for package in packages if find_spec(package) is None]:
        raise UserError(f"{' and '.join(missing)} not installed: run this by `make bench`")
