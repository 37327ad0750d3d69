"""A policy that is not in order, or changes much by mistake, is not put in force by any command."""

import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from conftest import WITHOUT_TESTS, Database, copy_few_lines, edit
from loads import commit_once_waited_for, edited_seeds, fetch
from test_policy import BROKEN

from loader.errors import UserError
from review.check import policy_problems
from review.files import COLUMNS, label_key, read
from review.live import files_as_seeds

IN_FORCE = "select * from refinery.int_label_policy_in_force"
SEEDED = "select * from refinery.int_seeded_label_policy"
RECORDED = "select count(*) from refinery.label_decisions_snapshot"
# They fill another seed than those that are edited below, in the database.
SEED = ("seed", "--select", "label_corrections")
RUN = ("run", "--select", "int_label_policy_in_force")
BUILD = ("build", "--full-refresh", *RUN[1:])
TESTED = ("build", "--select", "label_corrections", "the_label_policy_is_in_order")
# With what another test needs too, as dbt parses the project for each set of vars.
MEANT = ("--vars", "{largest_policy_change: 1, reviewers_required: 2}")
TOO_HIGH = "update refinery.included_labels set minimum_accuracy = 1.5 where label = 'Cat'"


def refused(database: Database, *command: str) -> str:
    """Run a command that has to leave the earlier policy in force, and return its words."""
    before = fetch(database, IN_FORCE), fetch(database, RECORDED)
    assert len(before[0]) == 1
    done = database.dbt(*command)
    assert done.returncode != 0
    assert (fetch(database, IN_FORCE), fetch(database, RECORDED)) == before
    assert "The label policy in force is still the earlier one" in done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("command", "times"),
    [
        (TESTED, 2),  # dbt's test says it too
        *(pytest.param(command, 1, marks=pytest.mark.slow) for command in (SEED, RUN, BUILD)),
    ],
    ids=["build with dbt's test", "seed", "run", "full refresh"],
)
def test_a_policy_that_is_not_in_order_is_not_put_in_force(
    project: Database, command: tuple[str, ...], times: int
) -> None:
    with edited_seeds(project) as edited:
        edited.execute("update refinery.sensitive_labels set handling = 'hide'")
        words = refused(project, *command).replace("\n    ", "\n  ")
        recorded = project.dbt("snapshot")
    assert recorded.returncode != 0
    assert "is not in force, so that its decisions are not recorded. Run `dbt" in recorded.stdout
    # Ten are named, and the others counted.
    assert words.count("sensitive_labels.csv: “") == 10 * times
    others = len(read("sensitive_labels")) - 10
    assert words.count(f"\n  and {others} more\n") == times
    assert "`python -m review check` names" in words


def test_an_edit_that_changes_much_is_refused_unless_it_is_meant(own_few: Database) -> None:
    figures = """
        select sum(images_at_minimum_accuracy) filter (where decision = 'published'), sum(images)
        from refinery.labels
    """
    ((shown, counted),) = fetch(own_few, figures)
    with own_few.connect() as connection:
        connection.execute("update refinery.tag_providers set is_withheld = true")
        connection.execute("delete from refinery.sensitive_labels where handling = 'flag'")
        connection.execute(
            "insert into refinery.denied_tag_patterns select *, 'exact', 'a mistake'"
            " from unnest('{travel,london,paris,2019,family,macro}'::text[])"
        )
        words = refused(own_few, *RUN)
        assert f"{shown:,} of {counted:,} machine tags would be withdrawn" in words
        assert "creators' tags in 1,000 images would be withdrawn" in words
        assert "lines of sensitive_labels.csv would be gone" in words
        assert ". If that is meant, say `dbt seed --vars 'largest_policy_change: 1'`" in words

        for file in COLUMNS:
            connection.execute(f"delete from refinery.{file}")  # noqa: S608 - one of six names
        words = refused(own_few, *BUILD)
        assert all(f"lines of {file}.csv would be gone" in words for file in COLUMNS)

        own_few.build(*RUN, *MEANT)
    assert fetch(own_few, IN_FORCE) == fetch(own_few, SEEDED)


@pytest.mark.slow
def test_what_is_no_share_is_refused(project: Database) -> None:
    done = project.dbt(*SEED, "--vars", "{largest_policy_change: all}")
    assert done.returncode != 0
    assert "largest_policy_change is a share from 0 to 1, not all." in done.stdout


def test_what_is_seeded_meanwhile_is_checked_too(project: Database) -> None:
    """Else it would come into force between the check and the change."""
    with edited_seeds(project), project.connect() as other, ThreadPoolExecutor(1) as threads:
        other.autocommit = False
        other.execute(TOO_HIGH)
        committed = threads.submit(commit_once_waited_for, project, other)
        words = refused(project, *SEED)
        committed.result()
    assert "included_labels.csv: “Cat” has a minimum_accuracy that is no number from 0" in words


def test_the_first_policy_has_to_be_in_order_too(own_project: Database) -> None:
    """Else all tags would show that a broken one lets through."""
    with own_project.connect() as connection:
        connection.execute("drop table refinery.int_label_policy_in_force cascade")
        connection.execute(TOO_HIGH)
    done = own_project.dbt(*RUN)
    assert done.returncode == 1
    assert "No label policy is in force. What is wrong with the new one:" in done.stdout
    assert fetch(own_project, "select to_regclass('refinery.published_images')") == [(None,)]


@pytest.mark.parametrize(
    "view",
    ["int_policy_change", pytest.param("int_label_policy_problems", marks=pytest.mark.slow)],
)
def test_without_what_checks_it_no_policy_is_put_in_force(own_project: Database, view: str) -> None:
    """As after an upgrade from a version that did not; `dbt build` deploys what is new."""
    with own_project.connect() as connection:
        connection.execute(f"drop view refinery.{view}")
        connection.execute("delete from refinery.reviewed_labels where label = 'Woman'")
    assert "Run `dbt build` first" in refused(own_project, *SEED)
    own_project.build("build", "--select", view, "int_label_policy_in_force", *WITHOUT_TESTS)
    assert fetch(own_project, IN_FORCE) == fetch(own_project, SEEDED)


@pytest.mark.both_versions
def test_dbt_finds_what_the_check_of_the_files_finds(project: Database, policy: Path) -> None:
    """Of each edit that breaks a rule, and of two at once."""
    compared = 0
    for edits in [*zip(BROKEN), *pairwise(BROKEN)]:
        copy_few_lines(policy)
        for file, old, new, _ in edits:
            if old in (policy / f"{file}.csv").read_text():
                edit(policy, file, old, new)
        try:
            found = list(policy_problems({file: read(file, policy) for file in COLUMNS}))
        except UserError:
            continue  # no CSV that a seed could be of
        want = {
            # dbt reads null as nothing.
            (f"{line.file}.csv", line.key, re.sub(", in line [0-9]+|(?<=“)null", "", words))
            for line, words in found
        }
        try:
            with project.connect() as connection, files_as_seeds(connection, policy):
                got = connection.execute(
                    "select file, name, problem from refinery.int_label_policy_problems"
                ).fetchall()
        except psycopg.DataError:
            # Such a file cannot be seeded at all.
            assert any(words in str(want) for words in ("no number", "true or false", "no day"))
        else:
            assert {(file, label_key(name), words) for file, name, words in got} == want
            compared += 1
    assert compared > len(BROKEN)
