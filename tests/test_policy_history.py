"""Which decision on a label was in force from when to when, whatever put it in force."""

import psycopg
import pytest
from conftest import WITHOUT_TESTS, Database
from psycopg import sql
from test_policy_gate import IN_FORCE, MEANT, RECORDED, RUN, SEED

from review.explain import SINCE

HISTORY = """
select decision, minimum_accuracy::text, reviewed_by, in_force_from, in_force_until
from refinery.policy_history where label_key = %s order by in_force_from
"""


def history(connection: psycopg.Connection, key: str) -> list[tuple]:
    return connection.execute(HISTORY, (key,)).fetchall()


@pytest.mark.both_versions
def test_each_edit_of_a_decision_is_recorded_by_what_puts_it_in_force(
    own_project: Database,
) -> None:
    with own_project.connect() as edited:
        (before,) = history(edited, "cat")
        ((count,),) = edited.execute(RECORDED).fetchall()
        # A share of nothing is nothing: in an empty catalog, a machine may change too.
        edited.execute(
            "update refinery.included_labels set minimum_accuracy = 0.95 where label = 'Cat';"
            "update refinery.tag_providers set is_withheld = not is_withheld"
        )
        own_project.build(*SEED)
        was, now = history(edited, "cat")
        assert was[:4] == before[:4]
        assert now[:3] == ("include", "0.95", "maintainers")
        # When the one ends, the other begins; no moment without a decision.
        assert (was[4], now[4]) == (now[3], None)

        edited.execute(
            "update refinery.reviewed_labels set reviewed_by = 'ann' where label = 'Dog';"
            "delete from refinery.included_labels where label = 'Cow';"
            "delete from refinery.reviewed_labels where label = 'Cow'"
        )
        own_project.build(*RUN)
        decided, signed = history(edited, "dog")
        assert (decided[2], signed[2]) == ("maintainers", "ann")
        # Which `python -m review explain` dates to when it was decided, not signed.
        since = sql.SQL(SINCE).format(policy_history=sql.Identifier("refinery", "policy_history"))
        ((_, start, reviewers, _),) = edited.execute(since, (["dog"],)).fetchall()
        assert (start, reviewers) == (decided[3], "ann")
        # What leaves the files ends, and nothing else is recorded.
        ((*_, end),) = history(edited, "cow")
        assert end == signed[3]
        assert history(edited, "cat") == [was, now]
        assert edited.execute(RECORDED).fetchall() == [(count + 2,)]


def test_a_label_that_too_few_have_signed_is_unreviewed(own_project: Database) -> None:
    names = ("int_seeded_label_policy", "int_label_decisions", "label_decisions_snapshot")
    with own_project.connect() as edited:
        edited.execute(
            "update refinery.reviewed_labels set reviewed_by = 'ann;bob' where label = 'Dog'"
        )
        own_project.build("build", "--select", *names, *RUN[2:], *MEANT, *WITHOUT_TESTS)
        reviewed = f"select jsonb_object_keys(reviewed_labels) from ({IN_FORCE}) as policy"  # noqa: S608 - from above
        assert edited.execute(reviewed).fetchall() == [("dog",)]
        decisions = {key: history(edited, key)[-1][0] for key in ("cat", "dog", "woman")}
    assert decisions == {"cat": "unreviewed", "dog": "include", "woman": "withhold"}
