"""Where lines come from: plain and compressed files, S3 and standard input, read whole or resumed.

No source depends on the server's version, so one version does.
"""

import hashlib
import json
import os
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest
import smart_open
from conftest import Database
from loads import (
    borders,
    cut_into,
    documents,
    end,
    fetch,
    lose_chunk,
    on_postgres18,
    rejects,
    start,
    words_of_failure,
)
from loads import fails as loader_fails
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from loader.chunks import READ_BYTES
from loader.files import PART_BYTES, fingerprint
from loader.workers import SECONDS_TO_STOP

pytestmark = on_postgres18

ZSTD_CHECKSUM_FLAG = 201  # ZSTD_c_checksumFlag
BUCKET = "labels"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",
}
# Variables of this process's own AWS account must not reach the loader.
NOT_INHERITED = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_CONFIG_FILE")
LOOPBACK = "127.0.0.1"

BAD_LINES = (b'{"cut": "off', rb'{"nul": "\u0000"}', b'{"latin1": "caf\xe9"}', b"\xef\xbb\xbf{}")
SMALL_CHUNK = 300


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def good_line(number: int) -> bytes:
    return b'{"line": %d, "digest": "%s"}' % (number, digest(b"%d" % number).encode())


def good_lines(count: int, first: int = 0) -> bytes:
    return b"".join(good_line(number) + b"\n" for number in range(first, first + count))


def content_of_all_kinds() -> bytes:
    lines = [good_line(number) for number in range(40)]
    for place, bad in zip((3, 11, 20, 38), BAD_LINES, strict=True):
        lines.insert(place, bad)
    lines[7] += b"\r"
    lines.insert(15, b"")
    return b"\xef\xbb\xbf" + b"\n".join(lines)  # a mark at the beginning, no newline at the end


@dataclass
class S3:
    """An S3 server, and the ranges of the objects that it was asked for."""

    endpoint: str
    ranges: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return CREDENTIALS | {"AWS_ENDPOINT_URL": self.endpoint}

    def put(self, key: str, content: bytes) -> str:
        self.client().put_object(Bucket=BUCKET, Key=key, Body=content)
        return f"s3://{BUCKET}/{key}"

    def client(self) -> Any:  # noqa: ANN401 - boto3 makes its classes as it runs
        with mock.patch.dict(os.environ, self.environment):
            return boto3.client("s3")


@contextmanager
def serving(breaks_at: int | None = None, goes_away: bool = False) -> Iterator[S3]:
    """Serve S3 on a free port; all servers of this process have the same objects.

    The body of one ranged request, counted from 1, may break off, and the server go away with it.
    """
    moto = DomainDispatcherApplication(create_backend_app)
    ranges: list[str] = []

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body: Iterable[bytes] = moto(environ, start_response)
        if environ["REQUEST_METHOD"] == "GET" and "HTTP_RANGE" in environ:
            ranges.append(environ["HTTP_RANGE"])
            if len(ranges) == breaks_at:
                if goes_away:
                    server.shutdown()
                    server.server_close()
                content = b"".join(body)
                return [content[: len(content) // 2]]
        return body

    server = make_server(LOOPBACK, 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield S3(f"http://{LOOPBACK}:{server.server_port}", ranges)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    with serving() as running:
        running.client().create_bucket(Bucket=BUCKET)
        yield running


@dataclass(frozen=True)
class Source:
    """One content, as it is stored somewhere."""

    address: str
    fingerprint: str
    standard_input: bytes = b""


def compressed(path: Path, *contents: bytes) -> Path:
    """Write contents, each a member of its own, compressed as the path's suffix says."""
    with path.open("wb") as file:
        for content in contents:
            member = path.with_name(f"member{path.suffix}")
            # As the program zstd does; without a checksum some damage cannot be seen.
            options = {"options": {ZSTD_CHECKSUM_FLAG: 1}} if path.suffix == ".zst" else None
            with smart_open.open(str(member), "wb", compression_kwargs=options) as stream:
                stream.write(content)
            file.write(member.read_bytes())
            member.unlink()
    return path


@dataclass(frozen=True)
class Sources:
    """Makes twins of a content."""

    folder: Path
    s3: S3

    def make(self, kind: str, content: bytes) -> Source:
        place, _, suffix = kind.partition(" ")
        if place == "pipe":
            return Source("-", f"stdin:{digest(content[:PART_BYTES])}", content)
        path = self.folder / f"labels.jsonl{suffix}"
        if suffix:
            compressed(path, content)
        else:
            path.write_bytes(content)
        known_by = fingerprint(path)
        if place == "s3":
            return Source(self.s3.put(path.name, path.read_bytes()), known_by)
        return Source(str(path), known_by)


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NOT_INHERITED:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sources(tmp_path: Path, s3: S3) -> Sources:
    s3.ranges.clear()
    return Sources(tmp_path, s3)


def load(database: Database, sources: Sources, source: Source) -> str:
    """Load a source, which has to succeed, and return what was said."""
    process = start(database, "load", "--workers=2", source.address, **sources.s3.environment)
    done = end(process, source.standard_input)
    assert done.returncode == 0, done.stderr
    return done.stderr


def fails(database: Database, s3: S3 | None, *files: str, stdin: bytes = b"", **more: str) -> str:
    """Load files, which has to fail as a user should see it, and return the words."""
    where = (s3.environment if s3 else CREDENTIALS) | more
    return loader_fails(database, "load", *files, stdin=stdin, **where)


def line_numbers(database: Database) -> list[int]:
    return [document["line"] for document in documents(database) if isinstance(document, dict)]


def reason(database: Database, line: bytes) -> str:
    ((why,),) = fetch(database, "select reason from raw.parse_line(%s)", line)
    return str(why)


SEEKING = ("file", "s3")
READING_PAST = ("file .gz", "file .bz2", "file .zst", "s3 .gz", "pipe")


@pytest.mark.parametrize("kind", [*SEEKING, *READING_PAST])
def test_every_source_gives_the_same_rows_also_when_it_is_resumed(
    loaded: Database, sources: Sources, kind: str
) -> None:
    content = content_of_all_kinds()
    source = sources.make(kind, content)
    cut_into(loaded, source.address, SMALL_CHUNK, source.fingerprint)
    want_documents = [json.loads(good_line(number)) for number in range(40)]
    want_rejects = [(content.index(bad, 3), bad, reason(loaded, bad)) for bad in BAD_LINES]
    words = load(loaded, sources, source)
    assert "45 lines = 40 loaded + 4 rejected + 1 blank" in words
    assert documents(loaded) == want_documents
    assert rejects(loaded) == want_rejects
    want_borders = borders(loaded)
    assert len(want_borders) > 8
    assert all(content[end - 1 : end] == b"\n" for _, end in want_borders[:-1])
    assert want_borders[-1][1] == len(content)

    lost = next(border for border in want_borders if border[0] > want_rejects[1][0] - SMALL_CHUNK)
    lose_chunk(loaded, lost[0])
    lines = content[slice(*lost)].count(b"\n")
    assert f"{lines} lines = " in load(loaded, sources, source)
    assert documents(loaded) == want_documents
    assert rejects(loaded) == want_rejects
    assert borders(loaded) == want_borders


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".zst"])
def test_an_archive_of_several_members_is_read_to_its_end(
    loaded: Database, sources: Sources, tmp_path: Path, suffix: str
) -> None:
    # What `cat a.gz b.gz` makes, and pigz; a reader that stops after the first member loses lines.
    parts = [good_lines(5, first) for first in (0, 5, 10)]
    path = compressed(tmp_path / f"joined.jsonl{suffix}", *parts)
    load(loaded, sources, Source(str(path), ""))
    assert line_numbers(loaded) == list(range(15))


def test_s3_is_resumed_by_seeking(loaded: Database, sources: Sources) -> None:
    source = sources.make("s3", good_lines(30_000))
    cut_into(loaded, source.address, 900_001, source.fingerprint)
    load(loaded, sources, source)
    first_byte = borders(loaded)[2][0]
    lose_chunk(loaded, first_byte)
    sources.s3.ranges.clear()
    load(loaded, sources, source)
    assert line_numbers(loaded) == list(range(30_000))
    last_wanted = sources.s3.ranges.index(f"bytes={first_byte}-")
    # Before it the file was looked at, to know it; after it only what follows is read.
    begins = [int(asked.removeprefix("bytes=").split("-")[0]) for asked in sources.s3.ranges]
    assert all(begin >= first_byte for begin in begins[last_wanted:])


def tampered(
    database: Database, sources: Sources, kind: str
) -> tuple[Source, list[tuple[int, int]]]:
    """Load 20 lines, lose their third chunk, and put a twin with another first line in their place.

    Return the twin and the chunks' borders.
    """
    content = good_lines(20)
    source = sources.make(kind, content)
    cut_into(database, source.address, SMALL_CHUNK, source.fingerprint)
    load(database, sources, source)
    cut = borders(database)
    lose_chunk(database, cut[2][0])
    other = sources.make(kind, content.replace(b'"line": 0', b'"line": 7'))
    with database.connect() as connection:
        connection.execute("update raw.loaded_files set fingerprint = %s", (other.fingerprint,))
    return other, cut


@pytest.mark.parametrize("kind", SEEKING)
def test_what_is_loaded_of_a_plain_file_is_not_read_again(
    loaded: Database, sources: Sources, kind: str
) -> None:
    # If it were read, the other bytes would be noticed, as they are in the test below.
    source, cut = tampered(loaded, sources, kind)
    load(loaded, sources, source)
    assert line_numbers(loaded) == list(range(20))
    assert borders(loaded) == cut


@pytest.mark.parametrize("kind", READING_PAST)
def test_what_is_read_past_must_be_what_was_loaded(
    loaded: Database, sources: Sources, kind: str
) -> None:
    source, cut = tampered(loaded, sources, kind)
    before = line_numbers(loaded)
    words = fails(loaded, sources.s3, source.address, stdin=source.standard_input)
    assert f"bytes 0 to {cut[0][1]} are not those that were loaded before" in words
    assert line_numbers(loaded) == before


LONG_STREAM = good_lines(14_000)
assert len(LONG_STREAM) > PART_BYTES * 1.2, "it is no more than what a stream is known by"


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[:-20] + b"x" * 19 + b"\n",
        lambda content: content[:-1] + b" \n",
        lambda content: content + b'{"line": 14000}\n',
        lambda content: content[: content.rindex(b"\n", 0, -1) + 1],
    ],
    ids=["other bytes at its end", "a byte more", "a line more", "a line less"],
)
def test_a_stream_that_only_begins_like_one_before_is_noticed(
    loaded: Database, sources: Sources, change: Callable[[bytes], bytes]
) -> None:
    load(loaded, sources, sources.make("pipe", LONG_STREAM))
    words = fails(loaded, None, "-", stdin=change(LONG_STREAM))
    assert "not those that were loaded before" in words
    assert len(documents(loaded)) == 14_000


def test_a_stream_that_ends_at_a_border_before_what_was_loaded_is_noticed(
    loaded: Database, sources: Sources
) -> None:
    # A producer that died: without a word the user would think that all is loaded.
    source = sources.make("pipe", LONG_STREAM)
    cut_into(loaded, source.address, 400_000, source.fingerprint)
    load(loaded, sources, source)
    *_, (last_begin, _) = borders(loaded)
    assert last_begin > PART_BYTES
    assert "loaded before" in fails(loaded, None, "-", stdin=LONG_STREAM[:last_begin])


def test_the_same_stream_twice_loads_nothing_the_second_time(
    loaded: Database, sources: Sources
) -> None:
    source = sources.make("pipe", content_of_all_kinds())
    assert "45 lines = " in load(loaded, sources, source)
    before = documents(loaded)
    assert "0 lines = 0 loaded" in load(loaded, sources, source)
    assert documents(loaded) == before


def test_standard_input_may_be_slow_and_come_in_pieces(loaded: Database) -> None:
    content = content_of_all_kinds()
    process = start(loaded, "load", "-")
    assert process.stdin is not None
    for begin in range(0, len(content), 700):
        process.stdin.write(content[begin : begin + 700])
        process.stdin.flush()
        time.sleep(0.01)
    assert "45 lines = 40 loaded + 4 rejected + 1 blank" in end(process).stderr


def test_empty_standard_input_is_an_error(loaded: Database) -> None:
    assert "standard input is empty" in fails(loaded, None, "-")
    assert documents(loaded) == []


def test_standard_input_that_is_closed_is_an_error(loaded: Database) -> None:
    process = start(loaded, "load", "-", preexec_fn=lambda: os.close(0))
    assert "standard input" in words_of_failure(end(process))


def test_a_compressed_stream_on_standard_input_is_an_error(
    loaded: Database, tmp_path: Path
) -> None:
    archive = compressed(tmp_path / "labels.jsonl.gz", content_of_all_kinds())
    assert "is no text" in fails(loaded, None, "-", stdin=archive.read_bytes())


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".zst"])
def test_a_file_that_is_compressed_by_name_alone_is_an_error(
    loaded: Database, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"labels.jsonl{suffix}"
    path.write_bytes(good_line(1) + b"\n")
    assert str(path) in fails(loaded, None, str(path))
    assert fetch(loaded, "select from raw.loaded_files") == []


def test_a_truncated_archive_keeps_the_whole_chunks_before_its_end(
    loaded: Database, tmp_path: Path
) -> None:
    content = good_lines(45_000)
    path = compressed(tmp_path / "labels.jsonl.gz", content)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 9 // 10])
    readable = len(zlib.decompressobj(wbits=31).decompress(path.read_bytes()))
    chunk_bytes = 2 << 20
    assert chunk_bytes + 2 * READ_BYTES < readable < 2 * chunk_bytes
    cut_into(loaded, path, chunk_bytes)
    # The first chunk is still being loaded when the reader comes to the end.
    with loaded.connect() as other:
        other.execute("select pg_advisory_lock('raw.rekognition_responses'::regclass::bigint)")
        loading = start(loaded, "load", "--workers=1", path)
        with suppress(subprocess.TimeoutExpired):
            loading.wait(timeout=SECONDS_TO_STOP + 2.5)  # one that breaks off has ended by then
    assert "cannot be read to its end" in words_of_failure(end(loading))
    assert borders(loaded) == [(0, content.index(b"\n", chunk_bytes - 1) + 1)]
    numbers = line_numbers(loaded)
    assert numbers == list(range(content.count(b"\n", 0, borders(loaded)[0][1])))
    assert fetch(loaded, "select finished_at from raw.loaded_files") == [(None,)]


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".zst"])
def test_an_archive_that_is_damaged_or_cut_is_an_error(
    loaded: Database, tmp_path: Path, suffix: str
) -> None:
    stored = compressed(tmp_path / f"labels.jsonl{suffix}", good_lines(45_000)).read_bytes()
    middle = len(stored) // 2
    damaged = tmp_path / f"damaged.jsonl{suffix}"
    damaged.write_bytes(stored[:middle] + bytes(2000) + stored[middle + 2000 :])
    cut = tmp_path / f"cut.jsonl{suffix}"
    cut.write_bytes(stored[:middle])
    longer = tmp_path / f"longer.jsonl{suffix}"
    longer.write_bytes(stored + b"and more")
    for path in (damaged, cut, longer):
        # The reader of .bz2 passes over what follows.
        if path is longer and suffix == ".bz2":
            continue
        words = fails(loaded, None, str(path))
        assert f"{path} cannot be read to its end: " in words
        assert f"`python -m loader forget {path}`, fetch it anew, and load that" in words
        loaded.loader("forget", path)
    assert fetch(loaded, "select from raw.loaded_files") == []


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".zst"])
def test_an_archive_that_is_cut_within_its_first_lines_is_an_error(
    loaded: Database, tmp_path: Path, suffix: str
) -> None:
    path = compressed(tmp_path / f"labels.jsonl{suffix}", good_lines(100))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    words = fails(loaded, None, str(path))
    assert f"{path} is no {suffix} file, or cut short or damaged: " in words
    assert words.endswith("; fetch it anew\n")


@pytest.mark.parametrize("suffix", [".gz", ".bz2"])
def test_an_archive_of_nothing_is_an_error_as_nothing_is(
    loaded: Database, tmp_path: Path, suffix: str
) -> None:
    path = compressed(tmp_path / f"labels.jsonl{suffix}", b"")
    assert path.stat().st_size > 0
    assert f"{path} is empty; nothing was loaded" in fails(loaded, None, str(path))
    path.write_bytes(b"")
    assert f"{path} is empty; nothing was loaded" in fails(loaded, None, str(path))
    assert fetch(loaded, "select from raw.loaded_files") == []


@pytest.mark.parametrize("name", ["x" * 300, "labels*" + "x" * 300])
def test_a_name_that_no_file_can_have_is_an_error(loaded: Database, name: str) -> None:
    assert name in fails(loaded, None, name)


def test_a_folder_is_an_error_that_names_a_glob(loaded: Database, tmp_path: Path) -> None:
    assert f"is a folder; name its files, for example {tmp_path}/*" in fails(
        loaded, None, str(tmp_path)
    )


def test_no_name_of_a_file_steers_the_terminal(loaded: Database, tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[2J\n\u202eb.jsonl"
    escaped = str(tmp_path / r"a\x1b[2J\n\u202eb.jsonl")
    assert f"Error: no file matches {escaped}\n" == fails(loaded, None, str(path))
    path.write_bytes(good_lines(1))
    assert f"{escaped}: 1 lines = 1 loaded" in loaded.loader("load", path)
    assert f"{escaped}: loaded before, nothing to do\n" == loaded.loader("load", path)
    assert loaded.loader("status").startswith(f"{escaped}: loaded (rekognition), ")
    assert loaded.loader("status").count("\n") == 2  # and the totals


def test_a_glob_of_s3_keys(loaded: Database, sources: Sources) -> None:
    keys = ("2024/part-0.jsonl", "2024/part-1.jsonl", "2024/part-9.txt", "2025/part-2.jsonl")
    for number, key in enumerate(keys):
        sources.s3.put(key, good_line(number))
    load(loaded, sources, Source(f"s3://{BUCKET}/2024/part-[0-8].jsonl", ""))
    assert line_numbers(loaded) == [0, 1]


def test_a_glob_passes_over_the_empty_keys_that_consoles_make_of_folders(
    loaded: Database, sources: Sources
) -> None:
    sources.s3.put("folder/", b"")
    sources.s3.put("folder/part.jsonl", good_line(1))
    load(loaded, sources, Source(f"s3://{BUCKET}/folder/*", ""))
    assert line_numbers(loaded) == [1]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (f"s3://{BUCKET}/missing.jsonl", "missing.jsonl cannot be read"),
        ("s3://no-such-bucket/labels.jsonl", "no-such-bucket"),
        ("s3://no-such-bucket/*.jsonl", "no-such-bucket"),
        ("s3://buck*/labels.jsonl", "names no bucket"),
        (f"s3://{BUCKET}/nothing-*.jsonl", "no file matches"),
        (f"s3://{BUCKET}", f"s3://{BUCKET}"),
        (f"s3://{BUCKET}/", f"s3://{BUCKET}/"),
        ("s3://", "s3://"),
    ],
)
def test_an_s3_address_that_leads_nowhere_says_so(
    loaded: Database, s3: S3, address: str, words: str
) -> None:
    assert words in fails(loaded, s3, address)


def test_an_empty_s3_object_is_an_error(loaded: Database, s3: S3) -> None:
    assert "is empty" in fails(loaded, s3, s3.put("empty.jsonl", b""))


def test_s3_that_does_not_answer_or_knows_nobody_says_what_to_check(
    loaded: Database, s3: S3
) -> None:
    address = s3.put("labels.jsonl", good_line(1))
    silent = fails(loaded, None, address, AWS_ENDPOINT_URL=f"http://{LOOPBACK}:1")
    assert "AWS_ENDPOINT_URL" in silent
    without = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": "/nonexistent"}
    assert "credentials" in fails(loaded, s3, address, **without)


@pytest.mark.parametrize("kind", SEEKING)
def test_a_file_that_goes_away_while_the_loader_waits_is_an_error(
    loaded: Database, sources: Sources, kind: str
) -> None:
    source = sources.make(kind, content_of_all_kinds())
    cut_into(loaded, source.address, SMALL_CHUNK, source.fingerprint)
    with loaded.connect() as other:
        other.execute(
            """
            select pg_advisory_lock('raw.loaded_files'::regclass::oid::integer, file_id::integer)
            from raw.loaded_files
            """
        )
        waiting = start(loaded, "load", source.address, **sources.s3.environment)
        assert waiting.stderr is not None
        assert b"another loader is at it" in waiting.stderr.readline()
        if kind == "s3":
            sources.s3.client().delete_object(Bucket=BUCKET, Key="labels.jsonl")
        else:
            Path(source.address).unlink()
    words_of_failure(end(waiting))


@pytest.mark.parametrize("goes_away", [False, True], ids=["breaks off", "goes away"])
def test_s3_that_breaks_off_costs_no_line(
    loaded: Database, sources: Sources, goes_away: bool
) -> None:
    source = sources.make("s3", good_lines(40_000))
    load(loaded, sources, source)
    reads_lines = len(sources.s3.ranges)  # the last request; those before look at the file
    with loaded.connect() as connection:
        connection.execute("truncate raw.loaded_files, raw.loaded_chunks, raw.rejected_lines")
        connection.execute("truncate raw.rekognition_responses")
    cut_into(loaded, source.address, 1 << 18, source.fingerprint)
    with serving(breaks_at=reads_lines, goes_away=goes_away) as breaking:
        if goes_away:
            words = fails(loaded, breaking, source.address)
            assert "run the same command again" in words or "What is loaded stays" in words
            assert 0 < len(line_numbers(loaded)) < 40_000
        else:
            load(loaded, Sources(sources.folder, breaking), source)
    load(loaded, sources, source)
    assert line_numbers(loaded) == list(range(40_000))
