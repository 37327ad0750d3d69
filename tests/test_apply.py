"""Reviewers' files of decisions: what they agree on gets into the policy, whole or not at all."""

import csv
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from unittest import mock

import pytest
from conftest import UNHEARD_OF, Database, edit
from hypothesis import given, settings
from hypothesis import strategies as st
from test_policy_edit import (
    APE,
    BOTH,
    CHILD,
    CORROSION,
    EXCLUDE,
    KID,
    LABELS,
    NOTHING,
    NOW,
    RIFLE,
    WAS,
    WITHHOLD,
    another_policy,
    by,
    changes,
    contents,
    refuse,
    run,
    succeed,
)

from review.check import FLAGGED_CATEGORIES, WITHHELD_CATEGORIES, check
from review.cli import cli
from review.decisions import COLUMNS
from review.files import label_key

HEADER = ",".join(COLUMNS)
ANN = NOW
BOB = "bob,2026-11-25"
HINT = "See what it would change: python -m review preview\nMake it live: dbt seed\n"


@pytest.fixture(autouse=True, scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A folder for the files of decisions; that of the policy holds nothing else."""
    with chdir(tmp_path_factory.mktemp("desk")):
        yield


def write(name: str, *rows: str) -> str:
    Path(name).write_text("".join(f"{row}\n" for row in (HEADER, *rows)))
    return name


def apply(policy: Path, *files: str) -> str:
    return succeed(policy, ["apply", *files])


def refused(policy: Path, *files: str, out: str = "") -> list[str]:
    """Apply files in vain; return the lines of the reason."""
    *lines, last = refuse(policy, ["apply", *files], out=out).splitlines()
    assert last == "Nothing was changed."
    return [line.removeprefix("Error: ") for line in lines]


R = "a firearm or a part of one"
NOTED = "alias of Kissing; names an act that is seen"


@pytest.mark.parametrize(
    ("command", "row", "want"),
    [
        (
            "include --new 'A, B' --minimum-accuracy 0.95 --note 'a, \"b\"'",
            '"A, B",include,0.95,,"a, ""b"""',
            ['included +"A, B",0.95', f'reviewed +"A, B","a, ""b""",{ANN}'],
        ),
        (
            "include ape --minimum-accuracy ''",
            " ape ,include,,,",
            ["included -Ape,0.99", "included +Ape,", *by("Ape", APE)],
        ),
        (
            "include corrosion --note ''",
            "corrosion,include,,,",
            ["included +Corrosion,", CORROSION + WAS, f"reviewed +Corrosion,,{ANN}"],
        ),
        (
            "include --no-longer-withheld child",
            "Child,include,,,",
            ["included +Child,", *by("Child"), f"sensitive -{CHILD}"],
        ),
        (
            f"{EXCLUDE} rifle",
            "Rifle,exclude,,,n",
            ["included -Rifle,", *by("Rifle", "", "n"), f"sensitive -{RIFLE}"],
        ),
        (
            f"{EXCLUDE} fir",
            "Fir,exclude,,,n",
            [
                *("included -Abies,", "included -Fir,"),
                *(*by("Abies", "alias of Fir"), *by("Fir", "", "n")),
            ],
        ),
        (
            f"{WITHHOLD} cat",
            "Cat,withhold,,race,r",
            ["included -Cat,", *by("Cat"), "sensitive +Cat,race,withhold,r"],
        ),
        (
            "withhold kid --category age --reason r",
            "Kid,withhold,,age,r",
            [
                *by("Kid", "alias of Child", signed=BOTH),
                *(f"sensitive -{KID}", "sensitive +Kid,age,withhold,r"),
            ],
        ),
        (
            f"flag --category weapons --reason '{R}' RIFLE",
            f"Rifle,flag,,weapons,{R}",
            by("Rifle", signed=BOTH),
        ),
        # A decision in a file says all of a label; no command takes a flag away.
        ("", "ape,include,0.990,,", by("Ape", APE, signed=BOTH)),
        ("", "Kiss,include,,,", by("Kiss", NOTED, signed=BOTH)),
        ("", "Kiss,include,,,n", by("Kiss", NOTED, "alias of Kissing; n", BOTH)),
        ("", "Rifle,include,,,", [*by("Rifle"), f"sensitive -{RIFLE}"]),
        (
            "",
            "Child,flag,0.95,adult,r",
            [
                *("included +Child,0.95", *by("Child")),
                *(f"sensitive -{CHILD}", "sensitive +Child,adult,flag,r"),
            ],
        ),
    ],
)
def test_a_decision_changes_the_lines_that_the_command_for_it_changes(
    policy: Path, command: str, row: str, want: list[str]
) -> None:
    before = contents(policy)
    if command:
        with another_policy() as other:
            succeed(other, command)
            assert changes(other, before) == want
            assert succeed(other, command) == NOTHING
    file = write("ann.csv", f"{row},{ANN}")
    assert apply(policy, file).endswith(HINT)
    assert changes(policy, before) == want
    assert apply(policy, file) == NOTHING


def test_who_decides_the_same_signs_too(policy: Path) -> None:
    """Each once, those there first stay first, and the later day stays."""
    edit(policy, "reviewed_labels", f"\nCat,,{WAS}", "\nCat,,Bob; eve,2026-11-26")
    assert apply(policy, write("bob.csv", "Cat,include,,,,EVE ;BOB,2026-12-24")) == NOTHING
    for decision, signature in [
        ("Cat,include,,,,bob;Ann; ANN;,2026-11-24", "Cat,,Bob;eve;Ann,2026-11-26"),
        ("Cat,include,,,n,eve,2026-11-27", "Cat,n,Bob;eve;Ann,2026-11-27"),
        ("Cat,include,0.95,,,bob,2026-11-28", "Cat,n,bob,2026-11-28"),
    ]:
        apply(policy, write("one.csv", decision))
        assert f"\n{signature}\n" in (policy / "reviewed_labels.csv").read_text()


def test_reviewers_who_agree_decide_together(policy: Path) -> None:
    """In whatever letter case, number and order; reasons that differ are joined."""
    files = [
        write("ann.csv", f"Zoo Gate,include,0.9,,seen,{ANN}", f"Cat,flag,,drugs,r,{ANN}"),
        write("bob.csv", f"ZOO GATE,include,0.90,,a gate,{BOB}", f"cat,flag,,drugs,r,{BOB}"),
        write("eve.csv", "zoo gate,include,9e-1,,,Eve;ANN,2026-11-23"),
    ]
    before = contents(policy)
    apply(policy, *files)
    assert changes(policy, before) == [
        "included +zoo gate,9e-1",
        *by("Cat", signed="ann;bob,2026-11-25"),
        "reviewed +zoo gate,seen; a gate,Eve;ANN;bob,2026-11-25",
        "sensitive +Cat,drugs,flag,r",
    ]
    assert apply(policy, *reversed(files)) == NOTHING


def test_what_reviewers_disagree_on_is_left_to_them(policy: Path) -> None:
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
    before = contents(policy)
    assert apply(policy, *files).endswith(HINT + left)
    assert changes(policy, before) == ["included -Cow,", *by("Cow", "", "n")]
    assert apply(policy, *reversed(files)) == NOTHING + left


def test_an_alias_that_is_decided_on_too_does_not_just_go_along(policy: Path) -> None:
    both = "“Abies” is an alias of “Fir”, which is not included; include both or neither"
    fir = f"Fir,exclude,,,n,{ANN}"
    included = write("ann.csv", fir, f"Abies,include,,,,{ANN}")
    assert refused(policy, included) == [f"ann.csv:3: {both}"]

    excluded = write("ann.csv", fir, f"Abies,exclude,,,n,{ANN}")
    left = (
        "Reviewers disagree on “Abies”, so none of this was applied:\n"
        "    ann.csv:3: exclude (ann): n\n"
        "    bob.csv:2: flag as drugs (bob): r\n"
        "1 label is left for you to agree on: Abies\n"
    )
    flagged = write("bob.csv", f"Abies,flag,,drugs,r,{BOB}")
    assert refused(policy, excluded, flagged, out=left) == [f"ann.csv:2: {both}"]

    before = contents(policy)
    apply(policy, write("ann.csv", fir), write("bob.csv", f"Abies,withhold,,race,r,{BOB}"))
    assert changes(policy, before) == [
        *("included -Abies,", "included -Fir,"),
        *(*by("Abies", "alias of Fir", signed=BOB), *by("Fir", "", "n")),
        "sensitive +Abies,race,withhold,r",
    ]


def test_a_later_decision_stands_and_the_earlier_one_is_named(policy: Path) -> None:
    """As when a page is exported again that still has last month's decisions."""
    before = contents(policy)
    earlier = ",include,,,,ann,2026-11-01"
    out = apply(policy, write("ann.csv", f"Woman{earlier}", f"Cat{earlier}"))
    assert changes(policy, before) == by("Cat", signed="maintainers;ann,2026-11-22")
    assert (
        "ann.csv:2: “Woman” was decided otherwise since, on 2026-11-22 by maintainers, and stays"
        " so; to include it all the same, give the decision of 2026-11-01 a later day.\n"
    ) in out


def test_what_was_withheld_or_flagged_and_is_no_longer_is_said(policy: Path) -> None:
    out = apply(policy, write("ann.csv", f"Woman,include,,,why,{ANN}", f"Rifle,include,,,,{ANN}"))
    withheld = "“Woman” was withheld (gender: guesses a person's gender), and now is no longer.\n"
    assert withheld in out
    assert f"“Rifle” was flagged (weapons: {R}), and now is no longer.\n" in out


GOOD = f"Cat,exclude,,,n,{ANN}"


@pytest.mark.parametrize(
    ("row", "want"),
    [
        (f"null,include,,,,{ANN}", "names no label; name one, or take the line out"),
        (f"Dog,show,,,,{ANN}", "decides “show” on “Dog”; say one of include, exclude, withhold,"),
        (f"Dog,flag,NaN,drugs,r,{ANN}", "has the minimum accuracy “NaN”; say a number from 0 to 1"),
        (f"Dog,exclude,0.9,,n,{ANN}", "has a minimum accuracy, which exclude has not; leave it"),
        (f"Dog,include,,age,,{ANN}", "has a category, which include has not; leave it empty"),
        (f"Dog,withhold,,drugs,r,{ANN}", "has the category “drugs”; for withhold say one of age,"),
        (f"Dog,flag,,,r,{ANN}", "has the category “”; for flag say one of weapons, adult,"),
        (f"Dog,withhold,,age,null,{ANN}", "has no reason; say why to withhold “Dog”"),
        ("Dog,include,,,,NULL; ;,2026-11-24", "does not say who reviewed “Dog”; name them in"),
        ("Dog,include,,,,ann,24.11.2026", "has “24.11.2026” as reviewed_on; say the day as 2026-"),
        (f"Dog,include,,,,{ANN},", "has 8 values, it needs 7: label,decision,"),
        (f'"Do\ng",include,,,,{ANN}', "has a line end or a control character in a value; take it"),
        (f"cat,include,,,,{ANN}", "decides on “cat” otherwise than ann.csv:2; keep one of them"),
        (f'Dog,exclude,,,"n,{ANN}', "is no CSV: unexpected end of data; put the quotation marks"),
        # What the lines would make of the policy.
        (f"=1+1,include,,,,{ANN}", "“=1+1” is included, but the pattern “=” denies it; keep one"),
        (f"Firefighter,exclude,,,n,{ANN}", "“Fireman” becomes “Firefighter”, which is not"),
    ],
)
def test_a_line_that_is_wrong_is_named_and_nothing_changed(
    policy: Path, row: str, want: str
) -> None:
    (line,) = refused(
        policy, write("ann.csv", GOOD, row), write("bob.csv", f"Cow,exclude,,,n,{BOB}")
    )
    assert line.startswith("ann.csv:3: ")
    assert want in line


def test_each_line_that_is_wrong_is_named(policy: Path) -> None:
    ann = write("ann.csv", "x", GOOD)
    bob = write("bob.csv", f'Cow,exclude,,,"a\nb",{BOB}', GOOD, f"Dog,exclude,,,,{BOB}")
    *others, last = refused(policy, ann, bob, "gone.csv")
    assert [line.split(" ")[0] for line in others] == ["ann.csv:2:", "bob.csv:2:", "bob.csv:5:"]
    assert last == "gone.csv: cannot be read (No such file or directory); say where it is"
    files = [write(name, f"CC0 Sign,include,,,,{ANN}") for name in ("a.csv", "b.csv")]
    first, second = refused(policy, *files)
    assert first.startswith("a.csv:2: “CC0 Sign” is included, but")
    assert second.startswith("b.csv:2: “CC0 Sign” is included, but")


HEADER_WANTED = f"ann.csv:1: the first line must be {HEADER}; choose a file that the page has"


@pytest.mark.parametrize(
    ("content", "want"),
    [
        (HEADER.replace(",", ";").encode(), HEADER_WANTED),
        (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "ann.csv:1: is not UTF-8 (invalid start byte,"),
        (f"{HEADER}\nCat,exclude,,,\0,{ANN}\n".encode(), "ann.csv:2: has a NUL character; save it"),
    ],
)
def test_a_file_that_is_none_of_decisions_is_named(policy: Path, content: bytes, want: str) -> None:
    Path("ann.csv").write_bytes(content)
    (line,) = refused(policy, "ann.csv", write("bob.csv", GOOD))
    assert line.startswith(want)


@pytest.mark.parametrize("content", [HEADER, f"{HEADER}\n", f"{HEADER}\r\n,,,,,,\r\n\r\n"])
def test_a_file_without_decisions_is_nothing_to_apply(policy: Path, content: str) -> None:
    Path("ann.csv").write_text(content)
    assert apply(policy, "ann.csv") == "Nothing to apply: no line decides on a label.\n"


def test_what_a_spreadsheet_makes_of_a_file_is_read(policy: Path) -> None:
    rows = [HEADER, f'"Cat",exclude,,,"a ""b""",{ANN}', ",,,,,,", f"=1+1,exclude,,,@n,{ANN}"]
    Path("ann.csv").write_bytes("\r\n".join(rows).encode("utf-8-sig"))
    before = contents(policy)
    apply(policy, "ann.csv")
    assert changes(policy, before) == [
        "included -Cat,",
        f"reviewed +=1+1,@n,{ANN}",
        *by("Cat", "", '"a ""b"""'),
    ]


def test_a_file_twice_is_one(policy: Path) -> None:
    file = write("ann.csv", f"Cow,exclude,,,n,{ANN}", f"COW,exclude,,,n,{ANN}")
    before = contents(policy)
    apply(policy, file, file)
    assert changes(policy, before) == ["included -Cow,", *by("Cow", "", "n")]


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
    labels = draw(st.lists(LABELS, **unique))
    ann = [draw(rows(label, "ann")) for label in labels]
    same = [[*row[:5], "bob", "2026-11-25"] for row in ann]
    bob = [draw(st.just(row) | rows(row[0], "bob")) for row in same if draw(st.booleans())]
    return [ann, bob]


@settings(max_examples=25, deadline=None)
@given(two_files())
def test_any_decisions_leave_the_files_in_order(files: list[list[list[str]]]) -> None:
    with another_policy() as policy, another_policy() as other:
        for name, lines in zip(("ann.csv", "bob.csv"), files, strict=True):
            with Path(name).open("w", newline="") as file:
                csv.writer(file).writerows([COLUMNS, *lines])
        before = contents(policy)
        done = run(policy, ["apply", "ann.csv", "bob.csv"])
        assert run(other, ["apply", "bob.csv", "ann.csv"]) == done
        assert contents(other) == contents(policy)
        status, _, err = done
        if status:
            assert contents(policy) == before
            *lines, _ = err.removeprefix("Error: ").splitlines()
            assert all(line.startswith(("ann.csv:", "bob.csv:")) for line in lines)
            return
        assert check(policy) == []
        after = contents(policy)
        assert HINT not in run(policy, ["apply", "ann.csv", "bob.csv"])[1]
        assert contents(policy) == after


def test_the_effects_are_those_that_the_preview_shows(sample: Database, folder: Path) -> None:
    rows = (f"{UNHEARD_OF},include,,,,{ANN}", f"Person,exclude,,,n,{ANN}")
    file = Path(write("ann.csv", *rows)).resolve()
    with mock.patch("review.cli.FOLDER", folder):
        applied = sample.invoke(cli, "apply", file)
        preview = sample.invoke(cli, "preview").stdout
        again = sample.invoke(cli, "apply", file)
    assert {line[:10] for line in preview.splitlines()} >= {UNHEARD_OF, "Person    "}
    assert applied.stdout.endswith(f")\n\n{preview}\nMake it live: dbt seed\n")
    assert (applied.exit_code, again.stdout) == (0, NOTHING)
