"""The commands that change the label policy: exactly the lines concerned, or nothing at all."""

import difflib
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner
from conftest import copy_few_lines, edit
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.errors import UserError
from review.check import check, is_day
from review.cli import cli
from review.files import COLUMNS, read
from review.signatures import this_person, today

RIFLE = "Rifle,weapons,flag,a firearm or a part of one"
KID = "Kid,age,withhold,guesses how old a person is"
NOTHING = "Nothing to change: the files say so already.\n"
WAS = "maintainers,2026-11-22"  # who has signed the policy, and when
NOW = "ann,2026-11-24"  # a decision that is not the maintainers'
BOTH = "maintainers;ann,2026-11-24"  # one that is
KISS = f"reviewed -Kiss,alias of Kissing; names an act that is seen,{WAS}"
CHILD = "Child,age,withhold,guesses how old a person is"


def contents(policy: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in policy.iterdir()}


def changes(policy: Path, before: dict[str, bytes]) -> list[str]:
    """Return the lines that went and came in all files, as the files have them."""
    after = contents(policy)
    assert after.keys() == before.keys()
    changed = []
    for file in COLUMNS:
        old, new = (
            io.StringIO(version[f"{file}.csv"].decode()).readlines() for version in (before, after)
        )
        differences = list(difflib.unified_diff(old, new, n=0))[2:]
        name = file.removesuffix("_labels")
        changed += [f"{name} {line}" for line in differences if not line.startswith("@@")]
    assert all(line.endswith("\n") for line in changed)
    return [line.removesuffix("\n") for line in changed]


def run(policy: Path, command: str | list[str], charset: str = "utf-8") -> tuple[int, str, str]:
    """Return a command's exit status and what it printed, where no database answers."""
    with (
        mock.patch.dict(os.environ, {"PGHOST": "/nowhere"}),
        mock.patch("review.cli.FOLDER", policy),
        mock.patch("review.cli.this_person", return_value="ann"),
        mock.patch("review.cli.today", return_value="2026-11-24"),
    ):
        done = CliRunner(charset).invoke(cli, command, catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr


def succeed(policy: Path, command: str | list[str]) -> str:
    status, out, err = run(policy, command)
    assert (status, err) == (0, "")
    assert check(policy) == []
    return out


def refuse(policy: Path, command: str | list[str], status: int = 1, out: str = "") -> str:
    before = contents(policy)
    got, printed, err = run(policy, command)
    assert (got, printed) == (status, out)
    assert contents(policy) == before
    return err


@contextmanager
def another_policy() -> Iterator[Path]:
    """What the fixture `policy` is, for each of hypothesis' examples."""
    with tempfile.TemporaryDirectory() as name:
        copy_few_lines(Path(name))
        yield Path(name)


def by(label: str, note: str = "", new: str | None = None, signed: str = NOW) -> list[str]:
    """What a decision changes in reviewed_labels.csv."""
    after = note if new is None else new
    return [f"reviewed -{label},{note},{WAS}", f"reviewed +{label},{after},{signed}"]


CORROSION = (
    'reviewed -Corrosion,"excluded: judges damage, which calls for an expert; excluded '
    'by the first reviewers",'
)
APE = "own minimum accuracy: models have given this label to people; shown only when nearly certain"
EXCLUDE = "exclude --note n"
WITHHOLD = "withhold --category race --reason r"
FLAG = "flag --category drugs --reason r"


# What can be said in a file of decisions too is in tests/test_apply.py.
@pytest.mark.parametrize(
    ("command", "want"),
    [
        ("include --new ' zoo gate '", ["included +zoo gate,", f"reviewed +zoo gate,,{NOW}"]),
        (
            "include CORROSION",
            ["included +Corrosion,", CORROSION + WAS, CORROSION.replace("-", "+", 1) + NOW],
        ),
        (
            "include --no-longer-withheld kid child",
            [
                *("included +Child,", "included +Kid,"),
                *(*by("Child"), *by("Kid", "alias of Child")),
                *(f"sensitive -{CHILD}", f"sensitive -{KID}"),
            ],
        ),
        # a decision that stands gains a signature
        ("include rifle", by("Rifle", signed=BOTH)),  # it stays flagged
        (
            "include ape --reviewed-by ' Bob ' --reviewed-by 'MAINTAINERS; bob;'",
            by("Ape", APE, signed="maintainers;Bob,2026-11-24"),
        ),
        ("include ape --reviewed-by Maintainers", []),
        # corrections that differ by letter case alone
        ("include Atm Ipod", [*by("ATM", signed=BOTH), *by("iPod", signed=BOTH)]),
        # the note goes on saying of which label this one is an alias
        ("include kiss --note ''", [KISS, f"reviewed +Kiss,alias of Kissing,{BOTH}"]),
        ("include kiss --note 'alias of Cat'", [KISS, f"reviewed +Kiss,alias of Cat,{BOTH}"]),
        (f"{EXCLUDE} kid", by("Kid", "alias of Child", "alias of Child; n", signed=BOTH)),
        (
            f"{EXCLUDE} abies fir",
            [
                *("included -Abies,", "included -Fir,"),
                *(*by("Abies", "alias of Fir", "alias of Fir; n"), *by("Fir", "", "n")),
            ],
        ),
    ],
)
def test_the_lines_concerned_change_and_no_other(
    policy: Path, command: str, want: list[str]
) -> None:
    before = contents(policy)
    out = succeed(policy, command)
    assert changes(policy, before) == want
    assert (out == NOTHING) == (want == [])
    assert succeed(policy, command) == NOTHING


@pytest.mark.parametrize(
    ("command", "reasons"),
    [
        (
            "include kid child",
            [
                "“Kid” is withheld (age: guesses how old a person is); to show it all the same, "
                "say --no-longer-withheld, which takes its line out of sensitive_labels.csv",
                "“Child” is withheld (age",
            ],
        ),
        ("include kid --no-longer-withheld", ["“Kid” is an alias of “Child”, which is"]),
        (
            "include cat Xyzzy Catt",
            [
                "nobody has reviewed “Xyzzy”; to add it as a new label, say --new",
                "nobody has reviewed “Catt” (close to it: “Cat”, “Cattle”); to",
            ],
        ),
        (
            f"{EXCLUDE} cat firefighter",
            ["“Fireman” becomes “Firefighter”, which is not included; include that, or take the"],
        ),
        (f"{FLAG} cat Catt", ["“Catt” is not included (close to it: “Cat”, “Cattle”), so a flag"]),
        (f"{FLAG} kid", ["“Kid” is withheld (age: guesses how old a person is), so a flag"]),
    ],
)
def test_what_would_leave_the_files_wrong_is_refused_whole(
    policy: Path, command: str, reasons: list[str]
) -> None:
    printed = refuse(policy, command).removeprefix("Error: ").splitlines()
    assert printed.pop() == "Nothing was changed."
    assert len(printed) == len(reasons)
    for line, reason in zip(printed, reasons, strict=True):
        assert reason in line


def test_an_alias_of_an_alias_goes_with_its_label_and_so_does_its_flag(policy: Path) -> None:
    succeed(policy, "include --new 'Old Fir' --note 'alias of Abies'")
    succeed(policy, "include fir --note 'alias of Abies'")
    before = contents(policy)
    succeed(policy, f"{FLAG} abies")
    out = succeed(policy, f"{EXCLUDE} fir")
    assert "“Abies” goes too: it is an alias of “Fir”.\n“Old Fir” goes too: it is" in out
    went = [line for line in changes(policy, before) if not line.startswith("reviewed")]
    assert went == ["included -Abies,", "included -Fir,", "included -Old Fir,"]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("", "COMMAND [ARGS]..."),
        ("include", "Missing argument 'LABEL...'"),
        ("include '\xa0'", "'LABEL...': is empty"),
        ("include 'a\udcffb'", "'a\\udcffb' is not one line of text"),
        ("include kid --no-longer", "No such option '--no-longer'"),
        ("include cat --reviewed-by ';'", "'--reviewed-by': names nobody"),
        ("exclude cat", "Missing option '--note'"),
        ("flag cat --category race --reason r", "'race' is not one of"),
        ("explain cat", "'cat' is not a valid UUID"),
        ("page 'Cat,,Dog'", "'[LABEL]...': is empty"),
        ("page '\"Cat'", "'[LABEL]...': is no list of labels: unexpected end of data"),
        ("draw-sample --width NaN", "'NaN' is no number above 0, up to 1"),
        ("include cat --minimum-accuracy 0,9", "'0,9' is no number from 0 to 1"),
    ],
)
def test_wrong_usage_is_said(policy: Path, command: str, reason: str) -> None:
    assert reason in refuse(policy, command, status=2)


def test_what_is_printed_is_what_changed_and_what_to_do_next(folder: Path) -> None:
    assert succeed(folder, f"{EXCLUDE} fir") == (
        "included_labels.csv: - Abies\n"
        "included_labels.csv: - Fir\n"
        "reviewed_labels.csv: - Abies (alias of Fir, maintainers, 2026-11-22)\n"
        "reviewed_labels.csv: + Abies (alias of Fir, ann, 2026-11-24)\n"
        "reviewed_labels.csv: - Fir (maintainers, 2026-11-22)\n"
        "reviewed_labels.csv: + Fir (n, ann, 2026-11-24)\n"
        "“Abies” goes too: it is an alias of “Fir”.\n"
        "See what it would change: python -m review preview\n"
        "Make it live: dbt seed\n"
    )


def test_include_and_then_exclude_gives_back_what_is_shown(policy: Path) -> None:
    before = contents(policy)["included_labels.csv"]
    labels = "corrosion 'A, \"B\"' 'zoo gate' '~Last' '!First'"
    succeed(policy, f"include --new {labels}")
    assert contents(policy)["included_labels.csv"] != before
    succeed(policy, f"{EXCLUDE} {labels}")
    assert contents(policy)["included_labels.csv"] == before


def test_a_note_of_why_a_label_was_not_shown_is_pointed_out(policy: Path) -> None:
    succeed(policy, f"{EXCLUDE} cat fir")
    assert "“Cat” keeps its note “n”; `include --note` replaces it." in succeed(
        policy, "include cat"
    )
    assert "keeps" not in succeed(policy, "include fir --note ''")
    assert "keeps" not in succeed(policy, "include abies")  # it says of what it is an alias
    assert "keeps" not in succeed(policy, "include cat --minimum-accuracy 1")


def test_a_terminal_without_the_letters_of_a_label_gets_it_escaped(policy: Path) -> None:
    status, out, _ = run(policy, f"{EXCLUDE} 'casa milà'", charset="ascii")
    assert (status, "- Casa Mil\\xe0 (" in out) == (0, True)


def test_how_a_person_wrote_the_other_lines_stays(policy: Path) -> None:
    """Quotes that csv would not write, a value of several lines, no line end at the last."""
    for old, new in [
        ("label,note,", '"label",note,'),
        ("\nCat,,", '\n"Cat","two\n\nlines",'),
        ("\nCow,,", "\nCow,ends in a no-break space\u00a0,"),
        ("\nDog,,maintainers,", '\n"Dog","","maintainers ;Bob",'),
    ]:
        edit(policy, "reviewed_labels", old, new)
    path = policy / "reviewed_labels.csv"
    text = path.read_text()
    path.write_text(text.removesuffix("\n"))
    succeed(policy, "include --new Catamount '~Last'")
    want = text.replace("\nCathedral,", f"\nCatamount,,{NOW}\nCathedral,") + f"~Last,,{NOW}"
    assert path.read_text() == want
    succeed(policy, "include dog --reviewed-by bob")
    assert path.read_text() == want
    succeed(policy, "include dog --note n")
    was = '"Dog","","maintainers ;Bob",2026-11-22'
    assert path.read_text() == want.replace(was, "Dog,n,maintainers;Bob;ann,2026-11-24")


def test_each_line_keeps_its_own_spelling(policy: Path) -> None:
    edit(policy, "included_labels", "\nCat,\n", "\ncat,\n")
    with (policy / "sensitive_labels.csv").open("a") as lines:
        lines.write("Zoo Gate,race,withhold,r\n")
    before = contents(policy)
    succeed(policy, "include CAT 'zoo gate' --minimum-accuracy 1 --no-longer-withheld")
    assert changes(policy, before) == [
        *("included -cat,", "included +cat,1", "included +Zoo Gate,1"),
        *(*by("Cat"), f"reviewed +Zoo Gate,,{NOW}"),
        "sensitive -Zoo Gate,race,withhold,r",
    ]


def test_files_that_are_not_in_order_are_left_to_the_person(policy: Path) -> None:
    edit(policy, "included_labels", "\nCat,\n", "\nDog,\nCat,\n")
    printed = refuse(policy, "include --new 'Zoo Gate'")
    assert "“Cat” stands after “Dog”; sort the lines by name" in printed
    assert printed.endswith("Mend the files first; see the lines above.\nNothing was changed.\n")


@pytest.mark.parametrize("succeeding", range(3))
def test_a_file_that_cannot_be_replaced_leaves_all_as_they_were(
    policy: Path, monkeypatch: pytest.MonkeyPatch, succeeding: int
) -> None:
    replace = Path.replace
    done = []

    def fail_once(path: Path, target: Path) -> Path:
        done.append(target)
        if len(done) == succeeding + 1:
            raise PermissionError(13, "Permission denied")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fail_once)
    assert "Permission denied\nNothing was changed.\n" in refuse(policy, f"{EXCLUDE} rifle")
    assert len(done) == 2 * succeeding + 1


def test_a_file_keeps_its_permissions_and_others_are_not_touched(policy: Path) -> None:
    for path in policy.iterdir():
        path.chmod(0o640)
    before = {path: path.stat().st_ino for path in policy.iterdir()}
    succeed(policy, "include cat --reviewed-by maintainers")
    assert {path: path.stat().st_ino for path in policy.iterdir()} == before
    succeed(policy, f"{EXCLUDE} corrosion")
    changed = [path.stem for path in before if path.stat().st_ino != before[path]]
    assert changed == ["reviewed_labels"]
    assert {path.stat().st_mode & 0o777 for path in policy.iterdir()} == {0o640}


def test_who_decides_is_the_user_of_git_or_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "bob")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.name")
    for in_git, want in [(" Ann B ", "Ann B"), ("", "bob")]:
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", in_git)
        assert this_person() == want
    monkeypatch.setenv("PATH", "")
    assert this_person() == "bob"
    monkeypatch.setattr("getpass.getuser", mock.Mock(side_effect=KeyError("uid not found")))
    with pytest.raises(UserError, match="say it, --reviewed-by NAME"):
        this_person()
    assert is_day(today())


# fmt: off
LABELS = st.sampled_from([
    "Cat", "cat", "CATT", "Fir", "Abies", "Kid", "Child", "Rifle", "ATM", "Atm", "Fireman",
    "Firefighter", "Kiss", "Kissing", "Make Out", "Corrosion", "Casa Milà", "Zoo Gate",
    "zoo gate ", "~Last", "!First", "Éclair Shop", "Polar Bear", "Polar  Bear", 'A "quoted", one',
    "İstanbul", "x\u2028y", "by-nc",
])
# fmt: on
TEXTS = st.text(max_size=8) | st.sampled_from(["alias of Cat", "alias of Abies; x", 'a,"b"', ""])


@st.composite
def commands(draw: st.DrawFn) -> list[str]:
    name = draw(st.sampled_from(["include", "include", "exclude", "withhold", "flag"]))
    arguments = [name]
    if name in ("withhold", "flag"):
        arguments += ["--category", "race" if name == "withhold" else "drugs"]
        arguments += [f"--reason={draw(TEXTS)}"]
    elif name == "exclude" or draw(st.booleans()):
        arguments += [f"--note={draw(TEXTS)}"]
    if name == "include":
        arguments += draw(st.sampled_from([[], ["--minimum-accuracy=1"], ["--no-longer-withheld"]]))
    if name != "flag" and draw(st.booleans()):
        arguments += ["--new"]
    return [*arguments, "--", *draw(st.lists(LABELS, min_size=1, max_size=3))]


@settings(max_examples=25, deadline=None)
@given(st.lists(commands(), min_size=1, max_size=6))
def test_after_any_commands_the_files_are_in_order(sequence: list[list[str]]) -> None:
    with another_policy() as policy:
        for command in sequence:
            before = contents(policy)
            status, out, err = run(policy, command)
            assert bool(out) == (status == 0)
            assert bool(err) == (status != 0)
            if status:
                assert contents(policy) == before
                continue
            assert check(policy) == []
            for file in COLUMNS:
                keys = [line.key for line in read(file, policy)]
                assert keys == sorted(keys)
            if out != NOTHING:
                assert run(policy, command)[1] == NOTHING
