"""The label policy's files, line by line, and what their names are compared by."""

import csv
import io
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from loader.errors import UserError

SEEDS = Path(__file__).resolve().parent.parent / "seeds"
FOLDER = SEEDS / "label_policy"

COLUMNS = {
    "included_labels": ("label", "minimum_accuracy"),
    "reviewed_labels": ("label", "note", "reviewed_by", "reviewed_on"),
    "sensitive_labels": ("label", "category", "handling", "reason"),
    "label_corrections": ("original", "corrected"),
    "tag_providers": ("provider", "minimum_accuracy", "is_withheld", "note"),
    "denied_tag_patterns": ("pattern", "match", "reason"),
}

WHITE_SPACE = " \t\n\r\f\v"
# As functions/label_key.sql: A to Z, and the capitals of Latin-1 and Latin Extended-A.
_CAPITALS = [chr(code) for code in range(0x41, 0x180) if chr(code).isupper() and code != 0x130]
_SMALL = str.maketrans({capital: capital.lower() for capital in _CAPITALS})


def label_key(name: str) -> str:
    """Return what a name is compared by: it trimmed and in lower case."""
    return name.strip(WHITE_SPACE).translate(_SMALL)


def is_empty(value: str) -> bool:
    """Return whether dbt reads a value of a seed as none."""
    return value.strip().lower() in ("", "null")


def is_one_line(text: str) -> bool:
    """Return whether a text has neither line ends nor other control characters."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


@dataclass(frozen=True)
class Line:
    """A line of a policy file: what it says, how it is written, and its number."""

    file: str
    number: int
    values: dict[str, str]
    text: str  # without the line end

    @property
    def place(self) -> str:
        """Where the line stands, as `included_labels.csv:7`."""
        return f"{self.file}.csv:{self.number}"

    @property
    def name(self) -> str:
        """What the line decides on: its first column."""
        return next(iter(self.values.values()))

    @cached_property
    def key(self) -> str:
        """The name as it is compared."""
        return label_key(self.name)

    def __getitem__(self, column: str) -> str:
        return self.values[column]


def read(file: str, folder: Path = FOLDER) -> list[Line]:
    """Return a policy file's lines, in order; raises UserError."""
    return parse(file, read_text(file, folder))


def read_text(file: str, folder: Path) -> str:
    """Return what a policy file holds; raises UserError."""
    text = text_of(folder / f"{file}.csv")
    if text.startswith("\ufeff"):
        marked = "starts with a byte order mark; save it as UTF-8 without one"
        raise _malformed(file, 1, marked)
    before, carriage_return, _ = text.partition("\r")
    if carriage_return:
        # A spreadsheet that saves all lines so makes each of them a change in the diff.
        windows = "has the line end of Windows (CRLF); save the file with line ends of Unix (LF)"
        raise _malformed(file, before.count("\n") + 1, windows)
    return text


def text_of(path: Path) -> str:
    """Return what any seed holds; raises UserError."""
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); take it back from git"
        raise _malformed(path.stem, 1, reason) from None
    return decode(content, path.name)


def decode(content: bytes, name: str) -> str:
    """Return the text of a file of this name; raises UserError."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 ({error.reason}, byte {error.start}); save it as UTF-8"
        raise UserError(f"{name}:1: {reason}") from None
    before, nul, _ = text.partition("\0")
    if nul:
        # UTF-16 without a mark has one beside each letter.
        number = before.count("\n") + 1
        raise UserError(f"{name}:{number}: has a NUL character; save it as UTF-8")
    return text


def _malformed(file: str, line: int, reason: str) -> UserError:
    return UserError(f"{file}.csv:{line}: {reason}")


def parse(file: str, text: str) -> list[Line]:
    """Return the lines of a policy file that holds this text; raises UserError."""
    return list(_parse_lines(file, text))


def _parse_lines(file: str, text: str) -> Iterator[Line]:
    columns = COLUMNS[file]
    physical = list(io.StringIO(text))
    rows = csv.reader(physical, strict=True)
    try:
        if tuple(next(rows, ())) != columns:
            raise _malformed(file, 1, f"the first line must be {','.join(columns)}")
        start = rows.line_num
        for row in rows:
            if len(row) != len(columns):
                counted = f"has {len(row)} values, it needs {len(columns)}: {','.join(columns)}"
                raise _malformed(file, rows.line_num, counted)
            # A quoted value may go on in the next line.
            line = "".join(physical[start : rows.line_num]).removesuffix("\n")
            start = rows.line_num
            yield Line(file, rows.line_num, dict(zip(columns, row, strict=True)), line)
    except csv.Error as error:
        raise _malformed(file, rows.line_num, f"is no CSV: {error}") from None


def write(texts: Mapping[str, str], folder: Path) -> None:
    """Write all of these files or, if one cannot be written, none; raises OSError."""
    # In the folder itself, because a file can be replaced in one step by one of its own file
    # system only; and not named .csv, so that dbt never takes one for a seed.
    with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=folder) as temporary:
        for file, text in texts.items():
            for version in ("old", "new"):
                shutil.copy(folder / f"{file}.csv", Path(temporary, f"{file}.{version}"))
            Path(temporary, f"{file}.new").write_bytes(text.encode())
        replaced: list[str] = []
        try:
            for file in texts:
                Path(temporary, f"{file}.new").replace(folder / f"{file}.csv")
                replaced.append(file)
        except BaseException:
            for file in replaced:
                Path(temporary, f"{file}.old").replace(folder / f"{file}.csv")
            raise
