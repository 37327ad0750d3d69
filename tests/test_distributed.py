"""On a Citus cluster all is as on one server, and its workers do the work.

The cluster is the one whose coordinator CITUS_PGHOST and CITUS_PGPORT name; its superuser is
CITUS_PGUSER, or postgres.
"""

import json
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Database
from loads import (
    BAD,
    GOOD,
    cut_into,
    documents,
    end,
    fails,
    fetch,
    on_postgres18,
    rejects,
    start,
    wait_for,
    write,
)
from psycopg import sql
from recount import RECOUNT, WRONG_EXAMPLES, miscounted
from test_catalog_writes import digests, refuses, says, table_as_it_is
from test_counts import COUNTS, SEED, Life

from loader.connect import OWN_SERVER, PROJECT
from trial.catalog import load_catalog
from trial.sample import write_sample

HOST, PORT, USER = (
    os.environ.get(f"CITUS_{name}", default)
    for name, default in (("PGHOST", ""), ("PGPORT", "5432"), ("PGUSER", "postgres"))
)
pytestmark = pytest.mark.skipif(
    not HOST, reason="CITUS_PGHOST and CITUS_PGPORT name no Citus cluster"
)

DISTRIBUTED, LOCAL = ({"is_distributed": answer} for answer in (True, False))
DISTRIBUTE_CATALOG = """
select
    create_distributed_table('catalog.image', 'identifier'),
    truncate_local_data_after_distributing_table('catalog.image')
"""
DISTRIBUTED_TABLES = """
select logicalrelid::regclass::text, column_to_column_name(logicalrelid, partkey)
from pg_dist_partition
"""
TABLES = {
    "catalog.image": "identifier",
    **{
        f"raw.{labeller}_responses": "response_id"
        for labeller in ("rekognition", "clarifai", "google_vision", "azure_vision")
    },
    "raw.released_responses": "response_id",
    **{
        f"refinery.int_{name}": "identifier"
        for name in (
            "rekognition_labels",
            "clarifai_labels",
            "google_vision_labels",
            "azure_vision_labels",
            "catalog_labels",
            "label_changes",
        )
    },
    "refinery.int_label_policy_in_force": None,
}
# Without response_id: several connections that load give it in another order.
READ = {
    "published_images": "*",
    "catalog_images": "*",
    "tag_decisions": "*",
    "labels": "*",
    "unreviewed_labels": "*",
    "label_summary": "*",
    "label_retention": "*",
    "machine_tags": "identifier, provider, tags, label_model_version",
    "rejected_responses": "provider, problem, document",
}
PLACE_OF_NEXT = """
select response_id, 'rekognition_responses_' || shardid, nodename, nodeport, groupid
from nextval('raw.response_ids') as response_id
inner join pg_dist_placement
on shardid = get_shard_id_for_distribution_column('raw.rekognition_responses', response_id)
inner join pg_dist_node using (groupid)
"""
LOADED_BY_WORKER = sql.SQL("insert into {} (response_id, chunk_id, document) values (%s, 0, %s)")
WAITS = """
select count(*) > 0 from pg_stat_activity
where datname = current_database() and wait_event = 'PgSleep'
"""
PUSHED_DOWN = ("published_images", "safe_images", "catalog_images", "tag_decisions", "machine_tags")


@dataclass(frozen=True)
class Cluster(Database):
    """A database of its own on all nodes."""

    @property
    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if name not in OWN_SERVER}
        where = {"PGHOST": HOST, "PGPORT": PORT, "PGUSER": USER, "PGDATABASE": self.name}
        return clean | where

    def connect(self) -> psycopg.Connection:
        return connect(HOST, PORT, self.name)

    def _dbt_arguments(self, *arguments: str, folder: Path = PROJECT) -> list[str]:
        there = () if "--vars" in arguments else ("--vars", json.dumps(DISTRIBUTED))
        return super()._dbt_arguments(*arguments, *there, folder=folder)


def connect(host: str, port: str | int, database: str = "postgres") -> psycopg.Connection:
    return psycopg.connect(host=host, port=port, user=USER, dbname=database, autocommit=True)


@contextmanager
def fresh_cluster(name: str, folder: Path) -> Iterator[Cluster]:
    """Create a database on the coordinator and each worker, and drop it afterwards."""
    with connect(HOST, PORT) as coordinator:
        workers = coordinator.execute("select * from citus_get_active_worker_nodes()").fetchall()
    with ExitStack() as stack:
        for host, port in [*workers, (HOST, PORT)]:
            stack.enter_context(database_on(host, port, name))
        with connect(HOST, PORT, name) as coordinator:
            coordinator.execute("select citus_set_coordinator_host(%s, %s)", (HOST, int(PORT)))
            for node in workers:
                coordinator.execute("select citus_add_node(%s, %s)", node)
        yield Cluster(HOST, name, folder)


@contextmanager
def database_on(host: str, port: str | int, name: str) -> Iterator[None]:
    drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
    with connect(host, port) as node:
        node.execute(drop)
        node.execute(sql.SQL("create database {} encoding 'UTF8'").format(sql.Identifier(name)))
        with connect(host, port, name) as there:
            there.execute("create extension citus")
        yield
        node.execute(drop)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The project built on the sample, with all of dbt's tests but those of the evidence."""
    folder = tmp_path_factory.mktemp("cluster")
    catalog, labels = write_sample(folder)
    with fresh_cluster("label_refinery_sample", folder) as fresh:
        with fresh.connect() as connection:
            load_catalog(connection, catalog)
            connection.execute(DISTRIBUTE_CATALOG)
        fresh.loader("init", "--distributed")
        fresh.loader("load", str(labels))
        fresh.dbt("build", "--exclude-resource-type", "unit_test")
        yield fresh


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Cluster]:
    """A database on all nodes, without a table."""
    with fresh_cluster("label_refinery_empty", tmp_path) as fresh:
        yield fresh


@pytest.fixture
def ready(empty: Cluster) -> Cluster:
    """One for which `init` has been run, with an empty catalog."""
    with empty.connect() as connection:
        connection.execute((PROJECT / "trial" / "catalog.sql").read_bytes())
        connection.execute(DISTRIBUTE_CATALOG)
    empty.loader("init", "--distributed")
    return empty


def test_all_of_dbts_tests_hold(cluster: Cluster) -> None:
    results = cluster.results()
    assert len(results) > 150
    wrong = [result for result in results if result["status"] in ("error", "fail", "skipped")]
    assert wrong == []


def test_what_is_large_is_distributed(cluster: Cluster) -> None:
    assert dict(fetch(cluster, DISTRIBUTED_TABLES)) == TABLES


@on_postgres18
@pytest.mark.parametrize("relation", READ)
def test_it_reads_as_on_one_server(cluster: Cluster, sample: Database, relation: str) -> None:
    assert digest(cluster, relation) == digest(sample, relation)


def digest(database: Database, relation: str) -> str:
    query = sql.SQL(
        """
        select md5(coalesce(string_agg(read::text, ' ' order by read::text collate "C"), ''))
        from (select {} from {}) as read
        """
    ).format(sql.SQL(READ[relation]), sql.Identifier("refinery", relation))
    ((answer,),) = fetch(database, query)
    assert isinstance(answer, str)
    return answer


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
    ((shards,),) = fetch(
        database,
        "select count(*) from pg_dist_shard where logicalrelid = 'catalog.image'::regclass",
    )
    said = plan(database, statement)
    assert f"Task Count: {shards}\n" in said
    assert "Subplan" not in said


def plan(database: Database, statement: str) -> str:
    with database.connect() as connection:
        return "\n".join(line for (line,) in connection.execute(f"explain {statement}".encode()))


def test_counts_are_those_of_a_recount(ready: Cluster) -> None:
    ready.build("build", "--exclude-resource-types", "unit_test", "test")
    with ready.connect() as connection:
        connection.execute(RECOUNT)
    life = Life(ready, random.Random(SEED))
    for step in ("load", "change_catalog", "refresh", "load", "correct", "be_killed", "forget"):
        getattr(life, step)()
    for step in ("refresh", "load", "make_a_store_anew", "change_catalog", "refresh"):
        getattr(life, step)()
    assert miscounted(ready, *COUNTS) == [], f"COUNTS_SEED={SEED}"
    assert fetch(ready, WRONG_EXAMPLES) == []
    assert fetch(ready, "select * from refinery.int_label_changes") == []
    life.release()
    life.load()
    life.refresh()
    assert miscounted(ready, *COUNTS[:-1]) == [], f"COUNTS_SEED={SEED}"


def numbered(first: int, last: int) -> list[bytes]:
    return [b'{"number": %d}' % number for number in range(first, last)]


def ledger(database: Database) -> list[tuple[Any, ...]]:
    return fetch(database, "select sum(loaded_lines), sum(rejected_lines) from raw.loaded_chunks")


def test_refused_lines_cost_no_good_one_and_can_be_retried(ready: Cluster, tmp_path: Path) -> None:
    lines = [*numbered(0, 50), BAD, b'{"latin1": "caf\xe9"}', *numbered(50, 100)]
    ready.loader("load", "--max-rejects", "5%", write(tmp_path / "labels.jsonl", *lines))
    assert documents(ready) == [{"number": number} for number in range(100)]
    assert [line for _, line, _ in rejects(ready)] == lines[50:52]
    assert "0 lines loaded, 2 still rejected" in ready.loader("retry-rejects")
    with ready.connect() as connection:
        connection.execute("update raw.rejected_lines set line = %s where line = %s", (GOOD, BAD))
    assert "1 lines loaded, 1 still rejected" in ready.loader("retry-rejects")
    assert documents(ready)[-1] == json.loads(GOOD)
    assert ledger(ready) == [(101, 1)]


def test_a_killed_load_goes_on(ready: Cluster, tmp_path: Path) -> None:
    lines = [*numbered(0, 2000), BAD, *numbered(2000, 4000)]
    file = write(tmp_path / "labels.jsonl", *lines)
    cut_into(ready, file, 500)
    load = start(ready, "load", file)
    wait_for(lambda: fetch(ready, "select count(*) > 20 from raw.loaded_chunks") == [(True,)])
    load.kill()
    end(load)
    assert 0 < len(documents(ready)) < 4000
    ready.loader("load", file)
    assert documents(ready) == [{"number": number} for number in range(4000)]
    assert ledger(ready) == [(4000, 1)]


def test_a_run_waits_for_what_a_worker_has_yet_to_commit(ready: Cluster) -> None:
    """As after a worker's crash: the coordinator has committed, and the id is settled."""
    ready.build("build", "--exclude-resource-types", "unit_test", "test")
    with ready.connect() as coordinator:
        response_id, shard, host, port, group = coordinator.execute(PLACE_OF_NEXT).fetchone() or ()
        with connect(host, port, ready.name) as worker:
            worker.execute("begin")
            worker.execute("set local citus.enable_manual_changes_to_shards = on")
            values = (response_id, response(1, "Late").decode())
            worker.execute(LOADED_BY_WORKER.format(sql.Identifier("raw", shard)), values)
            worker.execute("prepare transaction 'citus_0_0_0_0'")
        coordinator.execute(
            "insert into pg_dist_transaction values (%s, 'citus_0_0_0_0')", (group,)
        )
        run = ready.start_dbt("run", "--select", "int_rekognition_labels")
        wait_for(lambda: fetch(ready, WAITS) == [(True,)])
        coordinator.execute("select recover_prepared_transactions()")
    assert run.wait() == 0
    assert stored(ready) == {1: ["Late"]}


def test_a_file_is_taken_back_and_another_released(ready: Cluster, tmp_path: Path) -> None:
    first, second, third = (
        write(tmp_path / f"{name}.jsonl", *(response(image, name) for image in images))
        for name, images in (("First", (1, 2)), ("Second", (2, 3)), ("Third", (4,)))
    )
    for file in (first, second, third):
        ready.loader("load", file)
    ready.build("build", "--exclude-resource-types", "unit_test", "test")
    assert stored(ready) == {1: ["First"], 2: ["Second"], 3: ["Second"], 4: ["Third"]}
    ready.loader("release", third)
    ready.loader("forget", second)
    ready.build("run", "--selector", "refresh")
    assert stored(ready) == {1: ["First"], 2: ["First"], 4: ["Third"]}
    done = ready.dbt("run", "--full-refresh", "--select", "int_rekognition_labels")
    assert "would lose the labels of 1 released files" in done.stdout
    ready.loader("forget", third)
    ready.build("run", "--selector", "refresh")
    assert stored(ready) == {1: ["First"], 2: ["First"]}


def response(image: int, label: str) -> bytes:
    labels = [{"Name": label, "Confidence": 99}]
    return json.dumps({"image_uuid": uuid(image), "response": {"Labels": labels}}).encode()


def uuid(image: int) -> str:
    return f"00000000-0000-4000-8000-{image:012}"


def stored(database: Database) -> dict[int, list[str]]:
    """Return the labels of each image; all of a store's rows are to be shown again, not marked."""
    rows = fetch(
        database,
        "select identifier::text, names, response_id > 0 from refinery.int_rekognition_labels",
    )
    assert all(is_read for _, _, is_read in rows)
    return {int(identifier[-12:]): names for identifier, names, _ in rows}


def test_a_cluster_that_was_built_on_its_coordinator_moves(empty: Cluster, tmp_path: Path) -> None:
    catalog, labels = write_sample(tmp_path, images=2000, labelled=1500)
    with empty.connect() as connection:
        load_catalog(connection, catalog)
    empty.loader("init")
    empty.loader("load", labels)
    local = ("--exclude-resource-types", "unit_test", "test", "--vars", json.dumps(LOCAL))
    empty.build("build", *local)
    before = {relation: digest(empty, relation) for relation in READ}
    assert dict(fetch(empty, DISTRIBUTED_TABLES)) == {}
    with empty.connect() as connection:
        # As 0.3 had it until now, of a refresh that was killed before it had counted.
        connection.execute("insert into refinery.int_label_changes default values")
        connection.execute(DISTRIBUTE_CATALOG)
    empty.loader("init", "--distributed")
    empty.build("build", "--exclude-resource-type", "unit_test")
    assert {relation: digest(empty, relation) for relation in READ} == before
    assert dict(fetch(empty, DISTRIBUTED_TABLES)) == TABLES


def test_a_database_that_is_half_distributed_is_refused(ready: Cluster) -> None:
    assert "raw.rekognition_responses is distributed: set the var is_distributed" in refusal(
        ready, LOCAL
    )
    with ready.connect() as connection:
        connection.execute("select undistribute_table('raw.clarifai_responses')")
        assert "run `python -m loader init --distributed`" in refusal(ready, DISTRIBUTED)
        connection.execute("select undistribute_table('catalog.image')")
    assert "catalog.image is not distributed by its identifier" in refusal(ready, DISTRIBUTED)
    assert "unlogged tables cannot be distributed" in fails(ready, "init", "--unlogged")


def refusal(database: Database, answer: dict[str, bool]) -> str:
    done = database.dbt("build", "--select", "stg_catalog__images", "--vars", json.dumps(answer))
    assert done.returncode != 0
    return done.stdout


@on_postgres18
def test_without_citus_it_is_refused(loaded: Database) -> None:
    assert "the database has no Citus" in fails(loaded, "init", "--distributed")
    assert "the database has no Citus" in refusal(loaded, DISTRIBUTED)


def test_tags_are_written_into_the_catalog_and_given_back(cluster: Cluster) -> None:
    before, shown = table_as_it_is(cluster), digests(cluster, "published_images")
    says(cluster, "init")
    assert "rows of catalog.image written" in says(cluster, "write-tags", "--batch", "5000")
    assert table_as_it_is(cluster) != before
    assert digests(cluster, "published_images") == shown
    assert says(cluster, "write-tags") == "0 rows of catalog.image written\n"
    with cluster.connect() as other, other.transaction():
        (image,) = other.execute("select min(identifier::text) from tag_writes.backups").fetchone()
        other.execute("update catalog.image set title = title where identifier = %s", (image,))
        assert "1 rows were locked or changed" in refuses(cluster, "undo")
    assert says(cluster, "undo").endswith(" given back, 0 changed since\n")
    assert table_as_it_is(cluster) == before
