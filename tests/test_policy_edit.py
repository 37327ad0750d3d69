"""The commands that change the label policy: exactly the lines concerned, or nothing at all."""

import difflib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner
from conftest import copy_policy, edit
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.errors import UserError
from review.check import check, is_day
from review.cli import cli
from review.files import COLUMNS, label_key, read
from review.signatures import this_person, today

RIFLE = "Rifle,weapons,flag,a firearm or a part of one"
KID = "Kid,age,withhold,guesses how old a person is"
NOTHING = "Nothing to change: the files say so already.\n"
WAS = "maintainers,2026-11-22"  # who has signed the policy, and when
NOW = "ann,2026-11-28"  # a decision that is not the maintainers'
BOTH = "maintainers;ann,2026-11-28"  # one that is
KISS = f"reviewed -Kiss,alias of Kissing; names an act that is seen,{WAS}"
CHILD = "Child,age,withhold,guesses how old a person is"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def changes(folder: Path, before: dict[str, bytes]) -> list[str]:
    """Return the lines that went and came in all files, as the files have them."""
    after = contents(folder)
    assert after.keys() == before.keys()
    changed = []
    for file in COLUMNS:
        old, new = (
            version[f"{file}.csv"].decode().splitlines(keepends=True) for version in (before, after)
        )
        differences = list(difflib.unified_diff(old, new, n=0))[2:]
        name = file.removesuffix("_labels")
        changed += [f"{name} {line}" for line in differences if not line.startswith("@@")]
    assert all(line.endswith("\n") for line in changed)
    return [line.removesuffix("\n") for line in changed]


def run(folder: Path, command: str | list[str], charset: str = "utf-8") -> tuple[int, str, str]:
    """Return a command's exit status and what it printed as result and as reason."""
    with (
        mock.patch("review.cli.FOLDER", folder),
        mock.patch("review.cli.this_person", return_value="ann"),
        mock.patch("review.cli.today", return_value="2026-11-28"),
    ):
        done = CliRunner(charset).invoke(cli, command, catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr


def succeed(folder: Path, command: str | list[str]) -> str:
    status, out, err = run(folder, command)
    assert (status, err) == (0, "")
    assert check(folder) == []
    return out


def refuse(folder: Path, command: str, status: int = 1) -> str:
    before = contents(folder)
    got, out, err = run(folder, command)
    assert (got, out) == (status, "")
    assert contents(folder) == before
    return err


@contextmanager
def another_folder() -> Iterator[Path]:
    """A copy of the label policy's files for each of hypothesis' examples."""
    with tempfile.TemporaryDirectory() as name:
        copy_policy(Path(name))
        yield Path(name)


def included(folder: Path) -> set[str]:
    return {line.key for line in read("included_labels", folder)}


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


@pytest.mark.parametrize(
    ("command", "want"),
    [
        # include
        ("include --new 'Zoo Gate'", ["included +Zoo Gate,", f"reviewed +Zoo Gate,,{NOW}"]),
        ("include --new ' zoo gate '", ["included +zoo gate,", f"reviewed +zoo gate,,{NOW}"]),
        ("include --new 'A, B'", ['included +"A, B",', f'reviewed +"A, B",,{NOW}']),
        (
            "include --new 'Zoo Gate' --minimum-accuracy 0.95 --note 'a, \"b\"'",
            ["included +Zoo Gate,0.95", f'reviewed +Zoo Gate,"a, ""b""",{NOW}'],
        ),
        (
            "include --new '~Last' '!First'",
            [
                "included +!First,",
                "included +~Last,",
                f"reviewed +!First,,{NOW}",
                f"reviewed +~Last,,{NOW}",
            ],
        ),
        (
            "include CORROSION",
            ["included +Corrosion,", CORROSION + WAS, CORROSION.replace("-", "+", 1) + NOW],
        ),
        (
            "include corrosion --note ''",
            ["included +Corrosion,", CORROSION + WAS, f"reviewed +Corrosion,,{NOW}"],
        ),
        (
            "include ape --minimum-accuracy 1",
            ["included -Ape,0.99", "included +Ape,1", *by("Ape", APE)],
        ),
        (
            "include ape --minimum-accuracy ''",
            ["included -Ape,0.99", "included +Ape,", *by("Ape", APE)],
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
        ("include ape", by("Ape", APE, signed=BOTH)),
        ("include ape --minimum-accuracy 0.990", by("Ape", APE, signed=BOTH)),
        ("include rifle", by("Rifle", signed=BOTH)),  # it stays flagged
        (
            "include ape --reviewed-by ' Bob ' --reviewed-by 'MAINTAINERS; bob;'",
            by("Ape", APE, signed="maintainers;Bob,2026-11-28"),
        ),
        ("include ape --reviewed-by Maintainers", []),
        (
            "include ape --reviewed-by Maintainers --note n",
            by("Ape", APE, "n", signed="maintainers,2026-11-28"),
        ),
        (
            "include Atm Ipod",
            [*by("ATM", signed=BOTH), *by("iPod", signed=BOTH)],
        ),  # their corrections differ by letter case alone
        ("include --no-longer-withheld cat", by("Cat", signed=BOTH)),
        ("include cat --note n", by("Cat", "", "n", signed=BOTH)),
        # the note goes on saying of which label this one is an alias
        ("include kiss --note n", [KISS, f"reviewed +Kiss,alias of Kissing; n,{BOTH}"]),
        ("include kiss --note ''", [KISS, f"reviewed +Kiss,alias of Kissing,{BOTH}"]),
        ("include kiss --note 'alias of Cat'", [KISS, f"reviewed +Kiss,alias of Cat,{BOTH}"]),
        # exclude
        (f"{EXCLUDE} cat", ["included -Cat,", *by("Cat", "", "n")]),
        (f"{EXCLUDE} --new 'Zoo Gate'", [f"reviewed +Zoo Gate,n,{NOW}"]),
        (f"{EXCLUDE} rifle", ["included -Rifle,", *by("Rifle", "", "n"), f"sensitive -{RIFLE}"]),
        (
            f"{EXCLUDE} fir",
            [
                "included -Abies,",
                "included -Fir,",
                *by("Abies", "alias of Fir"),
                *by("Fir", "", "n"),
            ],
        ),
        (f"{EXCLUDE} abies", ["included -Abies,", *by("Abies", "alias of Fir", "alias of Fir; n")]),
        (
            f"{EXCLUDE} abies fir",
            [
                *("included -Abies,", "included -Fir,"),
                *(*by("Abies", "alias of Fir", "alias of Fir; n"), *by("Fir", "", "n")),
            ],
        ),
        (f"{EXCLUDE} kid", by("Kid", "alias of Child", "alias of Child; n", signed=BOTH)),
        (f"{EXCLUDE} fireman", by("Fireman", "", "n", signed=BOTH)),
        # withhold
        (f"{WITHHOLD} cat", ["included -Cat,", *by("Cat"), "sensitive +Cat,race,withhold,r"]),
        (f"{WITHHOLD} --new Zoo", ["included -Zoo,", *by("Zoo"), "sensitive +Zoo,race,withhold,r"]),
        (
            f"{WITHHOLD} --new 'Zoo Gate'",
            [f"reviewed +Zoo Gate,,{NOW}", "sensitive +Zoo Gate,race,withhold,r"],
        ),
        (
            f"{WITHHOLD} rifle",
            [
                *("included -Rifle,", *by("Rifle")),
                *(f"sensitive -{RIFLE}", "sensitive +Rifle,race,withhold,r"),
            ],
        ),
        (
            f"{WITHHOLD} kid",
            [*by("Kid", "alias of Child"), f"sensitive -{KID}", "sensitive +Kid,race,withhold,r"],
        ),
        (
            "withhold kid --category age --reason r",
            [
                *by("Kid", "alias of Child", signed=BOTH),
                *(f"sensitive -{KID}", "sensitive +Kid,age,withhold,r"),
            ],
        ),
        (
            f"{WITHHOLD} fir",
            [
                *("included -Abies,", "included -Fir,"),
                *(*by("Abies", "alias of Fir"), *by("Fir"), "sensitive +Fir,race,withhold,r"),
            ],
        ),
        # flag
        (f"{FLAG} cat", [*by("Cat"), "sensitive +Cat,drugs,flag,r"]),
        (
            f"{FLAG} rifle",
            [*by("Rifle"), f"sensitive -{RIFLE}", "sensitive +Rifle,drugs,flag,r"],
        ),
        (
            "flag --category weapons --reason 'a firearm or a part of one' RIFLE",
            by("Rifle", signed=BOTH),
        ),
    ],
)
def test_the_lines_concerned_change_and_no_other(
    folder: Path, command: str, want: list[str]
) -> None:
    before = contents(folder)
    out = succeed(folder, command)
    assert changes(folder, before) == want
    assert (out == NOTHING) == (want == [])
    assert succeed(folder, command) == NOTHING


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
        (
            "include 'ram memory'",
            ["“RAM Memory” becomes “RAM” by label_corrections.csv, so only that can be included"],
        ),
        ("include ballerina --no-longer-withheld", ["becomes “Ballet Dancer” by"]),
        ("include kid --no-longer-withheld", ["“Kid” is an alias of “Child”, which is"]),
        ("include --new B --note 'alias of A'", ["“B” is an alias of “A”, which is"]),
        ("include Catt", ["nobody has reviewed “Catt” (close to it: “Cat”, “Cattle”); to"]),
        ("include Xyzzy", ["nobody has reviewed “Xyzzy”; to add it as a new label, say --new"]),
        ("include cat Xyzzy Catt", ["“Xyzzy”; to", "reviewed “Catt”"]),
        ("include --new 'CC0 Sign'", ["“CC0 Sign” is included, but the pattern “cc0”"]),
        ("include --new 'Po\u200blar'", ["U+200B ZERO WIDTH SPACE"]),
        ("include --new 'Polar\xa0Bear'", ["differs from “Polar Bear” only by white"]),
        (f"{EXCLUDE} --new 'Polar  Bear'", ["“Polar Bear” differs from “Polar  Bear” only"]),
        (f"{EXCLUDE} Catt", ["nobody has reviewed “Catt” (close to it: “Cat”, “Cattle”)"]),
        (
            f"{EXCLUDE} cat firefighter",
            ["“Fireman” becomes “Firefighter”, which is not included; include that, or take the"],
        ),
        (f"{EXCLUDE} Atm", ["“Atm” becomes “ATM”, which is not included"]),
        (f"{WITHHOLD} firefighter", ["“Fireman” becomes “Firefighter”, which is not"]),
        (f"{WITHHOLD} Catt", ["nobody has reviewed “Catt”"]),
        (f"{FLAG} kid", ["“Kid” is withheld (age: guesses how old a person is), so a flag"]),
        (f"{FLAG} cat corrosion", ["“corrosion” is not included, so a flag would do nothing"]),
        (f"{FLAG} Catt", ["“Catt” is not included (close to it: “Cat”, “Cattle”), so a flag"]),
    ],
)
def test_what_would_leave_the_files_wrong_is_refused_whole(
    folder: Path, command: str, reasons: list[str]
) -> None:
    printed = refuse(folder, command).removeprefix("Error: ").splitlines()
    assert printed.pop() == "Nothing was changed."
    assert len(printed) == len(reasons)
    for line, reason in zip(printed, reasons, strict=True):
        assert reason in line


def test_an_alias_that_a_correction_leads_to_is_not_excluded_with_its_label(folder: Path) -> None:
    succeed(folder, "include ram --note 'alias of Cat'")
    assert "“RAM Memory” becomes “RAM”, which is not" in refuse(folder, f"{EXCLUDE} cat")


def test_an_alias_of_an_alias_is_excluded_with_it(folder: Path) -> None:
    succeed(folder, "include --new 'Old Fir' --note 'alias of Abies'")
    out = succeed(folder, f"{EXCLUDE} fir")
    assert "“Abies” goes too: it is an alias of “Fir”.\n“Old Fir” goes too: it is" in out
    assert included(folder).isdisjoint({"fir", "abies", "old fir"})


def test_an_alias_that_goes_with_its_label_is_no_longer_flagged(folder: Path) -> None:
    before = contents(folder)
    succeed(folder, f"{FLAG} abies")
    succeed(folder, f"{EXCLUDE} fir")
    assert not [line for line in changes(folder, before) if line.startswith("sensitive")]


def test_labels_that_are_aliases_of_each_other_can_be_excluded(folder: Path) -> None:
    succeed(folder, "include fir --note 'alias of Abies'")
    succeed(folder, f"{EXCLUDE} fir")
    assert included(folder).isdisjoint({"fir", "abies"})


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("", "COMMAND [ARGS]..."),
        ("include", "Missing argument 'LABEL...'"),
        ("include ' '", "'LABEL...': is empty"),
        ("include '\xa0'", "'LABEL...': is empty"),
        ("include 'a\nb'", "'a\\nb' is not one line of text"),
        ("include 'a\udcffb'", "'a\\udcffb' is not one line of text"),
        ("include kid --no-longer", "No such option '--no-longer'"),
        ("include cat --reviewed-by ' '", "'--reviewed-by': is empty"),
        ("include cat --reviewed-by ';'", "'--reviewed-by': names nobody"),
        ("include cat --reviewed-by 'a\nb'", "is not one line of text"),
        ("exclude cat", "Missing option '--note'"),
        ("exclude cat --note ' '", "'--note': is empty"),
        ("withhold cat --category race", "Missing option '--reason'"),
        ("withhold cat --category weapons --reason r", "'weapons' is not one of"),
        ("flag cat --category race --reason r", "'race' is not one of"),
        ("flag cat --category drugs --reason 'a\nb'", "is not one line of text"),
        ("explain cat", "'cat' is not a valid UUID"),
        ("page ''", "'[LABEL]...': is empty"),
        ("page 'Cat,,Dog'", "'[LABEL]...': is empty"),
        ("page '\"Cat'", "'[LABEL]...': is no list of labels: unexpected end of data"),
        ("page 'a\nb'", "'[LABEL]...': is no list of labels: new-line character"),
        ("draw-sample --width NaN", "'NaN' is no number above 0, up to 1"),
        *[
            (f"include cat --minimum-accuracy {wrong}", f"'{wrong}' is no number from 0 to 1")
            for wrong in ("1.01", "high", "NaN", "0.9_5", "\u0660", "0,9")
        ],
    ],
)
def test_wrong_usage_is_said(folder: Path, command: str, reason: str) -> None:
    assert reason in refuse(folder, command, status=2)


def test_what_is_printed_is_what_changed_and_what_to_do_next(folder: Path) -> None:
    assert succeed(folder, f"{EXCLUDE} fir rifle") == (
        "included_labels.csv: - Abies\n"
        "included_labels.csv: - Fir\n"
        "included_labels.csv: - Rifle\n"
        "reviewed_labels.csv: - Abies (alias of Fir, maintainers, 2026-11-22)\n"
        "reviewed_labels.csv: + Abies (alias of Fir, ann, 2026-11-28)\n"
        "reviewed_labels.csv: - Fir (maintainers, 2026-11-22)\n"
        "reviewed_labels.csv: + Fir (n, ann, 2026-11-28)\n"
        "reviewed_labels.csv: - Rifle (maintainers, 2026-11-22)\n"
        "reviewed_labels.csv: + Rifle (n, ann, 2026-11-28)\n"
        "sensitive_labels.csv: - Rifle (weapons, flag, a firearm or a part of one)\n"
        "“Abies” goes too: it is an alias of “Fir”.\n"
        "See what it would change: python -m review preview\n"
        "Make it live: dbt seed\n"
    )


def test_a_note_of_why_a_label_was_not_shown_is_pointed_out(folder: Path) -> None:
    succeed(folder, f"{EXCLUDE} cat fir")
    assert "“Cat” keeps its note “n”; `include --note` replaces it." in succeed(
        folder, "include cat"
    )
    assert "keeps" not in succeed(folder, "include fir --note ''")
    assert "keeps" not in succeed(folder, "include abies")  # it says of what it is an alias
    assert "keeps" not in succeed(folder, "include cat --minimum-accuracy 1")


def test_a_terminal_without_the_letters_of_a_label_gets_it_escaped(folder: Path) -> None:
    status, out, _ = run(folder, f"{EXCLUDE} 'casa milà'", charset="ascii")
    assert (status, "- Casa Mil\\xe0 (" in out) == (0, True)


def test_how_a_person_wrote_the_other_lines_stays(folder: Path) -> None:
    """Quotes that csv would not write, a value of several lines, no line end at the last."""
    for old, new in [
        ("label,note,", '"label",note,'),
        ("\nCat,,", '\n"Cat","two\n\nlines",'),
        ("\nCow,,", "\nCow,ends in a no-break space\u00a0,"),
        ("\nDog,,maintainers,", '\n"Dog","","maintainers ;Bob",'),
    ]:
        edit(folder, "reviewed_labels", old, new)
    path = folder / "reviewed_labels.csv"
    text = path.read_text()
    path.write_text(text.removesuffix("\n"))
    succeed(folder, "include --new Catamount '~Last'")
    want = text.replace("\nCathedral,", f"\nCatamount,,{NOW}\nCathedral,") + f"~Last,,{NOW}"
    assert path.read_text() == want
    succeed(folder, "include dog --reviewed-by bob")
    assert path.read_text() == want
    succeed(folder, "include dog --note n")
    was = '"Dog","","maintainers ;Bob",2026-11-22'
    assert path.read_text() == want.replace(was, "Dog,n,maintainers;Bob;ann,2026-11-28")


def test_each_line_keeps_its_own_spelling(folder: Path) -> None:
    edit(folder, "included_labels", "\nCat,\n", "\ncat,\n")
    before = contents(folder)
    succeed(folder, "include CAT --minimum-accuracy 1 --note n")
    want = ["included -cat,", "included +cat,1", *by("Cat", "", "n")]
    assert changes(folder, before) == want


def test_a_label_that_is_withheld_alone_is_known_and_keeps_its_spelling(folder: Path) -> None:
    with (folder / "sensitive_labels.csv").open("a") as lines:
        lines.write("Zoo Gate,race,withhold,r\n")
    before = contents(folder)
    succeed(folder, "include 'zoo gate' --no-longer-withheld")
    assert changes(folder, before) == [
        "included +Zoo Gate,",
        f"reviewed +Zoo Gate,,{NOW}",
        "sensitive -Zoo Gate,race,withhold,r",
    ]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("\nCat,\n", "\nDog,\nCat,\n", "“Cat” stands after “Dog”; sort the lines by name"),
        ("\nCat,\n", "\nCat,\r\n", "included_labels.csv:574: has the line end of Windows (CRLF)"),
        ("\nCat,\n", "\nCAT,\nCat,\n", "is there already"),
        ("\nFir,\n", "\n", "“Abies” is an alias of “Fir”, which is not included"),
        ("label,minimum_accuracy\n", "\ufefflabel,minimum_accuracy\n", "byte order mark"),
    ],
)
def test_files_that_are_not_in_order_are_left_to_the_person(
    folder: Path, old: str, new: str, reason: str
) -> None:
    edit(folder, "included_labels", old, new)
    printed = refuse(folder, "include --new 'Zoo Gate'")
    assert reason in printed
    assert printed.endswith("Mend the files first; see the lines above.\nNothing was changed.\n")


@pytest.mark.parametrize("succeeding", range(3))
def test_a_file_that_cannot_be_replaced_leaves_all_as_they_were(
    folder: Path, monkeypatch: pytest.MonkeyPatch, succeeding: int
) -> None:
    replace = Path.replace
    done = []

    def fail_once(path: Path, target: Path) -> Path:
        done.append(target)
        if len(done) == succeeding + 1:
            raise PermissionError(13, "Permission denied")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", fail_once)
    assert "Permission denied\nNothing was changed.\n" in refuse(folder, f"{EXCLUDE} rifle")
    assert len(done) == 2 * succeeding + 1


def test_a_file_keeps_its_permissions(folder: Path) -> None:
    path = folder / "included_labels.csv"
    path.chmod(0o640)
    succeed(folder, "include --new 'Zoo Gate'")
    assert path.stat().st_mode & 0o777 == 0o640


def test_nothing_is_written_where_nothing_changes(folder: Path) -> None:
    before = {path: path.stat().st_ino for path in folder.iterdir()}
    succeed(folder, "include cat --reviewed-by maintainers")
    assert {path: path.stat().st_ino for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("in_git", "logged_in", "want"), [(" Ann B ", "ann", "Ann B"), ("", "ann", "ann")]
)
def test_who_decides_is_the_user_of_git_or_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, in_git: str, logged_in: str, want: str
) -> None:
    name = {"GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": in_git, "LOGNAME": logged_in}
    for variable, value in {"GIT_CONFIG_COUNT": "1", **name}.items():
        monkeypatch.setenv(variable, value)
    assert this_person() == want


def test_without_git_who_decides_is_the_user_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("LOGNAME", "ann")
    assert this_person() == "ann"
    monkeypatch.setattr("getpass.getuser", mock.Mock(side_effect=KeyError("uid not found")))
    with pytest.raises(UserError, match="say it, --reviewed-by NAME"):
        this_person()


def test_a_review_is_signed_with_the_day_it_is_of() -> None:
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


@settings(max_examples=10, deadline=None)
@given(st.lists(commands(), min_size=1, max_size=6))
def test_after_any_commands_the_files_are_in_order(sequence: list[list[str]]) -> None:
    with another_folder() as folder:
        for command in sequence:
            before = contents(folder)
            status, out, err = run(folder, command)
            assert bool(out) == (status == 0)
            assert bool(err) == (status != 0)
            if status:
                assert contents(folder) == before
                continue
            assert check(folder) == []
            for file in COLUMNS:
                keys = [line.key for line in read(file, folder)]
                assert keys == sorted(keys)
            if out != NOTHING:
                assert run(folder, command)[1] == NOTHING


@settings(max_examples=10, deadline=None)
@given(st.lists(LABELS, min_size=1, max_size=3), st.lists(commands(), max_size=3))
def test_include_and_then_exclude_gives_back_what_is_shown(
    labels: list[str], sequence: list[list[str]]
) -> None:
    with another_folder() as folder:
        for command in sequence:
            run(folder, command)
        shown = included(folder)
        labels = [label for label in labels if label_key(label) not in shown]
        before = contents(folder)["included_labels.csv"]
        if labels and run(folder, ["include", "--new", "--no-longer-withheld", *labels])[0] == 0:
            assert contents(folder)["included_labels.csv"] != before
            succeed(folder, [*EXCLUDE.split(), *labels])
        assert contents(folder)["included_labels.csv"] == before
