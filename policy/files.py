"""The label policy's files, line by line, and what their names are compared by."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "seeds" / "label_policy"

COLUMNS = {
    "included_labels": ("label", "minimum_accuracy"),
    "reviewed_labels": ("label", "note"),
    "sensitive_labels": ("label", "category", "handling", "reason"),
    "label_corrections": ("original", "corrected"),
    "tag_providers": ("provider", "minimum_accuracy", "is_withheld", "note"),
    "denied_tag_patterns": ("pattern", "match", "reason"),
}

WHITE_SPACE = " \t\n\r\f\v"
# As macros/label_key.sql: A to Z, and the capitals of Latin-1 and Latin Extended-A.
_CAPITALS = [chr(code) for code in range(0x41, 0x180) if chr(code).isupper() and code != 0x130]
_SMALL = str.maketrans({capital: capital.lower() for capital in _CAPITALS})


def label_key(name: str) -> str:
    """Return what a name is compared by: it trimmed and in lower case."""
    return name.strip(WHITE_SPACE).translate(_SMALL)


@dataclass(frozen=True)
class Line:
    """One line of a policy file, with where it stands."""

    path: Path
    number: int
    values: dict[str, str]

    @property
    def name(self) -> str:
        """What the line decides on: its first column."""
        return next(iter(self.values.values()))

    @property
    def key(self) -> str:
        """The name as it is compared."""
        return label_key(self.name)

    def __getitem__(self, column: str) -> str:
        return self.values[column]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a line, and what to do about it."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}: {self.text}"


class MalformedFileError(Exception):
    """A file that cannot be read as lines of the expected columns."""

    def __init__(self, path: Path, line: int, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(path, line, text)


def read(file: str, folder: Path = FOLDER) -> list[Line]:
    """Return a policy file's lines, in order; raises MalformedFileError."""
    return list(_read_lines(folder / f"{file}.csv", COLUMNS[file]))


def _read_lines(path: Path, columns: tuple[str, ...]) -> Iterator[Line]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise MalformedFileError(path, 1, "the file is missing; take it back from git") from None
    except UnicodeDecodeError as error:
        raise MalformedFileError(path, 1, f"is not UTF-8 ({error}); save it as UTF-8") from None
    rows = csv.reader(text.splitlines(keepends=True), strict=True)
    try:
        header = tuple(next(rows, ()))
        if header != columns:
            raise MalformedFileError(path, 1, f"the first line must be {','.join(columns)}")
        for row in rows:
            if len(row) != len(columns):
                counted = f"has {len(row)} values, it needs {len(columns)}: {','.join(columns)}"
                raise MalformedFileError(path, rows.line_num, counted)
            yield Line(path, rows.line_num, dict(zip(columns, row, strict=True)))
    except csv.Error as error:
        raise MalformedFileError(path, rows.line_num, f"is no CSV: {error}") from None
