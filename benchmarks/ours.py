"""Label Refinery itself: the loader, dbt, and the published tags as a table."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.contestants import Contestant, dbt, python
from benchmarks.inputs import Inputs
from benchmarks.measure import Command
from trial.server import find_binaries

MACHINE_LABELS = "select identifier, tags from refinery.machine_tags"
PUBLISHED = "select identifier, tags from published"

# The first time as the README says, in one start of dbt, less its tests.
DBT = dbt("build", "--exclude-resource-types", "test", "unit_test")
COUNT = ("int_catalog_labels", "int_label_counts")
REFRESH = dbt("run", "--selector", "refresh")


def load(labels: Path, connections: int) -> Command:
    """Return the command that loads a label file."""
    return python("loader", "load", "--quiet", "--workers", str(connections), labels)


def psql(statement: str) -> Command:
    """Return the command that executes a statement."""
    return [find_binaries() / "psql", "--no-psqlrc", "--quiet", "--command", statement]


def steps(inputs: Inputs, connections: int) -> Mapping[str, Command]:
    """Return what a user would do."""
    publish = "create table published as select identifier, tags from refinery.published_images"
    return {
        "init": python("loader", "init", "--unlogged"),
        "load": load(inputs.labels, connections),
        "dbt": DBT,
        "publish": psql(publish),
    }


def steps_without_count(inputs: Inputs, connections: int) -> Mapping[str, Command]:
    """Return the same without the label count, and what reads it, which no other has."""
    without = [*DBT, "--exclude", *(f"{model}+" for model in COUNT)]
    return {**steps(inputs, connections), "dbt": without}


OURS = Contestant("ours", "ours", steps, PUBLISHED, MACHINE_LABELS)
WITHOUT_COUNT = Contestant(
    "without_count",
    "ours, without the label count",
    steps_without_count,
    PUBLISHED,
    MACHINE_LABELS,
    database_of=OURS.name,
)
