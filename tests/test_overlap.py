"""Two commands at once on one database leave what one after the other would have left.

After each pair all that is counted or filled is counted again, by other SQL than the models'. The
tables are slow to be filled here, so that two that fill them meet. OVERLAP_SEED repeats a run.
"""

import os
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest
from conftest import Database, clone
from loads import FORK, fetch, wait_for
from psycopg import sql
from recount import RECOUNT, miscounted
from test_counts import Life

from trial.server import Server

SEED = int(os.environ.get("OVERLAP_SEED") or random.SystemRandom().randrange(10**6))
COMMANDS = {
    "run": ("run", "--selector", "refresh"),
    "build": ("build", "--exclude-resource-types", "unit_test"),
    "test": ("test", "--exclude-resource-types", "unit_test"),
    "seed": ("seed",),
}
PAIRS_OF_DBT = ("run seed", "seed seed", "seed test")
PAIRS_WITH_A_LOADER = ("run forget", "build load", "test load", "load forget")
MORE = (*PAIRS_OF_DBT, *PAIRS_WITH_A_LOADER)
PAIRS = ("run run", *(pytest.param(pair, marks=pytest.mark.slow) for pair in MORE))
# Whoever has begun is there.
IS_THERE = """
select true from pg_stat_activity
where datname = current_database() and application_name in ('dbt', 'label-refinery')
"""

SLOW = """
create function catalog.wait() returns trigger language plpgsql as
$$ begin perform pg_sleep(0.2); return null; end $$
"""
SLOW_TABLE = """
create trigger wait before insert on refinery.{} for each statement execute function catalog.wait()
"""
REFRESHES = "select invocation_id from refinery.refreshes"
BROKEN_CHAIN = """
select * from (
    select
        *,
        lag(published_tags) over ascending as tags_of_row_before,
        lag(last_response_id, 1, 0::bigint) over ascending as id_of_row_before
    from refinery.refreshes
    window ascending as (order by finished_at)
) as refresh
where
    published_tags_before is distinct from tags_of_row_before
    or last_response_id < id_of_row_before
"""
COUNTS = (
    *("int_catalog_labels", "int_corrected_counts", "label_summary"),
    "int_label_policy_in_force",
)
FILLED = (
    *("int_rekognition_labels", "int_catalog_labels", "int_label_counts", "int_label_changes"),
    "int_label_policy_in_force",
)


@pytest.fixture(scope="module")
def crowded(
    server: Server, built_project: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Life]:
    """The project on a few labelled images, in tables that take a while to be filled."""
    folder = tmp_path_factory.mktemp("crowded")
    with clone(server, built_project, "crowded", folder) as database:
        life = Life(database, random.Random(SEED))
        life.change_catalog()
        life.load()
        life.refresh()
        with database.connect() as connection:
            connection.execute(RECOUNT)
            connection.execute(SLOW)
            for table in FILLED:
                connection.execute(sql.SQL(SLOW_TABLE).format(sql.Identifier(table)))
        yield life


@pytest.mark.parametrize("pair", PAIRS)
def test_two_at_once_leave_what_one_would(crowded: Life, pair: str) -> None:
    database = crowded.database
    crowded.load()  # so that a run has new responses, and a file can be forgotten
    refreshes = len(fetch(database, REFRESHES))
    # What the other process does to `crowded` is not seen here, which has to know its files.
    one, other = sorted(pair.split(), key=lambda name: (name == "forget", crowded.dice.random()))
    with database.connect() as connection, ProcessPoolExecutor(1, FORK) as another_process:
        first = another_process.submit(run_command, crowded, one)
        wait_for(lambda: first.done() or connection.execute(IS_THERE).fetchone() is not None)
        run_command(crowded, other)
        first.result()
    assert miscounted(database, *COUNTS) == []
    begun = sum(name in ("run", "build") for name in (one, other))
    assert len(fetch(database, REFRESHES)) == refreshes + begun
    assert fetch(database, BROKEN_CHAIN) == []
    crowded.refresh()
    assert crowded.wrong() == []


def run_command(life: Life, name: str) -> None:
    if name in COMMANDS:
        life.database.build(*COMMANDS[name])
    else:
        getattr(life, name)()
