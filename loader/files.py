"""Label files: which ones are meant, what they are known by, and how they are cut into chunks."""

import glob
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from loader.errors import LoaderError

PART_BYTES = 1 << 20
PARTS = 64


@dataclass(frozen=True)
class Fingerprint:
    """What a file is known by, wherever it lies and whatever its name is."""

    bytes: int
    digest: str


@dataclass(frozen=True)
class Chunk:
    """Whole lines of a file, from `first_byte` on."""

    first_byte: int
    data: bytes

    @property
    def end_byte(self) -> int:
        """The byte after the last one."""
        return self.first_byte + len(self.data)

    def lines(self) -> list[tuple[int, bytes]]:
        """Return each line that is not blank, without its newline, with its offset in the file."""
        offset = self.first_byte
        found = []
        for line in self.data.split(b"\n"):
            if line and not line.isspace():
                found.append((offset, line))
            offset += len(line) + 1
        return found

    def line_count(self) -> int:
        """Return the number of lines, blank ones included."""
        return self.data.count(b"\n") + (not self.data.endswith(b"\n"))


def find_files(patterns: Iterable[str]) -> list[Path]:
    """Return the files that paths and globs mean, in the order given, each once.

    Raises LoaderError for one that is missing, empty, a folder or no text, before any is loaded.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        matches = _expand(pattern) if _is_glob(pattern) else [pattern]
        if not matches:
            raise LoaderError(f"no file matches {pattern}")
        for match in matches:
            check_readable(Path(match))
            found[Path(match)] = None
    for path in found:
        _check_text(path)
    return list(found)


def _expand(pattern: str) -> list[str]:
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - takes absolute patterns too


def _is_glob(pattern: str) -> bool:
    return glob.has_magic(pattern) and not Path(pattern).exists()


def check_readable(path: Path) -> None:
    """Raise LoaderError unless the path is a file with something in it that can be read."""
    if path.is_dir():
        raise LoaderError(f"{path} is a folder; name its files, for example {path}/*")
    if not path.exists():
        raise LoaderError(f"{path} does not exist; check the path")
    if not os.access(path, os.R_OK):
        raise LoaderError(f"{path} cannot be read; check its permissions")
    if path.stat().st_size == 0:
        raise LoaderError(f"{path} is empty; nothing was loaded")


def _check_text(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(1 << 16)
    # A NUL byte may stand in a broken line, so a file that also begins an object passes.
    if b"\0" in head and b'{"' not in head:
        raise LoaderError(f"{path} is no text: a label file has one JSON object a line, in UTF-8")


def fingerprint(path: Path) -> Fingerprint:
    """Return the file's size and a digest: of all of it up to 64 MiB, else of 64 spread parts."""
    size = path.stat().st_size
    step = max(PART_BYTES, (size - PART_BYTES) // (PARTS - 1))
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for offset in range(0, size, step):
            file.seek(offset)
            digest.update(file.read(PART_BYTES))
    return Fingerprint(size, digest.hexdigest())


def cut(
    file: BinaryIO, chunk_bytes: int, loaded: dict[int, int], wanted: Callable[[], bool]
) -> Iterator[Chunk]:
    """Yield the chunks that are not loaded yet, in file order.

    A chunk is `chunk_bytes` long and then goes on to the end of its line, so its borders depend
    on the file and on `chunk_bytes` alone. `loaded` maps first to end byte of the loaded ones.
    Stops early once `wanted` says no.
    """
    first_byte = 0
    while wanted():
        while first_byte in loaded:
            first_byte = loaded[first_byte]
            file.seek(first_byte, io.SEEK_SET)
        data = file.read(chunk_bytes)
        if not data:
            return
        data += b"" if data.endswith(b"\n") else file.readline()
        yield Chunk(first_byte, data)
        first_byte += len(data)
