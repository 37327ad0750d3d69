"""The check of the label policy's files: a broken rule is named with its file and line."""

from pathlib import Path

import pytest
from conftest import edit

from loader.printable import printable
from review.check import NEEDS_LINES, check, check_evidence, is_accuracy, is_day
from review.files import COLUMNS, label_key

DAY = "2026-11-22"
SIGNED = f",,maintainers,{DAY}"
CAT = f"\nCat{SIGNED}\n"


def problems(folder: Path) -> str:
    return "\n".join(check(folder))


def test_the_policy_and_the_evidence_are_in_order() -> None:
    assert check() == []
    assert check_evidence() == []


# A file, what stands there, what in its place, and of what is said of it.
BROKEN = [
    ("included_labels", "\nCat,\n", "\nCat,\nCAT,\n", "“CAT” is there already, in line"),
    ("included_labels", "\nCat,\n", "\nCat ,\n", "“Cat ” has white space around its label"),
    ("included_labels", "\nCat,\n", "\n,\nCat,\n", "“” has no label"),
    ("included_labels", "\nCat,\n", "\nUnknown Thing,\nCat,\n", "not in reviewed_labels.csv"),
    ("included_labels", "\nCat,\n", "\nCat,1.1\n", "no number from 0 to 1"),
    ("included_labels", "\nApe,0.99\n", "\nApe,0.99\r\n", "csv:3: has the line end of Windows"),
    ("included_labels", "label,", "\ufefflabel,", "starts with a byte order mark"),
    ("included_labels", "\nCat,\n", "\nC\u00adat,\nCat,\n", "U+00AD SOFT HYPHEN; take it"),
    ("sensitive_labels", "\nBoy,", "\nBo\x07y,", "nobody sees, U+0007; take it away"),
    ("reviewed_labels", CAT, f"\nCa\x85t{SIGNED}{CAT}", "nobody sees, U+0085; take it away"),
    ("reviewed_labels", "\nCat,,", "\nCat,alias of  ;,", "“Cat” is an alias of “”, which"),
    ("reviewed_labels", CAT, f"\nCat,,,{DAY}\n", "“Cat” has no reviewed_by"),
    ("reviewed_labels", CAT, "\nCat,,ann,\n", "“Cat” has no reviewed_on"),
    ("reviewed_labels", CAT, "\nCat,,ann,2026-02-30\n", "a reviewed_on that is no day"),
    ("included_labels", "\nCat,\n", "\nCat\n", "has 1 values, it needs 2"),
    ("included_labels", "\nCat,\n", '\n"Cat,\n', "is no CSV"),
    ("included_labels", "\nATM,\n", "\n", "becomes “ATM”, which is not included"),
    ("included_labels", "\nRAM,\n", "\nRAM,\nRAM Memory,\n", "only that can be"),
    ("included_labels", "\nKey,\n", "\nKey,\nKid,\n", "sensitive_labels.csv withholds it"),
    ("included_labels", "\nRifle,\n", "\n", "“Rifle” is flagged but not included"),
    ("included_labels", "\nFir,\n", "\n", "“Abies” is an alias of “Fir”, which is"),
    ("included_labels", "label,minimum_accuracy", "label", "the first line must be"),
    ("reviewed_labels", CAT, "\n", "“Cat” is included but not in reviewed_labels"),
    ("reviewed_labels", f"\nFireman{SIGNED}\n", "\n", "“Fireman” is corrected but not in"),
    ("reviewed_labels", CAT, f"\nDog{SIGNED}{CAT}", "stands after “Dog”; sort the lines"),
    ("sensitive_labels", "withhold,guesses", "hide,guesses", "needs withhold or flag"),
    ("sensitive_labels", "Adult,age,", "Adult,weapons,", "its category is one of age"),
    ("sensitive_labels", "guesses how old a person is", "", "“Adult” has no reason"),
    ("label_corrections", "Atm,ATM", "Atm,Atv", "“Atm” becomes “Atv”, which is corrected too"),
    ("label_corrections", "Atm,ATM", "Atm,null", "“Atm” has no corrected"),
    ("label_corrections", "Atm,ATM", "Atm ,ATM", "label_corrections.csv:2: “Atm ” has white"),
    ("tag_providers", "true", "perhaps", "needs true or false as is_withheld"),
    ("denied_tag_patterns", "exact", "whole", "needs exact or contains as match"),
    ("denied_tag_patterns", "pdm,", " CAT ,exact,r\npdm,", "the pattern “ CAT ” denies it"),
    ("denied_tag_patterns", "pdm,", "attl,contains,r\npdm,", "“Cattle” is included, but the"),
]


@pytest.mark.parametrize(("file", "old", "new", "words"), BROKEN)
def test_a_broken_rule_is_named(policy: Path, file: str, old: str, new: str, words: str) -> None:
    edit(policy, file, old, new)
    assert words in problems(policy)


def test_a_number_and_a_day_are_what_postgres_reads_as_such() -> None:
    assert all(map(is_accuracy, ["", "0", "1", "0.990", "9e-1"]))
    assert not any(map(is_accuracy, ["1.01", "-1", "high", "NaN", "0.9_5", "\u0660", "0,9"]))
    assert is_day(DAY)
    assert not any(map(is_day, ["2026-02-30", "2026-2-3", "20261122", "24.11.2026", ""]))


NOWHERE = "cannot be read (No such file or directory); take it back from git"


def test_a_missing_file_or_folder_is_named(policy: Path) -> None:
    (policy / "tag_providers.csv").unlink()
    assert problems(policy) == f"tag_providers.csv:1: {NOWHERE}"
    gone = policy / "gone"
    assert check(gone) == [f"{file}.csv:1: {NOWHERE}" for file in COLUMNS]
    assert check_evidence(gone) == [f"{gone} {NOWHERE}"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("é,".encode("latin-1"), "is not UTF-8 (invalid continuation byte, byte 0); save it as"),
        ("a,b".encode("utf-16"), "is not UTF-8 (invalid start byte, byte 0); save it as UTF-8"),
        ("a,b".encode("utf-16-le"), "has a NUL character; save it as UTF-8"),
    ],
)
def test_a_file_that_is_not_utf8_is_named(policy: Path, content: bytes, words: str) -> None:
    (policy / "tag_providers.csv").write_bytes(content)
    assert f"tag_providers.csv:1: {words}" in problems(policy)
    evidence = policy / "evidence"
    evidence.mkdir()
    (evidence / "image_sets.csv").write_bytes(content)
    (evidence / "region_quotas.csv").mkdir()
    (evidence / "label_judgements.csv").write_text("in order")
    first, second = check_evidence(evidence)
    assert first.startswith(f"image_sets.csv:1: {words}")
    assert second.startswith("region_quotas.csv:1: cannot be read (Is a directory); take it back")


@pytest.mark.parametrize("file", COLUMNS)
def test_a_file_without_lines_is_named_where_it_cannot_be_meant(policy: Path, file: str) -> None:
    (policy / f"{file}.csv").write_text(",".join(COLUMNS[file]) + "\n")
    words = f"{file}.csv:1: has no lines below the header; take them back from git"
    assert (words in problems(policy)) == (file in NEEDS_LINES)


def test_a_problem_is_one_line_whatever_the_label(policy: Path) -> None:
    with (policy / "included_labels.csv").open("a") as lines:
        lines.write('"~\nOdd\u202e\x1b[2J",\n')
    named = [problem for problem in check(policy) if "Odd" in problem]
    assert all(problem.isprintable() for problem in named)
    assert any("“~\\nOdd\\u202e\\x1b[2J” is included but" in problem for problem in named)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("Café Ελλάδα 猫 हिन्दी ไทย 🐈 “-”", "Café Ελλάδα 猫 हिन्दी ไทย 🐈 “-”"),
        ("\x1b[2J\x9b\x7f\t\r\n", "\\x1b[2J\\x9b\\x7f\\t\\r\\n"),
        ("\u202e\u2028\u200b\ufeff\udcff\U000e0041", r"\u202e\u2028\u200b\ufeff\udcff\U000e0041"),
    ],
)
def test_what_nobody_sees_is_printed_as_an_escape(text: str, want: str) -> None:
    assert printable(text) == want


def test_names_are_compared_trimmed_and_in_lower_case() -> None:
    assert label_key(" \t\n\r\f\vCHÂTEAU DE ŽIŽKOV ") == "château de žižkov"
    # A no-break space is not trimmed, the Kelvin sign is no K.
    assert all(label_key(name) == name for name in ("\u00a0cat", "\u212aite", "İ", "ΑΒΓ"))


TWINS = [
    ("Polar  Bear", "Polar Bear"),
    ("polar\u2003bear", "Polar Bear"),
    ("Polar\u00a0Bear", "Polar Bear"),
    ("Polar\u2028Bear", "Polar Bear"),
    ("\u3000Polar Bear", "Polar Bear"),
    ("Casa Mila\u0300", "Casa Milà"),
    ("\uff23\uff41\uff54", "Cat"),
    ("\u212aite", "Kite"),  # the Kelvin sign
]


@pytest.mark.parametrize("file", ["reviewed_labels", "included_labels", "sensitive_labels"])
def test_names_that_look_alike_are_named(policy: Path, file: str) -> None:
    before = (policy / f"{file}.csv").read_text()
    for label, twin in TWINS:
        (policy / f"{file}.csv").write_text(before + label + "," * len(COLUMNS[file][1:]) + "\n")
        differs = "“{}” differs from “{}” only by white space or Unicode form; keep one"
        named, seen = problems(policy), printable(label)
        assert differs.format(seen, twin) in named or differs.format(twin, seen) in named


def test_what_is_no_problem_is_not_named(policy: Path) -> None:
    """A space more makes another name, a correction may be of just that, and exact is exact."""
    edit(policy, "label_corrections", "\nRAM", "\nPolar  Bear,Polar Bear\nRAM")
    for name in ("Polar  Bear", "Polarbear"):
        edit(policy, "reviewed_labels", "\nRAM,", f"\n{name}{SIGNED}\nRAM,")
    edit(policy, "denied_tag_patterns", "\npdm,", "\nattle,exact,r\npdm,")
    named = problems(policy)
    assert "differs from" not in named
    assert "denies" not in named
