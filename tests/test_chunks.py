"""The chunk cutter alone: whatever the bytes, no line is lost, doubled, moved or held too long."""

import io
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import BinaryIO, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loader import chunks
from loader.chunks import (
    BYTE_ORDER_MARK,
    KEPT_OF_OVERLONG_LINE,
    LONGEST_LINE_BYTES,
    Chunk,
    OverlongLine,
)
from loader.errors import UserError
from loader.files import STANDARD_INPUT, LabelFile
from loader.ledger import Account, LoadedChunk

pieces = st.sampled_from([b"\n", b"\n\n", b"\r\n", b"{}", b" ", b"\0", BYTE_ORDER_MARK])
contents = st.lists(pieces | st.binary(max_size=12), max_size=40).map(b"".join)
sizes = st.integers(1, 60)
long_lines = st.tuples(
    st.lists(
        st.binary(max_size=3).map(lambda seed: (seed.replace(b"\n", b"") or b"-") * 12)
        | st.just(b""),
        max_size=6,
    ).map(b"\n".join),
    st.sampled_from([b"", b"\n"]),
).map(b"".join)
limits = st.integers(1, 20)
# Reads as short as a pipe's or a socket's: the stream returns at most so many bytes, in turn.
reads = st.lists(st.integers(1, 9), min_size=1, max_size=5) | st.none()


class Stream(io.RawIOBase):
    """Bytes that arrive in reads of given sizes."""

    def __init__(self, content: bytes, reads: list[int] | None = None) -> None:
        self._content = io.BytesIO(content)
        self._reads = cycle(reads or [len(content) + 1])
        self.bytes_read = 0

    def read(self, size: int = -1) -> bytes:
        return self._count(self._content.read(min(size, next(self._reads))))

    def readline(self, size: int | None = -1) -> bytes:
        return self._count(self._content.readline(size))

    def _count(self, part: bytes) -> bytes:
        self.bytes_read += len(part)
        return part

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        return self._content.seek(position, whence)


def cut(
    stream: Stream,
    chunk_bytes: int,
    longest: int = LONGEST_LINE_BYTES,
    loaded: dict[int, LoadedChunk] | None = None,
    can_seek: bool = True,
    read_bytes: int = chunks.READ_BYTES,
) -> Iterator[Chunk]:
    """Yield the chunks that are still to load."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "READ_BYTES", read_bytes)
        patch.setattr(chunks, "LONGEST_LINE_BYTES", longest)
        # No more can be kept of a line than was read before it was known to be overlong.
        patch.setattr(chunks, "KEPT_OF_OVERLONG_LINE", min(KEPT_OF_OVERLONG_LINE, longest))
        file = LabelFile("labels.jsonl" if can_seek else STANDARD_INPUT, None, "")
        for chunk in chunks.cut(file, cast(BinaryIO, stream), chunk_bytes, loaded or {}):
            if isinstance(chunk, Chunk):
                yield chunk


def entered(loaded: Iterable[Chunk]) -> dict[int, LoadedChunk]:
    """Return what the ledger says of chunks that are loaded, by their first bytes."""
    return {
        chunk.first_byte: LoadedChunk(chunk.first_byte, chunk.end_byte, chunk.checksum, Account())
        for chunk in loaded
    }


def borders(content: bytes, chunk_bytes: int) -> list[tuple[int, int]]:
    """Where the chunks have to begin and end: the rule, without the reading."""
    found, begin = [], 0
    while begin < len(content):
        newline = content.find(b"\n", begin + chunk_bytes - 1)
        end = newline + 1 if newline >= 0 else len(content)
        found.append((begin, end))
        begin = end
    return found


def lines_of(content: bytes) -> list[tuple[int, bytes]]:
    """Each line with its offset, as `split` has them."""
    mark = len(BYTE_ORDER_MARK) if content.startswith(BYTE_ORDER_MARK) else 0
    lines = content[mark:].split(b"\n")
    if not lines[-1]:
        del lines[-1]
    found, offset = [], mark
    for line in lines:
        found.append((offset, line))
        offset += len(line) + 1
    return found


def lines_in(chunk: Chunk) -> list[tuple[int, bytes]]:
    """Each line that a chunk holds, with its offset in the stream."""
    return [
        (chunk.first_byte + begin, bytes(chunk.data[begin:end])) for begin, end in chunk.lines()
    ]


@example(BYTE_ORDER_MARK + b"\r\n", 1, 1, 1, [1], True)
@example(BYTE_ORDER_MARK + b"1234", 1, 4, 4, [9], True)
@example(BYTE_ORDER_MARK + b"12345", 1, 4, 1, [9], True)
@settings(max_examples=200)
@given(
    contents | long_lines, sizes, limits | st.just(1000), st.integers(1, 8), reads, st.booleans()
)
def test_the_chunks_hold_each_line_once_but_what_is_overlong_or_blank(
    content: bytes,
    chunk_bytes: int,
    longest: int,
    read_bytes: int,
    reads: list[int] | None,
    can_seek: bool,
) -> None:
    longest = max(longest, chunk_bytes)
    got: list[tuple[int, bytes] | OverlongLine] = []
    cuts, line_count = [], 0
    for chunk in cut(Stream(content, reads), chunk_bytes, longest, None, can_seek, read_bytes):
        assert len(chunk.data) <= chunk_bytes + longest + 1 + len(BYTE_ORDER_MARK)
        cuts.append((chunk.first_byte, chunk.end_byte, chunk.checksum))
        line_count += chunk.line_count + (chunk.overlong is not None)
        got += [*lines_in(chunk), *([chunk.overlong] if chunk.overlong else [])]
    lines = lines_of(content)
    assert line_count == len(lines)
    assert got == [
        OverlongLine(offset, len(line), line[: min(longest, KEPT_OF_OVERLONG_LINE)])
        if len(line) > longest
        else (offset, line)
        for offset, line in lines
        if line.strip() or len(line) > longest
    ]
    assert cuts == [
        (begin, end, zlib.crc32(content[begin:end])) for begin, end in borders(content, chunk_bytes)
    ]


class LongLine(Stream):
    """A short line, then one of 64 MB that exists nowhere as a whole."""

    def readline(self, size: int | None = -1) -> bytes:
        assert size is not None
        part = b"x" * size if self.bytes_read < 64 << 20 else b""
        return self._count(part)


def test_an_overlong_line_is_never_held_whole() -> None:
    short = b"{}\n"
    tracemalloc.start()
    try:
        (chunk,) = cut(LongLine(short + b"y" * 5000), 5003)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert chunk.data == short
    assert chunk.overlong is not None
    assert chunk.overlong.first_byte == len(short)
    assert chunk.overlong.bytes == chunk.end_byte - len(short) > 63 << 20
    assert chunk.overlong.beginning == b"y" * KEPT_OF_OVERLONG_LINE
    assert peak < 2 * LONGEST_LINE_BYTES


@given(contents, sizes, st.data(), reads, st.booleans())
def test_what_is_loaded_is_left_out_and_the_rest_comes(
    content: bytes, chunk_bytes: int, data: st.DataObject, reads: list[int] | None, can_seek: bool
) -> None:
    every = list(cut(Stream(content), chunk_bytes))
    known = data.draw(st.sets(st.sampled_from(every or [None]).map(id), max_size=len(every)))
    loaded = entered(chunk for chunk in every if id(chunk) in known)
    stream = Stream(content, reads)
    got = list(cut(stream, chunk_bytes, loaded=loaded, can_seek=can_seek))
    want = [chunk for chunk in every if chunk.first_byte not in loaded]
    assert [(chunk.first_byte, chunk.end_byte, chunk.data) for chunk in got] == [
        (chunk.first_byte, chunk.end_byte, chunk.data) for chunk in want
    ]
    if not can_seek:
        assert stream.bytes_read == len(content)


@given(contents.filter(bool), sizes, st.data(), st.integers(1, 255))
def test_what_has_changed_is_noticed_where_it_is_read_past(
    content: bytes, chunk_bytes: int, data: st.DataObject, difference: int
) -> None:
    """A byte is another one, or the stream is cut: within a chunk, or at a border."""
    loaded = entered(cut(Stream(content), chunk_bytes))
    place = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    changed[place] ^= difference
    for other in (bytes(changed), content[:place]):
        with pytest.raises(UserError, match="it is another file, or it"):
            list(cut(Stream(other), chunk_bytes, loaded=loaded, can_seek=False))
