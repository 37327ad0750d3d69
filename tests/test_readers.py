"""Whatever dbt does meanwhile, readers never get an error and never miss a tag."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Database
from loads import FORK, fails, fetch, polled, wait_for, write

READ = """
select
    md5(string_agg(image::text, '' order by identifier)),
    (select count(*) from refinery.tag_decisions)
from refinery.published_images as image
"""
STORE = "int_rekognition_labels"
STORED = f"select count(*) from refinery.{STORE}"  # noqa: S608 - a name from above
IMAGE = "00000000-0000-4000-8000-00000000000f"
GIVES_WAY = """
select true from pg_stat_activity
where datname = current_database() and application_name = 'dbt' and wait_event = 'PgSleep'
"""


def test_readers_never_miss_anything_in_a_full_refresh(few: Database) -> None:
    """Nor who has a view of his own, with a right on it, on what is made anew."""
    with few.connect() as connection:
        connection.execute(
            f"create schema others; create view others.mine as table refinery.{STORE}"
        )
        with polled(few, READ), polled(few, "select count(*) from others.mine"):
            few.build("run", "--full-refresh")
        connection.execute("drop schema others cascade")


@pytest.mark.slow
def test_readers_never_miss_anything_in_two_full_refreshes_at_once(few: Database) -> None:
    with polled(few, READ), ProcessPoolExecutor(2, FORK) as processes:
        running = [processes.submit(few.build, "run", "--full-refresh") for _ in range(2)]
        assert [each.result() for each in running] == [None, None]


def test_a_full_refresh_lets_who_holds_a_store_go_first(few: Database) -> None:
    """As pg_dump, for hours perhaps: meanwhile others read."""
    with few.connect() as holder, ThreadPoolExecutor(1) as threads:
        holder.execute(f"begin; lock table refinery.{STORE} in access share mode")

        def hold() -> int:
            tries = 0
            try:
                with polled(few, READ), few.connect() as watcher:
                    while tries < 3:
                        wait_for(lambda: watcher.execute(GIVES_WAY).fetchone() is not None)
                        wait_for(lambda: watcher.execute(GIVES_WAY).fetchone() is None)
                        tries += 1
            finally:
                holder.execute("commit")
            return tries

        tries = threads.submit(hold)
        few.build("run", "--full-refresh", "--select", STORE)
        assert tries.result() == 3


def test_a_released_file_is_not_lost_to_a_full_refresh(few: Database, tmp_path: Path) -> None:
    line = '{"image_uuid": "%s", "response": {"Labels": []}}'
    file = write(tmp_path / "one more.jsonl", (line % IMAGE).encode())
    few.loader("load", file)
    few.build("run", "--select", STORE)
    before = fetch(few, READ)
    few.loader("release", file)
    done = few.dbt("run", "--full-refresh", "--select", STORE)
    assert done.returncode == 1
    assert "would lose the labels of 1 released files" in done.stdout
    assert "python -m loader forget FILE" in done.stdout
    few.build("build", "--select", STORE, "every_good_response_is_counted")
    assert fetch(few, READ) == before
    few.loader("forget", file)
    few.build("run", "--full-refresh", "--select", STORE)
    assert fetch(few, STORED) == [(200,)]


def test_a_file_of_another_labeller_is_named(few: Database, tmp_path: Path) -> None:
    answer = b'{"outputs": [{"data": {"concepts": []}}]}'
    line = b'{"image_uuid": "%s", "response": %s}' % (IMAGE.encode(), answer)
    file = write(tmp_path / "clarifai\x1b.jsonl", line, line)
    few.loader("load", file)
    said = few.dbt("run", "--select", STORE).stdout
    assert (
        f"No line of {tmp_path}/clarifai\\x1b.jsonl has labels in the format of rekognition" in said
    )
    few.loader("forget", file)
    few.loader("load", "--labeller", "clarifai", file)
    assert "has labels in the format of" not in few.dbt("run", "--select", STORE).stdout
    few.loader("forget", file)


def test_forget_gives_back_what_a_file_says_that_is_to_be_released(
    few: Database, tmp_path: Path
) -> None:
    """Its documents have to stay until dbt has read them again."""
    line = '{"image_uuid": "%s", "response": {"Labels": [{"Name": "%s", "Confidence": 99}]}}'
    cat, dog = (write(tmp_path / name, (line % (IMAGE, name)).encode()) for name in ("Cat", "Dog"))
    few.loader("load", cat)
    few.loader("load", dog)
    few.build("run", "--select", STORE)
    few.loader("forget", dog)
    assert "run `dbt run` first" in fails(few, "release", cat)
    few.build("run", "--select", STORE)
    few.loader("release", cat)
    few.build("build", "--select", STORE, "every_good_response_is_counted")
    names = "select jsonb_path_query_array(tags, '$.name') from refinery.machine_tags"
    names += " where identifier = %s"
    assert fetch(few, names, IMAGE) == [(["Cat"],)]
    few.loader("forget", cat)
    few.build("run", "--select", STORE)
    assert fetch(few, names, IMAGE) == []
