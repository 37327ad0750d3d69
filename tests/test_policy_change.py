"""An edit of the policy that changes much at once, by mistake perhaps, is not put in force."""

from collections.abc import Iterator

import psycopg
import pytest
from conftest import PUT_IN_FORCE, Database
from loads import edited_seeds, fetch, on_postgres18

from review.files import COLUMNS, read

# They fill other seeds than those that are edited below, in the database.
COMMANDS = [
    ("seed", "--select", "label_corrections"),
    ("build", "--select", "label_corrections"),
    ("run", "--select", "int_label_policy_in_force"),
]
SEED, RUN = COMMANDS[0], COMMANDS[2]
MEANT = ("--vars", "{largest_policy_change: 1}")
IN_FORCE = "select * from refinery.int_label_policy_in_force"
SEEDED = "select * from refinery.int_seeded_label_policy"


@pytest.fixture
def edited(sample: Database) -> Iterator[psycopg.Connection]:
    with edited_seeds(sample) as connection:
        yield connection
    with sample.connect() as connection:
        connection.execute(PUT_IN_FORCE)


def refusal(database: Database, *command: str) -> str:
    """Run a command that has to leave the earlier policy in force, and return its words."""
    before = fetch(database, IN_FORCE)
    done = database.dbt(*command)
    assert done.returncode != 0
    assert fetch(database, IN_FORCE) == before
    (words,) = (line for line in done.stdout.splitlines() if "is still the earlier one" in line)
    assert "If that is meant, say `dbt seed --vars 'largest_policy_change: 1'`" in words
    return words


@on_postgres18
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_emptied_file_is_refused(
    sample: Database, edited: psycopg.Connection, command: tuple[str, ...]
) -> None:
    edited.execute("delete from refinery.sensitive_labels")
    words = refusal(sample, *command)
    lines = len(read("sensitive_labels"))
    assert f": {lines} of {lines} lines of sensitive_labels.csv would be gone. If" in words


@on_postgres18
def test_every_emptied_file_is_refused_unless_all_is_meant(
    sample: Database, edited: psycopg.Connection
) -> None:
    for file in COLUMNS:
        edited.execute(f"delete from refinery.{file}")  # noqa: S608 - one of six names
    words = refusal(sample, *RUN, "--vars", "{largest_policy_change: 0.99}")
    assert all(f"lines of {file}.csv would be gone" in words for file in COLUMNS)
    sample.build(*RUN, *MEANT)
    assert fetch(sample, IN_FORCE) == fetch(sample, SEEDED)


@on_postgres18
@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            "update refinery.tag_providers set is_withheld = false",
            "machine tags would be published",
        ),
        (
            "update refinery.tag_providers set is_withheld = true",
            "machine tags would be withdrawn",
        ),
        (
            "insert into refinery.denied_tag_patterns"
            " values ('paris', 'exact', 'a mistake'), ('berlin', 'exact', 'a mistake')",
            "creators' tags in 1,000 images would be withdrawn",
        ),
        (
            "delete from refinery.sensitive_labels where handling = 'flag'",
            "lines of sensitive_labels.csv would be gone",
        ),
    ],
)
def test_an_edit_that_changes_much_is_refused(
    sample: Database, edited: psycopg.Connection, edit: str, words: str
) -> None:
    edited.execute(edit)
    assert words in refusal(sample, *RUN)


@on_postgres18
def test_the_figures_are_those_of_the_tags_that_are_shown(
    sample: Database, edited: psycopg.Connection
) -> None:
    shown = "select sum(images_shown) from refinery.int_labels_by_policy"
    ((before,),) = fetch(sample, shown)
    edited.execute("update refinery.tag_providers set is_withheld = false")
    words = refusal(sample, *RUN)
    edited.execute(PUT_IN_FORCE)
    ((after,),) = fetch(sample, shown)
    ((counted,),) = fetch(sample, "select sum(images) from refinery.labels")
    assert f": {after - before:,} of {counted:,} machine tags would be published. If" in words


@on_postgres18
def test_the_label_on_most_images_may_be_withdrawn(
    sample: Database, edited: psycopg.Connection
) -> None:
    edited.execute("delete from refinery.included_labels where label = 'Person'")
    sample.build(*SEED)
    assert fetch(sample, IN_FORCE) == fetch(sample, SEEDED)


@on_postgres18
def test_a_share_of_nothing_is_nothing(project: Database) -> None:
    with project.connect() as connection:
        connection.execute("update refinery.tag_providers set is_withheld = not is_withheld")
    project.build(*RUN)
    assert fetch(project, IN_FORCE) == fetch(project, SEEDED)
    project.build("seed")


@on_postgres18
def test_a_full_refresh_puts_no_edit_in_force_that_is_refused(project: Database) -> None:
    many = """
        update refinery.int_label_policy_in_force
        set label_corrections = (select jsonb_object_agg(n, 'x') from generate_series(1, 500) as n)
    """
    with project.connect() as connection:
        # So that what the files have is the edit.
        connection.execute(many)
    build = ("build", "--full-refresh", "--exclude-resource-types", "unit_test", "test")
    for command in [build, ("seed", "--full-refresh"), ("run",)]:
        words = refusal(project, *command)
        assert ": 487 of 500 lines of label_corrections.csv would be gone. If" in words
    with project.connect() as connection:
        connection.execute(PUT_IN_FORCE)
    project.build(*build)


@on_postgres18
def test_what_cannot_be_compared_is_put_in_force_by_a_build_alone(project: Database) -> None:
    """As after an upgrade from a version that did not compare; `dbt build` deploys what is new."""
    with project.connect() as connection:
        connection.execute("drop view refinery.int_policy_change")
        connection.execute("update refinery.int_label_policy_in_force set label_corrections = '{}'")
    before = fetch(project, IN_FORCE)
    for command in COMMANDS:
        done = project.dbt(*command)
        assert done.returncode != 0
        assert "Run `dbt build` first, it makes it." in done.stdout
        assert fetch(project, IN_FORCE) == before
    project.build("build", "--exclude-resource-types", "unit_test", "test")
    assert fetch(project, IN_FORCE) == fetch(project, SEEDED)


@on_postgres18
def test_what_is_no_share_is_refused(project: Database) -> None:
    done = project.dbt(*SEED, "--vars", "{largest_policy_change: all}")
    assert done.returncode != 0
    assert "largest_policy_change is a share from 0 to 1, not all." in done.stdout
