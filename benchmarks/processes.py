"""What each step of ours gains from a second process, and what sixteen would make of it."""

import logging
from collections.abc import Mapping

from benchmarks.databases import create, use
from benchmarks.inputs import Inputs
from benchmarks.measure import Command, ServerClock
from benchmarks.ours import OURS
from benchmarks.refreshes import DbtRun, Refresh
from benchmarks.report import table
from benchmarks.rounds import run_steps

log = logging.getLogger(__name__)

ONE_PROCESS_OF_SERVER = ("env", "PGOPTIONS=-c max_parallel_workers_per_gather=0")
CORES = 16
TAKEN_OUT = ("int_rekognition_labels", "int_catalog_labels")

NOTES = f"""\
One process: one connection of the loader, one thread of dbt, and no parallel workers; two: as it
is on two cores. What {CORES} cores would take is worked out from these two (Amdahl, 1967: a part
that is divided among all, and a part that one does), not measured."""


def compare_processes(inputs: Inputs, clock: ServerClock) -> str:
    """Run all steps in one process and in two, and return a table of both."""
    one, two = (_seconds(inputs, processes, clock) for processes in (1, 2))
    rows = [[step, *_figures(one[step], two[step])] for step in one]
    with_cores = f"with {CORES} cores, worked out"
    head = ["step", "one process s", "two s", "times as fast", "divided", with_cores]
    return f"{table(head, rows)}\n\n{NOTES}"


def _seconds(inputs: Inputs, processes: int, clock: ServerClock) -> Mapping[str, float]:
    create(OURS.database, OURS.template)
    use(OURS.database)
    run = run_steps(_steps(inputs, processes), clock)
    first = Refresh(run["load"], run["dbt"], DbtRun.last())
    taken_out, counted = first.run.seconds(*TAKEN_OUT), first.run.seconds("int_label_counts")
    log.info("All steps in %s process(es)", processes)
    return {
        "load": first.load.wall,
        "dbt: taking labels out": taken_out,
        "dbt: counting them": counted,
        "dbt: its start, seeds, views": first.dbt.wall - taken_out - counted,
        "publish": run["publish"].wall,
    }


def _steps(inputs: Inputs, processes: int) -> Mapping[str, Command]:
    steps = OURS.steps(inputs, processes)
    if processes > 1:
        return steps
    alone = {"dbt": ("--threads", "1")}
    return {
        name: [*ONE_PROCESS_OF_SERVER, *command, *alone.get(name, ())]
        for name, command in steps.items()
    }


def _figures(one: float, two: float) -> list[str]:
    divided = min(one, max(0.0, 2 * (one - two)))
    with_all = one - divided + divided / CORES
    shares = [f"{one / two:.2f}", f"{divided / one:.0%}"]
    return [f"{one:.1f}", f"{two:.1f}", *shares, f"{with_all:.1f}"]
