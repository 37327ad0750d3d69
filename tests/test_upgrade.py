"""A database of version 0.1 goes on after `dbt build`.

upgrade/version_0_1.sql.gz is pg_dump 15's of one (--inserts): two images, two lines, three labels.
"""

import gzip
from pathlib import Path

import pytest
from conftest import WITHOUT_TESTS, Database
from loads import fetch, oids, polled

from loader.connect import PROJECT

SLOW = pytest.mark.slow
DUMP = Path(__file__).with_name("upgrade") / "version_0_1.sql.gz"
LABELLED, CATALOGS = (f"00000000-0000-4000-8000-00000000000{number}" for number in (1, 2))
PUBLISHED = [(LABELLED, ["dog", "Cat"]), (CATALOGS, ["Dog"])]
READ = """
select identifier::text, array(select tag ->> 'name' from jsonb_array_elements(tags) as tag)
from refinery.published_images
order by identifier
"""
REJECTED = """
select count(response_id), count(problem), count(document) from refinery.rejected_responses
"""
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
def version_0_1(database: Database) -> Database:
    with database.connect() as connection:
        connection.execute(gzip.decompress(DUMP.read_bytes()))
        database.loader("init")
        connection.execute(CORRECTED)
    return database


@pytest.mark.both_versions
@pytest.mark.parametrize("without", [WITHOUT_TESTS, pytest.param(WITHOUT_TESTS[:2], marks=SLOW)])
def test_an_upgrade_keeps_data_and_views(version_0_1: Database, without: tuple[str, ...]) -> None:
    """Readers go on while it is built; then what a correction may have made is read again."""
    before = fetch(version_0_1, STORE.format("machine"))
    with polled(version_0_1, READ), polled(version_0_1, REJECTED):
        done = version_0_1.dbt("run", "--select", "labels")
        assert done.returncode != 0
        assert "run `dbt build` first" in done.stdout
        version_0_1.build("build", *without)
    assert fetch(version_0_1, READ) == PUBLISHED
    assert fetch(version_0_1, STORE.format("rekognition")) == before
    version_0_1.build("run-operation", "drop_what_earlier_versions_left")
    assert relations_and_functions(version_0_1) == written()
    version_0_1.build("run", "--selector", "refresh")
    assert fetch(version_0_1, STORE.format("rekognition"))[-1][0] == ["Atm"]
    assert fetch(version_0_1, READ) == PUBLISHED


def relations_and_functions(database: Database) -> list[str]:
    """Return the names of what is in the target schema; one twice where two have it."""
    query = "select proname from pg_proc where pronamespace = 'refinery'::regnamespace"
    return sorted([*oids(database), *(name for (name,) in fetch(database, query))])


def written() -> list[str]:
    """Return what the project makes, by its files; the evidence is not of it by default."""
    files = ("functions/*.sql", "models/**/*.sql", "seeds/**/*.csv", "snapshots/*.yml")
    paths = [path for pattern in files for path in PROJECT.glob(pattern)]
    return sorted(path.stem for path in paths if path.parent.name != "evidence")
