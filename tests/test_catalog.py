"""A catalog file into catalog.image: replaced whole or not at all, and only what was loaded so."""

import gzip
import sys
from pathlib import Path

import pytest
from conftest import Database

CATALOG = b"""identifier,provider,tags,title
7d0b0a3c-6b3a-4f6e-9d2b-0a4b8f6c1e01,flickr,"[{""name"": ""cat""}]",A cat
7d0b0a3c-6b3a-4f6e-9d2b-0a4b8f6c1e02,flickr,,"Line
break, comma"
"""


def fails(database: Database, file: Path) -> str:
    """Load a catalog that does not do, as a user should see it, and return the words."""
    done = database.run(sys.executable, "-m", "trial", "load-catalog", file)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) <= 2
    return done.stderr


def catalog_rows(database: Database) -> list[tuple[object, ...]]:
    with database.connect() as connection:
        return connection.execute(
            "select title, tags from catalog.image order by identifier"
        ).fetchall()


def test_a_catalog_is_replaced_by_another_and_kept_by_itself(
    database: Database, tmp_path: Path
) -> None:
    csv = tmp_path / "catalog.csv"
    csv.write_bytes(CATALOG)
    assert "2 rows" in database.trial("load-catalog", csv)
    assert catalog_rows(database) == [("A cat", [{"name": "cat"}]), ("Line\nbreak, comma", None)]
    assert "nothing to do" in database.trial("load-catalog", csv)
    compressed = tmp_path / "one.csv.gz"
    compressed.write_bytes(gzip.compress(b"\n".join(CATALOG.splitlines()[:2]) + b"\n"))
    assert "1 rows" in database.trial("load-catalog", compressed)
    assert catalog_rows(database) == [("A cat", [{"name": "cat"}])]


def test_a_tsv_is_what_postgres_writes(database: Database, tmp_path: Path) -> None:
    csv, tsv = tmp_path / "catalog.csv", tmp_path / "catalog.tsv"
    csv.write_bytes(CATALOG)
    database.trial("load-catalog", csv)
    before = catalog_rows(database)
    with database.connect() as connection, tsv.open("wb") as file:
        with connection.cursor().copy(
            "copy (select identifier, provider, tags, title from catalog.image) to stdout"
            " (format text, header)"
        ) as copy:
            file.writelines(bytes(block) for block in copy)
        connection.execute("drop table catalog.image")
    database.trial("load-catalog", tsv)
    assert catalog_rows(database) == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"identifier,provider\n", "lacks the column tags"),
        (CATALOG + CATALOG.splitlines()[1] + b"\n", "has an identifier twice"),
        (CATALOG.replace(b'[{""name', b'{{""name'), "line 2, column tags"),
        (CATALOG.replace(b"title", b"headline", 1), '"headline" of relation "image" does not'),
        (CATALOG.replace(b"title", b"tags", 1), "specified more than once"),
        (CATALOG.replace(b"A cat", b"A \xe9 cat"), "invalid byte sequence"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "is no catalog file"),
        (b"", "is empty"),
    ],
)
def test_a_bad_catalog_changes_nothing(
    database: Database, tmp_path: Path, content: bytes, words: str
) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_bytes(CATALOG)
    bad.write_bytes(content)
    assert words in fails(database, bad)
    database.trial("load-catalog", good)
    assert words in fails(database, bad)
    assert len(catalog_rows(database)) == 2


def test_a_catalog_that_load_catalog_did_not_make_is_left_alone(
    database: Database, tmp_path: Path
) -> None:
    csv = tmp_path / "catalog.csv"
    csv.write_bytes(CATALOG)
    with database.connect() as connection:
        connection.execute("create schema catalog")
        connection.execute("create table catalog.image (identifier uuid, title text, tags jsonb)")
        connection.execute("insert into catalog.image (title) values ('mine')")
    assert "left alone" in fails(database, csv)
    assert catalog_rows(database) == [("mine", None)]
