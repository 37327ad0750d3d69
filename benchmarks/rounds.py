"""Runs of the contestants, one after the other, each from the same beginning."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from statistics import median

from benchmarks.contestants import Contestant
from benchmarks.databases import create, drop, use
from benchmarks.inputs import Inputs
from benchmarks.measure import Command, ServerClock, Usage, measure
from benchmarks.ours import OURS
from benchmarks.results import Results

log = logging.getLogger(__name__)

Run = Mapping[str, Usage]  # by step


@dataclass(frozen=True)
class Record:
    """The runs of one contestant."""

    runs: list[Run] = field(default_factory=list)

    def total(self) -> Usage:
        """Return the median of all steps together."""
        return median_usage([reduce(add, run.values()) for run in self.runs])

    def step(self, name: str) -> Usage:
        """Return the median of one step."""
        return median_usage([run[name] for run in self.runs])

    def walls(self) -> list[float]:
        """Return how long each run took."""
        return [sum(usage.wall for usage in run.values()) for run in self.runs]


def median_usage(usages: Sequence[Usage]) -> Usage:
    """Return the median of each figure; of the peaks the highest."""
    of_server = [usage.server_cpu for usage in usages if usage.server_cpu is not None]
    return Usage(
        median(usage.wall for usage in usages),
        median(usage.client_cpu for usage in usages),
        median(of_server) if of_server else None,
        max(usage.client_peak_mb for usage in usages),
    )


def run_steps(steps: Mapping[str, Command], clock: ServerClock) -> Run:
    """Run the steps on the database of the environment."""
    return {name: measure(command, clock) for name, command in steps.items()}


def run_rounds(
    contestants: Sequence[Contestant],
    inputs: Inputs,
    connections: int,
    rounds: int,
    clock: ServerClock,
    reference: Results | None = None,
) -> Iterator[tuple[str, Run]]:
    """Run the contestants in turns, and yield each run; ours' last database stays, the others go.

    Raises UserError if the first run of one ends with anything else than `reference`, or ours.
    """
    for number in range(rounds):
        for contestant in contestants:
            if number >= contestant.most_rounds:
                continue
            create(contestant.database, contestant.template)
            use(contestant.database)
            run = run_steps(contestant.steps(inputs, connections), clock)
            if number == 0:
                results = Results.of(contestant)
                reference = reference or results
                reference.require_equal(results, contestant.title)
            seconds = sum(usage.wall for usage in run.values())
            log.info(
                "Round %s of %s: %s took %.1f s", number + 1, rounds, contestant.title, seconds
            )
            if contestant is not OURS:
                drop(contestant.database)
            yield contestant.name, run
