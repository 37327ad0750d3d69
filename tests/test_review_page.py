"""The page on which labels are reviewed: its facts, and what a reviewer does with it."""

import random
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import UNHEARD_OF, Database
from loads import fetch, longest_wait, wait_for
from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.review_page import OPTIONS
from loader.errors import UserError
from review.check import FLAGGED_CATEGORIES, WITHHELD_CATEGORIES
from review.cli import cli
from review.facts import described_image, label_facts
from review.files import label_key, read
from review.live import fill_seeds
from review.page import render, write_page

CHROMIUM = shutil.which("chromium")
HOSTILE = """'"></a></script><script>document.title = "taken over"</script><img src=SERVER/title>
<img src=x onerror='document.title = "taken over"'>"""
HEADER = "label,decision,minimum_accuracy,category,reason,reviewed_by,reviewed_on"
POLICY = "Content Security Policy"  # a browser names it of all that is refused
NOTHING = "0 labels decided; would show on 0 more images, 0 fewer."
AGREEMENT = {"machine": "clarifai", "images": 2, "confirmed": 1, "between": [0.1, 0.9]}

Facts = dict[str, Any]


def said(label: str, machine: str = "lax", **facts: object) -> Facts:
    """Return what a machine says of a label: 1 image at 0.70, 2 at 0.85, 4 at 0.90, 8 at 0.97."""
    bins = {"70": 1, "85": 2, "90": 4, "97": 8}
    counts = {"images": 15, "bins": bins, "minimum": "0.9"}
    return {"machine": machine, "label": label, **counts, **facts}


def made_up_facts(*labels: Facts) -> Facts:
    """Return what a page shows: labels that two machines say, unless they say otherwise."""
    withheld = {"blocked_by": "provider_withheld"}
    return {
        "catalog": "made up",
        "reviewers_required": 1,
        "categories": {"withhold": WITHHELD_CATEGORIES, "flag": FLAGGED_CATEGORIES},
        "images": [["A hat", None, "https://example.org/hat", "Ada", "by 4.0"]],
        "labels": [
            {"said": [said(one["label"]), said(one["label"], "clarifai", **withheld)], **one}
            for one in sorted(labels, key=lambda one: label_key(one["label"]))
        ],
    }


def unreviewed(label: str, queue: int, **facts: object) -> Facts:
    return {"label": label, "queue": queue, "unreviewed": True, **facts}


def included(label: str, **facts: object) -> Facts:
    signed = {"reviewed_by": "maintainers", "reviewed_on": "2026-11-22"}
    return {"label": label, "decision": "include", **signed, **facts}


def withheld(label: str, **facts: object) -> Facts:
    sensitive = {"decision": "withhold", "category": "gender", "reason": "guesses gender"}
    return included(label, **sensitive | facts)


GUN = withheld("Gun", decision="flag", category="weapons", reason="a weapon", minimum="0.7")
QUEUE = ["Bucket Hat", "Air Fryer", "Older Adult", "Crossbow", "Whatever"]
HATS = made_up_facts(
    *(unreviewed(label, place) for place, label in enumerate(QUEUE, start=1)),
    included("Hat"),
    withheld("Woman"),
)


WRONG: list[str] = []


@pytest.fixture(scope="session")
def window() -> Iterator[Page]:
    """The window in which tests open their pages: a new one takes as long as a test in it."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed; .ci/run installs it")
    expect.set_options(timeout=longest_wait() * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        context = browser.new_context()
        context.set_default_timeout(longest_wait() * 1000)
        context.on("weberror", lambda raised: WRONG.append(str(raised.error)))
        context.on("console", lambda said: POLICY in said.text and WRONG.append(said.text))
        yield context.new_page()
        browser.close()


Open = Callable[[Facts | str], Page]


@pytest.fixture
def opened(window: Page, tmp_path: Path) -> Iterator[Open]:
    """A function that opens a page of facts, as if for the first time; nothing may go wrong."""

    def open_page(facts: Facts | str) -> Page:
        path = tmp_path / "index.html"
        path.write_text(facts if isinstance(facts, str) else render(facts), encoding="utf-8")
        window.goto(path.as_uri())
        return window

    yield open_page
    for page in window.context.pages[1:]:
        page.close()
    window.evaluate("localStorage.clear()")
    wrong, WRONG[:] = WRONG[:], []
    assert wrong == []


def beside(page: Page) -> Page:
    """Open the page in another window, which is closed after the test."""
    another = page.context.new_page()
    another.goto(page.url)
    return another


# A review, by the keyboard alone.


def text(page: Page, selector: str) -> str:
    return page.locator(selector).inner_text()


def texts(page: Page, selector: str) -> list[str]:
    return page.locator(selector).all_inner_texts()


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def fill(page: Page, selector: str, words: str) -> None:
    page.locator(selector).fill(words)
    press(page, "Escape")


def find(page: Page, label: str) -> None:
    """Open a label by its address."""
    address = "#/" + quote(label_key(label), safe="!'()*~")
    page.evaluate("(address) => { location.hash = address; }", address)
    expect(page.locator("#label")).to_have_text(label)


def decide(
    page: Page, label: str, key: str, category: str = "", reason: str = "", minimum: str = ""
) -> None:
    """Decide on a label by its key; say what is then asked for."""
    if text(page, "#label") != label:
        find(page, label)
    if minimum:
        fill(page, "#minimum", minimum)
    press(page, key)
    if category:
        page.keyboard.type(category)
        press(page, "Tab")
    if reason:
        page.locator("#reason").fill(reason)
        press(page, "Enter")


def exported(page: Page, path: Path) -> bytes:
    """Return what is exported, by the keyboard."""
    page.focus("#export")
    with page.expect_download() as download:
        press(page, "Enter")
    assert download.value.suggested_filename == "decisions.csv"
    download.value.save_as(path)
    press(page, "Escape")
    return path.read_bytes()


def rows_by_ann(page: Page, path: Path) -> list[str]:
    """Return the lines that Ann exports, up to her name."""
    fill(page, "#reviewer", "Ann")
    return [row.split(",Ann")[0] for row in exported(page, path).decode().splitlines()[1:]]


def test_a_review_by_the_keyboard_outlives_a_reload(opened: Open, tmp_path: Path) -> None:
    page = opened(HATS)
    assert texts(page, "#list .label") == QUEUE
    fill(page, "#reviewer", "Ann")
    decide(page, "Bucket Hat", "i")
    decide(page, "Air Fryer", "i", minimum="0.85")
    decide(page, "Older Adult", "w", "age", 'guesses how "old", and more')
    totals = text(page, "#totals")
    page.reload()
    assert text(page, "#totals") == totals != NOTHING
    decide(page, "Crossbow", "f", "weapons", "a weapon")
    decide(page, "Whatever", "l")
    decide(page, "Hat", "e", reason="says nothing")
    today = page.evaluate("today()")
    assert exported(page, tmp_path / "decisions.csv").decode().splitlines() == [
        HEADER,
        f"Air Fryer,include,0.85,,,Ann,{today}",
        f"Bucket Hat,include,,,,Ann,{today}",
        f"Crossbow,flag,,weapons,a weapon,Ann,{today}",
        f"Hat,exclude,,,says nothing,Ann,{today}",
        f'Older Adult,withhold,,age,"guesses how ""old"", and more",Ann,{today}',
    ]
    want = "5 labels decided; would show on 38 more images, 12 fewer."
    assert text(page, "#totals") == want
    assert text(page, "#machines") == "lax: 38 more, 12 fewer"
    # All that was gone to is on the tabulator's way.
    way = set()
    for _ in range(30):
        press(page, "Tab")
        way.add(page.evaluate("document.activeElement.id"))
    assert {"reviewer", "import", "export", "search", "shown", "minimum"} <= way


def test_a_browser_that_keeps_nothing_says_so_and_loses_nothing_meanwhile(opened: Open) -> None:
    page = opened(HATS)
    page.evaluate("Storage.prototype.setItem = () => { throw new Error('full') }; 0")
    assert page.locator("#unkept").is_hidden()
    press(page, "i")
    assert page.locator("#unkept").is_visible()
    # Another window keeps something.
    page.evaluate("dispatchEvent(new StorageEvent('storage', { key: STORE }))")
    assert text(page, "#totals").startswith("1 label decided")
    page = page.context.new_page()
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no') } })"
    )
    page.goto(page.context.pages[0].url)
    assert page.locator("#unkept").is_visible()
    press(page, "i")
    assert text(page, "#totals").startswith("1 label decided")


def test_what_is_decided_is_undone_left_and_cleared(opened: Open) -> None:
    page = opened(made_up_facts(unreviewed("Fog", 1), unreviewed("Sun", 2)))
    press(page, "u")
    assert text(page, "#notice") == "There is nothing to undo."
    assert text(page, "#effect") == "It shows on no image."
    press(page, "i", "i")
    done = "“Sun” included. All of the queue is decided: export decisions.csv."
    assert text(page, "#notice") == done
    press(page, "i")
    assert text(page, "#notice") == f"Decided again: {done}"
    press(page, "u", "u")
    assert text(page, "#label") == "Sun"
    assert text(page, "#totals").startswith("1 label decided; would show on 12 more")
    press(page, "p", "l")
    assert text(page, "#totals") == NOTHING
    press(page, "u")
    assert text(page, "#totals").startswith("1 label decided")
    page.once("dialog", lambda dialog: dialog.accept())
    page.locator("#clear").click()
    page.reload()
    assert text(page, "#totals") == NOTHING


def test_single_keys_decide_where_nobody_types_and_may_be_switched_off(opened: Open) -> None:
    page = opened(made_up_facts(*HATS["labels"], included("Hats")))
    press(page, "/", *"filewjkunp?")
    page.locator("#search").fill("")
    press(page, "Escape", "Control+i", "e", *"liwfeu")
    assert page.locator("#reason").input_value() == "liwfeu"
    press(page, "Escape", "?")
    assert page.locator("#keys").is_visible()
    press(page, "i", "Escape")
    assert page.locator("#keys").is_hidden()
    for keys, label in (("nj", "Older Adult"), ("pk", "Bucket Hat")):
        press(page, *keys)
        assert text(page, "#label") == label
    # Enter decides only what a reason is asked for.
    find(page, "Hat")
    for selector in ("#minimum", "#also input"):
        page.locator(selector).press("Enter")
    press(page, "?")
    page.get_by_label("Single keys decide and move").uncheck()
    press(page, "Escape")
    page.reload()
    press(page, *"ienlu/?")
    assert text(page, "#label") == "Hat"
    assert page.locator("#keys").is_hidden()
    assert text(page, "#totals") == NOTHING


def test_the_list_is_what_is_searched_and_filtered(opened: Open) -> None:
    def judged(label: str, between: list[float], made_up: int = 0) -> Facts:
        verdicts = {"judged": 20, "right": 4, "made_up": made_up, "between": between}
        says = said(label, "m2", verdicts=verdicts, fit=["beta", 6, 1.1], images_like=[[0, 0.97]])
        return included(label, said=[says])

    airy, boxy = judged("Airy", [0.7, 0.97]), judged("Boxy", [0.08, 0.42], 20)
    page = opened(made_up_facts(GUN | {"spellings": ["Pistol"]}, airy, boxy, *HATS["labels"]))
    listed = page.locator("#list .label")
    for chosen_of, want in (
        ({"shown": "queue"}, QUEUE),
        ({"shown": "include"}, ["Airy", "Boxy", "Gun", "Hat"]),
        ({"shown": "flag"}, ["Gun"]),
        ({"shown": "withhold"}, ["Woman"]),
        ({"shown": "exclude"}, []),
        ({"shown": "all", "machine": "of m2"}, ["Airy", "Boxy"]),
        ({"machine": "", "category": "gender"}, ["Woman"]),
        ({"category": "", "shown": "judged"}, ["Boxy", "Airy"]),  # wrong most surely
    ):
        for filter_, value in chosen_of.items():
            page.locator(f"#{filter_}").select_option(value)
        expect(listed).to_have_text(want)
    assert texts(page, "#list li") == ["Boxy\n12\nmade up", "Airy\n12"]
    page.locator("#list a").first.click()
    verdicts = "People judged 20 tags: 4 right (8 % to 42 %); 20 of the verdicts made up."
    expect(page.locator("#evidence")).to_contain_text(verdicts)
    assert texts(page, ".gallery li p") == ["A hat", "Ada, by 4.0", "m2 0.97"]
    assert page.locator("#evidence polyline").count() == 1  # the fit
    page.locator("#shown").select_option("all")
    for words, want in (("hat", ["Hat", "Bucket Hat", "Whatever"]), ("PIST", ["Gun"]), ("no", [])):
        page.locator("#search").fill(words)
        expect(listed).to_have_text(want)
    assert text(page, "#found").startswith("None. Show all labels")


def test_a_reason_a_category_and_a_name_are_asked_for(opened: Open, tmp_path: Path) -> None:
    page = opened(made_up_facts(*HATS["labels"], GUN))
    for key in "ewf":
        press(page, key, "Tab")
        page.locator("#reason").fill("  ")
        press(page, "Enter", "Escape")
    decide(page, "Bucket Hat", "i", minimum="1.5")
    page.locator("#export").click()
    assert text(page, "#notice").startswith("There is nothing to export")
    # What is withheld or flagged is included for a reason alone, and not for the one it had.
    for label in ("Woman", "Gun"):
        find(page, label)
        press(page, "i")
        assert page.locator("#reason").input_value() == ""
        press(page, "Enter")
        page.keyboard.insert_text("says nothing of people")
        press(page, "Enter")
    page.locator("#export").click()
    assert text(page, "#notice").startswith("Who reviewed the labels?")
    assert page.evaluate("document.activeElement.id") == "reviewer"
    assert rows_by_ann(page, tmp_path / "file") == [
        "Gun,include,0.7,,says nothing of people",
        "Woman,include,,,says nothing of people",
    ]


def test_what_is_in_force_may_be_signed_and_shows_once_enough_have(opened: Open) -> None:
    one = unreviewed("Fog", 1, decision="include", reviewed_by="Ann", reviewed_on="2026-11-22")
    woman = withheld("Woman", note="alias of Person")
    page = opened(made_up_facts(one, unreviewed("Mist", 2), woman) | {"reviewers_required": 2})
    assert texts(page, "#in-force p")[0] == "Awaits more reviewers: included."
    for name, more in (("ann", 0), ("Bob", 12)):
        fill(page, "#reviewer", name)
        decide(page, "Fog", "i")
        decide(page, "Mist", "i")
        assert f"would show on {more} more" in text(page, "#totals")
    decide(page, "Fog", "i", minimum="0.7")  # which is not what Ann has signed
    assert "would show on 0 more" in text(page, "#totals")
    find(page, "Woman")
    assert texts(page, "#in-force p") == [
        "In force: withheld, gender: guesses gender.",
        "Signed by maintainers on 2026-11-22.",
        "Note: alias of Person",
    ]
    press(page, "w")
    page.locator("#reason").press("Enter")  # the category and the reason are there
    assert text(page, "#totals").startswith("3 labels decided")


def test_labels_of_the_same_word_are_decided_together_if_wanted(
    opened: Open, tmp_path: Path
) -> None:
    cats = GUN | {"label": "Cats"}
    names = map(included, ["Berry", "Berries", "Box", "Boxes", "Hat", "Bat"])
    page = opened(made_up_facts(*names, included("Cat", minimum="0.8"), cats))
    for label, *others in (("Hat",), ("Berry", "Berries\nincluded"), ("Boxes", "Box\nincluded")):
        find(page, label)
        assert texts(page, "#also label") == others
    page.locator("#also input").press("Space")
    decide(page, "Boxes", "e", reason="of a shop")
    assert text(page, "#totals").startswith("2 labels decided")
    press(page, "u")
    assert text(page, "#totals") == NOTHING
    # The other one keeps its minimum, unless one is given.
    find(page, "Cat")
    assert text(page, "#also label") == "Cats\nflagged from 0.7 (weapons)"
    for minimum, kept in (("0.8", "0.7"), ("0.9", "0.9")):
        page.locator("#also input").check()
        assert text(page, "[data-decision=exclude] .number") == "-29"
        decide(page, "Cat", "i", minimum=minimum, reason="why")
        both = [f"Cat,include,{minimum},,why", f"Cats,include,{kept},,why"]
        assert rows_by_ann(page, tmp_path / "file") == both
        press(page, "u")


def test_a_reviewer_is_warned_of_what_is_near_and_of_what_no_decision_shows(opened: Open) -> None:
    now = "is withheld (gender: guesses gender)."
    away = "to include it takes that away."
    own = f"It is withheld now (gender: guesses gender): {away}"
    denied = "A denied pattern keeps this name out, whatever is decided here."
    out = "No decision shows it: all tags of this machine are withheld."
    unseen = "No file can name it."
    bank = "Corrected to “Bank Machine”, so only that can be included."
    together = "It goes with “Woman”, of which it is an alias."
    near = (
        (included("Bride", parents=["Woman"]), f"Parent “Woman” {now}"),
        (included("Lady", note="alias of Woman; as said"), f"Alias of “Woman” {now}", together),
        (included("Women's", parents=["Nobody"]),),
        (withheld("Woman", note="alias of Wife"), own, "“Lady” is its alias, and goes with it."),
        (included("Wife"), f"Alias “Woman” {now}"),
        (included("Womans"), f"Same word “Woman” {now}"),
        (GUN, f"It is flagged now (weapons: a weapon): {away}"),
        (included("Breeze", note="alias of air"),),
        (included("Fog", said=[said("Fog", blocked_by="provider_withheld")]), out),
        ({"label": "by-nc", "is_denied": True}, denied),
        ({"label": "Atm", "replaced_by": "Bank Machine"}, bank),
        (unreviewed("Unseen", 1, unwritable=unseen), unseen),
        (included("Air"), "“Breeze” is its alias, and goes with it."),
    )
    page = opened(made_up_facts(*(fact for fact, *_ in near)))
    for fact, *warned in near:
        find(page, fact["label"])
        assert texts(page, "#warnings li") == warned, fact
    assert texts(page, ".choice .number") == ["±0", "-24", "-24", "±0", ""]
    decide(page, "Air", "e", reason="is everywhere")
    decide(page, "Breeze", "i")
    find(page, "Breeze")
    assert "include both or neither" in text(page, "#warnings")
    # What cannot be shown, or not even named, is left.
    totals = text(page, "#totals")
    for label, keys, words in (("Atm", "if", bank), ("Unseen", "iewf", unseen)):
        find(page, label)
        for key in keys:
            press(page, key)
            assert page.locator("#details").is_hidden()
            assert words in text(page, "#notice")
    press(page, "l")
    assert text(page, "#notice").startswith("“Unseen” left.")
    assert text(page, "#totals") == totals


def test_the_nearer_fit_is_drawn_as_far_as_there_are_accuracies(opened: Open) -> None:
    page = opened(HATS)
    for fit, whole, last in (
        # Its density has no bound at 1.
        (["beta", 5, 0.3], 1, 0.4400),
        # Its powers are below the smallest number.
        (["beta", 1300, 300], 1, 0),
        # A fifth of it lies above 1, where nothing is drawn.
        (["log_normal", -0.2, 0.24], 0.7977, 0.0120),
    ):
        shares = page.evaluate("expectedShares", fit)
        assert shares[-1] == pytest.approx(last, abs=5e-4)
        assert sum(shares) == pytest.approx(whole, abs=2e-3)


def test_two_windows_keep_what_each_decides(opened: Open, tmp_path: Path) -> None:
    first = opened(HATS)
    second = beside(first)
    second.locator("#minimum").fill("0.8")
    fill(first, "#reviewer", "Ann")
    decide(first, "Bucket Hat", "i")
    expect(second.locator("#reviewer")).to_have_value("Ann")
    expect(second.locator("#totals")).to_contain_text("1 label decided")
    assert second.locator("#minimum").input_value() == "0.8"
    first.evaluate("restore = () => {}")  # it lies frozen, and hears of nothing
    press(second, "Escape", "i")
    first.evaluate("decisions = new Map()")
    decide(first, "Crossbow", "i")
    rows = ["Bucket Hat,include,0.8,,", "Crossbow,include,,,"]
    assert rows_by_ann(first, tmp_path / "file") == rows
    press(first, "u", "u")
    assert "Another window has decided otherwise" in text(first, "#notice")
    assert rows_by_ann(first, tmp_path / "file") == rows[:1]
    # What was kept while a page was away is on it when it comes back.
    second.evaluate("localStorage.setItem(STORE, JSON.stringify({ reviewer: 'Bob' }))")
    second.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    assert second.locator("#reviewer").input_value() == "Bob"


# Decisions from elsewhere.


def chosen(page: Page, content: str | bytes) -> str:
    """Import a file, and return what the page says of it."""
    page.evaluate("say('')")
    content = content if isinstance(content, bytes) else content.encode()
    file = {"name": "decisions.csv", "mimeType": "text/csv", "buffer": content}
    page.locator("#import").set_input_files(file)
    expect(page.locator("#notice")).not_to_be_empty()
    return text(page, "#notice")


def test_a_file_goes_from_page_to_page_unaltered(opened: Open, tmp_path: Path) -> None:
    odd = 'Odd, "quoted"; Ünicode \U0001f3a9'
    sun = included("Sun", minimum="0.905")
    page = opened(made_up_facts(unreviewed(odd, 1), unreviewed("Elsewhere", 2), sun))
    # A minimum is any number, and holds up only what is shown.
    decide(page, odd, "e", reason='"as, it; is"', minimum="1.5")
    decide(page, "Elsewhere", "i", minimum="9e-1")
    decide(page, "Sun", "i")
    rows = rows_by_ann(page, tmp_path / "first.csv")
    quoted = '"Odd, ""quoted""; Ünicode \U0001f3a9",exclude,,,"""as, it; is"""'
    assert rows == ["Elsewhere,include,0.9,,", quoted, "Sun,include,0.905,,"]
    first = (tmp_path / "first.csv").read_bytes()
    # As a spreadsheet saves it; on a page that lacks the labels, and of another reviewer.
    page = opened(HATS | {"catalog": "another"})
    spreadsheet = b"\xef\xbb\xbf" + first.replace(b"\n", b"\r\n")
    assert chosen(page, spreadsheet) == "3 decisions imported."
    assert text(page, "#machines") == "3 of the labels are not on this page"
    fill(page, "#reviewer", "Bob")
    assert exported(page, tmp_path / "second.csv") == first


def test_what_is_imported_is_taken_together_wins_and_can_be_undone(
    opened: Open, tmp_path: Path
) -> None:
    page = opened(HATS)
    decide(page, "Bucket Hat", "i")
    rows = [
        "",
        "Hat,flag,.9,weapons,one,Bob;Ann,2026-01-31",
        ",,",
        " hAT ,flag,0.90,weapons,two,ann;Eve,2026-02-01",
        "bucket hat,include,,,NULL,Bob,2026-01-31",
    ]
    file = "\n".join([HEADER, *rows]) + "\n"
    words = "2 decisions imported, 1 in place of others; undo takes that back."
    assert chosen(page, file) == words
    assert chosen(page, file) == "2 decisions imported."
    assert exported(page, tmp_path / "file").decode().splitlines()[1:] == [
        "bucket hat,include,,,,Bob,2026-01-31",
        "Hat,flag,.9,weapons,one; two,Bob;Ann;Eve,2026-02-01",
    ]
    press(page, "u", "u")
    assert rows_by_ann(page, tmp_path / "file") == ["Bucket Hat,include,,,"]


GOOD = "Hat,exclude,,,no,Bob,2026-01-31"


BROKEN = (
    ("label,decision\nHat,include\n", "Line 1: it has to be label,decision,"),
    (f'{HEADER}\n{GOOD}\n"Cat,include\n', "Line 3: a quotation mark is missing"),
    (f"{HEADER}\n\n{GOOD},\n", "Line 3: has 8 values, it needs 7"),
    (f"{HEADER}\n{GOOD}\nhAT,include,,,,Bob,2026-01-31\n", "Line 3: decides on “hAT” otherwise"),
    (f"{HEADER}\n{GOOD[3:]}\n", "Line 2: names no label"),
    (f'{HEADER}\n"a\nb"{GOOD[3:]}\nx\n', "Line 2: has a line end or a control character"),
    (f"{HEADER}\nHat,show,,,,Bob,2026-01-31\n", "Line 2: decides “show”; say one of include"),
    (f"{HEADER}\nHat,include,1.01,,,Bob,2026-01-31\n", "Line 2: has a minimum accuracy that"),
    (f"{HEADER}\nHat,include,0x1,,,Bob,2026-01-31\n", "Line 2: has a minimum accuracy that"),
    (f"{HEADER}\nHat,exclude,1,,no,Bob,2026-01-31\n", "Line 2: has a minimum accuracy, which"),
    (f"{HEADER}\nHat,flag,,age,no,Bob,2026-01-31\n", "Line 2: needs a category; say one of we"),
    (f"{HEADER}\nHat,exclude,,age,no,Bob,2026-01-31\n", "Line 2: has a category, which exclude"),
    (f"{HEADER}\nHat,exclude,,,null,Bob,2026-01-31\n", "Line 2: has no reason; say why."),
    (f"{HEADER}\nHat,exclude,,,no,,2026-01-31\n", "Line 2: does not say who reviewed"),
    (f"{HEADER}\nHat,exclude,,,no,Bob,2026-02-31\n", "Line 2: has no date as 2026-01-31"),
    (HEADER.encode("utf-16"), "The file is not UTF-8 text"),
)


def test_a_broken_file_is_refused_with_its_line(opened: Open) -> None:
    page = opened(HATS)
    for content, words in BROKEN:
        assert chosen(page, content)[: len(words)] == words
    assert text(page, "#totals") == NOTHING


def test_a_key_is_the_same_in_the_browser(opened: Open) -> None:
    names = [f" \t{chr(code)}Aé\v" for code in range(0x20, 0x250)] + ["İI", "ẞ Σ", "ﬀ\u00a0"]
    keys = opened(HATS).evaluate("(names) => names.map(keyOf)", names)
    assert keys == list(map(label_key, names))


# What a catalog says.


@contextmanager
def counting_server() -> Iterator[tuple[str, list[str]]]:
    """Run a server; yield its address and the paths that it was asked for."""
    asked: list[str] = []

    class Counting(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), Counting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


# None of these may become a link, or be loaded.
NO_ADDRESSES = (
    "javascript:document.title = 'taken over'",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,<script>document.title = 'taken over'</script>",
    "//example.org",
    "https:///path",
    "https://[",
    "file:///etc/passwd",
    None,
)


def hostile_facts(server: str) -> Facts:
    """Return facts of which each text is an attack."""
    words = HOSTILE.replace("SERVER", server)
    agreement = AGREEMENT | {"machine": words, "unconfirmed": [0]}
    likes = [[place, 0.9] for place in range(len(NO_ADDRESSES) + 1)]
    says = said(words, words, images_like=likes, agreement=[agreement])
    fields = dict.fromkeys(("category", "reason", "note", "reviewed_by", "reviewed_on"), words)
    label = {"label": words, "queue": 1, "parents": [words, "b"], "spellings": [words]}
    one = fields | label | {"decision": "withhold", "said": [says]}
    facts = made_up_facts(one, withheld("b", reason=words))
    addresses = ((f"{server}/image.png?a=1&b=\"'<>", None), *((bad, bad) for bad in NO_ADDRESSES))
    facts["images"] = [described_image(words, *each, words, words) for each in addresses]
    return facts


def test_what_a_catalog_says_runs_nothing_and_images_are_asked_for(opened: Open) -> None:
    with counting_server() as (address, asked):
        html = render(hostile_facts(address))
        assert html.count("<script") == html.count("</script") == 2
        page = opened(html)
        asked_for = []
        page.on("request", lambda request: asked_for.append(request.url))
        press(page, "w", "l", "Escape", "n", "p")
        page.locator("#reviewer").fill(HOSTILE)
        chosen(page, f'{HEADER}\n"{HOSTILE[:9]}",show,,,,Bob,2026-01-31\n')
        page.evaluate("(text) => { location.hash = '#/' + text; }", HOSTILE)
        page.evaluate("location.hash = '#/%'")
        assert page.locator("script, img, iframe, object, embed, base").count() == 2
        assert page.locator("a:not([href^='#/'])").count() == 0
        assert "taken over" in text(page, "main")
        assert not page.title().startswith("taken over")
        assert asked == asked_for == []

        # Asked for images it loads the one that has an address: the server does count.
        page.locator("#load").click()
        wait_for(lambda: bool(asked))
        press(page, "n", "p")
        assert page.locator("#evidence img").count() == 2  # once more where machines disagree
        assert {path.split("?")[0] for path in asked} == {"/image.png"}
        assert not page.title().startswith("taken over")
        page.reload()
        assert page.locator("#evidence img").count() == 0

        # Without its policy and what keeps texts in their place it would be taken over.
        html = re.sub(r"<meta http-equiv[^>]*>", "", html).replace(r"\u003c", "<")
        assert WRONG == []
        page = page.context.new_page()
        page.set_content(html.replace(r"\"", '"'))
        expect(page).to_have_title("taken over")
        assert "/title" in "".join(asked)
        WRONG.clear()


TRY_ALL = """(address) => {
  window.refused = [];
  addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
  const add = (tag, attributes) => document.body.appendChild(make(tag, attributes, "ran = 1"));
  add("script", {});
  add("script", { src: address });
  add("iframe", { src: address });
  add("object", { data: address });
  add("link", { rel: "stylesheet", href: address });
  add("style", {});
  add("base", { href: address });
  add("form", { action: address }).submit();
  fetch(address).catch(() => {});
  navigator.sendBeacon(address);
}"""


def test_what_the_page_may_load_and_run_is_its_own_alone(opened: Open) -> None:
    with counting_server() as (address, asked):
        page = opened(HATS)
        page.evaluate(TRY_ALL, address)
        page.wait_for_function("() => refused.length === 10")
        assert page.evaluate("typeof ran") == "undefined"
        assert asked == []
    WRONG.clear()


# Who reads it, and on what.


def hindrances(page: Page, where: str = "html") -> list[str]:
    """Return what hinders people, as axe finds it."""
    return [
        f"{one['id']}: {[node['html'] for node in one['nodes']][:3]}"
        for one in Axe().run(page, where).response["violations"]
    ]


def test_a_screen_reader_and_a_telephone_can_use_it(opened: Open) -> None:
    long = "Pneumonoultramicroscopicsilicovolcanoconiosis" * 3
    agreement = AGREEMENT | {"unconfirmed": [0]}
    says = said(long, long, images_like=[[0, 0.97]], agreement=[agreement])
    one = unreviewed(long, 1, said=[says], parents=["Woman", long])
    facts = made_up_facts(one, *HATS["labels"])
    facts["images"][0] = [long, None, f"https://example.org/{long}", long, long]
    page = beside(opened(facts))
    press(page, "i", "p", "w")
    assert hindrances(page) == []
    page.emulate_media(color_scheme="dark")
    assert hindrances(page) == []
    press(page, "Escape", "?")
    assert hindrances(page, "#keys") == []
    press(page, "Escape")
    page.set_viewport_size({"width": 320, "height": 640})
    for key in ("i", "p", "w"):
        press(page, key)
        assert page.evaluate("document.documentElement.scrollWidth") == 320
        assert page.evaluate("$('main').scrollWidth <= $('main').clientWidth")
        if key != "w":
            assert 0 < page.evaluate("$('label').getBoundingClientRect().top") < 100
            assert page.evaluate("$('notice').getBoundingClientRect().bottom") == 640
    wide = page.evaluate("420 / document.querySelector('svg').clientWidth")
    size = "(each) => each.map((text) => parseFloat(getComputedStyle(text).fontSize))"
    assert min(page.locator("svg text").evaluate_all(size)) / wide >= 9
    page.evaluate("document.documentElement.removeAttribute('lang')")
    assert [words.split(":")[0] for words in hindrances(page)] == ["html-has-lang"]


@pytest.mark.parametrize("labels", [250, pytest.param(3_300, marks=pytest.mark.slow)])
def test_a_long_list_is_drawn_in_part_and_goes_on(opened: Open, labels: int) -> None:
    page = opened(made_up_facts(*(included(f"Label {number:04}") for number in range(labels))))
    assert page.locator("#list li").count() == 100
    page.locator("#further").press("Enter")
    assert page.locator("#list li").count() == 200
    assert page.evaluate("document.activeElement.textContent").startswith("Label 0100")
    find(page, f"Label {labels - 1:04}")
    page.locator("#search").fill("")
    press(page, "Escape", "n")
    assert text(page, "#notice") == "That was the last label of the list."
    press(page, "p")
    assert text(page, "#label") == f"Label {labels - 2:04}"


# The facts.


@pytest.fixture(scope="module")
def sample_facts(sample: Database) -> Facts:
    """What is known of the labels of the sample but for the evidence: that takes half a minute."""
    evidence = ("EXAMPLES", "PARENTS", "AGREEMENT", "PRECISION", "FITS")
    nothing = dict.fromkeys(evidence, "select where false")
    with sample.connect() as connection, mock.patch.multiple("review.facts", **nothing):
        return label_facts(connection)


def test_the_page_counts_as_the_preview_does(
    sample: Database, sample_facts: Facts, folder: Path, opened: Open, tmp_path: Path
) -> None:
    dice = random.Random(3)
    barriers = {"unwritable", "is_denied", "replaced_by"}
    needed = {label_key(line["corrected"]) for line in read("label_corrections", folder)}
    labels = [
        fact["label"]
        for fact in sample_facts["labels"]
        if {"said", "decision"} <= set(fact)
        and not barriers & set(fact)
        and label_key(fact["label"]) not in needed
        and not fact.get("note", "").startswith("alias of ")  # it goes with its label
    ]
    rows = [HEADER]
    for label in dice.sample(labels, 300):
        minimum = dice.choice(("", "0.55", "0.57", "0.83", "0.945", "1", "0"))
        choices = ("exclude,,", "withhold,,age", f"include,{minimum},", f"flag,{minimum},drugs")
        rows.append(f'"{label}",{dice.choice(choices)},why,Ann,2026-12-31')
    file = tmp_path / "decisions.csv"
    file.write_text("\n".join(rows) + "\n")
    page = opened(sample_facts)
    assert chosen(page, file.read_bytes()) == "300 decisions imported."
    with mock.patch("review.cli.FOLDER", folder):
        applied = sample.invoke(cli, "apply", file).stdout
    found = re.search(r"(\S+) tags would be published, (\S+) withdrawn", applied)
    more, fewer = found.groups() if found else ("0", "0")
    assert "0" not in (more, fewer)
    totals = f"300 labels decided; would show on {more} more images, {fewer} fewer."
    assert text(page, "#totals") == totals


SHOWN = """
select tag ->> 'name', count(*)
from refinery.published_images, jsonb_array_elements(tags) as tag
where tag ->> 'provider' = 'rekognition' and tag ->> 'name' = any(%s)
group by 1
"""


def test_a_sitting_empties_the_queue_and_published_tags_follow(
    own_sample: Database, sample_facts: Facts, folder: Path, opened: Open, tmp_path: Path
) -> None:
    """By the keyboard to the file; applied, previewed, put in force by dbt, and shown."""
    page = opened(sample_facts)
    queue = texts(page, "#list .label")
    awaiting = fetch(own_sample, "select label from refinery.unreviewed_labels")
    assert queue == [label for (label,) in awaiting] != []
    press(page, "i", "u")
    for label in queue:
        if label == UNHEARD_OF:
            decide(page, label, "i")
        else:
            decide(page, label, "w", "age", "guesses how old a person is")
    assert text(page, "#totals") == (
        f"{len(queue)} labels decided; would show on 7 more images, 0 fewer."
    )
    assert len(rows_by_ann(page, tmp_path / "decisions.csv")) == len(queue)
    find(page, "Woman")
    assert texts(page, "#in-force p")[0] == "In force: withheld, gender: guesses a person's gender."

    with mock.patch("review.cli.FOLDER", folder):
        applied = own_sample.invoke(cli, "apply", tmp_path / "decisions.csv")
    assert (applied.exit_code, applied.stderr) == (0, "")
    assert f"“{UNHEARD_OF}” would show on 7 more images." in applied.stdout  # of the preview

    with own_sample.connect() as connection:
        fill_seeds(connection, folder)
        own_sample.build("seed", "--select", "label_corrections")
    assert fetch(own_sample, "select * from refinery.unreviewed_labels") == []
    assert fetch(own_sample, SHOWN, queue) == [(UNHEARD_OF, 7)]


def test_what_the_evidence_says_is_of_its_labels(sample: Database) -> None:
    with sample.connect() as connection, connection.transaction(force_rollback=True):
        for name in (
            *("label_examples", "label_parents", "label_agreement", "label_precision"),
            "confidence_distribution",
        ):
            connection.execute(f"alter view refinery.{name} rename to was_{name}")
        connection.execute("""
            create table refinery.label_examples as
            select 'rekognition' as provider, 'Dog' as label, 1 as rank, identifier,
                0.95123 as accuracy
            from catalog.image limit 1;
            create table refinery.label_parents as
            select 'rekognition' as provider, 'Dog' as label, 'Mammal' as parent
            union all select 'clarifai', 'dog', 'Animal';
            create table refinery.label_agreement as
            select provider, label, 'clarifai' as other_provider, 9 as images, 6 as confirmed,
                0.35432 as share_low, 0.88 as share_high,
                array[identifier, gen_random_uuid()] as unconfirmed_identifiers
            from refinery.label_examples;
            create table refinery.label_precision as
            select 'rekognition' as provider, 'dog' as label, 23 as judgements, 9 as correct,
                3 as made_up, 0.2216 as precision_low, 0.59214 as precision_high
            union all select 'rekognition', null, 1, 1, 0, 0.2, 1;
            create table refinery.confidence_distribution as
            select provider, label, 30 as images, 'beta' as nearer_fit, 6 as alpha, 1.1 as beta,
                null::numeric as log_mean, null::numeric as log_standard_deviation
            from refinery.label_examples;
        """)
        facts = label_facts(connection, ["DOG", "no such label"])
        (described,) = connection.execute("""
            select title, coalesce(thumbnail, url), foreign_landing_url, creator,
                license || ' ' || license_version
            from catalog.image inner join refinery.label_examples using (identifier)
        """).fetchall()
    (dog,) = facts["labels"]
    (says,) = (one for one in dog["said"] if one["machine"] == "rekognition")
    agreement = {"images": 9, "confirmed": 6, "between": [0.3543, 0.88], "unconfirmed": [0, 1]}
    verdicts = {"judged": 23, "right": 9, "made_up": 3, "between": [0.2216, 0.5921]}
    assert (dog["label"], dog["parents"]) == ("Dog", ["Animal", "Mammal"])
    assert says["images_like"] == [[0, 0.9512]]
    assert says["agreement"] == [{"machine": "clarifai", **agreement}]
    assert says["verdicts"] == verdicts
    assert says["fit"] == ["beta", 6, 1.1]
    assert facts["images"] == [list(described), None]


def test_the_command_writes_the_folder(sample: Database, tmp_path: Path) -> None:
    output = tmp_path / "new" / "folder"
    done = sample.invoke(cli, "page", "dog, Person", "--output", output)
    assert re.fullmatch(rf"{output}/index.html: 2 labels with \d+ images\n", done.stdout)
    assert (output / "index.html").exists()
    done = sample.invoke(cli, "page", "no such label", "--output", output)
    assert (done.exit_code, "no machine says such a label" in done.stderr) == (1, True)


def test_a_page_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "folder" / "index.html").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    nobody = mock.create_autospec(psycopg.Connection, instance=True)
    for path in (tmp_path / "folder", tmp_path / "file", tmp_path / "file" / "page"):
        with pytest.raises(UserError, match="cannot be written"):
            write_page(nobody, path)
    with mock.patch("os.access", return_value=False), pytest.raises(UserError, match="who may"):
        write_page(nobody, tmp_path / "new")
    assert nobody.mock_calls == []


def test_examples_that_are_not_built_are_asked_for(loaded: Database) -> None:
    done = loaded.invoke(cli, "page")
    assert (done.exit_code, "dbt build --selector evidence" in done.stderr) == (1, True)
