"""On a Citus cluster all is as on one server, and its workers do the work.

The cluster is the one whose coordinator CITUS_PGHOST and CITUS_PGPORT name; its superuser is
CITUS_PGUSER, or postgres. Tests of other files are run on it too.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
import test_catalog_writes
import test_counts
import test_loader
import test_readers
import test_rejects
from conftest import WITHOUT_TESTS, Database
from loads import cut_into, documents, end, fails, fetch, start, wait_for, write
from psycopg import sql

from loader.connect import PROJECT
from loader.labellers import labellers
from trial.catalog import load_catalog
from trial.sample import write_sample

DEFAULTS = {"PGHOST": "", "PGPORT": "5432", "PGUSER": "postgres"}
HOST, PORT, USER = (os.environ.get(f"CITUS_{name}", value) for name, value in DEFAULTS.items())
pytestmark = pytest.mark.skipif(not HOST, reason="CITUS_PGHOST and CITUS_PGPORT name no cluster")

# On databases of a cluster, which the fixtures below give them.
written_to, with_rejects = test_catalog_writes.written_to, test_rejects.with_rejects
test_written_tags = test_catalog_writes.test_views_say_the_same_before_between_and_after
test_a_locked_row = test_catalog_writes.test_a_locked_row_is_left_and_written_by_the_next_run
test_counts_are_those_of_a_recount = test_counts.test_counts_are_those_of_a_recount
test_a_refused_line = test_loader.test_a_refused_line_is_kept_with_its_reason_and_costs_no_other
test_released_labels_stay = test_readers.test_a_released_file_is_not_lost_to_a_full_refresh
test_forget_gives_back = test_readers.test_forget_gives_back_what_a_file_says_that_is_to_be_released
test_mended_lines = test_rejects.test_mended_lines_are_loaded_once_and_the_others_kept

DISTRIBUTED, LOCAL = (("--vars", f"{{is_distributed: {answer}}}") for answer in ("true", "false"))
DISTRIBUTE_CATALOG = """
select
    create_distributed_table('catalog.image', 'identifier'),
    truncate_local_data_after_distributing_table('catalog.image')
"""
DISTRIBUTED_TABLES = """
select logicalrelid::regclass::text, column_to_column_name(logicalrelid, partkey)
from pg_dist_partition
"""
TABLES = dict.fromkeys((f"raw.{labeller}_responses" for labeller in labellers()), "response_id")
TABLES |= {"raw.released_responses": "response_id", "catalog.image": "identifier"}
STORES = (f"{store}_labels" for store in (*labellers(), "catalog"))
TABLES |= {f"refinery.int_{table}": "identifier" for table in (*STORES, "label_changes")}
TABLES |= {"refinery.int_label_policy_in_force": None}
READ = ("published_images", "catalog_images", "tag_decisions", "labels", "unreviewed_labels")
READ += ("label_summary", "label_retention", "machine_tags", "rejected_responses")
PUSHED_DOWN = ("published_images", "safe_images", "catalog_images", "tag_decisions", "machine_tags")
A_WORKER = "select nodename, nodeport, groupid from pg_dist_node where groupid > 0 limit 1"
COMMITTED = "insert into pg_dist_transaction values (%s, 'citus_0_0_0_0')"
WAITS = "select count(*) > 0 from pg_stat_activity where wait_event = 'PgSleep'"


@dataclass(frozen=True)
class Cluster(Database):
    """A database of its own on all nodes."""

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"PGPORT": PORT}

    def connect(self) -> psycopg.Connection:
        return connect(HOST, PORT, self.name)

    def dbt(self, *arguments: str, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
        """Run dbt without unit tests: their made-up rows are not distributed."""
        there = () if "--vars" in arguments else DISTRIBUTED
        if arguments[0] == "build" and not {"unit_test", *WITHOUT_TESTS} & set(arguments):
            there += WITHOUT_TESTS[:2]
        return super().dbt(*arguments, *there, folder=folder)


def connect(host: str, port: str | int, database: str = "postgres") -> psycopg.Connection:
    return psycopg.connect(host=host, port=port, user=USER, dbname=database, autocommit=True)


@contextmanager
def fresh_cluster(name: str, folder: Path) -> Iterator[Cluster]:
    """Create a database on the coordinator and each worker, and drop it afterwards."""
    drop, create = (
        sql.SQL(statement).format(sql.Identifier(name))
        for statement in ("drop database if exists {} with (force)", "create database {}")
    )
    with connect(HOST, PORT) as coordinator, ExitStack() as stack:
        workers = coordinator.execute("select * from citus_get_active_worker_nodes()").fetchall()
        for host, port in [*workers, (HOST, PORT)]:
            node = stack.enter_context(connect(host, port))
            node.execute(drop)
            node.execute(create)
            stack.callback(node.execute, drop)
            with connect(host, port, name) as there:
                there.execute("create extension citus")
        with connect(HOST, PORT, name) as there:
            there.execute("select citus_set_coordinator_host(%s, %s)", (HOST, int(PORT)))
            for worker in workers:
                there.execute("select citus_add_node(%s, %s)", worker)
        yield Cluster(HOST, name, folder, USER)


def load(database: Database, folder: Path, change: LiteralString, *options: str) -> None:
    """Load a sample's files, after a change of the catalog's table."""
    with database.connect() as connection:
        load_catalog(connection, folder / "catalog.csv")
        connection.execute(change)
    database.loader("init", *options)
    database.loader("load", folder / "labels.jsonl")


@pytest.fixture(scope="module")
def cluster(built_sample: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """What the sample's database was built of, with all of dbt's tests but the evidence's."""
    folder = tmp_path_factory.mktemp("cluster")
    with fresh_cluster("label_refinery_sample", folder) as fresh:
        load(fresh, built_sample.folder, DISTRIBUTE_CATALOG, "--distributed")
        fresh.dbt("build")
        yield fresh


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Cluster]:
    """A database on all nodes, without a table."""
    write_sample(tmp_path, images=300, labelled=200)
    with fresh_cluster("label_refinery_empty", tmp_path) as fresh:
        yield fresh


@pytest.fixture
def loaded(empty: Cluster) -> Cluster:
    with empty.connect() as connection:
        connection.execute((PROJECT / "trial" / "catalog.sql").read_bytes())
        connection.execute(DISTRIBUTE_CATALOG)
    empty.loader("init", "--distributed")
    return empty


@pytest.fixture
def few(empty: Cluster) -> Cluster:
    load(empty, empty.folder, DISTRIBUTE_CATALOG, "--distributed")
    empty.build("build", *WITHOUT_TESTS)
    return empty


own_few = few


@pytest.fixture
def own_project(loaded: Cluster) -> Cluster:
    loaded.build("build", *WITHOUT_TESTS)
    return loaded


def test_all_of_dbts_tests_hold(cluster: Cluster) -> None:
    results = cluster.results()
    assert len(results) > 150
    wrong = [result for result in results if result["status"] in ("error", "fail", "skipped")]
    assert wrong == []


def test_what_is_large_is_distributed(cluster: Cluster) -> None:
    assert dict(fetch(cluster, DISTRIBUTED_TABLES)) == TABLES


@pytest.mark.parametrize("relation", READ)
def test_it_reads_as_on_one_server(cluster: Cluster, built_sample: Database, relation: str) -> None:
    assert digest(cluster, relation) == digest(built_sample, relation)


def digest(database: Database, relation: str) -> list[tuple[str | None]]:
    """Several connections that load give a response's id in another order."""
    lines = "select (to_jsonb(read) - 'response_id')::text from {} as read"
    digest = "select md5(string_agg(line, ' ' order by line collate \"C\"))"
    query = sql.SQL(f"{digest} from ({lines}) as lines (line)")
    return fetch(database, query.format(sql.Identifier("refinery", relation)))


@pytest.mark.parametrize("relation", PUSHED_DOWN)
@pytest.mark.parametrize("way", ["", "create table refinery.published as "])
def test_publishing_is_the_workers_work(cluster: Cluster, relation: str, way: str) -> None:
    assert_pushed_down(cluster, f"{way}table refinery.{relation}")


def test_extraction_is_the_workers_work(cluster: Cluster) -> None:
    """No row of a first build passes the coordinator."""
    run = cluster.folder / "target" / "run" / "label_refinery" / "models" / "intermediate"
    statements = (run / "int_rekognition_labels.sql").read_text().split(";\n")
    (fills, *_) = (said for said in statements if said.strip().startswith("insert into"))
    assert_pushed_down(cluster, fills)
    assert "INSERT/SELECT method: repartition" in plan(cluster, fills)


@pytest.mark.parametrize("counts", ["int_counts_by_label", "int_counts_by_accuracy"])
def test_counts_are_summed_where_the_labels_are(cluster: Cluster, counts: str) -> None:
    tasks = plan(cluster, f"table refinery.{counts}").split("->  Task\n")
    reading = [task.splitlines() for task in tasks if "Scan on int_rekognition_labels" in task]
    assert reading
    assert all("Aggregate" in highest for _, highest, *_ in reading)


def assert_pushed_down(database: Database, statement: str) -> None:
    shards = "select count(*) from pg_dist_shard where logicalrelid = 'catalog.image'::regclass"
    said = plan(database, statement)
    assert f"Task Count: {fetch(database, shards)[0][0]}\n" in said
    assert "Subplan" not in said


def plan(database: Database, statement: str) -> str:
    with database.connect() as connection:
        return "\n".join(line for (line,) in connection.execute(f"explain {statement}".encode()))


def test_a_killed_load_goes_on(loaded: Cluster, tmp_path: Path) -> None:
    lines = [b'{"number": %d}' % number for number in range(4000)]
    file = write(tmp_path / "labels.jsonl", *lines)
    cut_into(loaded, file, 500)
    killed = start(loaded, "load", file)
    wait_for(lambda: fetch(loaded, "select count(*) > 20 from raw.loaded_chunks") == [(True,)])
    killed.kill()
    end(killed)
    assert 0 < len(documents(loaded)) < 4000
    loaded.loader("load", file)
    assert documents(loaded) == [json.loads(line) for line in lines]
    assert fetch(loaded, "select sum(loaded_lines) from raw.loaded_chunks") == [(4000,)]


def test_a_run_waits_for_what_a_worker_has_yet_to_commit(few: Cluster) -> None:
    """As after a worker's crash: the coordinator has committed, and the id is settled."""
    with few.connect() as coordinator, ThreadPoolExecutor(1) as threads:
        host, port, group = coordinator.execute(A_WORKER).fetchone() or ()
        with connect(host, port, few.name) as worker:
            worker.execute("begin; select txid_current(); prepare transaction 'citus_0_0_0_0'")
        coordinator.execute(COMMITTED, (group,))

        def recover() -> None:
            wait_for(lambda: fetch(few, WAITS) == [(True,)])
            coordinator.execute("select recover_prepared_transactions()")

        recovered = threads.submit(recover)
        few.build("run", "--select", "int_rekognition_labels")
        recovered.result()


def test_a_cluster_that_was_built_on_its_coordinator_moves(empty: Cluster) -> None:
    load(empty, empty.folder, "select")
    empty.build("build", *WITHOUT_TESTS, *LOCAL)
    before = {relation: digest(empty, relation) for relation in READ}
    assert dict(fetch(empty, DISTRIBUTED_TABLES)) == {}
    with empty.connect() as connection:
        # As 0.3 had it until now, of a refresh that was killed before it had counted.
        connection.execute("insert into refinery.int_label_changes default values")
        connection.execute(DISTRIBUTE_CATALOG)
    empty.loader("init", "--distributed")
    empty.build("build")
    assert {relation: digest(empty, relation) for relation in READ} == before
    assert dict(fetch(empty, DISTRIBUTED_TABLES)) == TABLES


def test_a_database_that_is_half_distributed_is_refused(loaded: Cluster) -> None:
    words = "raw.rekognition_responses is distributed: set the var is_distributed"
    assert words in refusal(loaded, LOCAL)
    with loaded.connect() as connection:
        connection.execute("select undistribute_table('raw.clarifai_responses')")
        assert "run `python -m loader init --distributed`" in refusal(loaded, DISTRIBUTED)
        connection.execute("select undistribute_table('catalog.image')")
    assert "catalog.image is not distributed by its identifier" in refusal(loaded, DISTRIBUTED)
    assert "unlogged tables cannot be distributed" in fails(loaded, "init", "--unlogged")


def refusal(database: Database, answer: tuple[str, str]) -> str:
    done = database.dbt("build", "--select", "stg_catalog__images", *answer)
    assert done.returncode != 0
    return done.stdout


def test_without_citus_it_is_refused(own_loaded: Database) -> None:
    assert "the database has no Citus" in fails(own_loaded, "init", "--distributed")
    assert "the database has no Citus" in refusal(own_loaded, DISTRIBUTED)
