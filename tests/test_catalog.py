"""A catalog file into catalog.image: replaced whole or not at all, and only what was loaded so."""

import gzip
from pathlib import Path
from uuid import UUID

import pytest
from conftest import Database
from loads import fetch

from loader.errors import UserError
from trial.catalog import load_catalog
from trial.cli import main

CATALOG = b"""identifier,provider,tags,title
7d0b0a3c-6b3a-4f6e-9d2b-0a4b8f6c1e01,flickr,"[{""name"": ""cat""}]",A cat
7d0b0a3c-6b3a-4f6e-9d2b-0a4b8f6c1e02,flickr,,"Line
break, comma"
"""


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "catalog.csv"
    path.write_bytes(CATALOG)
    return path


def load(database: Database, file: Path) -> int | None:
    with database.connect() as connection:
        return load_catalog(connection, file)


def catalog_rows(database: Database) -> list[tuple[object, ...]]:
    return fetch(database, "select title, tags from catalog.image order by identifier")


def test_a_catalog_is_replaced_by_another_and_kept_by_itself(database: Database, csv: Path) -> None:
    assert load(database, csv) == 2
    assert catalog_rows(database) == [("A cat", [{"name": "cat"}]), ("Line\nbreak, comma", None)]
    assert load(database, csv) is None
    compressed = csv.with_name("one.csv.gz")
    compressed.write_bytes(gzip.compress(b"\n".join(CATALOG.splitlines()[:2]) + b"\n"))
    assert load(database, compressed) == 1
    assert catalog_rows(database) == [("A cat", [{"name": "cat"}])]


def test_a_tsv_is_what_postgres_writes(database: Database, csv: Path) -> None:
    tsv = csv.with_suffix(".tsv")
    load(database, csv)
    before = catalog_rows(database)
    with database.connect() as connection, tsv.open("wb") as file:
        with connection.cursor().copy(
            "copy (select identifier, provider, tags, title from catalog.image) to stdout"
            " (format text, header)"
        ) as copy:
            file.writelines(bytes(block) for block in copy)
        connection.execute("drop table catalog.image")
    load(database, tsv)
    assert catalog_rows(database) == before


COMPRESSED = gzip.compress(
    b"identifier,provider,tags\n"
    + b"".join(f"{UUID(int=number)},flickr,{number}\n".encode() for number in range(20_000))
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"identifier,provider\n", "lacks the column tags"),
        (b"identifier,provider,tags\n", "has a header and no rows"),
        (CATALOG.replace(b"title", b"title,,", 1), "the first line names no column 5"),
        (CATALOG + CATALOG.splitlines()[1] + b"\n", "has an identifier twice"),
        (CATALOG.replace(b'[{""name', b'{{""name'), "line 2, column tags"),
        (CATALOG.replace(b"title", b"headline", 1), '"headline" of relation "image" does not'),
        (CATALOG.replace(b"title", b"tags", 1), "specified more than once"),
        (CATALOG.replace(b"A cat", b"A \xe9 cat"), "invalid byte sequence"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "is no catalog file"),
        (b"", "is empty"),
        (COMPRESSED[:9999], "is damaged: .* ended before the end-of-stream marker.* anew"),
        (COMPRESSED + b"more", "is damaged: Not a gzipped file.* anew"),
        (COMPRESSED[:30] + b"\xff\xff" + COMPRESSED[32:], "bad.csv.gz is no catalog file, or is d"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_a_bad_catalog_changes_nothing(
    database: Database, csv: Path, content: bytes, words: str
) -> None:
    bad = csv.with_name("bad.csv.gz" if content[:2] == COMPRESSED[:2] else "bad.csv")
    bad.write_bytes(content)
    with pytest.raises(UserError, match=words):
        load(database, bad)
    assert fetch(database, "select to_regclass('catalog.image')") == [(None,)]
    load(database, csv)
    with pytest.raises(UserError, match=words):
        load(database, bad)
    assert len(catalog_rows(database)) == 2


def test_a_catalog_that_has_shrunk_is_loaded_only_if_it_is_meant(
    database: Database, csv: Path
) -> None:
    large = csv.with_name("large.csv")
    rows = (f"{UUID(int=number)},flickr,\n".encode() for number in range(5))
    large.write_bytes(b"identifier,provider,tags\n" + b"".join(rows))
    load(database, large)
    done = database.invoke(main, "load-catalog", csv)
    assert done.exit_code == 1
    assert "has 2 images and catalog.image 5" in done.stderr
    assert len(catalog_rows(database)) == 5
    assert database.invoke(main, "load-catalog", "--may-shrink", csv).exit_code == 0
    assert len(catalog_rows(database)) == 2


def test_a_catalog_that_is_the_users_own_is_left_alone(database: Database, csv: Path) -> None:
    with database.connect() as connection:
        connection.execute("create schema catalog")
        connection.execute("create table catalog.image (identifier uuid, title text, tags jsonb)")
        connection.execute("insert into catalog.image (title) values ('mine')")
    done = database.invoke(main, "load-catalog", csv)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: catalog.image is there and was not made by load-catalog")
    assert catalog_rows(database) == [("mine", None)]
