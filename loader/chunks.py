"""Cutting a stream into chunks of whole lines, with bounded memory."""

import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from loader.errors import UserError
from loader.files import read_errors

READ_BYTES = 1 << 18
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
KEPT_OF_OVERLONG_LINE = 1000


@dataclass(frozen=True)
class OverlongLine:
    """A line that is longer than the limit: where it is, and its beginning."""

    first_byte: int
    bytes: int
    beginning: bytes


@dataclass(frozen=True)
class LoadedChunk:
    """What the ledger says of a chunk."""

    end_byte: int
    checksum: int


@dataclass(frozen=True)
class Chunk:
    """Whole lines of a stream, from `first_byte` on; an overlong line may stand at the end."""

    first_byte: int
    end_byte: int
    data: bytearray
    checksum: int
    overlong: OverlongLine | None
    release: Callable[[], None]  # to be called when the chunk is done with

    def lines(self) -> Iterator[tuple[int, int]]:
        """Yield where in `data` each line begins and ends, without its newline."""
        begin = _mark_bytes(self.first_byte, self.data)
        while begin < len(self.data):
            end = self.data.find(b"\n", begin)
            if end < 0:
                end = len(self.data)
            yield begin, end
            begin = end + 1

    def overlong_at(self, begin: int, end: int) -> OverlongLine:
        """Return the line at a place in `data` as an overlong one."""
        beginning = bytes(self.data[begin : min(end, begin + KEPT_OF_OVERLONG_LINE)])
        return OverlongLine(self.first_byte + begin, end - begin, beginning)


def _mark_bytes(first_byte: int, data: bytearray) -> int:
    """Return how many bytes of a byte-order mark the data begin with, at a stream's beginning."""
    has_mark = first_byte == 0 and data.startswith(BYTE_ORDER_MARK)
    return len(BYTE_ORDER_MARK) if has_mark else 0


class Allowance:
    """Bytes that long lines may hold in memory at the same time, over and above their chunks."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._changed = threading.Condition()

    def borrow(self, size: int) -> None:
        """Take a part, after waiting until it is free."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size

    def give_back(self, size: int) -> None:
        """Return a part."""
        with self._changed:
            self._free += size
            self._changed.notify()


class Cutter:
    """Cuts a stream into chunks.

    A chunk is `chunk_bytes` long and then goes on to the end of its line, so its borders depend on
    the stream and on `chunk_bytes` alone. What is loaded is skipped: by seeking where the stream
    can, else by reading past it, with a check that it is what was loaded.
    """

    def __init__(self, stream: BinaryIO, chunk_bytes: int, max_line_bytes: int) -> None:
        self._stream = stream
        self._chunk_bytes = chunk_bytes
        self._max_line_bytes = max_line_bytes
        self._ahead = bytearray()  # read already, and of the next chunk
        self._allowance = Allowance(len(BYTE_ORDER_MARK) + max_line_bytes + READ_BYTES)

    def chunks(
        self,
        loaded: dict[int, LoadedChunk],
        can_seek: bool,
        say_skipped: Callable[[int], None] = lambda _: None,
    ) -> Iterator[Chunk]:
        """Yield the chunks that are not in `loaded` (by first byte), in order.

        Whoever gets a chunk has to release it.
        """
        first_byte = 0
        while True:
            if can_seek and first_byte in loaded:
                while first_byte in loaded:
                    first_byte = loaded[first_byte].end_byte
                self._stream.seek(first_byte)
                self._ahead.clear()
            chunk = self._cut(first_byte)
            if chunk is None:
                self._check_end(first_byte, loaded)
                return
            known = loaded.get(first_byte)
            if known is None:
                yield chunk
            else:
                chunk.release()
                self._check(chunk, known)
                say_skipped(chunk.end_byte - chunk.first_byte)
            first_byte = chunk.end_byte
            del chunk  # or its bytes would be kept while the next ones are read

    def _check_end(self, end_byte: int, loaded: dict[int, LoadedChunk]) -> None:
        if any(chunk.end_byte > end_byte for chunk in loaded.values()):
            raise UserError(
                f"it ends after {end_byte} bytes, and more of it was loaded before: it is another "
                "file, or it was cut. Nothing more was loaded."
            )

    def _check(self, chunk: Chunk, known: LoadedChunk) -> None:
        if (chunk.end_byte, chunk.checksum) != (known.end_byte, known.checksum):
            raise UserError(
                f"bytes {chunk.first_byte} to {chunk.end_byte} are not those that were loaded "
                "before: it is another file, or it has changed. Nothing more was loaded."
            )

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except read_errors() as error:
            raise UserError(
                f"the file cannot be read to its end: {' '.join(str(error).split())}. What is "
                "loaded stays; run the same command again to go on."
            ) from error

    def _cut(self, first_byte: int) -> Chunk | None:
        data, self._ahead = self._ahead, bytearray()
        while len(data) < self._chunk_bytes and (
            part := self._read(min(READ_BYTES, self._chunk_bytes - len(data)))
        ):
            data += part
        if not data:
            return None
        borrowed = 0
        line_begin = data.rfind(b"\n", 0, self._chunk_bytes - 1) + 1
        search_from = min(self._chunk_bytes, len(data)) - 1
        while (newline := data.find(b"\n", search_from)) < 0:
            line_begin = line_begin or _mark_bytes(first_byte, data)
            if len(data) - line_begin > self._max_line_bytes:
                return self._cut_overlong(first_byte, data, line_begin, borrowed)
            search_from = len(data)
            part = self._read(READ_BYTES)
            if not part:
                newline = len(data) - 1
                break
            self._allowance.borrow(len(part))
            borrowed += len(part)
            data += part
        self._ahead = data[newline + 1 :]
        del data[newline + 1 :]
        end_byte = first_byte + len(data)
        release = partial(self._allowance.give_back, borrowed)
        return Chunk(first_byte, end_byte, data, zlib.crc32(data), None, release)

    def _cut_overlong(
        self, first_byte: int, data: bytearray, line_begin: int, borrowed: int
    ) -> Chunk:
        checksum = zlib.crc32(data)
        beginning = bytes(data[line_begin : line_begin + KEPT_OF_OVERLONG_LINE])
        line_bytes = len(data) - line_begin
        end_byte = first_byte + len(data)
        del data[line_begin:]
        while part := self._read(READ_BYTES):
            newline = part.find(b"\n")
            whole = part if newline < 0 else part[: newline + 1]
            checksum = zlib.crc32(whole, checksum)
            line_bytes += len(whole) - (newline >= 0)
            end_byte += len(whole)
            if newline >= 0:
                self._ahead = bytearray(part[newline + 1 :])
                break
        line = OverlongLine(first_byte + line_begin, line_bytes, beginning)
        release = partial(self._allowance.give_back, borrowed)
        return Chunk(first_byte, end_byte, data, checksum, line, release)
