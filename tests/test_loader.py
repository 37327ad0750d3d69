"""Loading files: what arrives, which lines are refused, and what is no label file."""

import hashlib
import json
from pathlib import Path

import pytest
from conftest import Database
from loads import BAD, GOOD, documents, fails, fetch, write

from loader import files
from loader.files import fingerprint


@pytest.mark.both_versions
def test_lines_arrive_whole_in_order_and_once(loaded: Database, tmp_path: Path) -> None:
    lines = [b'{"line": %d, "text": "caf\xc3\xa9 \\u00e9 \x7f"}' % number for number in range(1000)]
    file = write(tmp_path / "labels.jsonl", *lines)
    assert "1,000 lines = 1,000 loaded + 0 rejected + 0 blank" in loaded.loader("load", file)
    assert "loaded before, nothing to do" in loaded.loader("load", file)
    assert documents(loaded) == [json.loads(line) for line in lines]


REFUSED = [
    (BAD, "invalid input syntax for type json"),
    (b"no json", "invalid input syntax for type json"),
    (rb'{"nul": "\u0000"}', "unsupported Unicode escape sequence"),
    (rb'{"surrogate": "\ud800"}', "invalid input syntax for type json"),
    (b'{"latin1": "caf\xe9"}', "invalid byte sequence for encoding"),
    (b'{"nul byte": "\0"}', "invalid byte sequence for encoding"),
    (b'{"range": 1e1000000}', "value overflows numeric format"),
    (b"[" * 100_000 + b"]" * 100_000, "stack depth limit exceeded"),
    (b'{"control": "\x01\x02"}', "invalid input syntax for type json"),
]


@pytest.mark.both_versions
def test_a_refused_line_is_kept_with_its_reason_and_costs_no_other(
    loaded: Database, tmp_path: Path
) -> None:
    # A file each, so that each is the first in its chunk that COPY refuses.
    names = [
        write(tmp_path / f"{number}.jsonl", GOOD, line, b'{"after": %d}' % number)
        for number, (line, _) in enumerate(REFUSED)
    ]
    said = loaded.loader("load", *names)
    assert said.count("3 lines = 2 loaded + 1 rejected + 0 blank") == len(REFUSED)
    assert documents(loaded) == [
        document
        for number in range(len(REFUSED))
        for document in ({"good": True}, {"after": number})
    ]
    query = "select byte_offset, line, reason from raw.rejected_lines order by file_id"
    kept = fetch(loaded, query)
    for (offset, line, why), (bad_line, reason) in zip(kept, REFUSED, strict=True):
        assert (offset, line) == (len(GOOD) + 1, bad_line)
        assert reason in why


def test_a_file_is_known_by_its_content(loaded: Database, tmp_path: Path) -> None:
    file = write(tmp_path / "labels.jsonl", GOOD)
    loaded.loader("load", file)
    renamed = file.rename(tmp_path / "other.jsonl")
    assert "loaded before" in loaded.loader("load", renamed)
    changed = write(file, GOOD, GOOD)
    assert "2 lines = 2 loaded" in loaded.loader("load", changed)


def test_every_byte_or_part_of_a_file_is_in_its_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to 64 parts of 1 MiB every byte, of a longer one every part; here they are 16 bytes."""
    monkeypatch.setattr(files, "PART_BYTES", 16)
    file, content = tmp_path / "file", bytes(range(256)) * 4
    file.write_bytes(content)
    assert fingerprint(file) == f"1024:{hashlib.sha256(content).hexdigest()}"
    known_by = set()
    for place in [32 * part + byte for part in range(64) for byte in (0, 15)]:
        changed = bytearray(127 * 16)
        changed[place] = 1
        file.write_bytes(changed)
        known_by.add(fingerprint(file))
    assert len(known_by) == 2 * 64


def test_globs_and_several_files_each_with_its_account(loaded: Database, tmp_path: Path) -> None:
    parts = [
        write(tmp_path / f"part-{number}.jsonl", *[b'{"part": %d}' % number] * (number + 1))
        for number in range(3)
    ]
    loaded.loader("load", parts[1])
    single = write(tmp_path / "single.jsonl", GOOD)
    assert loaded.loader("load", tmp_path / "part-*.jsonl", single, single).splitlines() == [
        f"{parts[0]}: 1 lines = 1 loaded + 0 rejected + 0 blank",
        f"{parts[1]}: loaded before, nothing to do",
        f"{parts[2]}: 3 lines = 3 loaded + 0 rejected + 0 blank",
        f"{single}: 1 lines = 1 loaded + 0 rejected + 0 blank",
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.jsonl", None, "does not exist"),
        ("empty.jsonl", b"", "is empty; nothing was loaded"),
        ("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "is no text"),
        ("utf16.jsonl", '{"image_uuid": 1}\n'.encode("utf-16"), "is no text"),
        ("*.json", None, "no file matches"),
        ("", None, "is a folder; name its files, for example "),
        ("x" * 300, None, "x" * 300),
        ("labels*" + "x" * 300, None, "x" * 300),
    ],
    ids=["missing", "empty", "picture", "UTF-16", "glob", "folder", "long", "long glob"],
)
def test_a_file_that_cannot_be_loaded_stops_the_load_before_it_begins(
    loaded: Database, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    good = write(tmp_path / "good.jsonl", GOOD)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert words in fails(loaded, "load", good, tmp_path / name)
    assert fetch(loaded, "select from raw.loaded_files") == []


def test_a_load_before_init_says_so(database: Database, tmp_path: Path) -> None:
    assert "loader init" in fails(database, "load", write(tmp_path / "labels.jsonl", GOOD))


def test_a_wrong_address_says_what_to_check(tmp_path: Path) -> None:
    nowhere = Database(str(tmp_path), "refinery", tmp_path)
    assert "PGHOST" in fails(nowhere, "status")
