"""A policy that is not in order is not put in force, whichever command is to do it."""

import csv
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Database
from hypothesis import given, settings
from hypothesis import strategies as st
from loads import edited_seeds, fetch, on_postgres18
from test_dbt import wait_for_lock
from test_policy_change import COMMANDS, IN_FORCE

from loader.connect import PROJECT
from loader.schema import create_schema
from review.check import policy_problems
from review.files import COLUMNS, label_key, read
from review.live import files_as_seeds

TOO_HIGH = "update refinery.included_labels set minimum_accuracy = 1.5 where label = 'Cat'"
PROBLEM = "included_labels.csv: “Cat” has a minimum_accuracy that is no number from 0 to 1"


@pytest.fixture
def edited(project: Database) -> Iterator[psycopg.Connection]:
    with edited_seeds(project) as connection:
        yield connection


def refused(database: Database, *command: str) -> str:
    """Run a command that has to leave the earlier policy in force, and return what it said."""
    before = fetch(database, IN_FORCE)
    assert len(before) == 1
    done = database.dbt(*command)
    assert done.returncode != 0
    assert fetch(database, IN_FORCE) == before
    assert "The label policy in force is still the earlier one, whole. What is " in done.stdout
    assert "`python -m review check` names" in done.stdout
    return done.stdout


@on_postgres18
@pytest.mark.parametrize(
    "command",
    [*COMMANDS, ("build", "--selector", "policy", "--exclude-resource-type", "seed")],
    ids=" ".join,
)
def test_no_command_puts_a_broken_policy_in_force(
    project: Database, edited: psycopg.Connection, command: tuple[str, ...]
) -> None:
    edited.execute(TOO_HIGH)
    assert refused(project, *command).count(f"{PROBLEM}\n") == 1


@on_postgres18
def test_ten_offenders_are_named_and_the_others_counted(
    project: Database, edited: psycopg.Connection
) -> None:
    edited.execute("update refinery.sensitive_labels set handling = 'hide'")
    words = refused(project, *COMMANDS[0], "--vars", "{largest_policy_change: 1}")
    told = project.dbt("test", "--select", "the_label_policy_is_in_order")
    assert told.returncode == 1
    for said in (words, told.stdout):
        assert said.count("sensitive_labels.csv: “") == 10
        others = len(read("sensitive_labels")) - 10
        assert f"\n  and {others} more\n" in said.replace("\n    ", "\n  ")


@on_postgres18
def test_what_is_seeded_meanwhile_is_checked_too(
    project: Database, edited: psycopg.Connection
) -> None:
    """Else it would come into force between the check and the change."""
    with project.connect() as other:
        other.autocommit = False
        other.execute(TOO_HIGH)
        before = fetch(project, IN_FORCE)
        seed = project.start_dbt(*COMMANDS[0])
        wait_for_lock(edited, "relation")
        other.commit()
        assert seed.wait(timeout=60) != 0
        assert fetch(project, IN_FORCE) == before


@on_postgres18
def test_the_first_policy_has_to_be_in_order_too(database: Database) -> None:
    """Else all tags would show that a broken one lets through."""
    with database.connect() as connection:
        create_schema(connection)
        connection.execute((PROJECT / "trial" / "catalog.sql").read_bytes())
        database.build("build", "--resource-types", "function", "seed")
        connection.execute(TOO_HIGH)
        done = database.dbt("run")
        assert done.returncode == 1
        assert "No label policy is in force. What is wrong with the new one:" in done.stdout
        assert PROBLEM in done.stdout
        there = "select to_regclass('refinery.published_images')"
        assert connection.execute(there).fetchone() == (None,)


@on_postgres18
def test_without_what_checks_it_no_policy_is_put_in_force(project: Database) -> None:
    """As after an upgrade, before `dbt build`."""
    with project.connect() as connection:
        connection.execute("alter view refinery.int_label_policy_problems rename to gone")
        before = fetch(project, IN_FORCE)
        try:
            done = project.dbt("seed")
            assert done.returncode != 0
            assert "Run `dbt build` first" in done.stdout
            assert fetch(project, IN_FORCE) == before
        finally:
            connection.execute("alter view refinery.gone rename to int_label_policy_problems")


# A policy of few lines, so that what is drawn for one of them often concerns another.
SMALL: dict[str, list[tuple[str, ...]]] = {
    "included_labels": [("ATM", ""), ("Cat", "0.95"), ("Feline", ""), ("Gun", "")],
    "reviewed_labels": [
        (label, note, "ann", "2026-11-22")
        for label, note in [
            *(("Atm", ""), ("Cat", ""), ("Feline", "alias of Cat"), ("Girl", ""), ("Gun", "")),
            *(("Kid", "alias of Girl; x"), ("Kitty", "")),
        ]
    ],
    "sensitive_labels": [("Girl", "gender", "withhold", "r"), ("Gun", "weapons", "flag", "r")],
    "label_corrections": [("Atm", "ATM"), ("Kitty", "Cat")],
    "tag_providers": [("clarifai", "0.9", "true", "n"), ("rekognition", "", "false", "")],
    "denied_tag_patterns": [("by-nc", "contains", "r"), ("no person", "exact", "r")],
}
NAMES = ["ATM", "Atm", "Cat", "CAT", "Dog", "Feline", "Girl", "Gun", "Kid", "a", "at", " Cat", ""]
VALUES = {
    "minimum_accuracy": ["", "0", "1", "0.9", "1e-1", "1.5", "-0.1", "NaN", "Infinity", "high"],
    "note": ["", "alias of Cat", "alias of dog; x", "alias of  Girl ;", "alias of ;", "a ", "n"],
    "category": ["age", "gender", "weapons", "Adult", ""],
    "handling": ["withhold", "flag", "Flag", "flag ", ""],
    "reason": ["r", " r", ""],
    "is_withheld": ["true", "false", "perhaps", ""],
    "reviewed_by": ["ann", "ann;Bob", " ann", ""],
    "reviewed_on": ["2026-11-22", "2026-02-30", "someday", ""],
    "match": ["exact", "contains", "whole", ""],
}


@st.composite
def policies(draw: st.DrawFn) -> dict[str, list[list[str]]]:
    """Draw a small policy with up to four of its lines gone, changed or added."""
    files = {file: [list(line) for line in lines] for file, lines in SMALL.items()}
    for _ in range(draw(st.integers(0, 4))):
        file = draw(st.sampled_from(list(COLUMNS)))
        lines = files[file]
        edit = draw(st.sampled_from(["take away", "change", "change", "add"]))
        if edit == "add":
            lines.append([draw(_value(column)) for column in COLUMNS[file]])
        elif lines:
            place = draw(st.integers(0, len(lines) - 1))
            if edit == "change":
                column = draw(st.integers(0, len(COLUMNS[file]) - 1))
                lines[place][column] = draw(_value(COLUMNS[file][column]))
            else:
                del lines[place]
    return files


def _value(column: str) -> st.SearchStrategy[str]:
    return st.sampled_from(VALUES.get(column, NAMES))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(files=policies())
def test_dbt_finds_what_the_check_of_the_files_finds(
    project: Database, files: dict[str, list[list[str]]]
) -> None:
    with tempfile.TemporaryDirectory() as temporary, project.connect() as connection:
        folder = Path(temporary)
        for file, lines in files.items():
            with (folder / f"{file}.csv").open("w", newline="") as written:
                csv.writer(written, lineterminator="\n").writerows([COLUMNS[file], *lines])
        found = policy_problems({file: read(file, folder) for file in COLUMNS})
        want = {
            (f"{line.file}.csv", line.key, re.sub(", in line [0-9]+", "", words))
            for line, words in found
        }
        try:
            with files_as_seeds(connection, folder):
                got = _problems(connection)
        except psycopg.DataError:
            # Such a file cannot be seeded at all.
            assert any(words in str(want) for words in ("no number", "true or false", "no day"))
        else:
            assert got == want


def _problems(connection: psycopg.Connection) -> set[tuple[Any, ...]]:
    query = "select file, name, problem from refinery.int_label_policy_problems"
    return {(file, label_key(name), words) for file, name, words in connection.execute(query)}
