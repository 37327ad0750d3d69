"""The files that all contestants read: generated once, kept in benchmarks/data."""

import csv
import logging
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from trial.sample import SEED, write_catalog, write_labels

log = logging.getLogger(__name__)

DATA = Path(__file__).parent / "data"
NEW_PERCENT = 1

# COPY's binary format: a head, then for each row its number of fields and each field's length. A
# jsonb's text comes after a 1, its version.
_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_ROW = struct.Struct(">hib")
_END = b"\xff\xff"
ROWS_A_BLOCK = 100


@dataclass(frozen=True)
class Inputs:
    """The files for a number of labelled images; the catalog has twice as many."""

    images: int
    folder: Path = DATA

    @property
    def labels(self) -> Path:
        """The label file, with its two broken lines and its repeated image."""
        return self.folder / f"labels-{self.images}.jsonl"

    @property
    def catalog(self) -> Path:
        """The catalog file."""
        return self.folder / f"catalog-{2 * self.images}.csv"

    @property
    def new_labels(self) -> Path:
        """Responses for 1 % as many images: half of them have labels already, half are new."""
        return self.folder / f"new-labels-{self.images}.jsonl"

    def parts(self, count: int) -> list[Path]:
        """Return the good lines of the label file as so many files in COPY's binary format."""
        return [self.folder / f"labels-{self.images}-{n}-of-{count}.copy" for n in range(count)]

    def make(self) -> None:
        """Generate what is not there yet, but the parts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _make(self.labels, lambda path: write_labels(path, self.images))
        _make(self.catalog, lambda path: write_catalog(path, 2 * self.images))
        _make(self.new_labels, self._write_new_labels)

    def make_parts(self, count: int) -> None:
        """Write the parts that are not there yet."""
        share = -(-(self.images + 1) // count)  # one image comes twice
        for number, part in enumerate(self.parts(count)):
            lines = islice(good_lines(self.labels), number * share, (number + 1) * share)
            _make(part, lambda path, lines=lines: _write_binary_copy(path, lines))

    def _write_new_labels(self, path: Path) -> None:
        count = max(1, self.images * NEW_PERCENT // 100)
        write_labels(path, count, seed=SEED + 1)
        with self.catalog.open(encoding="utf-8", newline="") as file:
            first = self.images - count // 2
            rows = islice(csv.DictReader(file), first, first + count)
            identifiers = [row["identifier"].encode() for row in rows]
        lines = [
            line.replace(line.split(b'"')[3], identifier, 1)
            for line, identifier in zip(good_lines(path), identifiers, strict=False)
        ]
        path.write_bytes(b"".join(lines))


def _make(path: Path, write: Callable[[Path], None]) -> None:
    if not path.exists():
        log.info("Generating %s", path.name)
        unfinished = path.with_suffix(".unfinished")
        write(unfinished)
        unfinished.rename(path)


def good_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a generated label file that are JSON: the broken ones lack an end."""
    with path.open("rb") as file:
        for line in file:
            if line.startswith(b"{") and line.endswith(b"}\n"):
                yield line


def _write_binary_copy(path: Path, lines: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(binary_copy(lines))


def binary_copy(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines as rows of one jsonb in COPY's binary format, in blocks."""
    yield _HEAD
    rest = iter(lines)
    while rows := [_ROW.pack(1, len(line) + 1, 1) + line for line in islice(rest, ROWS_A_BLOCK)]:
        yield b"".join(rows)
    yield _END
