"""Label files: which ones are meant, what they are known by, and opening them.

boto3 and smart_open are imported where S3 and compressed files need them: that takes a quarter of a
second, as long as all else before a small load begins.
"""

import fnmatch
import glob
import hashlib
import io
import os
import shlex
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO, cast

from loader.errors import UserError

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdError
else:
    from backports.zstd import ZstdError

STANDARD_INPUT = "-"
S3 = "s3://"
COMPRESSED = (".gz", ".bz2", ".zst")
PART_BYTES = 1 << 20
PARTS = 64


def read_errors() -> tuple[type[Exception], ...]:
    """Return what opening and reading raise; smart_open reports much of S3's as OSError."""
    errors: tuple[type[Exception], ...] = (EOFError, OSError, ValueError, zlib.error, ZstdError)
    if "botocore" in sys.modules:
        from botocore.exceptions import BotoCoreError, ClientError

        errors += (BotoCoreError, ClientError)
    return errors


@dataclass(frozen=True)
class LabelFile:
    """A file as it was named, with what it is known by, wherever it lies."""

    name: str
    size: int | None  # bytes as stored; None for standard input
    fingerprint: str

    @property
    def is_compressed(self) -> bool:
        """Whether its lines have to be decompressed."""
        return self.name.endswith(COMPRESSED)

    @property
    def can_seek(self) -> bool:
        """Whether lines that are loaded can be skipped without reading them."""
        return self.name != STANDARD_INPUT and not self.is_compressed


class _StandardInput:
    """Standard input, whose beginning is known before its lines are read."""

    def __init__(self) -> None:
        if sys.stdin is None:
            raise UserError("standard input is closed; give it a file or a pipe")
        self.beginning = sys.stdin.buffer.read(PART_BYTES)
        self._unread = io.BytesIO(self.beginning)

    def read(self, size: int) -> bytes:
        return self._unread.read(size) or sys.stdin.buffer.read(size)

    def readline(self, size: int) -> bytes:
        line = self._unread.readline(size)
        if line.endswith(b"\n"):
            return line
        return line + sys.stdin.buffer.readline(size - len(line))


_standard_input = cache(_StandardInput)


@contextmanager
def open_lines(file: LabelFile) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a label file: its lines as a stream, and the stored bytes they are made of.

    The second tells how much of the file has been read; for a plain file it is the first.
    """
    if file.name == STANDARD_INPUT:
        stream = cast(BinaryIO, _standard_input())
        yield stream, stream
        return
    with _open_stored(file.name) as stored:
        if not file.is_compressed:
            yield stored, stored
            return
        from smart_open.compression import compression_wrapper

        with compression_wrapper(stored, "rb", Path(file.name).suffix) as lines:
            yield lines, stored


def _open_stored(name: str) -> BinaryIO:
    with _reading(name):
        if not name.startswith(S3):
            return Path(name).open("rb")
        import smart_open

        return cast(BinaryIO, smart_open.open(name, "rb", compression="disable"))


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except read_errors() as error:
        reason = " ".join(str(error).split())
        advice = (
            "the name, the AWS credentials and region, and AWS_ENDPOINT_URL if it is not Amazon's"
            if name.startswith(S3)
            else "the path and its permissions"
        )
        raise UserError(f"{name} cannot be read: {reason}; check {advice}") from None


@contextmanager
def reading_to_the_end(file: LabelFile) -> Iterator[None]:
    """Say what to do where the rest of a file cannot be read."""
    try:
        yield
    except read_errors() as error:
        reason = " ".join(str(error).split())
        # An error of the disk or the network has a number; one of an archive's content has none.
        is_damaged = file.is_compressed and getattr(error, "errno", None) is None
        if is_damaged and not file.name.startswith(S3):
            what_to_do = (
                "It is cut short or damaged: take back what is loaded of it by `python -m loader "
                f"forget {shlex.quote(file.name)}`, fetch it anew, and load that"
            )
        else:
            what_to_do = "What is loaded stays; run the same command again to go on"
        raise UserError(
            f"{file.name} cannot be read to its end: {reason}. {what_to_do}."
        ) from error


def find_files(patterns: Iterable[str]) -> list[LabelFile]:
    """Return the files that paths, globs, s3:// addresses and `-` mean, each once, in order.

    Raises UserError for one that is missing, empty, a folder or no text, before any is loaded.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        matches = _matches(pattern)
        if not matches:
            raise UserError(f"no file matches {pattern}")
        found |= dict.fromkeys(matches)
    return [_identify(name) for name in found]


def _matches(pattern: str) -> list[str]:
    if pattern.startswith(S3):
        return _s3_matches(pattern) if glob.has_magic(pattern) else [pattern]
    with _reading(pattern):
        is_file = not glob.has_magic(pattern) or Path(pattern).exists()
    if not is_file:
        return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - absolute ones too
    return [pattern]


def _s3_matches(pattern: str) -> list[str]:
    import boto3

    bucket, key_pattern = _bucket_and_key(pattern)
    if glob.has_magic(bucket):
        raise UserError(f"{pattern} names no bucket; only the key may be a glob")
    prefix = key_pattern[: next(i for i, c in enumerate(key_pattern) if c in "*?[")]
    with _reading(pattern):
        pages = boto3.client("s3").get_paginator("list_objects_v2")
        keys = [
            item["Key"]
            for page in pages.paginate(Bucket=bucket, Prefix=prefix)
            for item in page.get("Contents", [])
            if not item["Key"].endswith("/")  # what consoles make of folders
        ]
    return sorted(f"s3://{bucket}/{key}" for key in keys if fnmatch.fnmatchcase(key, key_pattern))


def _bucket_and_key(address: str) -> tuple[str, str]:
    bucket, _, key = address.removeprefix(S3).partition("/")
    if not bucket or not key:
        raise UserError(f"{address} names no object; write s3://bucket/key, or a glob of keys")
    return bucket, key


def _identify(name: str) -> LabelFile:
    if name == STANDARD_INPUT:
        # Its end is not known yet: it is known by its beginning, and checked as it is read.
        head = _standard_input().beginning
        if not head:
            raise UserError("standard input is empty; nothing was loaded")
        file = LabelFile(name, None, f"stdin:{hashlib.sha256(head).hexdigest()}")
    else:
        if name.startswith(S3):
            _bucket_and_key(name)
        else:
            check_readable(Path(name))
        with _open_stored(name) as stored, _reading(name):
            file = LabelFile(name, *_fingerprint(stored))
        head = _head(file)
        if not head:
            raise UserError(f"{name} is empty; nothing was loaded")
    # A NUL byte may stand in a broken line, so a file that also begins an object passes.
    if b"\0" in head and b'{"' not in head:
        raise UserError(f"{name} is no text: a label file has one JSON object a line, in UTF-8")
    return file


def _head(file: LabelFile) -> bytes:
    with open_lines(file) as (lines, _):
        try:
            return lines.read(1 << 16)
        except read_errors() as error:
            what_it_is = f"no {Path(file.name).suffix} file, or cut short or damaged"
            raise UserError(f"{file.name} is {what_it_is}: {error}; fetch it anew") from None


def check_readable(path: Path) -> None:
    """Raise UserError unless the path is a file with something in it that can be read."""
    with _reading(str(path)):
        if path.is_dir():
            raise UserError(f"{path} is a folder; name its files, for example {path}/*")
        if not path.exists():
            raise UserError(f"{path} does not exist; check the path")
        if not os.access(path, os.R_OK):
            raise UserError(f"{path} cannot be read; check its permissions")
        if path.is_file() and path.stat().st_size == 0:
            raise UserError(f"{path} is empty; nothing was loaded")


def fingerprint(path: Path) -> str:
    """Return what a local file is known by: its size, and a digest of its bytes or parts."""
    with path.open("rb") as file:
        return _fingerprint(file)[1]


def _fingerprint(file: BinaryIO) -> tuple[int, str]:
    """Return the size, and with it a digest: of all up to 64 MiB, else of 64 spread parts."""
    size = file.seek(0, io.SEEK_END)
    step = max(PART_BYTES, (size - PART_BYTES) // (PARTS - 1))
    digest = hashlib.sha256()
    for offset in range(0, size, step):
        file.seek(offset)
        digest.update(file.read(PART_BYTES))
    return size, f"{size}:{digest.hexdigest()}"
