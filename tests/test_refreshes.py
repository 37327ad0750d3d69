"""The table of refreshes: who refreshed the data, when, and what it brought."""

import json
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from conftest import UNHEARD_OF, Database
from loads import fetch, on_postgres18, write

pytestmark = on_postgres18

PUBLISHED = """
select coalesce(sum(images_at_minimum_accuracy), 0)::bigint
from refinery.labels
where decision = 'published'
"""
ROWS = """
select new_responses, machine_images, published_tags_before, published_tags, last_response_id
from refinery.refreshes
order by finished_at
"""

AWAIT = "Labels that await review, with images that would show them"
CHANGED = "changed since `dbt seed`"


def published(database: Database) -> int:
    return int(fetch(database, PUBLISHED)[0][0])


def response(image: UUID, confidence: int) -> str:
    """Return a line that says of an image one label that is approved, and one that nobody knows."""
    labels = [{"Name": name, "Confidence": confidence} for name in ("Dog", UNHEARD_OF)]
    return json.dumps({"image_uuid": str(image), "response": {"Labels": labels}})


def test_a_refresh_says_what_it_brought(sample: Database, tmp_path: Path) -> None:
    sample.build("run", "--selector", "refresh")
    (*_, before) = fetch(sample, ROWS)
    assert before[3] == published(sample) > 1000
    one, other = uuid4(), uuid4()
    lines = [response(one, 99), response(one, 99), response(one, 9), response(other, 99)]
    lines += [json.dumps({"image_uuid": str(uuid4()), "response": {}})]
    file = write(tmp_path / "new.jsonl", *map(str.encode, lines))
    sample.loader("load", file)
    sample.build("run", "--selector", "refresh")
    (*_, after) = fetch(sample, ROWS)
    assert after[:4] == (2, before[1] + 2, before[3], before[3] + 1)
    assert after[3] == published(sample)
    sample.loader("forget", file)
    sample.build("run", "--selector", "refresh")
    (*_, taken_back) = fetch(sample, ROWS)
    assert taken_back == (0, before[1], before[3] + 1, before[3], after[4])


def test_a_refresh_says_who_and_when_and_by_which_policy(sample: Database) -> None:
    ((start,),) = fetch(sample, "select clock_timestamp()")
    sample.build("run", "--selector", "refresh")
    ((digest,),) = fetch(
        sample, "select md5(policy::text) from refinery.int_label_policy_in_force as policy"
    )
    query = """
        select started_at, finished_at, refreshed_by, invocation_id, label_policy_digest
        from refinery.refreshes order by finished_at desc limit 1
    """
    ((started_at, finished_at, *row),) = fetch(sample, query)
    ((end,),) = fetch(sample, "select clock_timestamp()")
    assert start < started_at < finished_at < end
    artifact = json.loads((sample.folder / "target" / "run_results.json").read_text())
    assert row == ["refinery", artifact["metadata"]["invocation_id"], digest]


@pytest.mark.parametrize(
    "command",
    [
        ("seed",),
        ("test", "--select", "refreshes"),
        ("run", "--select", "int_label_policy_in_force"),
        ("build", "--selector", "policy"),
    ],
    ids=" ".join,
)
def test_what_refreshes_no_data_writes_no_row(sample: Database, command: tuple[str, ...]) -> None:
    before = fetch(sample, ROWS)
    sample.build(*command)
    assert fetch(sample, ROWS) == before


def test_a_full_refresh_keeps_the_history(sample: Database) -> None:
    before = fetch(sample, ROWS)
    sample.build("run", "--full-refresh", "--select", "refreshes")
    assert fetch(sample, ROWS)[:-1] == before
    assert before


@pytest.mark.parametrize(
    "command",
    [
        ("run", "--selector", "refresh"),
        ("build", "--select", "int_label_counts"),
        ("build", "--select", "int_label_counts", "labels_await_review"),
    ],
    ids=" ".join,
)
def test_a_refresh_ends_with_the_labels_that_await_review(
    sample: Database, command: tuple[str, ...]
) -> None:
    (said,) = (line for line in sample.dbt(*command).stdout.splitlines() if AWAIT in line)
    queue = "select label, images_if_included from refinery.unreviewed_labels limit 10"
    assert said == f"{AWAIT}: " + ", ".join(f"{name} ({n})" for name, n in fetch(sample, queue))


def test_what_refreshes_no_data_says_nothing_of_labels(sample: Database) -> None:
    assert AWAIT not in sample.dbt("run", "--select", "int_label_policy_in_force").stdout
    assert AWAIT not in sample.dbt("seed").stdout


def test_a_run_warns_of_files_that_have_changed_since_they_were_seeded(project: Database) -> None:
    run = ("run", "--select", "int_label_policy_in_force")
    assert CHANGED not in project.dbt(*run).stdout
    with project.connect() as connection:
        for file, others in (("tag_providers", ""), ("included_labels", ", tag_providers.csv")):
            have = "have" if others else "has"
            connection.execute(f"comment on table refinery.{file} is 'with checksum: 0'")
            assert f"Warning: {file}.csv{others} {have} {CHANGED}" in project.dbt(*run).stdout
    assert CHANGED not in project.dbt("seed").stdout
    assert CHANGED not in project.dbt(*run).stdout


@pytest.mark.parametrize(("share", "status"), [(1.11, "warn"), (1.09, "pass"), (0.89, "warn")])
def test_a_refresh_that_changes_much_is_warned_of(
    sample: Database, share: float, status: str
) -> None:
    with sample.connect() as connection:
        connection.execute(
            """
            insert into refinery.refreshes (finished_at, published_tags_before, published_tags)
            values ('infinity', 10000, 10000 * %s)
            """,
            (share,),
        )
        try:
            sample.build("test", "--select", "the_last_refresh_changed_little")
            results = {result["unique_id"]: result["status"] for result in sample.results()}
            assert results["test.label_refinery.the_last_refresh_changed_little"] == status
        finally:
            connection.execute("delete from refinery.refreshes where finished_at = 'infinity'")
