"""Label Refinery itself: the loader, dbt, and the published tags as a table."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.contestants import BIN, Contestant, python
from benchmarks.inputs import Inputs
from benchmarks.measure import Command
from trial.server import find_binaries

MACHINE_LABELS = "select identifier, tags from refinery.machine_tags"
PUBLISHED = "select identifier, tags from published"

# The first time as the README says, in one start of dbt, less its tests.
DBT = [BIN / "dbt", "build", "--exclude-resource-types", "test", "unit_test"]
REFRESH = [BIN / "dbt", "run", "--selector", "refresh"]


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


OURS = Contestant("ours", "ours", steps, PUBLISHED, MACHINE_LABELS)
