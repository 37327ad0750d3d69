"""The check of the label policy's files: a broken rule is named with its file and line."""

from pathlib import Path

import pytest
from conftest import edit

from loader.printable import printable
from review.check import NEEDS_LINES, check, check_evidence
from review.files import COLUMNS, label_key

DAY = "2026-11-22"
SIGNED = f",,maintainers,{DAY}"
CAT = f"\nCat{SIGNED}\n"


def problems(folder: Path) -> str:
    return "\n".join(check(folder))


def test_the_policy_is_in_order() -> None:
    assert check() == []


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("included_labels", "\nCat,\n", "\nCat,\nCAT,\n", "“CAT” is there already, in line"),
        ("included_labels", "\nCat,\n", "\nCat ,\n", "“Cat ” has white space around its label"),
        ("included_labels", "\nCat,\n", "\n,\nCat,\n", "“” has no label"),
        ("included_labels", "\nCat,\n", "\nUnknown Thing,\nCat,\n", "not in reviewed_labels.csv"),
        ("included_labels", "\nCat,\n", "\nCat,1.1\n", "no number from 0 to 1"),
        ("included_labels", "\nCat,\n", "\nCat,high\n", "no number from 0 to 1"),
        ("included_labels", "\nCat,\n", "\nCat,NaN\n", "no number from 0 to 1"),
        ("included_labels", "\nCat,\n", "\nCat,0.9_5\n", "no number from 0 to 1"),
        ("included_labels", "\nCat,\n", "\nCat,\u0660\n", "no number from 0 to 1"),
        (
            "included_labels",
            "\nCat,\n",
            "\nCat,\r\n",
            "csv:574: has the line end of Windows (CRLF)",
        ),
        ("included_labels", "label,", "\ufefflabel,", "starts with a byte order mark"),
        ("included_labels", "\nCat,\n", "\nC\u00adat,\nCat,\n", "U+00AD SOFT HYPHEN; take it"),
        ("sensitive_labels", "\nBoy,", "\nBo\x07y,", "nobody sees, U+0007; take it away"),
        ("reviewed_labels", CAT, f"\nCa\x85t{SIGNED}{CAT}", "nobody sees, U+0085; take it away"),
        ("reviewed_labels", "\nCat,,", "\nCat,alias of  ;,", "“Cat” is an alias of “”, which"),
        ("reviewed_labels", CAT, f"\nCat,,,{DAY}\n", "“Cat” has no reviewed_by"),
        ("reviewed_labels", CAT, "\nCat,,ann,\n", "“Cat” has no reviewed_on"),
        (
            "reviewed_labels",
            CAT,
            "\nCat,,ann,2026-02-30\n",
            "“Cat” has a reviewed_on that is no day",
        ),
        ("reviewed_labels", CAT, "\nCat,,ann,2026-2-3\n", "“Cat” has a reviewed_on that is no day"),
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
        ("label_corrections", "Atm,ATM", "Atm,Atm", "“Atm” becomes “Atm”, which is corrected too"),
        ("label_corrections", "Atm,ATM", "Atm,null", "“Atm” has no corrected"),
        ("tag_providers", "true", "yes", "needs true or false as is_withheld"),
        ("denied_tag_patterns", "exact", "whole", "needs exact or contains as match"),
    ],
)
def test_a_broken_rule_is_named(folder: Path, file: str, old: str, new: str, words: str) -> None:
    edit(folder, file, old, new)
    assert words in problems(folder)


def test_a_problem_names_its_line(folder: Path) -> None:
    edit(folder, "label_corrections", "Atm,ATM", "Atm ,ATM")
    assert problems(folder).startswith("label_corrections.csv:2: ")


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "tag_providers.csv").unlink()
    reason = "cannot be read (No such file or directory); take it back from git"
    assert problems(folder) == f"tag_providers.csv:1: {reason}"


NOT_UTF8 = [
    ("é,".encode("latin-1"), "is not UTF-8 (invalid continuation byte, byte 0); save it as UTF-8"),
    ("a,b".encode("utf-16"), "is not UTF-8 (invalid start byte, byte 0); save it as UTF-8"),
    ("a,b".encode("utf-16-le"), "has a NUL character; save it as UTF-8"),
]


@pytest.mark.parametrize(("content", "words"), NOT_UTF8)
def test_a_file_that_is_not_utf8_is_named(folder: Path, content: bytes, words: str) -> None:
    (folder / "tag_providers.csv").write_bytes(content)
    assert f"tag_providers.csv:1: {words}" in problems(folder)


@pytest.mark.parametrize(("content", "words"), NOT_UTF8)
def test_a_file_of_the_evidence_that_is_not_utf8_is_named(
    tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "image_sets.csv").write_bytes(content)
    (tmp_path / "region_quotas.csv").mkdir()
    (tmp_path / "label_judgements.csv").write_text("in order")
    first, second = check_evidence(tmp_path)
    assert first.startswith(f"image_sets.csv:1: {words}")
    assert second.startswith("region_quotas.csv:1: cannot be read (Is a directory); take it back")


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    words = "cannot be read (No such file or directory); take it back from git"
    assert check_evidence(tmp_path / "gone") == [f"{tmp_path / 'gone'} {words}"]
    assert check(tmp_path / "gone") == [f"{file}.csv:1: {words}" for file in COLUMNS]


def test_the_evidence_is_in_order() -> None:
    assert check_evidence() == []


@pytest.mark.parametrize("file", COLUMNS)
def test_a_file_without_lines_is_named_where_it_cannot_be_meant(folder: Path, file: str) -> None:
    path = folder / f"{file}.csv"
    path.write_text(",".join(COLUMNS[file]) + "\n")
    words = f"{file}.csv:1: has no lines below the header; take them back from git"
    assert (words in problems(folder)) == (file in NEEDS_LINES)


def test_a_problem_is_one_line_whatever_the_label(folder: Path) -> None:
    with (folder / "included_labels.csv").open("a") as lines:
        lines.write('"~\nOdd\u202e\x1b[2J",\n')
    named = [problem for problem in check(folder) if "Odd" in problem]
    assert all(problem.isprintable() for problem in named)
    assert any("“~\\nOdd\\u202e\\x1b[2J” is included but" in problem for problem in named)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("Café Ελλάδα 猫 हिन्दी ไทย 🐈 “-”", "Café Ελλάδα 猫 हिन्दी ไทย 🐈 “-”"),
        ("\x1b[2J\x9b\x7f\t\r\n", "\\x1b[2J\\x9b\\x7f\\t\\r\\n"),
        ("\u202e\u2066\u2028\u200b\ufeff", "\\u202e\\u2066\\u2028\\u200b\\ufeff"),
        ("\udcff\U000e0041", "\\udcff\\U000e0041"),
    ],
)
def test_what_nobody_sees_is_printed_as_an_escape(text: str, want: str) -> None:
    assert printable(text) == want


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (" \t\n\r\f\vCat ", "cat"),
        ("CHÂTEAU DE CHAMBORD", "château de chambord"),
        ("ŽIŽKOV", "žižkov"),
        ("\u00a0Cat", "\u00a0cat"),  # a no-break space is not trimmed
        ("\u212aite", "\u212aite"),  # the Kelvin sign is no K
        ("İ", "İ"),
        ("ΑΒΓ", "ΑΒΓ"),
    ],
)
def test_names_are_compared_trimmed_and_in_lower_case(name: str, key: str) -> None:
    assert label_key(name) == key


@pytest.mark.parametrize(
    ("label", "twin"),
    [
        ("Polar  Bear", "Polar Bear"),
        ("polar\u2003bear", "Polar Bear"),
        ("Polar\u00a0Bear", "Polar Bear"),
        ("Polar\u2028Bear", "Polar Bear"),
        ("\u3000Polar Bear", "Polar Bear"),
        ("Casa Mila\u0300", "Casa Milà"),
        ("\uff23\uff41\uff54", "Cat"),
        ("\u212aite", "Kite"),  # the Kelvin sign
    ],
)
@pytest.mark.parametrize("file", ["reviewed_labels", "included_labels", "sensitive_labels"])
def test_names_that_look_alike_are_named(folder: Path, file: str, label: str, twin: str) -> None:
    with (folder / f"{file}.csv").open("a") as lines:
        lines.write(label + "," * (len(COLUMNS[file]) - 1) + "\n")
    differs = "“{}” differs from “{}” only by white space or Unicode form; keep one"
    named = problems(folder)
    seen = printable(label)
    assert differs.format(seen, twin) in named or differs.format(twin, seen) in named


def test_names_with_and_without_a_space_are_two(folder: Path) -> None:
    edit(folder, "reviewed_labels", "\nPolar Bear,", f"\nPolar Bear{SIGNED}\nPolarbear,")
    assert problems(folder) == ""


def test_a_correction_may_differ_by_white_space_alone(folder: Path) -> None:
    edit(folder, "label_corrections", "\nPc,", "\nPolar  Bear,Polar Bear\nPc,")
    edit(folder, "reviewed_labels", "\nPolar Bear,", f"\nPolar  Bear{SIGNED}\nPolar Bear,")
    assert "differs from" not in problems(folder)


@pytest.mark.parametrize(
    ("pattern", "match", "denied"),
    [("cat", "exact", "Cat"), ("attle", "contains", "Cattle"), (" CAT ", "exact", "Cat")],
)
def test_a_pattern_that_denies_an_included_label_is_named(
    folder: Path, pattern: str, match: str, denied: str
) -> None:
    edit(folder, "denied_tag_patterns", "\npdm,", f"\n{pattern},{match},r\npdm,")
    words = f"“{denied}” is included, but the pattern “{pattern}” denies it; keep one"
    assert words in problems(folder)


def test_a_pattern_that_is_exact_denies_no_longer_name(folder: Path) -> None:
    edit(folder, "denied_tag_patterns", "\npdm,", "\nattle,exact,r\npdm,")
    assert "denies" not in problems(folder)
