import hashlib
import json
from pathlib import Path

import pytest
from conftest import Database
from loads import GOOD, borders, documents, fails, lose_chunk, rejects, write

from loader.chunks import LONGEST_LINE_BYTES
from loader.files import PART_BYTES, PARTS, fingerprint


def test_lines_arrive_whole_in_order_and_once(loaded: Database, tmp_path: Path) -> None:
    lines = [b'{"line": %d, "text": "caf\xc3\xa9 \\u00e9 \x7f"}' % number for number in range(1000)]
    file = write(tmp_path / "labels.jsonl", *lines)
    assert "1,000 lines = 1,000 loaded + 0 rejected + 0 blank" in loaded.loader("load", file)
    assert "loaded before, nothing to do" in loaded.loader("load", file)
    assert documents(loaded) == [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("bad_line", "reason"),
    [
        (b'{"cut": "off', "invalid input syntax for type json"),
        (b"no json", "invalid input syntax for type json"),
        (rb'{"nul": "\u0000"}', "unsupported Unicode escape sequence"),
        (rb'{"surrogate": "\ud800"}', "invalid input syntax for type json"),
        (b'{"latin1": "caf\xe9"}', "invalid byte sequence for encoding"),
        (b'{"nul byte": "\0"}', "invalid byte sequence for encoding"),
        (b'{"range": 1e1000000}', "value overflows numeric format"),
        (b"[" * 100_000 + b"]" * 100_000, "stack depth limit exceeded"),
        (b'{"control": "\x01\x02"}', "invalid input syntax for type json"),
    ],
    ids=lambda value: value[:12].decode("latin1") if isinstance(value, bytes) else None,
)
def test_a_refused_line_is_kept_with_its_reason_and_costs_no_other(
    loaded: Database, tmp_path: Path, bad_line: bytes, reason: str
) -> None:
    file = write(tmp_path / "labels.jsonl", GOOD, bad_line, GOOD)
    assert "3 lines = 2 loaded + 1 rejected + 0 blank" in loaded.loader("load", file)
    ((offset, line, why),) = rejects(loaded)
    assert (offset, line) == (len(GOOD) + 1, bad_line)
    assert len(documents(loaded)) == 2
    assert reason in why
    assert f"byte {offset}: " in loaded.loader("rejects")


def test_what_json_allows_around_a_line_is_loaded(loaded: Database, tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_bytes(GOOD + b"\r\n" + b"  \t\n" + b"\n" + b"  " + GOOD + b"\r\n" + GOOD)
    assert "5 lines = 3 loaded + 0 rejected + 2 blank" in loaded.loader("load", file)


def test_a_load_goes_on_where_it_stopped(loaded: Database, tmp_path: Path) -> None:
    padding = b'{"line": %d, "padding": "' + b"x" * 50_000 + b'"}'
    lines = [padding % number for number in range(500)]
    file = write(tmp_path / "labels.jsonl", *lines)
    assert file.stat().st_size > 2 * LONGEST_LINE_BYTES
    loaded.loader("load", file)
    want = borders(loaded)
    lose_chunk(loaded, want[1][0])
    assert "unfinished" in loaded.loader("status")
    loaded.loader("load", file)
    assert [document["line"] for document in documents(loaded)] == list(range(500))
    assert borders(loaded) == want
    assert [first for first, _ in want[1:]] == [end for _, end in want[:-1]]
    assert (want[0][0], want[-1][1]) == (0, file.stat().st_size)


def test_a_file_is_known_by_its_content(loaded: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", GOOD)
    loaded.loader("load", file)
    renamed = file.rename(tmp_path / "other.jsonl")
    assert "loaded before" in loaded.loader("load", renamed)
    changed = write(file, GOOD, GOOD)
    assert "2 lines = 2 loaded" in loaded.loader("load", changed)


def test_every_byte_of_a_file_up_to_64_mib_is_in_its_fingerprint(tmp_path: Path) -> None:
    content = bytearray(3 * (1 << 20) + 17)
    file = tmp_path / "file"
    file.write_bytes(content)
    assert fingerprint(file) == f"{len(content)}:{hashlib.sha256(content).hexdigest()}"


def test_every_part_of_a_longer_file_is_in_its_fingerprint(tmp_path: Path) -> None:
    between = 2 * PART_BYTES
    file = tmp_path / "file"
    with file.open("wb") as sparse:
        sparse.truncate((PARTS - 1) * between + PART_BYTES)
        known_by = {fingerprint(file)}
        for part in range(PARTS):
            for byte in (part * between, part * between + PART_BYTES - 1):
                sparse.seek(byte)
                sparse.write(b"x")
                sparse.flush()
                known_by.add(fingerprint(file))
    assert len(known_by) == 1 + 2 * PARTS


def test_globs_and_several_files(loaded: Database, tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"part-{number}.jsonl", b'{"part": %d}' % number)
    single = write(tmp_path / "single.jsonl", GOOD)
    loaded.loader("load", str(tmp_path / "part-*.jsonl"), str(single), str(single))
    *lines, _ = loaded.loader("status").splitlines()
    names = [line.split(":")[0] for line in lines]
    assert names == [*(str(tmp_path / f"part-{number}.jsonl") for number in range(3)), str(single)]


def test_files_that_cannot_be_loaded_stop_the_load_before_it_begins(
    loaded: Database, tmp_path: Path
) -> None:
    good = write(tmp_path / "good.jsonl", GOOD)
    empty = write(tmp_path / "empty.jsonl", end=b"")
    picture = write(tmp_path / "picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0")
    utf16 = write(tmp_path / "utf16.jsonl", '{"image_uuid": 1}\n'.encode("utf-16"))
    assert "does not exist" in fails(loaded, "load", good, tmp_path / "missing.jsonl")
    assert "is a folder" in fails(loaded, "load", good, tmp_path)
    assert "is empty" in fails(loaded, "load", good, empty)
    assert "is no text" in fails(loaded, "load", good, picture)
    assert "is no text" in fails(loaded, "load", good, utf16)
    assert "no file matches" in fails(loaded, "load", good, tmp_path / "*.json")
    assert loaded.loader("status") == "nothing has been loaded\n"


def test_a_load_before_init_says_so(database: Database, tmp_path: Path) -> None:
    assert "loader init" in fails(database, "load", write(tmp_path / "labels.jsonl", GOOD))


def test_a_wrong_address_says_what_to_check(tmp_path: Path) -> None:
    nowhere = Database(str(tmp_path), "refinery", tmp_path)
    assert "PGHOST" in fails(nowhere, "status")
