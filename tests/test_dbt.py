"""dbt's own tests on the sample, and that none of them gets lost."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import yaml
from conftest import SUMMARY, Database
from loads import fetch, oids, on_postgres18, wait_for, write

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


def data_tests(node: dict[str, Any]) -> list[Any]:
    found = node.get("data_tests", [])
    assert isinstance(found, list)
    return found


def written_tests() -> Counter[str]:
    """Count the tests that stand in the files, by dbt's name for their kind."""
    counts: Counter[str] = Counter()
    for _, content in properties():
        for kind, node in entries("file", content):
            counts["test"] += len(data_tests(node))
            counts["unit_test"] += kind == "unit_tests"
    paths = PROJECT.glob("tests/**/*.sql")
    counts["test"] += sum(path.parent.name not in ("generic", "fixtures") for path in paths)
    return counts


@pytest.mark.parametrize(
    ("path", "content"), properties(), ids=lambda value: getattr(value, "stem", "")
)
def test_properties_have_no_key_that_dbt_would_ignore(path: Path, content: dict[str, Any]) -> None:
    for kind, node in entries("file", content):
        assert set(node) <= ALLOWED_KEYS[kind], f"{path.name}: {kind} {node.get('name')}"
        for test in data_tests(node):
            for arguments in test.values() if isinstance(test, dict) else []:
                assert set(arguments) <= TEST_KEYS, f"{path.name}: {test}"


def test_every_written_test_runs_and_passes(
    sample: Database, server: Server, record_property: Callable[[str, object], None]
) -> None:
    results = sample.results()
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


def test_every_function_is_described_and_outlives_a_renamed_database(sample: Database) -> None:
    """A body that named the database would fail in a copy, or where a dump is restored."""
    query = """
        select proname, obj_description(oid), prosrc from pg_proc
        where pronamespace = 'refinery'::regnamespace
    """
    found = fetch(sample, query)
    assert {name for name, _, _ in found} == {path.stem for path in PROJECT.glob("functions/*.sql")}
    assert all(description for _, description, _ in found)
    assert not [name for name, _, source in found if f'"{sample.name}"' in source]


@pytest.mark.parametrize(
    ("selector", "some_of_it", "none_of_it"),
    [
        (
            "refresh",
            {"int_rekognition_labels", "int_label_counts", "refreshes"},
            {"published_images", "int_label_policy_in_force", "included_labels"},
        ),
        (
            "policy",
            {"included_labels", "the_label_policy_is_in_order"},
            {"int_rekognition_labels", "refreshes"},
        ),
        (
            "evidence",
            {
                "label_gallery",
                "label_judgements",
                "judgements_count",
                "moments_of_two_groups_of_three",
            },
            {"int_rekognition_labels", "included_labels", "every_tag_has_one_decision"},
        ),
    ],
)
def test_a_selector_takes_what_it_says(
    sample: Database, selector: str, some_of_it: set[str], none_of_it: set[str]
) -> None:
    done = sample.dbt("--quiet", "ls", "--selector", selector, "--output", "name")
    selected = set(done.stdout.split())
    assert some_of_it <= selected
    assert not none_of_it & selected


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


def test_a_second_run_touches_no_row(sample: Database) -> None:
    rows = (
        "select identifier, xmin::text, ctid::text from refinery.int_rekognition_labels order by 1"
    )
    before = fetch(sample, rows)
    sample.build("run")
    assert fetch(sample, rows) == before
    assert len(before) == 15_000


@on_postgres18
def test_a_refresh_by_its_selector_leaves_every_relation_in_place(sample: Database) -> None:
    """Guards the views on what is filled anew: dbt drops a table's, and the selector makes none."""
    before = oids(sample)
    sample.build("run", "--selector", "refresh")
    assert oids(sample) == before


@on_postgres18
def test_a_new_response_replaces_the_machine_tags_of_its_image_whole(
    sample: Database, tmp_path: Path
) -> None:
    some = "select identifier from refinery.machine_tags where tags <> '[]' limit 1"
    ((image,),) = fetch(sample, some)
    others = "select * from refinery.machine_tags where identifier <> %s order by identifier"
    before = fetch(sample, others, image)
    file = tmp_path / "new.jsonl"
    label = '{"Name": " Atm ", "Confidence": 99.5}'
    file.write_text(f'{{"image_uuid": "{image}", "response": {{"Labels": [{label}]}}}}\n')
    sample.loader("load", file)
    sample.build("run")
    stored = "select tags, label_model_version from refinery.machine_tags where identifier = %s"
    want = [{"name": "ATM", "accuracy": 0.995, "provider": "rekognition"}]
    assert fetch(sample, stored, image) == [(want, None)]
    assert fetch(sample, others, image) == before


def test_a_file_that_is_forgotten_leaves_the_tags_as_if_it_had_never_been_there(
    sample: Database, tmp_path: Path
) -> None:
    """Of its images one had an earlier response, one gets a later one, and one has no other."""
    tags = "select identifier::text, tags from refinery.machine_tags order by 1"
    before = fetch(sample, tags)
    (earlier, _), (later, _) = before[:2]
    files = {"wrong": [earlier, later, str(uuid4())], "right": [later]}
    for name, images in files.items():
        lines = [f'{{"image_uuid": "{image}", "response": {{"Labels": []}}}}' for image in images]
        sample.loader("load", write(tmp_path / name, *[line.encode() for line in lines]))
        sample.build("run", "--select", "int_rekognition_labels")
    assert len(fetch(sample, tags)) == len(before) + 1
    sample.loader("forget", tmp_path / "wrong")
    sample.build("build", "--select", "int_rekognition_labels", "every_good_response_is_counted")
    assert fetch(sample, tags) == [(image, [] if image == later else had) for image, had in before]
    sample.loader("forget", tmp_path / "right")
    sample.build("run", "--select", "int_rekognition_labels")
    assert fetch(sample, tags) == before


@on_postgres18
def test_a_response_that_was_on_its_way_during_a_run_is_in_the_next(
    sample: Database, tmp_path: Path
) -> None:
    """A chunk with low ids that is committed after a run must not be lost to it."""
    labels = '{"response": {"Labels": []}, "image_uuid": "%s"}\n'
    late, early = (f"00000000-0000-4000-8000-00000000000{digit}" for digit in (1, 2))
    file = tmp_path / "early.jsonl"
    file.write_text(labels % early)
    stored = "select count(*) from refinery.machine_tags where identifier = any (%s::uuid[])"
    with sample.connect() as connection, sample.connect() as slow:
        slow.autocommit = False
        slow.execute(
            "select pg_advisory_xact_lock_shared('raw.rekognition_responses'::regclass::bigint)"
        )
        slow.execute(
            "insert into raw.rekognition_responses (chunk_id, document) values (0, %s::jsonb)",
            (labels % late,),
        )
        sample.loader("load", str(file))
        run = sample.start_dbt("run", "--select", "int_rekognition_labels")
        wait_for_lock(connection)
        slow.commit()
        assert run.wait(timeout=60) == 0
        sample.build("run", "--select", "int_rekognition_labels")
        assert connection.execute(stored, ([late, early],)).fetchone() == (2,)


@on_postgres18
@pytest.mark.parametrize(
    "command",
    [
        ("seed",),
        ("build", "--selector", "policy"),
        ("build", "--select", "included_labels"),
        ("run", "--select", "int_label_policy_in_force"),
    ],
    ids=" ".join,
)
def test_a_command_puts_the_policy_in_force(project: Database, command: tuple[str, ...]) -> None:
    """Readers read a stored policy: an edit that only reached the seeds would show nothing new."""
    with project.connect() as connection:
        connection.execute("update refinery.int_label_policy_in_force set included_labels = '{}'")
    project.build(*command)
    in_force = fetch(project, "select * from refinery.int_label_policy_in_force")
    assert in_force == fetch(project, "select * from refinery.int_seeded_label_policy")
    assert len(in_force) == 1


@on_postgres18
def test_a_seed_that_fails_leaves_the_earlier_policy_in_force(project: Database) -> None:
    """Half of an edit might show what neither the earlier policy nor the new one shows."""
    policy = "select * from refinery.int_label_policy_in_force"
    before = fetch(project, policy)
    with project.connect() as connection:
        never = "add constraint never check (label is null) not valid"
        connection.execute(f"alter table refinery.included_labels {never}")
        try:
            connection.execute("delete from refinery.denied_tag_patterns")
            done = project.dbt("seed", "--select", "included_labels")
            assert done.returncode != 0
            assert fetch(project, policy) == before
        finally:
            connection.execute("alter table refinery.included_labels drop constraint never")
            project.build("seed")


@on_postgres18
def test_a_refilled_table_is_made_anew_only_if_its_columns_have_changed(project: Database) -> None:
    table = "int_label_policy_in_force"
    before = oids(project)
    project.build("run", "--full-refresh", "--select", table, "int_label_counts")
    assert oids(project) == before
    with project.connect() as connection:
        connection.execute(f"alter table refinery.{table} add of_earlier text")
    project.build("run")
    after = oids(project)
    assert after.keys() == before.keys()
    assert after[table] != before[table]
    assert after["stg_catalog__images"] == before["stg_catalog__images"]


@on_postgres18
def test_of_two_that_fill_a_table_the_second_replaces_what_the_first_did(
    project: Database,
) -> None:
    """Without a lock both would empty it of the same rows, and both fill it."""
    with project.connect() as first, project.connect() as watching:
        first.autocommit = False
        first.execute("lock table refinery.int_label_policy_in_force in share row exclusive mode")
        run = project.start_dbt("run", "--select", "int_label_policy_in_force")
        wait_for_lock(watching, "relation")
        first.execute(
            "insert into refinery.int_label_policy_in_force"
            " select * from refinery.int_label_policy_in_force"
        )
        first.commit()
        assert run.wait(timeout=60) == 0
        count = "select count(*) from refinery.int_label_policy_in_force"
        assert watching.execute(count).fetchone() == (1,)


@on_postgres18
def test_functions_are_deployed_by_dbt_build_alone(project: Database) -> None:
    """Views call them at once: a refresh or a test must not change what shows."""
    function = "refinery.image_accuracies(numeric[])"
    source = f"select prosrc from pg_proc where oid = '{function}'::regprocedure"  # noqa: S608 - a name from above
    with project.connect() as connection:
        before = connection.execute(source).fetchone()
        connection.execute(
            "create or replace function refinery.image_accuracies(accuracies numeric[])"
            " returns numeric[] language sql immutable parallel safe return '{1}'::numeric[]"
        )
        live = connection.execute(source).fetchone()
        project.build("seed")
        project.build("test", "--select", "the_label_policy_is_in_order")
        project.build("run", "--select", "int_label_policy_in_force")
        assert connection.execute(source).fetchone() == live
        project.build("build", "--resource-type", "function")
        assert connection.execute(source).fetchone() == before


def test_readers_of_the_views_need_no_right_on_functions(project: Database) -> None:
    """Postgres asks it of them, and a database may give it to nobody by default."""
    with project.connect() as connection:
        connection.execute("revoke execute on all functions in schema refinery from public")
        project.build("build", "--resource-type", "function")
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


def wait_for_lock(connection: psycopg.Connection, kind: str = "advisory") -> None:
    """Wait until somebody waits for a lock."""
    waiting = "select exists (select from pg_locks where locktype = %s and not granted)"
    wait_for(lambda: connection.execute(waiting, (kind,)).fetchone() == (True,))
