"""Reviewers' files of decisions: what they agree on gets into the policy, whole or not at all."""

import csv
import os
import tempfile
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner
from conftest import UNHEARD_OF, Database, edit
from hypothesis import given, settings
from hypothesis import strategies as st
from loads import on_postgres18
from test_policy_edit import (
    APE,
    CORROSION,
    KID,
    NOTHING,
    RIFLE,
    WAS,
    another_folder,
    changes,
    contents,
)
from test_policy_edit import by as edited_by

from review.check import FLAGGED_CATEGORIES, WITHHELD_CATEGORIES, alias_of, check
from review.cli import cli
from review.decisions import COLUMNS
from review.files import FOLDER, label_key, read

HEADER = ",".join(COLUMNS)
ANN = "ann,2026-11-24"
BOB = "bob,2026-11-25"
HINT = "See what it would change: python -m review preview\nMake it live: dbt seed\n"

Apply = Callable[..., str]
Refuse = Callable[..., list[str]]


def write(name: str, *rows: str) -> str:
    Path(name).write_text("".join(f"{row}\n" for row in (HEADER, *rows)))
    return name


def run(folder: Path, *files: str) -> tuple[int, str, str]:
    """Run the command where no database answers."""
    nowhere = mock.patch.dict(os.environ, {"PGHOST": "/nowhere"})
    with nowhere, mock.patch("review.cli.FOLDER", folder):
        done = CliRunner().invoke(cli, ["apply", *files], catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(autouse=True)
def desk(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder for the files of decisions; that of the policy holds nothing else."""
    monkeypatch.chdir(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def apply(folder: Path) -> Apply:
    def succeed(*files: str) -> str:
        status, out, err = run(folder, *files)
        assert (status, err) == (0, "")
        assert check(folder) == []
        return out

    return succeed


@pytest.fixture
def refuse(folder: Path) -> Refuse:
    """Apply files in vain; returns the lines of the reason."""

    def fail(*files: str, out: str = "") -> list[str]:
        before = contents(folder)
        status, printed, err = run(folder, *files)
        assert (status, printed) == (1, out)
        assert contents(folder) == before
        *lines, last = err.removeprefix("Error: ").splitlines()
        assert last == "Nothing was changed."
        return lines

    return fail


def by(label: str, note: str = "", new: str | None = None, signed: str = ANN) -> list[str]:
    return edited_by(label, note, new, signed)


TOGETHER = "maintainers;ann,2026-11-24"
KISS = "alias of Kissing; names an act that is seen"
R = "a firearm or a part of one"


@pytest.mark.parametrize(
    ("row", "want"),
    [
        # include
        ("Zoo Gate,include,,,", ["included +Zoo Gate,", f"reviewed +Zoo Gate,,{ANN}"]),
        (
            '"A, ""B""",include,0.95,,"x, y"',
            ['included +"A, ""B""",0.95', f'reviewed +"A, ""B""","x, y",{ANN}'],
        ),
        (" ape ,include,,,", ["included -Ape,0.99", "included +Ape,", *by("Ape", APE)]),
        ("ape,include,0.5,,", ["included -Ape,0.99", "included +Ape,0.5", *by("Ape", APE)]),
        ("ape,include,0.990,,", by("Ape", APE, signed=TOGETHER)),
        ("Kiss,include,,,", by("Kiss", KISS, signed=TOGETHER)),
        ("Kiss,include,,,n", by("Kiss", KISS, "alias of Kissing; n", TOGETHER)),
        (
            "Adult,include,,,",
            [
                "included +Adult,",
                *by("Adult"),
                "sensitive -Adult,age,withhold,guesses how old a person is",
            ],
        ),
        ("Rifle,include,,,", [*by("Rifle"), f"sensitive -{RIFLE}"]),
        (
            "corrosion,include,,,",
            ["included +Corrosion,", CORROSION + WAS, f"reviewed +Corrosion,,{ANN}"],
        ),
        (
            "corrosion,include,,,n",
            ["included +Corrosion,", CORROSION + WAS, f"reviewed +Corrosion,n,{ANN}"],
        ),
        # exclude
        ("Cat,exclude,,,n", ["included -Cat,", *by("Cat", "", "n")]),
        ("Zoo Gate,exclude,,,n", [f"reviewed +Zoo Gate,n,{ANN}"]),
        (
            "Fir,exclude,,,n",
            [
                "included -Abies,",
                "included -Fir,",
                *by("Abies", "alias of Fir"),
                *by("Fir", "", "n"),
            ],
        ),
        ("Rifle,exclude,,,n", ["included -Rifle,", *by("Rifle", "", "n"), f"sensitive -{RIFLE}"]),
        (
            "Kid,exclude,,,n",
            [*by("Kid", "alias of Child", "alias of Child; n"), f"sensitive -{KID}"],
        ),
        ("corrosion,exclude,,,n", [CORROSION + WAS, f"reviewed +Corrosion,n,{TOGETHER}"]),
        # withhold
        ("Cat,withhold,,race,r", ["included -Cat,", *by("Cat"), "sensitive +Cat,race,withhold,r"]),
        (
            "Zoo Gate,withhold,,race,r",
            [f"reviewed +Zoo Gate,,{ANN}", "sensitive +Zoo Gate,race,withhold,r"],
        ),
        (
            "Kid,withhold,,age,guesses how old a person is",
            by("Kid", "alias of Child", signed=TOGETHER),
        ),
        (
            "Kid,withhold,,age,r",
            [
                *by("Kid", "alias of Child", signed=TOGETHER),
                f"sensitive -{KID}",
                "sensitive +Kid,age,withhold,r",
            ],
        ),
        (
            "Kid,withhold,,race,r",
            [*by("Kid", "alias of Child"), f"sensitive -{KID}", "sensitive +Kid,race,withhold,r"],
        ),
        # flag
        ("Cat,flag,,drugs,r", [*by("Cat"), "sensitive +Cat,drugs,flag,r"]),
        (
            "Cat,flag,0.95,drugs,r",
            ["included -Cat,", "included +Cat,0.95", *by("Cat"), "sensitive +Cat,drugs,flag,r"],
        ),
        (
            "Zoo Gate,flag,0.95,drugs,r",
            [
                "included +Zoo Gate,0.95",
                f"reviewed +Zoo Gate,,{ANN}",
                "sensitive +Zoo Gate,drugs,flag,r",
            ],
        ),
        (f"Rifle,flag,,weapons,{R}", by("Rifle", signed=TOGETHER)),
        (
            f"Rifle,flag,0.95,weapons,{R}",
            ["included -Rifle,", "included +Rifle,0.95", *by("Rifle")],
        ),
        (
            "Adult,flag,,adult,r",
            [
                *("included +Adult,", *by("Adult")),
                *(
                    "sensitive -Adult,age,withhold,guesses how old a person is",
                    "sensitive +Adult,adult,flag,r",
                ),
            ],
        ),
    ],
)
def test_a_decision_changes_the_lines_concerned(
    folder: Path, apply: Apply, row: str, want: list[str]
) -> None:
    before = contents(folder)
    file = write("ann.csv", f"{row},{ANN}")
    assert apply(file).endswith(HINT)
    assert changes(folder, before) == want
    assert apply(file) == NOTHING


def test_what_is_printed_is_what_changed(apply: Apply) -> None:
    out = apply(write("ann.csv", f"Cat,include,0.95,,,{ANN}", f"Fir,exclude,,,n,{ANN}"))
    assert out == (
        "included_labels.csv: - Abies\n"
        "included_labels.csv: - Cat\n"
        "included_labels.csv: + Cat (0.95)\n"
        "included_labels.csv: - Fir\n"
        "reviewed_labels.csv: - Abies (alias of Fir, maintainers, 2026-11-22)\n"
        "reviewed_labels.csv: + Abies (alias of Fir, ann, 2026-11-24)\n"
        "reviewed_labels.csv: - Cat (maintainers, 2026-11-22)\n"
        "reviewed_labels.csv: + Cat (ann, 2026-11-24)\n"
        "reviewed_labels.csv: - Fir (maintainers, 2026-11-22)\n"
        "reviewed_labels.csv: + Fir (n, ann, 2026-11-24)\n"
        "“Abies” goes too: it is an alias of “Fir”.\n" + HINT
    )


def signature(folder: Path, label: str) -> str:
    (line,) = [line for line in read("reviewed_labels", folder) if line.name == label]
    return line.text


def test_who_decides_the_same_signs_too(folder: Path, apply: Apply) -> None:
    """Each once, those there first stay first, and the later day stays."""
    edit(folder, "reviewed_labels", f"\nCat,,{WAS}", "\nCat,,Bob; eve,2026-11-26")
    assert apply(write("bob.csv", "Cat,include,,,,EVE ;BOB,2026-12-24")) == NOTHING
    apply(write("ann.csv", f"Cat,include,,,,bob;Ann; ANN;,{ANN[4:]}"))
    assert signature(folder, "Cat") == "Cat,,Bob;eve;Ann,2026-11-26"
    apply(write("eve.csv", "Cat,include,,,n,eve,2026-11-27"))
    assert signature(folder, "Cat") == "Cat,n,Bob;eve;Ann,2026-11-27"
    apply(write("bob.csv", "Cat,include,0.95,,,bob,2026-11-28"))
    assert signature(folder, "Cat") == "Cat,n,bob,2026-11-28"


def test_reviewers_who_agree_decide_together(folder: Path, apply: Apply) -> None:
    """In whatever letter case, number and order; reasons that differ are joined."""
    files = [
        write("ann.csv", f"Zoo Gate,include,0.9,,seen,{ANN}", f"Cat,flag,,drugs,r,{ANN}"),
        write("bob.csv", f"ZOO GATE,include,0.90,,a gate,{BOB}", f"cat,flag,,drugs,r,{BOB}"),
        write("eve.csv", "zoo gate,include,9e-1,,,Eve;ANN,2026-11-23"),
    ]
    before = contents(folder)
    apply(*files)
    assert changes(folder, before) == [
        "included +zoo gate,9e-1",
        *by("Cat", signed="ann;bob,2026-11-25"),
        "reviewed +zoo gate,seen; a gate,Eve;ANN;bob,2026-11-25",
        "sensitive +Cat,drugs,flag,r",
    ]
    assert apply(*reversed(files)) == NOTHING


def test_what_reviewers_disagree_on_is_left_to_them(folder: Path, apply: Apply) -> None:
    files = [
        write("eve.csv", "Cat,exclude,,,seen on dogs,eve;ann,2026-11-26"),
        write(
            "ann.csv",
            f"Cat,include,0.95,,,{ANN}",
            f"Dog,flag,,drugs,r,{ANN}",
            f"Cow,exclude,,,n,{ANN}",
        ),
        write("bob.csv", f"DOG,flag,,weapons,r,{BOB}", f"cat,include,,,n,{BOB}"),
    ]
    left = (
        "Reviewers disagree on “Cat”, so none of this was applied:\n"
        "    ann.csv:2: include from 0.95 on (ann)\n"
        "    bob.csv:3: include (bob): n\n"
        "    eve.csv:2: exclude (eve, ann): seen on dogs\n"
        "Reviewers disagree on “Dog”, so none of this was applied:\n"
        "    ann.csv:3: flag as drugs (ann): r\n"
        "    bob.csv:2: flag as weapons (bob): r\n"
        "2 labels are left for you to agree on: Cat, Dog\n"
    )
    before = contents(folder)
    assert apply(*files).endswith(HINT + left)
    assert changes(folder, before) == ["included -Cow,", *by("Cow", "", "n")]
    assert apply(*reversed(files)) == NOTHING + left


@pytest.mark.parametrize("said", ["exclude,,,n", "include,,,", "include,0.96,,"])
def test_files_that_disagree_on_all_change_nothing(folder: Path, apply: Apply, said: str) -> None:
    before = contents(folder)
    bob = write("bob.csv", f"Cat,include,0.95,,,{BOB}")
    out = apply(write("ann.csv", f"Cat,{said},{ANN}"), bob)
    assert out.startswith("Reviewers disagree on “Cat”")
    assert out.endswith("\n1 label is left for you to agree on: Cat\n")
    assert contents(folder) == before


def test_a_label_that_needs_one_that_is_left_is_refused_and_both_are_named(refuse: Refuse) -> None:
    ann = write("ann.csv", f"Zoo,include,,,alias of Zoo Gate,{ANN}", f"Zoo Gate,include,,,,{ANN}")
    bob = write("bob.csv", f"Zoo Gate,exclude,,,n,{BOB}")
    left = (
        "Reviewers disagree on “Zoo Gate”, so none of this was applied:\n"
        "    ann.csv:3: include (ann)\n"
        "    bob.csv:2: exclude (bob): n\n"
        "1 label is left for you to agree on: Zoo Gate\n"
    )
    assert refuse(ann, bob, out=left) == [
        "ann.csv:2: “Zoo” is an alias of “Zoo Gate”, which is not included; include both or neither"
    ]


def test_an_alias_that_is_decided_on_too_does_not_just_go_along(
    folder: Path, apply: Apply, refuse: Refuse
) -> None:
    fir = f"Fir,exclude,,,n,{ANN}"
    assert refuse(write("ann.csv", fir, f"Abies,include,,,,{ANN}")) == [
        "ann.csv:3: “Abies” is an alias of “Fir”, which is not included; include both or neither"
    ]
    before = contents(folder)
    apply(write("ann.csv", fir), write("bob.csv", f"Abies,withhold,,race,r,{BOB}"))
    assert changes(folder, before) == [
        *("included -Abies,", "included -Fir,"),
        *(*by("Abies", "alias of Fir", signed=BOB), *by("Fir", "", "n")),
        "sensitive +Abies,race,withhold,r",
    ]


def test_a_later_decision_stands_and_the_earlier_one_is_named(folder: Path, apply: Apply) -> None:
    """As when a page is exported again that still has last month's decisions."""
    before = contents(folder)
    out = apply(
        write("ann.csv", *(f"{label},include,,,,ann,2026-11-01" for label in ("Woman", "Cat")))
    )
    assert changes(folder, before) == by("Cat", signed="maintainers;ann,2026-11-22")
    assert (
        "ann.csv:2: “Woman” was decided otherwise since, on 2026-11-22 by maintainers, and stays"
        " so; to include it all the same, give the decision of 2026-11-01 a later day.\n"
    ) in out


def test_what_was_withheld_or_flagged_and_is_no_longer_is_said(apply: Apply) -> None:
    out = apply(write("ann.csv", f"Woman,include,,,why,{ANN}", f"Rifle,include,,,,{ANN}"))
    withheld = "“Woman” was withheld (gender: guesses a person's gender), and now is no longer.\n"
    assert withheld in out
    assert f"“Rifle” was flagged (weapons: {R}), and now is no longer.\n" in out


def test_an_alias_that_reviewers_disagree_on_does_not_go_along(refuse: Refuse) -> None:
    ann = write("ann.csv", f"Fir,exclude,,,n,{ANN}", f"Abies,exclude,,,n,{ANN}")
    bob = write("bob.csv", f"Abies,flag,,drugs,r,{BOB}")
    lines = refuse(ann, bob, out=DISPUTED)
    assert lines == [
        "ann.csv:2: “Abies” is an alias of “Fir”, which is not included; include both or neither"
    ]


DISPUTED = """Reviewers disagree on “Abies”, so none of this was applied:
    ann.csv:3: exclude (ann): n
    bob.csv:2: flag as drugs (bob): r
1 label is left for you to agree on: Abies
"""

GOOD = f"Cat,exclude,,,n,{ANN}"


@pytest.mark.parametrize(
    ("row", "want"),
    [
        (f",include,,,,{ANN}", "names no label; name one, or take the line out"),
        (f"null,include,,,,{ANN}", "names no label"),
        (f"Dog,show,,,,{ANN}", "decides “show” on “Dog”; say one of include, exclude, withhold,"),
        (f"Dog,,,,,{ANN}", "decides “” on “Dog”; say one of include"),
        (f"Dog,include,1.5,,,{ANN}", "has the minimum accuracy “1.5”; say a number from 0 to 1"),
        (f'Dog,include,"0,9",,,{ANN}', "has the minimum accuracy “0,9”; say a number"),
        (f"Dog,flag,NaN,drugs,r,{ANN}", "has the minimum accuracy “NaN”; say a number"),
        (f"Dog,exclude,0.9,,n,{ANN}", "has a minimum accuracy, which exclude has not; leave it"),
        (f"Dog,withhold,0.9,age,r,{ANN}", "has a minimum accuracy, which withhold has not"),
        (f"Dog,include,,age,,{ANN}", "has a category, which include has not; leave it empty"),
        (f"Dog,withhold,,drugs,r,{ANN}", "has the category “drugs”; for withhold say one of age,"),
        (f"Dog,withhold,,,r,{ANN}", "has the category “”; for withhold say one of age, gender,"),
        (f"Dog,flag,,age,r,{ANN}", "has the category “age”; for flag say one of weapons, adult,"),
        (f"Dog,exclude,,, ,{ANN}", "has no reason; say why to exclude “Dog”"),
        (f"Dog,withhold,,age,null,{ANN}", "has no reason; say why to withhold “Dog”"),
        (f"Dog,flag,,drugs,,{ANN}", "has no reason; say why to flag “Dog”"),
        ("Dog,include,,,,,2026-11-24", "does not say who reviewed “Dog”; name them in reviewed_by"),
        ("Dog,include,,,,; ;,2026-11-24", "does not say who reviewed “Dog”"),
        ("Dog,include,,,,NULL,2026-11-24", "does not say who reviewed “Dog”"),
        ("Dog,include,,,,ann,24.11.2026", "has “24.11.2026” as reviewed_on; say the day as 2026-"),
        ("Dog,include,,,,ann,", "has “” as reviewed_on; say the day as 2026-11-22"),
        (f"Dog,include,,,,{ANN},", "has 8 values, it needs 7: label,decision,"),
        ("Dog", "has 1 values, it needs 7: label,decision,"),
        (f'"Do\ng",include,,,,{ANN}', "has a line end or a control character in a value; take it"),
        (f"Dog,include,,,a\x1b[2J,{ANN}", "has a line end or a control character in a value"),
        (f"cat,include,,,,{ANN}", "decides on “cat” otherwise than ann.csv:2; keep one of them"),
        (f'Dog,exclude,,,"n,{ANN}', "is no CSV: unexpected end of data; put the quotation marks"),
        (f'Dog,exclude,,,"n"n,{ANN}', "is no CSV: ',' expected after"),
        # What the lines would make of the policy.
        (f"CC0 Sign,include,,,,{ANN}", "“CC0 Sign” is included, but the pattern “cc0” denies it"),
        (f"=1+1,include,,,,{ANN}", "“=1+1” is included, but the pattern “=” denies it; keep one"),
        (f"Firefighter,exclude,,,n,{ANN}", "“Fireman” becomes “Firefighter”, which is not"),
        (f"Polar  Bear,exclude,,,n,{ANN}", "“Polar Bear” differs from “Polar  Bear” only by"),
        (f"Po\u200blar,exclude,,,n,{ANN}", "has a character that nobody sees, U+200B"),
        (f"Kid,include,,,,{ANN}", "“Kid” is an alias of “Child”, which is not included"),
    ],
)
def test_a_line_that_is_wrong_is_named_and_nothing_changed(
    refuse: Refuse, row: str, want: str
) -> None:
    (line,) = refuse(write("ann.csv", GOOD, row), write("bob.csv", f"Cow,exclude,,,n,{BOB}"))
    assert line.startswith("ann.csv:3: ")
    assert want in line


def test_each_line_that_is_wrong_is_named(refuse: Refuse) -> None:
    bob = write("bob.csv", f'Cow,exclude,,,"a\nb",{BOB}', GOOD, f"Dog,exclude,,,,{BOB}")
    lines = refuse(write("ann.csv", "x", GOOD), bob, "gone.csv")
    places = [line.split(" ")[0] for line in lines]
    assert places == ["ann.csv:2:", "bob.csv:2:", "bob.csv:5:", "gone.csv:"]
    assert lines[-1] == "gone.csv: cannot be read (No such file or directory); say where it is"


def test_a_problem_of_several_lines_names_them_all(refuse: Refuse) -> None:
    files = [write(name, f"CC0 Sign,include,,,,{ANN}") for name in ("a.csv", "b.csv")]
    first, second = refuse(*files)
    assert first.startswith("a.csv:2: “CC0 Sign” is included, but")
    assert second.startswith("b.csv:2: “CC0 Sign” is included, but")


HEADER_WANTED = f"ann.csv:1: the first line must be {HEADER}; choose a file that the page has"


@pytest.mark.parametrize(
    ("content", "want"),
    [
        (b"", HEADER_WANTED),
        (b"\n", HEADER_WANTED),
        (HEADER.replace("reason", "note").encode(), HEADER_WANTED),
        (HEADER.replace(",", ";").encode(), HEADER_WANTED),
        (f"{HEADER},more\n".encode(), HEADER_WANTED),
        (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "ann.csv:1: is not UTF-8 (invalid start byte,"),
        (f"{HEADER}\n{GOOD}\n".encode("utf-16-le"), "ann.csv:1: has a NUL character; save it as"),
        (f"{HEADER}\nCat,exclude,,,\0,{ANN}\n".encode(), "ann.csv:2: has a NUL character; save it"),
        (
            f"{HEADER}\nCat,exclude,,,é,{ANN}\n".encode("latin-1"),
            "ann.csv:1: is not UTF-8 (invalid",
        ),
    ],
)
def test_a_file_that_is_none_of_decisions_is_named(
    refuse: Refuse, content: bytes, want: str
) -> None:
    Path("ann.csv").write_bytes(content)
    (line,) = refuse("ann.csv", write("bob.csv", GOOD))
    assert line.startswith(want)


@pytest.mark.parametrize("content", [HEADER, f"{HEADER}\n", f"{HEADER}\r\n,,,,,,\r\n\r\n"])
def test_a_file_without_decisions_is_nothing_to_apply(apply: Apply, content: str) -> None:
    Path("ann.csv").write_text(content)
    assert apply("ann.csv") == "Nothing to apply: no line decides on a label.\n"


def test_what_a_spreadsheet_makes_of_a_file_is_read(folder: Path, apply: Apply) -> None:
    rows = [HEADER, f'"Cat",exclude,,,"a ""b""",{ANN}', ",,,,,,", f"=1+1,exclude,,,@n,{ANN}"]
    Path("ann.csv").write_bytes("\r\n".join(rows).encode("utf-8-sig"))
    before = contents(folder)
    apply("ann.csv")
    assert changes(folder, before) == [
        "included -Cat,",
        f"reviewed +=1+1,@n,{ANN}",
        *by("Cat", "", '"a ""b"""'),
    ]


def test_a_file_twice_is_one(folder: Path, apply: Apply) -> None:
    file = write("ann.csv", f"Cow,exclude,,,n,{ANN}", f"COW,exclude,,,n,{ANN}")
    before = contents(folder)
    apply(file, file)
    assert changes(folder, before) == ["included -Cow,", *by("Cow", "", "n")]


def test_files_that_are_not_in_order_are_left_to_the_person(folder: Path, refuse: Refuse) -> None:
    edit(folder, "included_labels", "\nCat,\n", "\nDog,\nCat,\n")
    *_, last = refuse(write("ann.csv", f"Cow,exclude,,,n,{ANN}"))
    assert last == "Mend the files first; see the lines above."


REVIEWED = read("reviewed_labels", FOLDER)
KNOWN = [line.name for line in REVIEWED]
# fmt: off
ODD = [
    "Fir", "Abies", "Kid", "Child", "Rifle", "ATM", "Fireman", "Firefighter", "Kiss", "Kissing",
    "Corrosion", "Casa Milà", "Zoo Gate", "~Last", "!First", 'A "quoted", one', "@sum", "by-nc",
]
# fmt: on
CATEGORIES = {"withhold": WITHHELD_CATEGORIES, "flag": FLAGGED_CATEGORIES}


@st.composite
def rows(draw: st.DrawFn, label: str, reviewer: str) -> list[str]:
    kind = draw(st.sampled_from(["include", "exclude", "withhold", "flag"]))
    is_shown = kind in ("include", "flag")
    return [
        draw(st.sampled_from([label, label.upper() if label.isascii() else label])),
        kind,
        draw(st.sampled_from(["", "0.9", "0.90"])) if is_shown else "",
        draw(st.sampled_from(CATEGORIES.get(kind, ("",)))),
        draw(st.sampled_from(["r", 'a, "b"'] + ([""] if kind == "include" else []))),
        draw(st.sampled_from([reviewer, f"{reviewer}; Eve", "maintainers"])),
        draw(st.dates()).isoformat(),
    ]


@st.composite
def two_files(draw: st.DrawFn) -> list[list[list[str]]]:
    """Decisions of two reviewers, on some labels of both, and often the same."""
    unique = {"min_size": 1, "max_size": 6, "unique_by": label_key}
    labels = draw(st.lists(st.sampled_from(KNOWN) | st.sampled_from(ODD), **unique))
    ann = [draw(rows(label, "ann")) for label in labels]
    bob = [draw(rows(row[0], "bob")) for row in ann if draw(st.booleans())]
    for row, own in zip(ann, bob, strict=False):
        if draw(st.booleans()) and label_key(row[0]) == label_key(own[0]):
            own[1:5] = row[1:5]
    return [ann, bob]


def aliases(keys: set[str]) -> set[str]:
    """Labels by their keys, with their aliases, and theirs."""
    more = {line.key for line in REVIEWED if label_key(alias_of(line["note"]) or "") in keys}
    return keys if more <= keys else aliases(keys | more)


@settings(max_examples=10, deadline=None)
@given(two_files())
def test_any_decisions_leave_the_files_in_order(files: list[list[list[str]]]) -> None:
    with (
        another_folder() as folder,
        another_folder() as other,
        tempfile.TemporaryDirectory() as desk,
        chdir(desk),
    ):
        for name, lines in zip(("ann.csv", "bob.csv"), files, strict=True):
            with Path(name).open("w", newline="") as file:
                csv.writer(file).writerows([COLUMNS, *lines])
        before = contents(folder)
        done = run(folder, "ann.csv", "bob.csv")
        assert run(other, "bob.csv", "ann.csv") == done
        assert contents(other) == contents(folder)
        status, _, err = done
        if status:
            assert contents(folder) == before
            *lines, _ = err.removeprefix("Error: ").splitlines()
            assert all(line.startswith(("ann.csv:", "bob.csv:")) for line in lines)
            return
        assert check(folder) == []
        keys = aliases({label_key(row[0]) for rows in files for row in rows})
        for line in changes(folder, before):
            (row,) = csv.reader([line.partition(" ")[2][1:]])
            assert label_key(row[0]) in keys
        after = contents(folder)
        assert HINT not in run(folder, "ann.csv", "bob.csv")[1]
        assert contents(folder) == after


@on_postgres18
def test_the_effects_are_those_that_the_preview_shows(sample: Database, folder: Path) -> None:
    rows = (f"{UNHEARD_OF},include,,,,{ANN}", f"Nature,exclude,,,n,{ANN}")
    file = Path(write("ann.csv", *rows)).resolve()
    with mock.patch("review.cli.FOLDER", folder):
        applied = sample.invoke(cli, "apply", file)
        preview = sample.invoke(cli, "preview").stdout
        again = sample.invoke(cli, "apply", file)
    assert {line[:10] for line in preview.splitlines()} >= {UNHEARD_OF, "Nature    "}
    assert applied.stdout.endswith(f")\n\n{preview}\nMake it live: dbt seed\n")
    assert (applied.exit_code, again.stdout) == (0, NOTHING)
