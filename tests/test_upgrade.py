"""A database of version 0.1 goes on after `dbt build`.

upgrade/version_0_1.sql.gz is pg_dump 15's of one (--inserts): two images, two lines, three labels.
"""

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from conftest import Database
from loads import fetch, oids

from loader.connect import PROJECT

DUMP = Path(__file__).with_name("upgrade") / "version_0_1.sql.gz"
LABELLED, CATALOGS = (f"00000000-0000-4000-8000-00000000000{number}" for number in (1, 2))
PUBLISHED = [(LABELLED, ["dog", "Cat"]), (CATALOGS, ["Dog"])]
READ = """
select identifier::text, array(select tag ->> 'name' from jsonb_array_elements(tags) as tag)
from refinery.published_images
order by identifier
"""
REJECTED = "select response_id, problem, document from refinery.rejected_responses"
STORE = "select names, accuracies, xmin::text, ctid::text from refinery.int_{}_labels"

# What an earlier version made of an image that the catalog lacks, of which the machine said Atm.
CORRECTED = """
insert into raw.rekognition_responses (response_id, chunk_id, document)
select
    nextval('raw.response_ids'), max(chunk_id),
    '{"image_uuid": "00000000-0000-4000-8000-000000000003",
    "response": {"Labels": [{"Name": "Atm", "Confidence": 99}]}}'
from raw.loaded_chunks;
insert into refinery.int_machine_labels (identifier, provider, names, accuracies, response_id)
select '00000000-0000-4000-8000-000000000003', 'rekognition', '{ATM}', '{0.99}', last_value
from raw.response_ids
"""


@pytest.fixture
def version_0_1(database: Database) -> Iterator[Database]:
    with database.connect() as connection:
        connection.execute(gzip.decompress(DUMP.read_bytes()))
        database.loader("init")
        connection.execute(CORRECTED)
        yield database


def test_an_upgrade_keeps_data_and_views(version_0_1: Database) -> None:
    """Readers go on while it is built; then what a correction may have made is read again."""
    with version_0_1.connect() as connection, ThreadPoolExecutor(1) as threads:
        before = connection.execute(STORE.format("machine")).fetchall()
        done = Event()
        reads = threads.submit(read_until, version_0_1, done)
        try:
            version_0_1.build("build", "--select", "*", "--exclude-resource-type", "unit_test")
        finally:
            done.set()
        assert reads.result() > 10
        assert connection.execute(STORE.format("rekognition")).fetchall() == before
        version_0_1.build("run-operation", "drop_what_earlier_versions_left")
        assert relations_and_functions(version_0_1) == written()
        version_0_1.build("run", "--selector", "refresh")
        assert connection.execute(STORE.format("rekognition")).fetchall()[-1][0] == ["Atm"]
        assert connection.execute(READ).fetchall() == PUBLISHED


def test_dbt_run_says_that_functions_are_missing(version_0_1: Database) -> None:
    done = version_0_1.dbt("run", "--select", "labels")
    assert done.returncode != 0
    assert "run `dbt build` first" in done.stdout
    with version_0_1.connect() as connection:
        assert connection.execute(READ).fetchall() == PUBLISHED


def read_until(database: Database, done: Event) -> int:
    """Read what readers read, until told to stop; return how often."""
    reads = 0
    with database.connect() as connection:
        while not done.wait(0.02):
            assert connection.execute(READ).fetchall() == PUBLISHED
            assert connection.execute(REJECTED).fetchall()
            reads += 1
    return reads


def relations_and_functions(database: Database) -> list[str]:
    """Return the names of what is in the target schema; one twice where two have it."""
    query = "select proname from pg_proc where pronamespace = 'refinery'::regnamespace"
    return sorted([*oids(database), *(name for (name,) in fetch(database, query))])


def written() -> list[str]:
    """Return what the project makes, by its files."""
    files = ("functions/*.sql", "models/**/*.sql", "seeds/**/*.csv", "snapshots/*.yml")
    return sorted(path.stem for pattern in files for path in PROJECT.glob(pattern))
