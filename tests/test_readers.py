"""Whatever dbt does meanwhile, readers never get an error and never miss a tag."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from conftest import Database, fresh_database
from loads import LONGEST_WAIT_SECONDS, fetch, on_one_version, write

from trial.catalog import load_catalog
from trial.sample import write_sample
from trial.server import Server

pytestmark = on_one_version

READ = """
select
    md5(string_agg(image::text, '' order by identifier)),
    (select count(*) from refinery.tag_decisions)
from refinery.published_images as image
"""


@pytest.fixture(scope="module")
def few(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The project built on a few images."""
    folder = tmp_path_factory.mktemp("few")
    catalog, labels = write_sample(folder, images=300, labelled=200)
    with fresh_database(server, "few", folder) as fresh:
        fresh.loader("init")
        with fresh.connect() as connection:
            load_catalog(connection, catalog)
        fresh.loader("load", labels)
        fresh.build("build", "--exclude-resource-types", "unit_test", "test")
        yield fresh


@pytest.mark.parametrize(
    "commands",
    [
        ["run"],
        ["build --full-refresh --exclude-resource-types unit_test test"],
        ["run --full-refresh", "run --full-refresh"],
    ],
    ids=" and ".join,
)
def test_readers_never_miss_anything(few: Database, commands: list[str]) -> None:
    want = fetch(few, READ)
    assert want[0][1] > 1000
    done = Event()
    with ThreadPoolExecutor(1) as threads:
        reads = threads.submit(read_until, few, want, done)
        try:
            running = [few.start_dbt(*command.split()) for command in commands]
            assert [each.wait(LONGEST_WAIT_SECONDS) for each in running] == [0] * len(commands)
        finally:
            done.set()
        assert reads.result() > 20


def read_until(database: Database, want: list[tuple], done: Event) -> int:
    reads = 0
    with database.connect() as connection:
        while not done.wait(0.02):
            assert connection.execute(READ).fetchall() == want
            reads += 1
    return reads


def test_a_full_refresh_keeps_the_views_of_others(few: Database) -> None:
    """Whoever stands on a store, or on what stands on it, with what they granted."""
    with few.connect() as connection:
        connection.execute("drop schema if exists others cascade; create schema others")
        connection.execute("create view others.mine as table refinery.int_rekognition_labels")
        before = connection.execute("select count(*) from others.mine").fetchall()
        few.build("run", "--full-refresh", "--select", "int_rekognition_labels")
        assert connection.execute("select count(*) from others.mine").fetchall() == before
        connection.execute("drop schema others cascade")


def test_a_released_file_is_not_lost_to_a_full_refresh(few: Database, tmp_path: Path) -> None:
    line = b'{"image_uuid": "00000000-0000-4000-8000-00000000000f", "response": {"Labels": []}}'
    file = write(tmp_path / "one more.jsonl", line)
    few.loader("load", file)
    few.build("run", "--selector", "refresh")
    before = fetch(few, READ)
    few.loader("release", file)
    done = few.dbt("run", "--full-refresh", "--select", "int_rekognition_labels")
    assert done.returncode == 1
    assert "would lose the labels of 1 released files" in done.stdout
    assert "python -m loader forget FILE" in done.stdout
    few.build("run", "--selector", "refresh")
    few.build("test", "--select", "every_good_response_is_counted")
    assert fetch(few, READ) == before
    few.loader("forget", file)
    few.build("run", "--selector", "refresh")
    stored = "select count(*) from refinery.int_rekognition_labels"
    assert fetch(few, stored) == [(200,)]
    few.build("run", "--full-refresh", "--select", "int_rekognition_labels")
    assert fetch(few, stored) == [(200,)]


def test_a_file_of_another_labeller_is_named(few: Database, tmp_path: Path) -> None:
    answer = b'{"outputs": [{"data": {"concepts": []}}]}'
    image = b'{"image_uuid": "00000000-0000-4000-8000-00000000000f", "response": %s}'
    file = write(tmp_path / "clarifai\x1b.jsonl", image % answer, image % answer)
    few.loader("load", file)
    said = few.dbt("run", "--selector", "refresh").stdout
    assert (
        f"No line of {tmp_path}/clarifai\\x1b.jsonl has labels in the format of rekognition" in said
    )
    few.loader("forget", file)
    few.loader("load", "--labeller", "clarifai", file)
    assert "has labels in the format of" not in few.dbt("run", "--selector", "refresh").stdout
    few.loader("forget", file)
    few.build("run", "--selector", "refresh")


def test_a_full_refresh_lets_who_holds_a_store_go_first(few: Database) -> None:
    """As pg_dump, for hours perhaps: meanwhile others read."""
    with few.connect() as holder, few.connect() as reader, holder.transaction():
        holder.execute("lock table refinery.int_rekognition_labels in access share mode")
        running = few.start_dbt("run", "--full-refresh", "--select", "int_rekognition_labels")
        reader.execute("set statement_timeout = '5s'")
        tried = "select count(*) from pg_class where relname = 'int_rekognition_labels__dbt_tmp'"
        deadline = time.monotonic() + 12
        while time.monotonic() < deadline:
            reader.execute(READ)
            time.sleep(0.02)
        assert reader.execute(tried).fetchall() == [(0,)]  # it is still ours alone
        assert running.poll() is None
    assert running.wait(LONGEST_WAIT_SECONDS) == 0


def test_forget_gives_back_what_a_file_says_that_is_to_be_released(
    few: Database, tmp_path: Path
) -> None:
    """Its documents have to stay until dbt has read them again."""
    image = "00000000-0000-4000-8000-00000000000f"
    line = '{"image_uuid": "%s", "response": {"Labels": [{"Name": "%s", "Confidence": 99}]}}'
    files = {
        name: write(tmp_path / name, (line % (image, name)).encode()) for name in ("Cat", "Dog")
    }
    for name in ("Cat", "Dog"):
        few.loader("load", files[name])
    few.build("run", "--selector", "refresh")
    few.loader("forget", files["Dog"])
    done = few.run(sys.executable, "-m", "loader", "release", files["Cat"])
    assert done.returncode == 1
    assert "run `dbt run` first" in done.stderr
    few.build("run", "--selector", "refresh")
    few.loader("release", files["Cat"])
    few.build("run", "--selector", "refresh")
    few.build("test", "--select", "every_good_response_is_counted")
    names = "select names from refinery.int_machine_labels where identifier = %s"
    assert fetch(few, names, image) == [(["Cat"],)]
    few.loader("forget", files["Cat"])
    few.build("run", "--selector", "refresh")
    assert fetch(few, names, image) == []
