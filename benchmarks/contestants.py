"""What a contestant is: commands that are measured, and two queries that read its results."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.inputs import Inputs
from benchmarks.measure import Command

BIN = Path(sys.executable).parent
CATALOG = "benchmark_catalog"
CHANGED_AT = "updated_on"


@dataclass(frozen=True)
class Contestant:
    """A way from label files to published tags.

    Its steps are run one after the other, each in a process of its own. The queries yield
    `identifier uuid, tags jsonb`: all machine labels kept, and all images with what is published.
    """

    name: str
    title: str
    steps: Callable[[Inputs, int], Mapping[str, Command]]
    published: str
    machine_labels: str | None
    template: str = CATALOG
    most_rounds: int = 3
    database_of: str | None = None  # dbt parses the project anew for another

    @property
    def database(self) -> str:
        """The name of its database, dropped and made anew for each run."""
        return f"benchmark_{self.database_of or self.name}"


def dbt(command: str, *arguments: str | Path) -> Command:
    """Return a dbt command, with the catalog's column of changes named as a user would."""
    return [BIN / "dbt", command, *arguments, "--vars", f"catalog_changed_at: {CHANGED_AT}"]


def python(module: str, *arguments: str | Path) -> Command:
    """Return the command that runs a module of this project."""
    return [sys.executable, "-m", module, *arguments]
