"""The chunk cutter alone: whatever the bytes, no line is lost, doubled, moved or held too long."""

import threading
import tracemalloc
import zlib
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO, cast

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from loader import chunks
from loader.chunks import (
    BYTE_ORDER_MARK,
    KEPT_OF_OVERLONG_LINE,
    Allowance,
    Chunk,
    Cutter,
    LoadedChunk,
    OverlongLine,
)
from loader.errors import UserError

NO_LIMIT = 1 << 30

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
short_reads = st.lists(st.integers(1, 9), min_size=1, max_size=5)


class Stream:
    """Bytes that arrive in reads of given sizes."""

    def __init__(self, content: bytes, reads: list[int] | None = None) -> None:
        self._content = content
        self._reads = reads or [len(content) + 1]
        self._position = 0
        self._calls = 0
        self.bytes_read = 0

    def read(self, size: int) -> bytes:
        size = min(size, self._reads[self._calls % len(self._reads)])
        self._calls += 1
        part = self._content[self._position : self._position + size]
        self._position += len(part)
        self.bytes_read += len(part)
        return part

    def seek(self, position: int) -> int:
        self._position = position
        return position


class OneThreadsAllowance(Allowance):
    """Fails where it would wait for ever, since nobody else is there to give back."""

    taken = 0

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._size = size

    def borrow(self, size: int) -> None:
        assert self.taken + size <= self._size, "the reader would wait for itself"
        OneThreadsAllowance.taken += size
        super().borrow(size)

    def give_back(self, size: int) -> None:
        OneThreadsAllowance.taken -= size
        super().give_back(size)


def cut(
    stream: Stream,
    chunk_bytes: int,
    max_line_bytes: int = NO_LIMIT,
    loaded: dict[int, LoadedChunk] | None = None,
    can_seek: bool = True,
    read_bytes: int = chunks.READ_BYTES,
) -> Iterator[Chunk]:
    """Yield the chunks, each released before the next is cut; all has to be given back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "READ_BYTES", read_bytes)
        # No more can be kept of a line than was read before it was known to be overlong.
        patch.setattr(chunks, "KEPT_OF_OVERLONG_LINE", min(KEPT_OF_OVERLONG_LINE, max_line_bytes))
        patch.setattr(chunks, "Allowance", OneThreadsAllowance)
        patch.setattr(OneThreadsAllowance, "taken", 0)
        cutter = Cutter(cast(BinaryIO, stream), chunk_bytes, max_line_bytes)
        for chunk in cutter.chunks(loaded or {}, can_seek):
            chunk.release()
            yield chunk
        assert OneThreadsAllowance.taken == 0


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


@given(contents, sizes, short_reads | st.none(), st.booleans())
def test_the_chunks_join_to_the_input_and_end_with_its_lines(
    content: bytes, chunk_bytes: int, reads: list[int] | None, can_seek: bool
) -> None:
    found = list(cut(Stream(content, reads), chunk_bytes, can_seek=can_seek))
    assert b"".join(bytes(chunk.data) for chunk in found) == content
    assert [(chunk.first_byte, chunk.end_byte) for chunk in found] == borders(content, chunk_bytes)
    assert all(before.end_byte == after.first_byte for before, after in pairwise(found))
    for chunk in found:
        assert chunk.end_byte == len(content) or content[chunk.end_byte - 1 :][:1] == b"\n"
        assert chunk.checksum == zlib.crc32(content[chunk.first_byte : chunk.end_byte])
        assert chunk.overlong is None


@given(contents, sizes, short_reads | st.none())
def test_the_lines_are_those_of_split(
    content: bytes, chunk_bytes: int, reads: list[int] | None
) -> None:
    found = cut(Stream(content, reads), chunk_bytes)
    assert [line for chunk in found for line in lines_in(chunk)] == lines_of(content)


@given(contents | long_lines, sizes, limits, st.integers(1, 8))
def test_borders_do_not_depend_on_the_longest_line_that_is_allowed(
    content: bytes, chunk_bytes: int, max_line_bytes: int, read_bytes: int
) -> None:
    # A limit in whole reads, as the command line's always is.
    limit = -(-max_line_bytes // read_bytes) * read_bytes
    found = cut(Stream(content), chunk_bytes, limit, read_bytes=read_bytes)
    got = [(chunk.first_byte, chunk.end_byte, chunk.checksum) for chunk in found]
    assert got == [
        (begin, end, zlib.crc32(content[begin:end])) for begin, end in borders(content, chunk_bytes)
    ]


@example(b"\xef\xbb\xbf\r\n", 1, 2, 1, [1])
@given(contents | long_lines, sizes, limits, st.integers(1, 8), short_reads)
def test_short_reads_of_a_long_line_do_not_stop_the_reader(
    content: bytes, chunk_bytes: int, max_line_bytes: int, read_bytes: int, reads: list[int]
) -> None:
    stream = Stream(content, reads)
    found = cut(stream, chunk_bytes, max_line_bytes, read_bytes=read_bytes)
    got = [(chunk.first_byte, chunk.end_byte) for chunk in found]
    assert got == borders(content, chunk_bytes)


@given(contents | long_lines, sizes, limits, st.integers(1, 8))
def test_an_overlong_line_is_where_it_was_with_its_length_and_beginning(
    content: bytes, chunk_bytes: int, max_line_bytes: int, read_bytes: int
) -> None:
    assume(not content.startswith(BYTE_ORDER_MARK))  # tested by itself below
    limit = -(-max_line_bytes // read_bytes) * read_bytes
    got: list[tuple[int, bytes] | OverlongLine] = []
    for chunk in cut(Stream(content), chunk_bytes, limit, read_bytes=read_bytes):
        assert len(chunk.data) <= chunk_bytes + limit + read_bytes
        begin = chunk.first_byte
        for offset, line in lines_in(chunk):
            is_long = len(line) > limit
            place = (offset - begin, offset - begin + len(line))
            got.append(chunk.overlong_at(*place) if is_long else (offset, line))
        if chunk.overlong:
            got.append(chunk.overlong)
    assert got == [
        OverlongLine(offset, len(line), line[: min(limit, KEPT_OF_OVERLONG_LINE)])
        if len(line) > limit
        else (offset, line)
        for offset, line in lines_of(content)
    ]


class LongLine(Stream):
    """A short line, then one of 64 MB that exists nowhere as a whole."""

    def read(self, size: int) -> bytes:
        if self.bytes_read > 64 << 20:
            return b""
        part = super().read(size)
        self.bytes_read += size - len(part)
        return part + b"x" * (size - len(part))


def test_an_overlong_line_is_never_held_whole() -> None:
    short = b"{}\n"
    tracemalloc.start()
    try:
        (chunk,) = cut(LongLine(short + b"y" * 5000), 1 << 20, 1 << 20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert chunk.data == short
    assert chunk.overlong is not None
    assert chunk.overlong.first_byte == len(short)
    assert chunk.overlong.bytes == chunk.end_byte - len(short) > 63 << 20
    assert chunk.overlong.beginning == b"y" * KEPT_OF_OVERLONG_LINE
    assert peak < 8 << 20


def test_a_byte_order_mark_is_skipped_at_the_beginning_alone() -> None:
    content = BYTE_ORDER_MARK + b"{}\n" + BYTE_ORDER_MARK + b"[]\n"
    for chunk_bytes in (1, 100):
        found = cut(Stream(content), chunk_bytes)
        assert [line for chunk in found for line in lines_in(chunk)] == [
            (3, b"{}"),
            (6, BYTE_ORDER_MARK + b"[]"),
        ]


def test_a_byte_order_mark_counts_for_nothing_in_the_first_line() -> None:
    (chunk,) = cut(Stream(BYTE_ORDER_MARK + b"1234"), 1, 4, read_bytes=4)
    assert (chunk.overlong, lines_in(chunk)) == (None, [(3, b"1234")])
    (chunk,) = cut(Stream(BYTE_ORDER_MARK + b"12345678\n"), 1, 4, read_bytes=4)
    assert chunk.overlong == OverlongLine(3, 8, b"1234")


@given(contents, sizes, st.data(), short_reads | st.none(), st.booleans())
def test_what_is_loaded_is_left_out_and_the_rest_comes(
    content: bytes, chunk_bytes: int, data: st.DataObject, reads: list[int] | None, can_seek: bool
) -> None:
    every = list(cut(Stream(content), chunk_bytes))
    known = data.draw(st.sets(st.sampled_from(every or [None]).map(id), max_size=len(every)))
    loaded = {
        chunk.first_byte: LoadedChunk(chunk.end_byte, chunk.checksum)
        for chunk in every
        if id(chunk) in known
    }
    stream = Stream(content, reads)
    got = list(cut(stream, chunk_bytes, loaded=loaded, can_seek=can_seek))
    want = [chunk for chunk in every if chunk.first_byte not in loaded]
    assert [(chunk.first_byte, chunk.end_byte, chunk.data) for chunk in got] == [
        (chunk.first_byte, chunk.end_byte, chunk.data) for chunk in want
    ]
    if not can_seek:
        assert stream.bytes_read == len(content)


def test_what_is_loaded_is_not_read_where_the_stream_can_seek() -> None:
    content = b"".join(b"%05d\n" % number for number in range(100_000))
    begin, end = borders(content, 100_000)[3]
    loaded = {
        first: LoadedChunk(last, 0) for first, last in borders(content, 100_000) if first != begin
    }
    stream = Stream(content)
    (chunk,) = cut(stream, 100_000, loaded=loaded)
    assert (chunk.first_byte, chunk.data) == (begin, content[begin:end])
    assert stream.bytes_read < 100_000 + 2 * chunks.READ_BYTES


@given(contents.filter(bool), sizes, st.data(), st.integers(1, 255))
def test_a_changed_byte_is_noticed_where_it_is_read_past(
    content: bytes, chunk_bytes: int, data: st.DataObject, difference: int
) -> None:
    every = list(cut(Stream(content), chunk_bytes))
    loaded = {chunk.first_byte: LoadedChunk(chunk.end_byte, chunk.checksum) for chunk in every}
    changed = bytearray(content)
    changed[data.draw(st.integers(0, len(content) - 1))] ^= difference
    with pytest.raises(UserError, match="another file, or it has changed"):
        list(cut(Stream(bytes(changed)), chunk_bytes, loaded=loaded, can_seek=False))


@given(contents.filter(bool), sizes, st.data())
def test_a_chunk_that_is_cut_off_is_noticed_where_it_is_read_past(
    content: bytes, chunk_bytes: int, data: st.DataObject
) -> None:
    every = list(cut(Stream(content), chunk_bytes))
    loaded = {chunk.first_byte: LoadedChunk(chunk.end_byte, chunk.checksum) for chunk in every}
    inside = sorted(set(range(len(content))) - set(loaded))
    assume(inside)
    shorter = content[: data.draw(st.sampled_from(inside))]
    with pytest.raises(UserError, match="another file, or it has changed"):
        list(cut(Stream(shorter), chunk_bytes, loaded=loaded, can_seek=False))


def test_an_unreadable_stream_ends_with_a_sentence() -> None:
    class Broken(Stream):
        def read(self, size: int) -> bytes:
            raise EOFError("cut off")

    with pytest.raises(UserError, match=r"cannot be read to its end: cut off"):
        list(cut(Broken(b""), 1))


def test_an_allowance_blocks_until_enough_is_given_back() -> None:
    allowance = Allowance(10)
    allowance.borrow(4)
    allowance.borrow(6)  # all of it, without waiting
    has_it = threading.Event()

    def borrow() -> None:
        allowance.borrow(7)
        has_it.set()

    waiting = threading.Thread(target=borrow, daemon=True)
    waiting.start()
    assert not has_it.wait(0.1)
    allowance.give_back(6)  # not enough yet
    assert not has_it.wait(0.1)
    allowance.give_back(4)
    assert has_it.wait(10)
    waiting.join(10)


def test_a_long_line_waits_for_the_one_before_to_be_released(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chunks, "READ_BYTES", 4)
    line = b"123456789abcdef\n"
    cutter = Cutter(cast(BinaryIO, Stream(line * 2)), 1, len(line))
    found = cutter.chunks({}, can_seek=True)
    first = next(found)
    second: list[Chunk] = []
    reading = threading.Thread(target=lambda: second.append(next(found)), daemon=True)
    reading.start()
    reading.join(0.2)
    assert not second
    first.release()
    reading.join(10)
    assert [chunk.data for chunk in (first, *second)] == [line, line]
