"""Cutting a stream into chunks of whole lines, with bounded memory."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from loader.errors import UserError
from loader.files import LabelFile, reading_to_the_end
from loader.ledger import LoadedChunk

READ_BYTES = 1 << 18
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# The `chunk_bytes` of a file are never more, so only the last line of a chunk can be longer.
LONGEST_LINE_BYTES = 8 << 20
KEPT_OF_OVERLONG_LINE = 1000


@dataclass(frozen=True)
class OverlongLine:
    """A line of more than LONGEST_LINE_BYTES: where it is, how long, and its beginning."""

    first_byte: int
    bytes: int
    beginning: bytes


@dataclass(frozen=True)
class Chunk:
    """Whole lines of a stream, from `first_byte` on; an overlong line may stand at the end."""

    first_byte: int
    end_byte: int
    data: bytearray
    checksum: int
    overlong: OverlongLine | None

    @property
    def line_count(self) -> int:
        """Lines in `data`, blank ones too."""
        begin = _mark_bytes(self.first_byte, self.data)
        has_open_end = len(self.data) > begin and not self.data.endswith(b"\n")
        return self.data.count(b"\n", begin) + has_open_end

    def lines(self) -> Iterator[tuple[int, int]]:
        """Yield where in `data` each line that is not blank begins and ends, without newline."""
        begin = _mark_bytes(self.first_byte, self.data)
        while begin < len(self.data):
            end = self.data.find(b"\n", begin)
            if end < 0:
                end = len(self.data)
            # The first byte tells for nearly every line.
            if begin < end and (self.data[begin] > 0x20 or not self.data[begin:end].isspace()):
                yield begin, end
            begin = end + 1


def cut(
    file: LabelFile, stream: BinaryIO, chunk_bytes: int, loaded: Mapping[int, LoadedChunk]
) -> Iterator[Chunk | LoadedChunk]:
    """Yield the chunks of a file's stream that are still to load, in order.

    A chunk is `chunk_bytes` long and then goes on to the end of its line, so its borders depend on
    the stream and on `chunk_bytes` alone. What is loaded (by first byte) is skipped by seeking. A
    stream that cannot seek is read past it, with a check that it is what was loaded; then the
    ledger's own word on the chunk is yielded.
    """
    first_byte = 0
    while True:
        if file.can_seek and first_byte in loaded:
            while first_byte in loaded:
                first_byte = loaded[first_byte].end_byte
            stream.seek(first_byte)
        with reading_to_the_end(file):
            chunk = _cut_one(stream, first_byte, chunk_bytes)
        if chunk is None:
            break
        known = loaded.get(first_byte)
        if known and (chunk.end_byte, chunk.checksum) != (known.end_byte, known.checksum):
            raise UserError(
                f"{file.name}: bytes {first_byte} to {chunk.end_byte} are not those that were "
                "loaded before: it is another file, or it has changed. Nothing more was loaded."
            )
        first_byte = chunk.end_byte
        yield known or chunk
        del chunk  # or its bytes would be kept while the next ones are read
    if any(chunk.end_byte > first_byte for chunk in loaded.values()):
        raise UserError(
            f"{file.name} ends after {first_byte} bytes, and more of it was loaded before: it is "
            "another file, or it was cut. Nothing more was loaded."
        )


def _cut_one(stream: BinaryIO, first_byte: int, chunk_bytes: int) -> Chunk | None:
    data = bytearray()
    while len(data) < chunk_bytes and (
        part := stream.read(min(READ_BYTES, chunk_bytes - len(data)))
    ):
        data += part
    if not data:
        return None
    line_begin = data.rfind(b"\n") + 1
    longest = line_begin + len(BYTE_ORDER_MARK) + LONGEST_LINE_BYTES + 1
    while not data.endswith(b"\n") and (
        part := stream.readline(min(READ_BYTES, longest - len(data)))
    ):
        data += part
    line_begin = line_begin or _mark_bytes(first_byte, data)
    if len(data) - line_begin - data.endswith(b"\n") > LONGEST_LINE_BYTES:
        return _cut_overlong(stream, first_byte, data, line_begin)
    return Chunk(first_byte, first_byte + len(data), data, zlib.crc32(data), None)


def _cut_overlong(stream: BinaryIO, first_byte: int, data: bytearray, line_begin: int) -> Chunk:
    """Read to the end of the line that begins at a place in the data, and keep its beginning."""
    checksum = zlib.crc32(data)
    beginning = bytes(data[line_begin : line_begin + KEPT_OF_OVERLONG_LINE])
    end_byte = first_byte + len(data)
    has_ended = data.endswith(b"\n")
    del data[line_begin:]
    while not has_ended and (part := stream.readline(READ_BYTES)):
        checksum = zlib.crc32(part, checksum)
        end_byte += len(part)
        has_ended = part.endswith(b"\n")
    line_byte = first_byte + line_begin
    overlong = OverlongLine(line_byte, end_byte - line_byte - has_ended, beginning)
    return Chunk(first_byte, end_byte, data, checksum, overlong)


def _mark_bytes(first_byte: int, data: bytearray) -> int:
    """Return how many bytes of a byte-order mark the data begin with, at a stream's beginning."""
    has_mark = first_byte == 0 and data.startswith(BYTE_ORDER_MARK)
    return len(BYTE_ORDER_MARK) if has_mark else 0
