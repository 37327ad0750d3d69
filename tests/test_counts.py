"""Counts follow what changes: after any sequence of changes they are those of a recount.

COUNTS_SEED repeats a run.
"""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Database, fresh_database
from loads import fetch, on_one_version, write
from recount import RECOUNT, WRONG_EXAMPLES, miscounted

from loader.connect import PROJECT
from trial.server import Server

pytestmark = on_one_version

SEED = int(os.environ.get("COUNTS_SEED") or random.SystemRandom().randrange(10**6))
LABELS = ("Dog", "Cat", "Atm", "ATM", "Sea Snake", "Air Fryer", "Bucket Hat")
COUNTS = ("int_catalog_labels", "int_corrected_counts", "int_rekognition_labels")
STEPS = 16

REPLACED = "insert into catalog.image (identifier, provider, tags) values (%s, %s, %s)"
UNCORRECTED = "delete from refinery.label_corrections where original = 'Atm'"
CORRECTED = "insert into refinery.label_corrections (original, corrected) values ('Atm', 'ATM')"
RELEASED = "select from raw.loaded_files where released_at is not null"
OF_NOTHING = "select * from refinery.int_label_counts where counted = 0 and accuracy_sum = 0"
ROW_VERSIONS = """
select string_agg(xmin::text || ctid::text, ' ') from refinery.{}
"""


class Life:
    """What happens to a database, by dice."""

    def __init__(self, database: Database, dice: random.Random) -> None:
        self.database = database
        self.dice = dice
        self.files: list[Path] = []

    def image(self) -> str:
        return f"00000000-0000-4000-8000-{self.dice.randrange(25):012}"

    def load(self) -> None:
        lines = []
        for _ in range(self.dice.randrange(1, 30)):
            names = self.dice.sample(LABELS, self.dice.randrange(len(LABELS)))
            labels = [{"Name": name, "Confidence": self.accuracy() * 100} for name in names]
            lines.append({"image_uuid": self.image(), "response": {"Labels": labels}})
        path = self.database.folder / f"{len(self.files)}.jsonl"
        self.files.append(write(path, *(json.dumps(line).encode() for line in lines)))
        self.database.loader("load", self.files[-1])

    def accuracy(self) -> float:
        return self.dice.choice([0.5, 0.9, 1, round(self.dice.uniform(0.5, 1), 6)])

    def forget(self) -> None:
        if self.files:
            self.database.loader("forget", self.files.pop(self.dice.randrange(len(self.files))))

    def release(self) -> None:
        self.refresh()
        if self.files:
            self.database.loader("release", self.files.pop(0))

    def change_catalog(self) -> None:
        with self.database.connect() as connection:
            for _ in range(self.dice.randrange(1, 20)):
                image = self.image()
                connection.execute("delete from catalog.image where identifier = %s", (image,))
                if self.dice.random() < 0.8:
                    tags = [
                        {"name": name, "provider": provider, "accuracy": self.accuracy()}
                        for provider in ("rekognition", "clarifai", "flickr")
                        for name in sorted(self.dice.sample(LABELS, self.dice.randrange(3)))
                    ]
                    connection.execute(REPLACED, (image, "flickr", json.dumps(tags)))

    def correct(self) -> None:
        with self.database.connect() as connection:
            connection.execute(UNCORRECTED)
            if self.dice.random() < 0.5:
                connection.execute(CORRECTED)
        self.database.build("run", "--select", "int_label_policy_in_force")

    def refresh(self) -> None:
        self.database.build("run", "--selector", "refresh")

    def be_killed(self) -> None:
        """Refresh the stores, as a run does that is killed before it has counted."""
        stores = ["int_rekognition_labels", "int_catalog_labels"]
        self.database.build("run", "--select", *self.dice.sample(stores, self.dice.randrange(1, 3)))

    def make_a_store_anew(self) -> None:
        self.database.build("run", "--full-refresh", "--select", "int_rekognition_labels")


@pytest.fixture
def life(server: Server, tmp_path: Path) -> Iterator[Life]:
    with fresh_database(server, "life", tmp_path) as fresh:
        fresh.loader("init")
        with fresh.connect() as connection:
            connection.execute((PROJECT / "trial" / "catalog.sql").read_bytes())
            fresh.build("build", "--exclude-resource-types", "unit_test", "test")
            connection.execute(RECOUNT)
        yield Life(fresh, random.Random(SEED))


# What was released cannot be made anew.
@pytest.mark.parametrize("rarely", ["release", "make_a_store_anew"])
def test_counts_are_those_of_a_recount(life: Life, rarely: str) -> None:
    done = []
    for _ in range(STEPS):
        steps = ("load", "forget", "change_catalog", "correct", "be_killed", "be_killed", rarely)
        step = life.dice.choice(steps)
        done.append(step)
        getattr(life, step)()
        if life.dice.random() < 0.3:
            done.append("refresh")
            life.refresh()
            assert wrong(life.database) == [], f"COUNTS_SEED={SEED}: {done}"
    life.refresh()
    assert wrong(life.database) == [], f"COUNTS_SEED={SEED}: {done}"


def test_what_killed_runs_have_left_is_counted(life: Life) -> None:
    for _ in range(4):
        life.load()
        life.change_catalog()
        life.database.build("run", "--select", "int_rekognition_labels", "int_catalog_labels")
        assert wrong(life.database)
    life.refresh()
    assert wrong(life.database) == [], f"COUNTS_SEED={SEED}"


def wrong(database: Database) -> list[object]:
    """Return what is counted and not there, or there and not counted, or not counted yet."""
    tables = COUNTS if not fetch(database, RELEASED) else COUNTS[:-1]
    return [
        *miscounted(database, *tables),
        *fetch(database, WRONG_EXAMPLES),
        *fetch(database, "select * from refinery.int_label_changes"),
        *fetch(database, OF_NOTHING),
    ]


def test_a_full_refresh_counts_all_again(life: Life) -> None:
    life.load()
    life.change_catalog()
    life.refresh()
    with life.database.connect() as connection:
        connection.execute("update refinery.int_label_counts set counted = counted + 1")
    life.refresh()
    assert wrong(life.database) != []
    life.database.build("run", "--full-refresh", "--selector", "refresh")
    assert wrong(life.database) == []


def test_a_refresh_without_anything_new_writes_no_row(life: Life) -> None:
    life.load()
    life.change_catalog()
    life.refresh()
    tables = ("int_label_counts", "int_catalog_labels", "int_rekognition_labels")
    before = [fetch(life.database, ROW_VERSIONS.format(table)) for table in tables]
    life.refresh()
    assert [fetch(life.database, ROW_VERSIONS.format(table)) for table in tables] == before
