"""dbt's own tests on the sample, that none of them gets lost, and what its commands leave alone."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import yaml
from conftest import SUMMARY, Database
from loads import fetch, oids, wait_for, write

from loader.connect import PROJECT
from trial.server import Server

# What may stand in a properties file. dbt does not check: it drops what it does not know, so a
# misspelt `data_test` would be a test that never runs.
ALLOWED_KEYS = {
    "file": {
        *("models", "seeds", "snapshots", "sources", "functions", "macros", "unit_tests"),
        "exposures",
    },
    "exposures": {"name", "label", "type", "description", "depends_on", "owner"},
    "models": {"name", "description", "config", "data_tests", "columns"},
    "seeds": {"name", "description", "config", "data_tests", "columns"},
    "snapshots": {"name", "description", "relation", "config", "data_tests", "columns"},
    "sources": {"name", "description", "schema", "tables"},
    "tables": {"name", "description", "config", "identifier", "data_tests", "columns"},
    "functions": {"name", "description", "config", "arguments", "returns"},
    "macros": {"name", "description", "arguments"},
    "arguments": {"name", "type", "data_type", "description"},
    "columns": {"name", "description", "data_type", "data_tests"},
    "unit_tests": {"name", "description", "model", "overrides", "given", "expect"},
    "given": {"input", "rows", "format", "fixture"},
}
TEST_KEYS = {"name", "arguments", "config"}
STORED = (
    *("int_rekognition_labels", "int_catalog_labels", "int_label_counts"),
    "int_label_policy_in_force",
)


def properties() -> list[tuple[Path, Any]]:
    """Return each properties file with its content."""
    folders = ("functions", "macros", "models", "seeds", "snapshots")
    paths = sorted(path for folder in folders for path in (PROJECT / folder).rglob("*.yml"))
    return [(path, yaml.safe_load(path.read_text())) for path in paths]


def entries(kind: str, node: Any) -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401 - YAML
    """Yield each mapping of a properties file with the kind that its place makes it."""
    yield kind, node
    for key, value in node.items():
        if key in ALLOWED_KEYS and isinstance(value, list):
            for entry in value:
                yield from entries(key, entry)


def written_tests() -> Counter[str]:
    """Count the tests that stand in the files, by dbt's name for their kind."""
    counts: Counter[str] = Counter()
    for _, content in properties():
        for kind, node in entries("file", content):
            counts["test"] += len(node.get("data_tests", []))
            counts["unit_test"] += kind == "unit_tests"
    paths = PROJECT.glob("tests/**/*.sql")
    counts["test"] += sum(path.parent.name not in ("generic", "fixtures") for path in paths)
    return counts


def test_properties_have_no_key_that_dbt_would_ignore() -> None:
    for path, content in properties():
        for kind, node in entries("file", content):
            assert set(node) <= ALLOWED_KEYS[kind], f"{path.name}: {kind} {node.get('name')}"
            for test in node.get("data_tests", []):
                for arguments in test.values() if isinstance(test, dict) else []:
                    assert set(arguments) <= TEST_KEYS, f"{path.name}: {test}"


def test_every_written_test_runs_and_passes(
    built_sample: Database, server: Server, record_property: Callable[[str, object], None]
) -> None:
    results = built_sample.results()
    good = ("success", "pass", "no-op")
    odd = {r["unique_id"]: r["status"] for r in results if r["status"] not in good}
    # The sample has labels that nobody has reviewed, on purpose.
    warned = {"labels_await_review", "machines_are_listed"}
    assert odd == {f"test.label_refinery.{name}": "warn" for name in warned}
    ran = Counter(result["unique_id"].split(".")[0] for result in results)
    written = written_tests()
    assert {kind: ran[kind] for kind in written} == dict(written)
    version = (server.data / "PG_VERSION").read_text().strip()
    counts = f"{ran['test']} data and {ran['unit_test']} unit tests"
    record_property(SUMMARY, f"dbt on Postgres {version}: {counts}")


def test_every_column_is_described_once(sample: Database) -> None:
    nodes = {
        node["name"]: node
        for _, content in properties()
        for kind in ("models", "seeds", "snapshots")
        for node in content.get(kind, [])
    }
    columns_of = """
        select table_name, array_agg(column_name::text) from information_schema.columns
        where table_schema = %s group by 1
    """
    catalogs = set(dict(fetch(sample, columns_of, "catalog"))["image"])
    found = fetch(sample, columns_of, "refinery")
    assert {table for table, _ in found} == set(nodes)
    for table, columns in found:
        described = {column["name"]: column["description"] for column in nodes[table]["columns"]}
        assert all(described.values())
        # The catalog's further columns pass through; they are the catalog's to describe.
        undescribed = set(columns) - set(described)
        assert not undescribed or undescribed <= catalogs, f"{table}: {undescribed}"
        assert set(described) <= set(columns), table


def test_every_function_is_described_and_outlives_a_renamed_database(
    built_sample: Database, sample: Database
) -> None:
    """A body that named the database would fail in a copy, or where a dump is restored."""
    query = """
        select proname, obj_description(oid), prosrc from pg_proc
        where pronamespace = 'refinery'::regnamespace
    """
    found = fetch(sample, query)
    assert {name for name, _, _ in found} == {path.stem for path in PROJECT.glob("functions/*.sql")}
    assert all(description for _, description, _ in found)
    assert not [name for name, _, source in found if f'"{built_sample.name}"' in source]


def test_the_source_says_how_fresh_it_is(sample: Database) -> None:
    """A response is as old as its chunk's row in the ledger."""
    sample.build("source", "freshness")
    written = json.loads((sample.folder / "target" / "sources.json").read_text())["results"]
    ((loaded,),) = fetch(sample, "select max(loaded_at) from raw.loaded_chunks")
    (responses,) = (
        source for source in written if source["unique_id"].endswith("rekognition_responses")
    )
    assert responses["status"] == "pass"
    assert datetime.fromisoformat(responses["max_loaded_at"]) == loaded


def ran(database: Database) -> set[str]:
    """Return the names of what dbt's last command ran, of tests the first part."""
    return {result["unique_id"].split(".")[2] for result in database.results()}


def test_a_refresh_leaves_every_relation_in_place_and_all_rows_that_have_not_changed(
    own_few: Database,
) -> None:
    """Guards the views on what is filled anew: dbt drops a table's, and the selector makes none."""
    version = "select string_agg(xmin::text || ctid::text, ' ') from refinery.{}"
    before = oids(own_few), [fetch(own_few, version.format(table)) for table in STORED]
    own_few.build("run", "--selector", "refresh")
    after = oids(own_few), [fetch(own_few, version.format(table)) for table in STORED]
    assert after == before
    assert ran(own_few) >= {"int_rekognition_labels", "int_label_counts", "refreshes"}
    assert not ran(own_few) & {"published_images", "included_labels", STORED[-1]}


def test_selectors_take_what_they_say(project: Database) -> None:
    policy, evidence = (
        set(project.dbt("--quiet", "ls", "--selector", name, "--output", "name").stdout.split())
        for name in ("policy", "evidence")
    )
    assert policy >= {"included_labels", STORED[-1], "the_label_policy_is_in_order"}
    assert not policy & {"int_rekognition_labels", "refreshes", "label_judgements"}
    assert evidence >= {"label_gallery", "label_judgements", "judgements_count"}
    assert not evidence & {"int_rekognition_labels", "included_labels", "machines_are_listed"}


# What goes on besides


def test_a_response_that_was_on_its_way_during_a_run_is_in_the_next(
    own_few: Database, tmp_path: Path
) -> None:
    """A chunk with low ids that is committed after a run must not be lost to it."""
    labels = '{"response": {"Labels": []}, "image_uuid": "%s"}'
    late, early = (f"00000000-0000-4000-8000-00000000000{digit}" for digit in (1, 2))
    stored = "select count(*) from refinery.machine_tags where identifier = any (%s::uuid[])"
    with own_few.connect() as slow, ThreadPoolExecutor(1) as threads:
        slow.autocommit = False
        slow.execute(
            "select pg_advisory_xact_lock_shared('raw.rekognition_responses'::regclass::bigint)"
        )
        slow.execute(
            "insert into raw.rekognition_responses (chunk_id, document) values (0, %s::jsonb)",
            (labels % late,),
        )
        own_few.loader("load", write(tmp_path / "early.jsonl", (labels % early).encode()))
        committed = threads.submit(commit_once_it_is_waited_for, own_few, slow)
        own_few.build("run", "--select", "int_rekognition_labels")
        committed.result()
    own_few.build("run", "--select", "int_rekognition_labels")
    assert fetch(own_few, stored, [late, early]) == [(2,)]


def commit_once_it_is_waited_for(database: Database, slow: psycopg.Connection) -> None:
    waiting = "select exists (select from pg_locks where locktype = 'advisory' and not granted)"
    wait_for(lambda: fetch(database, waiting) == [(True,)])
    slow.commit()


def test_a_seed_that_fails_leaves_the_earlier_policy_in_force(own_few: Database) -> None:
    """Half of an edit might show what neither the earlier policy nor the new one shows."""
    policy = "select * from refinery.int_label_policy_in_force"
    before = fetch(own_few, policy)
    with own_few.connect() as connection:
        never = "add constraint never check (label is null) not valid"
        connection.execute(f"alter table refinery.included_labels {never}")
        connection.execute("delete from refinery.denied_tag_patterns")
    assert own_few.dbt("seed", "--select", "included_labels").returncode != 0
    assert fetch(own_few, policy) == before


def test_functions_are_deployed_by_dbt_build_alone_and_readers_need_no_right_on_them(
    own_project: Database,
) -> None:
    """Views call them at once: a run must not change what shows, even if it makes a table anew."""
    function = "refinery.image_accuracies(numeric[])"
    source = f"select prosrc from pg_proc where oid = '{function}'::regprocedure"  # noqa: S608 - a name from above
    policy = "int_label_policy_in_force"
    before, written = oids(own_project), fetch(own_project, source)
    with own_project.connect() as connection:
        connection.execute(
            "create or replace function refinery.image_accuracies(accuracies numeric[])"
            " returns numeric[] language sql immutable parallel safe return '{1}'::numeric[]"
        )
        connection.execute("revoke execute on all functions in schema refinery from public")
        connection.execute(f"alter table refinery.{policy} add of_earlier text")
        own_project.build("run", "--select", f"{policy}+", "--exclude", "models/evidence")
        after = oids(own_project)
        assert after.keys() == before.keys()
        assert after[policy] != before[policy]
        assert fetch(own_project, source) != written
        own_project.build("build", "--resource-type", "function")
        assert fetch(own_project, source) == written
        connection.execute("create role reader")
        try:
            connection.execute("grant usage on schema refinery to reader")
            connection.execute("grant select on all tables in schema refinery to reader")
            connection.execute("set role reader")
            for path in sorted(PROJECT.glob("models/marts/*.sql")):
                connection.execute(f"select * from refinery.{path.stem}")  # noqa: S608 - a name
        finally:
            connection.execute("reset role")
            connection.execute("drop owned by reader")
            connection.execute("drop role reader")
