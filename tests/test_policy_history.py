"""Which decision on a label was in force from when to when, whatever put it in force."""

from collections.abc import Iterator

import psycopg
import pytest
from conftest import Database
from loads import edited_seeds, on_postgres18
from psycopg import sql
from test_policy_change import COMMANDS, MEANT, RUN, SEED
from test_policy_gate import TOO_HIGH

from review.explain import SINCE

HISTORY = """
select decision, minimum_accuracy::text, reviewed_by, in_force_from, in_force_until
from refinery.policy_history where label_key = %s order by in_force_from
"""
ALL = "select count(*) from refinery.label_decisions_snapshot"


@pytest.fixture
def edited(project: Database) -> Iterator[psycopg.Connection]:
    with edited_seeds(project) as connection:
        yield connection
    project.build(*SEED)


def history(connection: psycopg.Connection, key: str) -> list[tuple]:
    return connection.execute(HISTORY, (key,)).fetchall()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_edit_of_a_decision_is_recorded_by_what_puts_it_in_force(
    project: Database, edited: psycopg.Connection, command: tuple[str, ...]
) -> None:
    before = history(edited, "cat")
    count = edited.execute(ALL).fetchall()
    edited.execute(
        "update refinery.included_labels set minimum_accuracy = 0.95 where label = 'Cat'"
    )
    project.build(*command)
    *earlier, was, now = history(edited, "cat")
    assert earlier == before[:-1]
    assert was[:4] == before[-1][:4]
    assert now[:3] == ("include", "0.95", "maintainers")
    # When the one ends, the other begins; no moment without a decision.
    assert (was[4], now[4]) == (now[3], None)
    # And it is that one label's.
    assert edited.execute(ALL).fetchall() == [(count[0][0] + 1,)]
    project.build(*command)
    assert history(edited, "cat") == [*earlier, was, now]


@on_postgres18
def test_a_signature_is_recorded_and_so_is_what_leaves_the_files(
    project: Database, edited: psycopg.Connection
) -> None:
    edited.execute("update refinery.reviewed_labels set reviewed_by = 'ann' where label = 'Dog'")
    for file in ("included_labels", "reviewed_labels"):
        edited.execute(f"delete from refinery.{file} where label = 'Cow'")  # noqa: S608
    project.build(*SEED)
    *_, decided, signed = history(edited, "dog")
    assert (decided[2], signed[2]) == ("maintainers", "ann")
    # Which `python -m review explain` dates to when it was decided, not signed.
    since = sql.SQL(SINCE).format(policy_history=sql.Identifier("refinery", "policy_history"))
    ((_, start, reviewers, _),) = edited.execute(since, (["dog"],)).fetchall()
    assert (start, reviewers) == (decided[3], "ann")
    assert history(edited, "cow")[-1][4] is not None


@on_postgres18
def test_what_is_refused_is_not_recorded(project: Database, edited: psycopg.Connection) -> None:
    before = history(edited, "cat")
    edited.execute(TOO_HIGH)
    assert project.dbt(*SEED).returncode != 0
    done = project.dbt("snapshot")
    assert done.returncode != 0
    assert "is not in force, so that its decisions are not recorded. Run `dbt seed`" in done.stdout
    assert history(edited, "cat") == before


@on_postgres18
def test_a_label_that_too_few_have_signed_is_unreviewed(
    project: Database, edited: psycopg.Connection
) -> None:
    """In the rules and in the history, as soon as the policy is put in force so."""
    models = "int_seeded_label_policy int_label_policy_in_force int_label_decisions"
    required = {"reviewers_required": 2, "largest_policy_change": 1}
    edited.execute(
        "update refinery.reviewed_labels set reviewed_by = 'ann;bob' where label = 'Dog'"
    )
    reviewed = "select jsonb_object_keys(reviewed_labels) from refinery.int_label_policy_in_force"
    try:
        project.build("run", "--select", models, "--vars", str(required))
        project.build("snapshot", "--vars", str(required))
        assert edited.execute(reviewed).fetchall() == [("dog",)]
        decisions = {key: history(edited, key)[-1][0] for key in ("cat", "dog", "woman")}
        assert decisions == {"cat": "unreviewed", "dog": "include", "woman": "withhold"}
    finally:
        project.build("run", "--select", models, *MEANT)
    assert history(edited, "cat")[-1][0] == "unreviewed"
    project.build(*RUN)
    assert history(edited, "cat")[-1][0] == "include"
