"""Lines as bad as they come: what Postgres and Python say of each must agree with the loader.

The lines are made from sample lines, by a mutator with a fixed seed.
"""

import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import Database
from loads import cut_into, fails, fetch, write
from psycopg import sql

from benchmarks.reading_of_the_rules import json_text, parse
from loader.chunks import BYTE_ORDER_MARK
from trial.sample import write_labels
from trial.server import Server

SEED = 20_240
CLEAN_STRETCH = 300  # lines, more than a chunk holds
CHUNK_BYTES = 100_000
LONGEST_BASE_LINE = 1_200
LOAD = ("load", "--workers", "2", "--max-rejects", "100%")

Mutation = Callable[[bytes, random.Random], bytes]

# What stands where a value may stand, and what stands where nothing of the kind may.
VALUES = [
    *(rb'"\ud800"', rb'"\udc00\ud800"', rb'"\ud83d\ude00"', rb'"\ud83d"', rb'"\u0000"'),
    *(rb'"\\u0000"', rb'"\u00e9 \/ \b\f\n\r\t"', rb'"\x41"'),
    *(b"NaN", b"-Infinity", b"nul", b"true"),
    *(b"1e400", b"-1E-400", b"1e200000", b"1e-20000", b"1e99999999999999999999"),
    *(b"0.1000", b"-0.0", b"01", b"1.", b".5", b"+1", b"0x10"),
    *(b"9" * 5_000, b"1" + b"0" * 140_000, b"0." + b"3" * 5_000),
    *(b"[" * 200 + b"]" * 200, b"[" * 30_000 + b"]" * 30_000),
    b'{"a":' * 300 + b"1" + b"}" * 300,
    *(b'{"a": 1, "a": 2}', b'{"": null}', b"[1,]", b"'single'"),
]
# The long ones are rare, or the file would be made of them.
WEIGHTS = [1 if len(value) < 2_000 else 0.05 for value in VALUES]
INSERTED = [b"\0", b"\1", b"\2", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"]
INSERTED += [BYTE_ORDER_MARK, b"\r", b"\t", b"\\", b'"', b"\xc3\xa9", b"\x7f", b"\xe2\x80\xa8"]
WHOLE_LINES = [b"", b"\r", b" ", b"\t \r", b"\x0b", b"\x0c", rb"\.", b"\\.\r", b"null", b"42"]
WHOLE_LINES += [b'""', b"[]", b"{}", b" {} ", b"{} {}", BYTE_ORDER_MARK + b"{}", b"\xc2\xa0", b"#"]


def flip(line: bytes, rng: random.Random) -> bytes:
    mutated = bytearray(line)
    for _ in range(rng.choice((1, 1, 1, 3))):
        mutated[rng.randrange(len(mutated))] ^= 1 << rng.randrange(8)
    return bytes(mutated)


def cut(line: bytes, rng: random.Random) -> bytes:
    begin, end = sorted(rng.randrange(len(line) + 1) for _ in range(2))
    return rng.choice((line[:end], line[begin:], line[:begin] + line[end:]))


def double(line: bytes, rng: random.Random) -> bytes:
    begin, end = sorted(rng.randrange(len(line) + 1) for _ in range(2))
    return line[:end] + line[begin:]


def insert(line: bytes, rng: random.Random) -> bytes:
    place = rng.choice((0, len(line), rng.randrange(len(line))))
    return line[:place] + rng.choice(INSERTED) + line[place:]


def replace_value(line: bytes, rng: random.Random) -> bytes:
    """Put an odd value where a value was, so that only it decides."""
    (value,) = rng.choices(VALUES, WEIGHTS)
    begin = line.find(b'"Confidence": ', rng.randrange(len(line)))
    if begin < 0:
        return b'{"odd": ' + value + b", " + line[1:]
    begin += len(b'"Confidence": ')
    end = begin
    while line[end : end + 1] not in b",}":
        end += 1
    return line[:begin] + value + line[end:]


MUTATIONS: list[Mutation] = [flip, cut, double, insert, replace_value, replace_value]
MUTATIONS += [lambda _, rng: rng.choice(WHOLE_LINES), lambda line, _: line + b"\r"]


def base_lines(folder: Path) -> list[bytes]:
    """Return whole lines of the sample, the shorter ones."""
    sample = folder / "sample.jsonl"
    write_labels(sample, 400)
    lines = (line for line in sample.read_bytes().split(b"\n") if len(line) <= LONGEST_BASE_LINE)
    return [line for line in lines if line.startswith(b"{") and line.endswith(b"}")]


def mutated_lines(base: list[bytes], size: int, rng: random.Random) -> Iterator[bytes]:
    """Yield mutated lines, and here and there a stretch of good ones."""
    for number in range(size):
        line = rng.choice(base)
        if number % 1_000 == 500:
            yield from rng.choices(base, k=CLEAN_STRETCH)
        line = rng.choice(MUTATIONS)(line, rng)
        if rng.random() < 0.1 and line:
            line = rng.choice(MUTATIONS)(line, rng)
        yield line
        if rng.random() < 0.02:
            yield line  # doubled
        if rng.random() < 0.02:
            yield line + rng.choice(base)  # joined


def write_corpus(folder: Path, size: int) -> tuple[Path, dict[int, bytes]]:
    """Write the mutated lines to a file; return all of its lines by offset, split anew."""
    path = folder / "corpus.jsonl"
    lines = [b"{}", *mutated_lines(base_lines(folder), size, random.Random(SEED))]
    # A byte-order mark at the beginning, and no newline at the end.
    content = BYTE_ORDER_MARK + b"\n".join(lines) + b'\n{"last": 1}'
    path.write_bytes(content)
    offset, found = len(BYTE_ORDER_MARK), {}
    for line in content[offset:].split(b"\n"):
        found[offset] = line
        offset += len(line) + 1
    assert len(found) > size
    return path, found


def copy_alone(connection: psycopg.Connection, content: bytes) -> str | None:
    """COPY one line into a jsonb column, which takes no other way than the loader's first."""
    head = b"PGCOPY\n\xff\r\n\0" + bytes(8)
    row = struct.pack(">hib", 1, len(content) + 1, 1) + content
    try:
        with connection.cursor().copy("copy alone from stdin (format binary)") as copy:
            copy.write(head + row + b"\xff\xff")
    except psycopg.Error as error:
        return type(error).__name__
    return None


@pytest.mark.both_versions
@pytest.mark.parametrize("size", [2_500, pytest.param(20_000, marks=pytest.mark.slow)])
def test_postgres_python_and_the_loader_agree_on_each_line(
    loaded: Database, tmp_path: Path, size: int
) -> None:
    path, lines = write_corpus(tmp_path, size)
    cut_into(loaded, path, CHUNK_BYTES)
    said = loaded.loader(*LOAD, path)
    documents = fetch(
        loaded,
        """
        select response.document::text
        from raw.rekognition_responses as response
        inner join raw.loaded_chunks as chunk using (chunk_id)
        order by chunk.first_byte, response.response_id
        """,
    )
    rejects = fetch(
        loaded,
        """
        select line.byte_offset, line.line, line.is_whole, parsed.reason
        from raw.rejected_lines as line
        cross join lateral raw.parse_line(line.line) as parsed
        order by line.byte_offset
        """,
    )
    bad_lines = fetch(loaded, "select rejected_lines from raw.loaded_chunks")
    with loaded.connect() as connection:
        connection.execute("create temporary table alone (document jsonb)")
        refused_alone = [copy_alone(connection, line) for _, line, _, _ in rejects]

    rejected = {offset: line for offset, line, _, _ in rejects}
    full = {offset: line for offset, line in lines.items() if line.strip()}
    loaded = [line for offset, line in full.items() if offset not in rejected]
    blank = len(lines) - len(full)
    # Every line is counted, as one of the three.
    assert f"{len(lines):,} lines = {len(loaded):,} loaded + {len(rejects):,} rejected" in said
    assert f" + {blank:,} blank" in said
    assert len(documents) == len(loaded)
    # The corpus is of the kind that it is meant to be.
    assert 0 < bad_lines.count((0,)) < len(bad_lines)
    assert min(len(loaded), len(rejects), blank * 10) > size / 10
    # What is rejected is there as it was, and Postgres refuses it alone, in both ways.
    assert all(full[offset] == line for offset, line in rejected.items())
    assert all(is_whole and reason for _, _, is_whole, reason in rejects)
    assert None not in refused_alone
    # What is loaded is what Python reads, and what Python cannot read is not loaded.
    for line, (document,) in zip(loaded, documents, strict=True):
        assert json_text(parse(document)) == json_text(parse(line.decode())), line


def test_a_chunk_of_bad_lines_takes_no_more_statements_than_one_bad_line(
    server: Server, loaded: Database, tmp_path: Path
) -> None:
    with loaded.connect() as connection:
        statement = sql.SQL("alter database {} set log_statement = 'all'")
        connection.execute(statement.format(sql.Identifier(loaded.name)))
    counts = []
    for bad_lines in (1, 1_000):
        lines = [b'{"bad": %d\n{}' % line for line in range(bad_lines)]
        logged = server.log.stat().st_size
        loaded.loader(*LOAD, write(tmp_path / f"{bad_lines}.jsonl", *lines))
        log = server.log.read_bytes()[logged:].splitlines()
        statements = [x for x in log if b"LOG:  statement: " in x or b"LOG:  execute" in x]
        counts.append(len(statements))
        copies = [statement for statement in statements if b": copy " in statement.lower()]
        assert len(copies) == 2  # the one that is refused, and the one of bytes
        chunks = "select rejected_lines, loaded_lines from raw.loaded_chunks order by chunk_id"
        assert fetch(loaded, chunks)[-1] == (bad_lines, bad_lines)
    assert counts[0] == counts[1] < 60


def test_what_is_no_fault_of_a_line_stops_the_load_and_rejects_none(
    loaded: Database, tmp_path: Path
) -> None:
    path = write(tmp_path / "labels.jsonl", b"{}", b'{"cut": ')
    with loaded.connect() as connection:
        # As if the disk were full at the moment when the lines are read one by one.
        connection.execute(
            """
            create function public.convert_from(bytea, name) returns text language plpgsql as $$
            begin
                raise 'no space left on device' using errcode = 'disk_full';
            end
            $$
            """
        )
        connection.execute("alter function raw.parse_line set search_path = public, pg_catalog")
        assert "no space left on device" in fails(loaded, *LOAD, path)
        connection.execute("alter function raw.parse_line set search_path = pg_catalog")
        said = loaded.loader(*LOAD, path)
    assert "2 lines = 1 loaded + 1 rejected + 0 blank" in said
