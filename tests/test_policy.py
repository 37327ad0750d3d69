"""The check of the label policy's files: a broken rule is named with its file and line."""

import shutil
from pathlib import Path

import pytest

from policy.check import check
from policy.files import FOLDER, label_key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the policy's files."""
    for path in FOLDER.glob("*.csv"):
        shutil.copy(path, tmp_path)
    return tmp_path


def edit(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / f"{file}.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def problems(folder: Path) -> str:
    return "\n".join(map(str, check(folder)))


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
        ("included_labels", "\nCat,\n", "\nCat\n", "has 1 values, it needs 2"),
        ("included_labels", "\nCat,\n", '\n"Cat,\n', "is no CSV"),
        ("included_labels", "\nATM,\n", "\n", "becomes “ATM”, which is not included"),
        ("included_labels", "\nRAM,\n", "\nRAM,\nRAM Memory,\n", "only its correction"),
        ("included_labels", "\nKey,\n", "\nKey,\nKid,\n", "sensitive_labels.csv withholds it"),
        ("included_labels", "\nRifle,\n", "\n", "“Rifle” is flagged but not included"),
        ("included_labels", "\nFir,\n", "\n", "“Abies” is included, but alias of Fir"),
        ("included_labels", "label,minimum_accuracy", "label", "the first line must be"),
        ("reviewed_labels", "\nCat,\n", "\n", "“Cat” is included but not in reviewed_labels"),
        ("reviewed_labels", "\nFireman,\n", "\n", "“Fireman” is corrected but not in reviewed"),
        ("reviewed_labels", "\nCat,\n", "\nDog,\nCat,\n", "stands after “Dog”; sort the lines"),
        ("sensitive_labels", "withhold,guesses", "hide,guesses", "needs withhold or flag"),
        ("sensitive_labels", "Adult,age,", "Adult,weapons,", "its category is one of age"),
        ("sensitive_labels", "guesses how old a person is", "", "“Adult” has no reason"),
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
    assert problems(folder) == "tag_providers.csv:1: the file is missing; take it back from git"


def test_a_file_that_is_not_utf8_is_named(folder: Path) -> None:
    (folder / "tag_providers.csv").write_bytes(b"\xff\xfe")
    assert "tag_providers.csv:1: is not UTF-8" in problems(folder)


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
