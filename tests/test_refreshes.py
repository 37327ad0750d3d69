"""The table of refreshes: who refreshed the data, when, and what it brought."""

import json
from pathlib import Path
from uuid import UUID, uuid4

from conftest import UNHEARD_OF, Database
from loads import fetch, write

PUBLISHED = """
select sum(images_at_minimum_accuracy) from refinery.labels where decision = 'published'
"""
ROWS = """
select new_responses, machine_images, published_tags_before, published_tags, last_response_id
from refinery.refreshes
order by finished_at
"""
WHO_AND_WHEN = """
select refreshed_by, invocation_id, label_policy_digest, started_at, finished_at
from refinery.refreshes
order by finished_at desc
limit 1
"""
DIGEST = "select md5(policy::text) from refinery.int_label_policy_in_force as policy"
QUEUE = "select label, images_if_included from refinery.unreviewed_labels limit 10"
IN_FORCE = ("run", "--select", "int_label_policy_in_force")

AWAIT = "Labels that await review, with images that would show them"
CHANGED = "changed since `dbt seed`"


def response(image: UUID, confidence: int) -> str:
    """Return a line that says of an image one label that is approved, and one that nobody knows."""
    labels = [{"Name": name, "Confidence": confidence} for name in ("Dog", UNHEARD_OF)]
    return json.dumps({"image_uuid": str(image), "response": {"Labels": labels}})


def assert_queue_is_told_once(database: Database, said: str) -> None:
    (line,) = (line for line in said.splitlines() if AWAIT in line)
    queue = ", ".join(f"{name} ({images})" for name, images in fetch(database, QUEUE))
    assert line == f"{AWAIT}: {queue}"
    assert queue


def test_a_refresh_says_what_it_brought_and_ends_with_the_labels_that_await_review(
    own_few: Database, tmp_path: Path
) -> None:
    """Who and when and by which policy too; a full refresh counts all again, but keeps this."""
    first, *_, before = history = fetch(own_few, ROWS)
    assert first == (0, 0, None, 0, 0)
    assert before[3] == fetch(own_few, PUBLISHED)[0][0] > 100
    one, other = uuid4(), uuid4()
    lines = [response(one, 99), response(one, 99), response(one, 9), response(other, 99)]
    lines += [json.dumps({"image_uuid": str(uuid4()), "response": {}})]
    file = write(tmp_path / "new.jsonl", *map(str.encode, lines))
    own_few.loader("load", file)

    ((start,),) = fetch(own_few, "select clock_timestamp()")
    refreshed = own_few.dbt("run", "--selector", "refresh")
    ((*who, started_at, finished_at),) = fetch(own_few, WHO_AND_WHEN)
    ((end,),) = fetch(own_few, "select clock_timestamp()")
    artifact = json.loads((own_few.folder / "target" / "run_results.json").read_text())
    ((digest,),) = fetch(own_few, DIGEST)
    assert who == ["refinery", artifact["metadata"]["invocation_id"], digest]
    assert start < started_at < finished_at < end
    *_, after = fetch(own_few, ROWS)
    assert after[:4] == (2, before[1] + 2, before[3], before[3] + 1)
    assert after[3] == fetch(own_few, PUBLISHED)[0][0]
    assert_queue_is_told_once(own_few, refreshed.stdout)
    assert CHANGED not in refreshed.stdout

    own_few.loader("forget", file)
    with own_few.connect() as connection:
        connection.execute("update refinery.int_label_counts set counted = counted + 1")
    own_few.build("run", "--full-refresh", "--selector", "refresh")
    taken_back = (0, before[1], before[3] + 1, before[3], after[4])
    assert fetch(own_few, ROWS) == [*history, after, taken_back]


def test_what_refreshes_no_data_writes_no_row_and_says_nothing_of_labels(own_few: Database) -> None:
    """But it warns of files that have changed since they were seeded."""
    before = fetch(own_few, ROWS)
    with own_few.connect() as connection:
        for file in ("tag_providers", "included_labels"):
            connection.execute(f"comment on table refinery.{file} is 'with checksum: 0'")
    warned = own_few.dbt(*IN_FORCE).stdout
    assert f"Warning: included_labels.csv, tag_providers.csv have {CHANGED}" in warned
    seeded = own_few.dbt("seed", "--select", "tag_providers").stdout
    warned_of_less = own_few.dbt(*IN_FORCE).stdout
    assert f"Warning: included_labels.csv has {CHANGED}" in warned_of_less
    assert CHANGED not in seeded
    assert AWAIT not in warned + seeded
    assert fetch(own_few, ROWS) == before


def test_a_refresh_that_changes_much_is_warned_of(own_few: Database) -> None:
    """By a test, in one command with that of the queue, which is told once then too."""
    test = "the_last_refresh_changed_little"
    said = own_few.dbt("build", "--select", "int_label_counts", "labels_await_review", test).stdout
    assert_queue_is_told_once(own_few, said)
    results = {result["unique_id"]: result["status"] for result in own_few.results()}
    assert results[f"test.label_refinery.{test}"] == "pass"
    (path,) = (own_few.folder / "target" / "compiled").rglob(f"{test}.sql")
    with own_few.connect() as connection:
        for published, is_warned_of in ((1.11, True), (1.09, False), (0.89, True)):
            connection.execute("delete from refinery.refreshes where finished_at > now()")
            connection.execute(
                """
                insert into refinery.refreshes
                    (finished_at, published_tags_before, published_tags)
                values (now() + interval '1 day', 10000, 10000 * %s)
                """,
                (published,),
            )
            assert bool(connection.execute(path.read_bytes()).fetchall()) == is_warned_of
