"""The benchmark's contestants end with the same results, and it notices if one does not."""

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from loads import on_postgres18

from benchmarks.contestants import CATALOG, Contestant
from benchmarks.databases import create, create_catalog, drop, use
from benchmarks.floor import FLOOR
from benchmarks.inputs import Inputs
from benchmarks.measure import ServerClock
from benchmarks.ours import OURS
from benchmarks.results import Results
from benchmarks.rounds import run_rounds
from benchmarks.row_by_row import ROW_BY_ROW
from loader.errors import UserError
from trial.server import Server

# One version is enough for what only measures.
pytestmark = on_postgres18

CONNECTIONS = 2
BROKEN = "benchmark_broken"


@pytest.fixture(scope="module")
def inputs(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inputs]:
    """The contestants' files, and ours has run on them."""
    folder = tmp_path_factory.mktemp("benchmarks")
    with pytest.MonkeyPatch.context() as environment:
        for name, value in server.environment().items():
            environment.setenv(name, value)
        environment.setenv("DBT_TARGET_PATH", str(folder / "target"))
        environment.setenv("DBT_LOG_PATH", str(folder))
        made = Inputs(300, folder)
        made.make()
        made.make_parts(CONNECTIONS)
        create_catalog(made)
        run_rounds([OURS], made, CONNECTIONS, 1, ServerClock(None))
        yield made
        drop(OURS.database, CATALOG)


@pytest.fixture(scope="module")
def reference(inputs: Inputs) -> Results:
    """What ours has ended with."""
    del inputs
    use(OURS.database)
    return Results.of(OURS)


def test_ours_has_results_to_compare_with(reference: Results) -> None:
    assert reference.machine_labels is not None
    assert (reference.machine_labels.rows, reference.published.rows) == (300, 600)
    assert reference.machine_labels.tags > reference.published.tags > 600


@pytest.mark.parametrize("contestant", [ROW_BY_ROW, FLOOR])
def test_contestant_ends_as_ours(
    contestant: Contestant, inputs: Inputs, reference: Results
) -> None:
    run_rounds([contestant], inputs, CONNECTIONS, 1, ServerClock(None), reference)


def test_one_other_tag_is_noticed(reference: Results) -> None:
    create(BROKEN, template=OURS.database)
    use(BROKEN)
    with psycopg.connect() as connection:
        (identifier,) = connection.execute(
            """
            update published set tags = jsonb_set(tags, '{0,name}', '"Zebra"')
            where identifier = (select identifier from published where tags <> '[]' limit 1)
            returning identifier
            """
        ).fetchone() or (None,)
    with pytest.raises(UserError, match=f"published tags .*{identifier}, tag 1: .*Zebra"):
        reference.require_equal(Results.of(OURS), "ours")
    drop(BROKEN)


def test_a_difference_outside_of_the_sample_is_noticed(reference: Results) -> None:
    published = reference.published
    others = (
        replace(published, rows=published.rows - 1),
        replace(published, tags=published.tags + 1),
        replace(published, digest=published.digest + 1),
    )
    for other in others:
        with pytest.raises(UserError, match="published tags"):
            reference.require_equal(replace(reference, published=other), "another")
