"""Where lines come from: plain and compressed files, S3, standard input; whole or resumed."""

import fcntl
import hashlib
import json
import os
import termios
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest
import smart_open
from conftest import Database, empty
from loads import (
    borders,
    cut_into,
    documents,
    end,
    fails,
    fetch,
    lose_chunk,
    rejects,
    start,
    wait_for,
    wait_until_blocked,
    words_of_failure,
    write,
)
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from loader.chunks import READ_BYTES
from loader.cli import cli
from loader.errors import UserError
from loader.files import PART_BYTES, find_files, fingerprint
from loader.load import load_files

ZSTD_CHECKSUM_FLAG = 201  # ZSTD_c_checksumFlag
SUFFIXES = (".gz", ".bz2", ".zst")
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


@cache
def good_lines(count: int, first: int = 0) -> bytes:
    return b"".join(good_line(number) + b"\n" for number in range(first, first + count))


def content_of_all_kinds() -> bytes:
    lines = [good_line(number) for number in range(40)]
    for place, bad in zip((3, 11, 20, 38), BAD_LINES, strict=True):
        lines.insert(place, bad)
    lines[7] = b"  " + lines[7] + b" \r"
    lines[15:15] = [b"", b"  \t\r"]
    return b"\xef\xbb\xbf" + b"\n".join(lines)  # a mark at the beginning, no newline at the end


ACCOUNT = "46 lines = 40 loaded + 4 rejected + 2 blank"


@dataclass
class S3:
    """An S3 server, and the ranges of the objects that it was asked for.

    The body of one ranged request, counted from 1, may break off, and the server go away with it.
    """

    endpoint: str = ""
    ranges: list[str] = field(default_factory=list)
    breaks_at: int = 0
    goes_away: bool = False
    is_away: bool = False

    @property
    def environment(self) -> dict[str, str]:
        return CREDENTIALS | {"AWS_ENDPOINT_URL": self.endpoint}

    def put(self, key: str, content: bytes) -> str:
        self.client().put_object(Bucket=BUCKET, Key=key, Body=content)
        return f"s3://{BUCKET}/{key}"

    def client(self) -> Any:  # noqa: ANN401 - boto3 makes its classes as it runs
        with mock.patch.dict(os.environ, self.environment):
            return boto3.client("s3")

    def serve(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if self.is_away:
            start_response("503 Service Unavailable", [])
            return []
        body: Iterable[bytes] = MOTO(environ, start_response)
        if environ["REQUEST_METHOD"] == "GET" and "HTTP_RANGE" in environ:
            self.ranges.append(environ["HTTP_RANGE"])
            if len(self.ranges) == self.breaks_at:
                self.is_away = self.goes_away
                content = b"".join(body)
                return [content[: len(content) // 2]]
        return body


MOTO = DomainDispatcherApplication(create_backend_app)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """S3 on a free port."""
    s3 = S3()
    server = make_server(LOOPBACK, 0, s3.serve, threaded=True)
    s3.endpoint = f"http://{LOOPBACK}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    s3.client().create_bucket(Bucket=BUCKET)
    yield s3
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    for name in NOT_INHERITED:
        monkeypatch.delenv(name, raising=False)
    s3_server.ranges.clear()
    s3_server.breaks_at, s3_server.is_away = 0, False
    return s3_server


@dataclass(frozen=True)
class Source:
    """One content, as it is stored somewhere."""

    address: str
    fingerprint: str = ""
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

    def load(self, database: Database, source: Source) -> str:
        """Load a source, which has to succeed, and return what was said."""
        words = ("load", "--workers=2", source.address)
        done = database.invoke(cli, *words, stdin=source.standard_input, **self.s3.environment)
        assert done.exit_code == 0, done.stderr
        return done.stderr

    def refused(self, database: Database, source: Source) -> str:
        """Load a source, which has to fail and to load nothing; return the words."""
        before = documents(database)
        stdin, where = source.standard_input, self.s3.environment
        words = fails(database, "load", source.address, stdin=stdin, **where)
        assert documents(database) == before
        return words


@pytest.fixture
def sources(tmp_path: Path, s3: S3) -> Sources:
    return Sources(tmp_path, s3)


def line_numbers(database: Database) -> list[int]:
    return [document["line"] for document in documents(database)]


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
    assert ACCOUNT in sources.load(loaded, source)
    assert documents(loaded) == want_documents
    assert rejects(loaded) == want_rejects
    want_borders = borders(loaded)
    assert len(want_borders) > 8
    assert all(content[end - 1 : end] == b"\n" for _, end in want_borders[:-1])
    assert want_borders[-1][1] == len(content)

    lost = next(border for border in want_borders if border[0] > want_rejects[1][0] - SMALL_CHUNK)
    lose_chunk(loaded, lost[0])
    lines = content[slice(*lost)].count(b"\n")
    assert f"{lines} lines = " in sources.load(loaded, source)
    words = "0 lines = 0 loaded" if kind == "pipe" else "loaded before, nothing to do"
    assert words in sources.load(loaded, source)
    assert documents(loaded) == want_documents
    assert rejects(loaded) == want_rejects
    assert borders(loaded) == want_borders


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_archive_of_several_members_is_read_to_its_end(
    loaded: Database, tmp_path: Path, suffix: str
) -> None:
    # What `cat a.gz b.gz` makes, and pigz; a reader that stops after the first member loses lines.
    parts = [good_lines(5, first) for first in (0, 5, 10)]
    loaded.loader("load", compressed(tmp_path / f"joined.jsonl{suffix}", *parts))
    assert line_numbers(loaded) == list(range(15))


def test_s3_is_resumed_by_seeking(loaded: Database, sources: Sources) -> None:
    source = sources.make("s3", good_lines(5_000))
    cut_into(loaded, source.address, 100_001, source.fingerprint)
    sources.load(loaded, source)
    first_byte = borders(loaded)[2][0]
    lose_chunk(loaded, first_byte)
    sources.s3.ranges.clear()
    sources.load(loaded, source)
    assert line_numbers(loaded) == list(range(5_000))
    last_wanted = sources.s3.ranges.index(f"bytes={first_byte}-")
    # Before it the file was looked at, to know it; after it only what follows is read.
    begins = [int(asked.removeprefix("bytes=").split("-")[0]) for asked in sources.s3.ranges]
    assert all(begin >= first_byte for begin in begins[last_wanted:])


@pytest.mark.parametrize("kind", ["file", "s3", "file .gz", "pipe"])
def test_what_is_loaded_is_not_read_again_or_must_be_what_it_was(
    loaded: Database, sources: Sources, kind: str
) -> None:
    """Of 20 lines the third chunk is lost, and then the first line is another one."""
    content = good_lines(20)
    source = sources.make(kind, content)
    cut_into(loaded, source.address, SMALL_CHUNK, source.fingerprint)
    sources.load(loaded, source)
    cut = borders(loaded)
    lose_chunk(loaded, cut[2][0])
    other = sources.make(kind, content.replace(b'"line": 0', b'"line": 7'))
    with loaded.connect() as connection:
        connection.execute("update raw.loaded_files set fingerprint = %s", (other.fingerprint,))
    if kind in SEEKING:
        sources.load(loaded, other)
        assert line_numbers(loaded) == list(range(20))
        assert borders(loaded) == cut
    else:
        words = f"bytes 0 to {cut[0][1]} are not those that were loaded before"
        assert words in sources.refused(loaded, other)


@pytest.mark.parametrize(
    "change",
    [
        lambda content, _: content[:-20] + b"x" * 19 + b"\n",
        lambda content, _: content + b'{"line": 14000}\n',
        # A producer that died: without a word the user would think that all is loaded.
        lambda content, border: content[:border],
    ],
    ids=["other bytes at its end", "a line more", "an end at a chunk's border"],
)
def test_a_stream_that_only_begins_like_one_before_is_noticed(
    loaded: Database, sources: Sources, change: Callable[[bytes, int], bytes]
) -> None:
    content = good_lines(14_000)
    assert len(content) > PART_BYTES * 1.2, "it is no more than what a stream is known by"
    source = sources.make("pipe", content)
    cut_into(loaded, source.address, 400_000, source.fingerprint)
    sources.load(loaded, source)
    border, _ = borders(loaded)[-1]
    assert border > PART_BYTES
    assert "loaded before" in sources.refused(loaded, Source("-", "", change(content, border)))


def test_standard_input_may_be_slow_and_come_in_pieces(loaded: Database) -> None:
    content = content_of_all_kinds()
    process = start(loaded, "load", "-")
    pipe = process.stdin
    assert pipe is not None
    for begin in range(0, len(content), 700):
        pipe.write(content[begin : begin + 700])
        pipe.flush()
        # Until it has been read.
        wait_for(lambda: not any(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))))
    assert ACCOUNT in end(process).stderr


def test_standard_input_that_is_closed_is_an_error(loaded: Database) -> None:
    process = start(loaded, "load", "-", preexec_fn=lambda: os.close(0))
    assert "standard input" in words_of_failure(end(process))


def test_standard_input_that_is_empty_or_no_text_is_an_error(
    loaded: Database, tmp_path: Path
) -> None:
    assert "standard input is empty" in fails(loaded, "load", "-")
    archive = compressed(tmp_path / "labels.jsonl.gz", content_of_all_kinds()).read_bytes()
    assert "is no text" in fails(loaded, "load", "-", stdin=archive)
    assert documents(loaded) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_archive_that_is_none_or_empty_is_an_error(
    loaded: Database, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"labels.jsonl{suffix}"
    path.write_bytes(good_line(1) + b"\n")
    assert f"{path} is no {suffix} file, or cut short or damaged: " in fails(loaded, "load", path)
    compressed(path, good_lines(100))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    words = fails(loaded, "load", path)
    assert f"{path} is no {suffix} file, or cut short or damaged: " in words
    assert words.endswith("; fetch it anew\n")
    compressed(path, b"")
    assert path.stat().st_size > 0 or suffix == ".zst"
    assert f"{path} is empty; nothing was loaded" in fails(loaded, "load", path)
    assert fetch(loaded, "select from raw.loaded_files") == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_archive_that_is_damaged_or_cut_is_an_error(
    loaded: Database, tmp_path: Path, suffix: str
) -> None:
    whole = compressed(tmp_path / f"labels.jsonl{suffix}", good_lines(25_000)).read_bytes()
    middle = len(whole) // 2
    contents = {
        "damaged": whole[:middle] + bytes(2000) + whole[middle + 2000 :],
        "cut": whole[:middle],
        "longer": whole + b"and more",
    }
    if suffix == ".bz2":  # its reader passes over what follows
        del contents["longer"]
    for name, content in contents.items():
        path = tmp_path / f"{name}.jsonl{suffix}"
        path.write_bytes(content)
        words = fails(loaded, "load", path)
        assert f"{path} cannot be read to its end: " in words
        assert f"`python -m loader forget {path}`, fetch it anew, and load that" in words
        loaded.loader("forget", path)
    assert fetch(loaded, "select from raw.loaded_files") == []


def has_read(pid: int, path: Path) -> bool:
    """Whether a process has a file open that it has read to its end."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        if descriptor.resolve() == path:
            place = Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text()
            return f"pos:\t{path.stat().st_size}\n" in place
    return False


def test_a_truncated_archive_keeps_the_whole_chunks_before_its_end(
    loaded: Database, tmp_path: Path
) -> None:
    content = good_lines(20_000)
    path = compressed(tmp_path / "labels.jsonl.gz", content)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 9 // 10])
    readable = len(zlib.decompressobj(wbits=31).decompress(path.read_bytes()))
    chunk_bytes = 1 << 20
    assert chunk_bytes + 2 * READ_BYTES < readable < 2 * chunk_bytes
    cut_into(loaded, path, chunk_bytes)
    # The first chunk is still being loaded when the reader comes to the end.
    with loaded.connect() as other:
        other.execute("select pg_advisory_lock('raw.rekognition_responses'::regclass::bigint)")
        loading = start(loaded, "load", "--workers=1", path)
        wait_until_blocked(other)
        wait_for(lambda: has_read(loading.pid, path))
    assert "cannot be read to its end" in words_of_failure(end(loading))
    assert borders(loaded) == [(0, content.index(b"\n", chunk_bytes - 1) + 1)]
    assert line_numbers(loaded) == list(range(content.count(b"\n", 0, borders(loaded)[0][1])))
    assert fetch(loaded, "select finished_at from raw.loaded_files") == [(None,)]


def test_no_name_of_a_file_steers_the_terminal(loaded: Database, tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[2J\n\u202eb.jsonl"
    escaped = str(tmp_path / r"a\x1b[2J\n\u202eb.jsonl")
    assert f"Error: no file matches {escaped}\n" == fails(loaded, "load", path)
    path.write_bytes(good_lines(1))
    assert f"{escaped}: 1 lines = 1 loaded" in loaded.loader("load", path)
    assert f"{escaped}: loaded before, nothing to do\n" == loaded.loader("load", path)
    assert loaded.loader("status").startswith(f"{escaped}: loaded (rekognition), ")
    assert loaded.loader("status").count("\n") == 2  # and the totals


def test_a_glob_of_s3_keys_passes_over_what_consoles_make_of_folders(
    loaded: Database, sources: Sources
) -> None:
    keys = ("2024/part-0.jsonl", "2024/part-1.jsonl", "2024/part-9.txt", "2025/part-2.jsonl")
    for number, key in enumerate(keys):
        sources.s3.put(key, good_line(number))
    sources.s3.put("2024/part-2/", b"")
    sources.load(loaded, Source(f"s3://{BUCKET}/2024/part-[0-8]*"))
    assert line_numbers(loaded) == [0, 1]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (f"s3://{BUCKET}/missing.jsonl", "missing.jsonl cannot be read"),
        (f"s3://{BUCKET}/empty.jsonl", "is empty"),
        ("s3://no-such-bucket/labels.jsonl", "no-such-bucket"),
        ("s3://no-such-bucket/*.jsonl", "no-such-bucket"),
        ("s3://buck*/labels.jsonl", "names no bucket"),
        (f"s3://{BUCKET}/nothing-*.jsonl", "no file matches"),
        (f"s3://{BUCKET}/", f"s3://{BUCKET}/"),
        ("s3://", "s3://"),
    ],
)
def test_an_s3_address_that_leads_nowhere_says_so(
    loaded: Database, s3: S3, address: str, words: str
) -> None:
    s3.put("empty.jsonl", b"")
    assert words in fails(loaded, "load", address, **s3.environment)


def test_s3_that_does_not_answer_or_knows_nobody_says_what_to_check(
    loaded: Database, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = s3.put("labels.jsonl", good_line(1))
    nowhere = CREDENTIALS | {"AWS_ENDPOINT_URL": f"http://{LOOPBACK}:1"}
    assert "AWS_ENDPOINT_URL" in fails(loaded, "load", address, **nowhere)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it knows who has asked before
    without = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": "/nonexistent"}
    assert "credentials" in fails(loaded, "load", address, **(s3.environment | without))


def test_a_file_that_goes_away_before_it_is_read_is_an_error(
    loaded: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "labels.jsonl", good_line(1))
    found = find_files([str(path)])
    path.unlink()
    for name, value in loaded.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="cannot be read"):
        load_files(found)


@pytest.mark.parametrize("goes_away", [False, True], ids=["breaks off", "goes away"])
def test_s3_that_breaks_off_costs_no_line(
    loaded: Database, sources: Sources, goes_away: bool
) -> None:
    s3, source = sources.s3, sources.make("s3", good_lines(5_000))
    sources.load(loaded, source)
    s3.breaks_at = len(s3.ranges)  # the request that reads lines; those before look at the file
    s3.goes_away = goes_away
    s3.ranges.clear()
    empty(loaded)
    cut_into(loaded, source.address, 1 << 16, source.fingerprint)
    if goes_away:
        words = fails(loaded, "load", source.address, **s3.environment)
        assert "run the same command again" in words or "What is loaded stays" in words
        assert 0 < len(line_numbers(loaded)) < 5_000
        s3.is_away = False
    sources.load(loaded, source)
    assert line_numbers(loaded) == list(range(5_000))
    assert len(s3.ranges) > s3.breaks_at
