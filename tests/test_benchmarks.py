"""The benchmark's contestants end with the same results, and it notices if one does not.

`make bench` itself is run by tests/test_targets.py.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from conftest import Database, clone

from benchmarks import cli
from benchmarks.contestants import CATALOG, Contestant
from benchmarks.databases import create_catalog, drop, use
from benchmarks.floor import FLOOR
from benchmarks.inputs import Inputs
from benchmarks.measure import ServerClock, Usage, succeed
from benchmarks.ours import OURS
from benchmarks.refreshes import STORED, Afterwards, DbtRun
from benchmarks.results import Results
from benchmarks.rounds import run_rounds
from benchmarks.row_by_row import ROW_BY_ROW
from loader.errors import UserError
from trial.server import Server

CONNECTIONS = 2
RUN = dict.fromkeys(("init", "load", "dbt", "publish"), Usage(1.0, 1.0, 1.0, 1.0))


@pytest.fixture(scope="module")
def inputs(
    server: Server, built_few: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Inputs]:
    """The contestants' files; what ours makes of them is a database that was built on them."""
    folder = tmp_path_factory.mktemp("benchmarks")
    made = Inputs(200, folder)
    made.labels.symlink_to(built_few.folder / "labels.jsonl")
    made.catalog.symlink_to(built_few.folder / "catalog.csv")
    made.make_parts(CONNECTIONS)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in server.environment().items():
            environment.setenv(name, value)
        create_catalog(made)
        with clone(server, built_few, OURS.database, folder):
            use(OURS.database)
            succeed(OURS.steps(made, CONNECTIONS)["publish"])
            yield made
        drop(CATALOG)


@pytest.fixture(scope="module")
def reference(inputs: Inputs) -> Results:
    """What ours has ended with."""
    del inputs
    use(OURS.database)
    return Results.of(OURS)


def test_ours_has_results_to_compare_with(reference: Results) -> None:
    assert reference.machine_labels is not None
    assert (reference.machine_labels.rows, reference.published.rows) == (200, 300)
    assert reference.machine_labels.tags > reference.published.tags > 300


@pytest.mark.parametrize("contestant", [ROW_BY_ROW, FLOOR])
def test_contestant_ends_as_ours(
    contestant: Contestant, inputs: Inputs, reference: Results
) -> None:
    rounds = run_rounds([contestant], inputs, CONNECTIONS, 1, ServerClock(None), reference)
    assert [name for name, _ in rounds] == [contestant.name]


def test_a_difference_is_noticed(reference: Results) -> None:
    published = reference.published
    image = next(image for image, tags in published.sample.items() if '"name": "' in tags)
    changed = published.sample[image].replace('"name": "', '"name": "Zebra', 1)
    others = {
        f"image {image}, tag 1: .*Zebra": {"sample": published.sample | {image: changed}},
        f"{published.rows - 1} with": {"rows": published.rows - 1},
        "images with .* tags expected": {"tags": published.tags + 1},
        "other digests": {"digest": published.digest + 1},
    }
    for words, difference in others.items():
        other = replace(reference, published=replace(published, **difference))
        with pytest.raises(UserError, match=f"another ends with other published tags .*{words}"):
            reference.require_equal(other, "another")


# A step, and a line that is printed though it fails.
LAST_STEPS = {
    "compare_with_copy": "| policy edit to visible | 2.00 s |",
    "compare_processes": "| **ours** | 4.0 | 4.0–4.0 | 4.0 | 4.0 | 1 |",
    "measure_policy_edit": "| 50, ours | 80.000 | 4.0 | 1 | 4.0 | 4.0 | 1 |",
}


@pytest.mark.parametrize("broken", LAST_STEPS)
def test_what_was_measured_is_printed_where_a_later_step_fails(
    broken: str, inputs: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise UserError("the step is broken")

    def measure(found: Afterwards, *_: object) -> None:
        found.policy_edit = 2

    stubs = {
        "require": lambda *_: None,
        "Inputs": lambda images: replace(inputs, images=images),
        "create_catalog": lambda _: use(CATALOG),
        "parse_project": lambda: None,
        "run_rounds": lambda *_: iter([(OURS.name, RUN)]),
        "measure_afterwards": measure,
        "compare_with_copy": lambda *_: [],
        "clean_up": lambda: None,
        broken: fail,
    }
    for name, stub in stubs.items():
        monkeypatch.setattr(cli, name, stub)
    times = datetime.now(UTC), datetime.now(UTC)
    monkeypatch.setattr(DbtRun, "last", lambda: DbtRun(dict.fromkeys(STORED, times)))
    for name in ("PGDATABASE", "DBT_TARGET_PATH", "DBT_LOG_PATH"):  # which it sets
        monkeypatch.setenv(name, CATALOG)
    growth = ["--growth"] if broken == "measure_policy_edit" else []
    done = CliRunner().invoke(cli.main, ["--images", "200", *growth])
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (1, "Error: the step is broken")
    assert LAST_STEPS[broken] in done.stdout
