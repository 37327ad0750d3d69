"""Counts follow what changes: after any sequence of changes they are those of a recount.

COUNTS_SEED repeats a run.
"""

import json
import os
import random
from pathlib import Path

import pytest
from conftest import Database
from loads import fetch, write
from recount import RECOUNT, WRONG_EXAMPLES, miscounted

SEED = int(os.environ.get("COUNTS_SEED") or random.SystemRandom().randrange(10**6))
LABELS = ("Dog", "Cat", "Atm", "ATM", "Sea Snake", "Air Fryer", "Bucket Hat")
COUNTS = ("int_catalog_labels", "int_corrected_counts", "int_rekognition_labels")
STEPS = ("load", "load", "forget", "change_catalog", "be_killed")

REPLACED = "insert into catalog.image (identifier, provider, tags) values (%s, %s, %s)"
UNCORRECTED = "delete from refinery.label_corrections where original = 'Atm'"
CORRECTED = "insert into refinery.label_corrections (original, corrected) values ('Atm', 'ATM')"
RELEASED = "select from raw.loaded_files where released_at is not null"
OF_NOTHING = "select * from refinery.int_label_counts where counted = 0 and accuracy_sum = 0"


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
        path = self.database.folder / f"{self.dice.getrandbits(64)}.jsonl"
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

    def wrong(self) -> list[object]:
        """Return what is counted and not there, or there and not counted, or not counted yet."""
        # What was released is there no more to be read again.
        tables = COUNTS[:-1] if fetch(self.database, RELEASED) else COUNTS
        return [
            *miscounted(self.database, *tables),
            *fetch(self.database, WRONG_EXAMPLES),
            *fetch(self.database, "select * from refinery.int_label_changes"),
            *fetch(self.database, OF_NOTHING),
        ]


@pytest.mark.both_versions
@pytest.mark.parametrize("rounds", [1, pytest.param(6, marks=pytest.mark.slow)])
def test_counts_are_those_of_a_recount(own_project: Database, rounds: int) -> None:
    life = Life(own_project, random.Random(SEED))
    with life.database.connect() as connection:
        connection.execute(RECOUNT)
    done: list[str] = []

    def live(*steps: str) -> None:
        """Take steps in any order, and refresh."""
        for step in (*life.dice.sample(steps, len(steps)), "refresh"):
            done.append(step)
            getattr(life, step)()
        assert life.wrong() == [], f"COUNTS_SEED={SEED}: {done}"

    life.load()
    life.change_catalog()
    assert life.wrong() != []
    for _ in range(rounds):
        live(*STEPS, "correct")
        life.make_a_store_anew()
    for _ in range(rounds):  # what was released cannot be made anew
        life.release()
        assert life.wrong() == [], f"COUNTS_SEED={SEED}: {done}"
        live(*STEPS)
