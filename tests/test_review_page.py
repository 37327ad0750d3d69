"""The page on which labels are reviewed: its facts, and what a reviewer does with it."""

import random
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import UNHEARD_OF, Database
from loads import edited_seeds, on_postgres18
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks.review_page import OPTIONS
from loader.errors import UserError
from review.check import FLAGGED_CATEGORIES, WITHHELD_CATEGORIES
from review.cli import cli
from review.decisions import read_decisions
from review.edit import Edit
from review.facts import described_image, label_facts, web_address
from review.files import label_key, read
from review.live import fill_seeds
from review.page import render, write_page
from review.preview import preview_edit

CHROMIUM = shutil.which("chromium")
HOSTILE = """'"></a></script><script>document.title = "taken over"</script><img src=SERVER/title>
<img src=x onerror='document.title = "taken over"'>"""
HEADER = "label,decision,minimum_accuracy,category,reason,reviewed_by,reviewed_on"
POLICY = "Content Security Policy"  # a browser names it of all that is refused
LONGEST_WAIT_MILLISECONDS = 10_000

Facts = dict[str, Any]


def said(label: str, machine: str = "lax", **facts: object) -> Facts:
    """Return what a machine says of a label: 1 image at 0.70, 2 at 0.85, 4 at 0.90, 8 at 0.97."""
    bins = {"70": 1, "85": 2, "90": 4, "97": 8}
    return {
        "machine": machine,
        "label": label,
        "images": 15,
        "bins": bins,
        "minimum": "0.9",
        **facts,
    }


def made_up_facts(*labels: Facts) -> Facts:
    """Return what a page shows: labels that two machines say, unless they say otherwise."""
    withheld = {"blocked_by": "provider_withheld"}
    return {
        "catalog": "made up",
        "reviewers_required": 1,
        "categories": {"withhold": WITHHELD_CATEGORIES, "flag": FLAGGED_CATEGORIES},
        "images": [
            ["A hat", "https://example.org/hat.jpg", "https://example.org/hat", "Ada", "by 4.0"]
        ],
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


HATS = made_up_facts(
    unreviewed("Bucket Hat", 1),
    unreviewed("Air Fryer", 2),
    unreviewed("Older Adult", 3),
    unreviewed("Crossbow", 4),
    unreviewed("Whatever", 5),
    included("Hat"),
    withheld("Woman"),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed; .ci/run installs it")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))


Open = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """A function that opens a page of facts, as if for the first time; nothing may go wrong."""
    contexts, wrong = [], []

    def open_page(facts: Facts | str, *, init: str = "", **options: Any) -> Page:  # noqa: ANN401 - Playwright's own
        path = tmp_path / "index.html"
        path.write_text(facts if isinstance(facts, str) else render(facts), encoding="utf-8")
        context = browser.new_context(**options)
        context.set_default_timeout(LONGEST_WAIT_MILLISECONDS)
        context.add_init_script(init)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if POLICY in said.text else None)
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


# A review, by the keyboard alone.


class Decided(NamedTuple):
    """What a reviewer decides on a label; by which key, and what is then asked for."""

    label: str
    key: str
    category: str = ""
    reason: str = ""
    minimum: str | None = None


def tab_to(page: Page, selector: str) -> None:
    """Go to an element by the tabulator."""
    for _ in range(400):
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no way to {selector} by the keyboard")


def type_over(page: Page, text: str) -> None:
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.press("Delete")
    page.keyboard.type(text)


def title(page: Page) -> str:
    return page.locator("#label").inner_text()


def find(page: Page, label: str) -> None:
    """Open a label that may not be in the queue."""
    if page.locator("#shown").input_value() != "all":
        tab_to(page, "#shown")
        page.keyboard.type("All")
        page.keyboard.press("Escape")
    page.keyboard.press("/")
    type_over(page, label)
    page.keyboard.press("Enter")
    assert title(page) == label


def decide(page: Page, decided: Decided) -> None:
    """Decide on a label by the keyboard."""
    if title(page) != decided.label:
        find(page, decided.label)
    if decided.minimum is not None:
        tab_to(page, "#minimum")
        type_over(page, decided.minimum)
        page.keyboard.press("Escape")
    page.keyboard.press(decided.key)
    if decided.category:
        page.keyboard.type(decided.category.replace("_", " "))
        page.keyboard.press("Tab")
    if decided.reason:
        type_over(page, decided.reason)
        page.keyboard.press("Enter")


def exported(page: Page, path: Path) -> Path:
    """Export what is decided, by the keyboard."""
    tab_to(page, "#export")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "decisions.csv"
    download.value.save_as(path)
    return path


def exported_by(page: Page, reviewer: str, path: Path) -> Path:
    """Export what is decided under a name."""
    tab_to(page, "#reviewer")
    type_over(page, reviewer)
    return exported(page, path)


def reviewed(page: Page, decisions: list[Decided], path: Path, reviewer: str = "Ann") -> Path:
    """Review labels by the keyboard alone, and return the file of decisions that is exported."""
    for decided in decisions:
        decide(page, decided)
    return exported_by(page, reviewer, path)


REVIEW = [
    Decided("Bucket Hat", "i"),
    Decided("Air Fryer", "i", minimum="0.85"),
    Decided("Older Adult", "w", "age", 'guesses how "old", and more'),
    Decided("Crossbow", "f", "weapons", "a weapon"),
    Decided("Whatever", "l"),
    Decided("Hat", "e", reason="says nothing"),
]


def test_a_review_from_the_queue_to_the_file(opened: Open, tmp_path: Path) -> None:
    page = opened(HATS)
    assert page.locator("#list .label").all_inner_texts() == [
        label for label, *_ in REVIEW if label != "Hat"
    ]
    path = reviewed(page, REVIEW, tmp_path / "decisions.csv")
    today = page.evaluate("today()")
    assert path.read_bytes().decode().splitlines() == [
        HEADER,
        f"Air Fryer,include,0.85,,,Ann,{today}",
        f"Bucket Hat,include,,,,Ann,{today}",
        f"Crossbow,flag,,weapons,a weapon,Ann,{today}",
        f"Hat,exclude,,,says nothing,Ann,{today}",
        f'Older Adult,withhold,,age,"guesses how ""old"", and more",Ann,{today}',
    ]
    assert page.locator("#totals").inner_text() == (
        "5 labels decided; would show on 38 more images, 12 fewer."
    )
    assert page.locator("#machines").inner_text() == "lax: 38 more, 12 fewer"


def test_nothing_is_lost_by_a_reload(opened: Open, tmp_path: Path) -> None:
    page = opened(HATS)
    for decided in REVIEW[:3]:
        decide(page, decided)
    tab_to(page, "#reviewer")
    type_over(page, "Ann")
    totals = page.locator("#totals").inner_text()
    page.keyboard.press("Tab")
    page.reload()
    assert page.locator("#totals").inner_text() == totals
    rest = reviewed(page, REVIEW[3:], tmp_path / "resumed.csv")
    whole = reviewed(opened(HATS), REVIEW, tmp_path / "whole.csv")
    assert rest.read_bytes() == whole.read_bytes()


def test_a_browser_that_keeps_nothing_says_so(opened: Open, tmp_path: Path) -> None:
    refuse = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no') } })"
    page = opened(HATS, init=refuse)
    assert page.locator("#unkept").is_visible()
    assert len(reviewed(page, REVIEW, tmp_path / "file").read_text().splitlines()) == 6
    full = "Storage.prototype.setItem = () => { throw new Error('full') }"
    page = opened(HATS, init=full)
    assert not page.locator("#unkept").is_visible()
    page.keyboard.press("i")
    assert page.locator("#unkept").is_visible()


def test_what_is_decided_is_undone_left_and_cleared(opened: Open) -> None:
    page = opened(HATS)
    page.keyboard.press("u")
    assert page.locator("#notice").inner_text() == "There is nothing to undo."
    page.keyboard.press("i")
    page.keyboard.press("i")
    page.keyboard.press("u")
    assert title(page) == "Air Fryer"
    assert page.locator("#totals").inner_text().startswith("1 label decided; would show on 12 more")
    page.keyboard.press("p")
    page.keyboard.press("l")
    assert page.locator("#totals").inner_text().startswith("0 labels decided; would show on 0 more")
    page.keyboard.press("u")
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator("#clear").click()
    page.reload()
    assert page.locator("#totals").inner_text().startswith("0 labels decided")


def test_no_key_decides_while_somebody_types(opened: Open) -> None:
    page = opened(HATS)
    page.keyboard.press("/")
    page.keyboard.type("filewjkunp?")
    type_over(page, "")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+i")
    page.keyboard.press("e")
    page.keyboard.type("liwfeu")
    assert page.locator("#reason").input_value() == "liwfeu"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("i")
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()
    assert page.evaluate("decisions.size") == 0
    page.keyboard.press("n")
    page.keyboard.press("j")
    assert title(page) == "Older Adult"
    page.keyboard.press("p")
    page.keyboard.press("k")
    assert title(page) == "Bucket Hat"


def test_a_reason_and_a_category_are_asked_for_and_so_is_the_name(opened: Open) -> None:
    page = opened(HATS)
    for key in "ewf":
        page.keyboard.press(key)
        page.keyboard.press("Tab")
        page.locator("#reason").fill("  ")
        page.keyboard.press("Enter")
        assert page.evaluate("decisions.size") == 0
        page.keyboard.press("Escape")
    tab_to(page, "#minimum")
    page.keyboard.type("1.5")
    page.keyboard.press("Escape")
    page.keyboard.press("i")
    assert page.evaluate("decisions.size") == 0
    page.locator("#export").click()
    assert page.locator("#notice").inner_text().startswith("There is nothing to export")
    page.locator("#minimum").fill("")
    page.keyboard.press("Escape")
    page.keyboard.press("i")
    page.locator("#export").click()
    assert page.locator("#notice").inner_text().startswith("Who reviewed the labels?")
    assert page.evaluate("document.activeElement.id") == "reviewer"


def test_a_decision_in_force_is_shown_and_may_be_signed(opened: Open, tmp_path: Path) -> None:
    facts = made_up_facts(withheld("Woman", note="alias of Person"), included("Hat", minimum="0.7"))
    page = opened(facts)
    find(page, "Woman")
    assert page.locator("#in-force p").all_inner_texts() == [
        "In force: withheld, gender: guesses gender.",
        "Signed by maintainers on 2026-11-22.",
        "Note: alias of Person",
    ]
    page.keyboard.press("w")
    page.locator("#reason").press("Enter")
    path = reviewed(page, [Decided("Hat", "i")], tmp_path / "file")
    rows = [row.rsplit(",", 1)[0] for row in path.read_text().splitlines()[1:]]
    assert rows == ["Hat,include,0.7,,,Ann", "Woman,withhold,,gender,guesses gender,Ann"]
    assert page.locator("#totals").inner_text() == (
        "2 labels decided; would show on 0 more images, 0 fewer."
    )


def test_a_second_signature_shows_a_label_that_needs_two(opened: Open) -> None:
    one = unreviewed("Fog", 1, decision="include", reviewed_by="Ann", reviewed_on="2026-11-22")
    facts = made_up_facts(one, unreviewed("Mist", 2)) | {"reviewers_required": 2}
    page = opened(facts)
    assert page.locator("#in-force p").first.inner_text() == "Awaits more reviewers: included."
    for name, more in (("ann", 0), ("Bob", 12)):
        page.locator("#reviewer").fill(name)
        page.locator("#reviewer").press("Escape")
        decide(page, Decided("Fog", "i"))
        decide(page, Decided("Mist", "i"))
        assert f"would show on {more} more" in page.locator("#totals").inner_text()
    decide(page, Decided("Fog", "i", minimum="0.7"))  # which is not what Ann has signed
    assert "would show on 0 more" in page.locator("#totals").inner_text()


def test_labels_of_the_same_word_are_decided_together_if_wanted(opened: Open) -> None:
    page = opened(made_up_facts(*map(included, ["Berry", "Berries", "Box", "Boxes", "Hat", "Bat"])))
    for label, other in (("Berry", "Berries"), ("Boxes", "Box")):
        find(page, label)
        assert page.locator("#also label").inner_text().split() == [other, "included"]
    tab_to(page, "#also input")
    page.keyboard.press("Space")
    page.keyboard.press("e")
    page.keyboard.type("of a shop")
    page.keyboard.press("Enter")
    assert page.evaluate("[...decisions.keys()].sort()") == ["box", "boxes"]
    page.keyboard.press("u")
    assert page.evaluate("decisions.size") == 0
    find(page, "Hat")
    assert page.locator("#also label").count() == 0


def test_a_reviewer_is_warned_of_what_is_withheld_nearby(opened: Open) -> None:
    facts = made_up_facts(
        included("Bride", parents=["Woman"]),
        included("Lady", note="alias of Woman; as is said"),
        included("Women's", parents=["Nobody"]),
        withheld("Woman", note="alias of Wife"),
        included("Wife"),
        included("Womans"),
        included("Air"),
        included("Breeze", note="alias of air"),
        {"label": "by-nc", "is_denied": True},
        {"label": "Atm", "replaced_by": "Bank Machine"},
    )
    page = opened(facts)
    for label, warned in (
        ("Bride", ["Parent “Woman” is withheld (gender: guesses gender)."]),
        (
            "Lady",
            [
                "Alias of “Woman” is withheld (gender: guesses gender).",
                "It goes with “Woman”, of which it is an alias.",
            ],
        ),
        ("Women's", []),
        ("Wife", ["Alias “Woman” is withheld (gender: guesses gender)."]),
        ("Air", ["“Breeze” is its alias, and goes with it."]),
        ("Breeze", []),
        ("Womans", ["Same word “Woman” is withheld (gender: guesses gender)."]),
        ("by-nc", ["A denied pattern keeps this name out, whatever is decided here."]),
        ("Atm", ["Corrected to “Bank Machine”, so only that can be included."]),
    ):
        find(page, label)
        assert page.locator("#warnings li").all_inner_texts() == warned, label
    for key in "if":
        page.keyboard.press(key)
        assert "cannot be shown. Corrected to" in page.locator("#notice").inner_text()
    assert page.evaluate("decisions.size") == 0


def test_what_people_judged_is_shown_the_wrong_most_surely_first(opened: Open) -> None:
    def judged(label: str, right: int, between: list[float], made_up: int = 0) -> Facts:
        verdicts = {"judged": 20, "right": right, "made_up": made_up, "between": between}
        return included(label, said=[said(label, verdicts=verdicts)])

    page = opened(
        made_up_facts(
            judged("Airy", 18, [0.7, 0.97]), judged("Boxy", 4, [0.08, 0.42], 20), included("Chic")
        )
    )
    page.locator("#shown").select_option("judged")
    # It waits, because the list is drawn again when the address changes.
    expect(page.locator("#list li")).to_have_text(
        ["Boxy\n12\nmade up", "Airy\n12"], use_inner_text=True
    )
    page.keyboard.press("Escape")
    page.locator("#list a").first.click()
    words = page.locator("#evidence").inner_text()
    assert "People judged 20 tags: 4 right (8 % to 42 %); 20 of the verdicts made up." in words


@pytest.mark.parametrize(
    ("fit", "mean", "whole", "last"),
    [
        (["beta", 6, 2], 0.75, 1, 0.0020),
        (["beta", 0.5, 0.5], 0.5, 1, 0.0638),
        # Its density has no bound at 1.
        (["beta", 5, 0.3], 5 / 5.3, 1, 0.4400),
        # Its powers are below the smallest number.
        (["beta", 1300, 300], 0.8125, 1, 0),
        (["log_normal", -0.3, 0.1], 0.7445, 0.9987, 0.0005),
        # A fifth of it lies above 1, where nothing is drawn.
        (["log_normal", -0.2, 0.24], 0.7643, 0.7977, 0.0120),
    ],
)
def test_the_nearer_fit_is_drawn_as_far_as_there_are_accuracies(
    shared: Page, fit: list[object], mean: float, whole: float, last: float
) -> None:
    shares = shared.evaluate("expectedShares", fit)
    assert len(shares) == 100
    assert shares[-1] == pytest.approx(last, abs=5e-4)
    assert sum(shares) == pytest.approx(whole, abs=2e-3)
    middles = [(place + 0.5) / 100 for place in range(100)]
    got = sum(share * middle for share, middle in zip(shares, middles, strict=True)) / sum(shares)
    assert got == pytest.approx(mean, abs=5e-3)


def test_a_fit_is_a_line_over_the_histogram(opened: Open) -> None:
    hat = said("Hat", fit=["beta", 6, 1.1])
    page = opened(made_up_facts(unreviewed("Hat", 1, said=[hat, said("Hat", "clarifai")])))
    assert page.locator("#evidence polyline").count() == 1


def test_aliases_are_counted_with_the_label_they_go_with(opened: Open) -> None:
    names = [included("Child"), included("Kid", note="alias of Child; as is said")]
    page = opened(made_up_facts(*names, included("Kiddo", note="alias of KID"), included("Hat")))
    decide(page, Decided("Child", "e", reason="guesses an age"))
    assert page.locator("#totals").inner_text() == (
        "1 label decided; would show on 0 more images, 36 fewer."
    )
    decide(page, Decided("Kiddo", "i"))
    assert page.locator("#totals").inner_text().endswith("24 fewer.")
    find(page, "Kiddo")
    assert "include both or neither" in page.locator("#warnings").inner_text()


def test_what_is_withheld_or_flagged_is_included_for_a_reason_alone(
    opened: Open, tmp_path: Path
) -> None:
    flagged = withheld("Gun", decision="flag", category="weapons", reason="a weapon")
    page = opened(made_up_facts(withheld("Woman"), flagged, withheld("Cats"), included("Cat")))
    for label, words in (
        ("Woman", "It is withheld now (gender: guesses gender): to include it takes that away."),
        ("Gun", "It is flagged now (weapons: a weapon): to include it takes that away."),
    ):
        find(page, label)
        assert page.locator("#warnings").inner_text() == words
        page.keyboard.press("i")
        assert page.evaluate("decisions.has(current.key)") is False
        assert page.locator("#reason").input_value() == ""
        page.keyboard.type("says nothing of people")
        page.keyboard.press("Enter")
    find(page, "Cat")
    page.locator("#also input").check()
    page.keyboard.press("i")
    assert page.evaluate("decisions.size") == 2
    page.locator("#also input").uncheck()
    page.keyboard.press("i")
    path = exported_by(page, "Ann", tmp_path / "file")
    assert [row.split(",Ann")[0] for row in path.read_text().splitlines()[1:]] == [
        "Cat,include,,,",
        "Gun,include,,,says nothing of people",
        "Woman,include,,,says nothing of people",
    ]


def test_a_label_that_no_file_can_hold_is_left(opened: Open) -> None:
    page = opened(made_up_facts(unreviewed("Fog", 1, unwritable="No file can name it.")))
    assert page.locator("#warnings").inner_text() == "No file can name it."
    for key in "iewf":
        page.keyboard.press(key)
        assert page.locator("#details").is_hidden()
        assert "No file can name it." in page.locator("#notice").inner_text()
    assert page.evaluate("decisions.size") == 0
    page.keyboard.press("l")
    assert page.evaluate("decisions.size") == 1


def test_two_windows_keep_what_each_decides(opened: Open) -> None:
    first = opened(HATS)
    second = first.context.new_page()
    second.goto(first.url)
    second.locator("#minimum").fill("0.8")
    # Neither hears of the other, as when it lies frozen.
    for page in (first, second):
        page.evaluate("refreshed = 0; addEventListener('storage', () => refreshed++)")
    decide(first, Decided("Bucket Hat", "i"))
    first.locator("#reviewer").fill("Ann")
    first.locator("#reviewer").press("Escape")
    second.wait_for_function("() => refreshed === 2")
    assert second.locator("#reviewer").input_value() == "Ann"
    assert second.locator("#minimum").input_value() == "0.8"
    first.evaluate("restore = () => {}")  # it lies frozen, and hears of nothing
    second.keyboard.press("Escape")
    second.keyboard.press("i")
    first.evaluate("decisions = new Map()")
    decide(first, Decided("Crossbow", "i"))
    kept = "JSON.parse(localStorage.getItem(STORE)).decisions.map(([key]) => key).sort()"
    assert first.evaluate(kept) == ["bucket hat", "crossbow"]
    first.keyboard.press("u")
    assert first.evaluate(kept) == ["bucket hat"]
    first.keyboard.press("u")
    assert "Another window has decided otherwise" in first.locator("#notice").inner_text()
    assert first.evaluate("decisions.get('bucket hat').minimum_accuracy") == "0.8"


def test_what_cannot_be_kept_is_not_lost_to_another_window(opened: Open) -> None:
    page = opened(HATS)
    page.evaluate("Storage.prototype.setItem = () => { throw new Error('full') }; 0")
    page.keyboard.press("i")
    page.evaluate("dispatchEvent(new StorageEvent('storage', { key: STORE }))")
    assert page.evaluate("[...decisions.keys()]") == ["bucket hat"]


def test_what_was_kept_meanwhile_is_there_when_the_page_comes_back(opened: Open) -> None:
    page = opened(HATS)
    page.evaluate("localStorage.setItem(STORE, JSON.stringify({ reviewer: 'Bob' }))")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    assert page.locator("#reviewer").input_value() == "Bob"


def test_a_minimum_is_any_number_and_holds_up_what_shows_alone(
    opened: Open, tmp_path: Path
) -> None:
    page = opened(made_up_facts(included("Fog", minimum="0.905"), included("Hat"), included("Sun")))
    decide(page, Decided("Fog", "i"))
    decide(page, Decided("Sun", "i", minimum="9e-1"))
    decide(page, Decided("Hat", "e", minimum="1.5", reason="says nothing"))
    path = exported_by(page, "Ann", tmp_path / "file")
    rows = [row.split(",Ann")[0] for row in path.read_text().splitlines()[1:]]
    assert rows == ["Fog,include,0.905,,", "Hat,exclude,,,says nothing", "Sun,include,0.9,,"]
    assert chosen(page, path.read_text()).startswith("3 decisions imported")


def test_a_label_decided_along_keeps_its_own_minimum(opened: Open) -> None:
    flagged = withheld("Cats", decision="flag", category="weapons", minimum="0.7")
    page = opened(made_up_facts(included("Cat", minimum="0.8"), flagged))
    minima = "[...decisions.values()].map(({ minimum_accuracy }) => minimum_accuracy)"
    assert page.locator("#also label").inner_text() == "Cats\nflagged from 0.7 (weapons)"
    exclude = page.locator("[data-decision=exclude] .number")
    assert exclude.inner_text() == "-14"
    for minimum, kept in (("0.8", ["0.8", "0.7"]), ("0.9", ["0.9", "0.9"])):
        page.locator("#also input").check()
        assert exclude.inner_text() == "-29"
        decide(page, Decided("Cat", "i", minimum=minimum, reason="why"))
        assert page.evaluate(minima) == kept
        page.keyboard.press("u")


def test_an_alias_is_counted_beside_the_choice(opened: Open) -> None:
    page = opened(made_up_facts(included("Child"), included("Kid", note="alias of Child")))
    assert page.locator(".choice .number").all_inner_texts() == ["±0", "-24", "-24", "±0", ""]


def test_single_keys_may_be_switched_off(opened: Open) -> None:
    page = opened(HATS)
    page.keyboard.press("?")
    page.get_by_label("Single keys decide and move").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    for key in "ienlu/?":
        page.keyboard.press(key)
    assert title(page) == "Bucket Hat"
    assert page.evaluate("decisions.size") == 0
    assert page.locator("#keys").is_hidden()


def test_enter_decides_only_what_a_reason_is_asked_for(opened: Open) -> None:
    page = opened(made_up_facts(included("Cat"), included("Cats")))
    for selector in ("#minimum", "#also input"):
        page.locator(selector).press("Enter")
    assert page.evaluate("decisions.size") == 0


def test_the_last_label_says_that_it_is_decided_again(opened: Open) -> None:
    page = opened(made_up_facts(unreviewed("Fog", 1), unreviewed("Sun", 2)))
    assert page.locator("#effect").inner_text() == "It shows on no image."
    found = page.locator("#found")
    assert found.inner_text() == "2 labels, with the images each would show on; 0 decided here"
    page.keyboard.press("i")
    page.keyboard.press("i")
    done = "All of the queue is decided: export decisions.csv."
    assert page.locator("#notice").inner_text() == f"“Sun” included. {done}"
    page.keyboard.press("i")
    assert page.locator("#notice").inner_text() == f"Decided again: “Sun” included. {done}"


def test_what_keeps_all_its_machines_out_is_said(opened: Open) -> None:
    says = said("Fog", blocked_by="provider_withheld")
    page = opened(made_up_facts(unreviewed("Fog", 1, said=[says]), unreviewed("Sun", 2)))
    words = "No decision shows it: all tags of this machine are withheld."
    assert page.locator("#warnings").inner_text() == words
    bars = "[...document.querySelectorAll('svg rect:last-of-type')]"
    fill = f"{bars}.map((bar) => getComputedStyle(bar).fill)"
    (grey,) = page.evaluate(fill)
    find(page, "Sun")
    assert page.locator("#warnings li").count() == 0
    shown, out = page.evaluate(fill)
    assert shown != out == grey


# Decisions from elsewhere.


def test_rows_of_one_decision_are_taken_together(opened: Open) -> None:
    page = opened(HATS)
    rows = [
        "",
        "Hat,flag,.9,weapons,one,Bob;Ann,2026-01-31",
        ",,",
        " hAT ,flag,0.90,weapons,two,ann;Eve,2026-02-01",
    ]
    rows.append("Sun,include,,,NULL,Bob,2026-01-31")
    assert chosen(page, "\n".join([HEADER, *rows]) + "\n") == "2 decisions imported."
    assert page.evaluate("[...decisions.values()].map((one) => Object.values(one).join())") == [
        "Hat,flag,.9,weapons,one; two,Bob;Ann;Eve,2026-02-01",
        "Sun,include,,,,Bob,2026-01-31",
    ]


def chosen(page: Page, text: str | bytes) -> str:
    """Import a file, and return what the page says of it."""
    content = text if isinstance(text, bytes) else text.encode()
    page.evaluate("say('')")
    file = {"name": "decisions.csv", "mimeType": "text/csv", "buffer": content}
    page.locator("#import").set_input_files(file)
    page.wait_for_function("() => $('notice').textContent !== ''")
    return page.locator("#notice").inner_text()


def test_a_file_goes_from_page_to_page_unaltered(opened: Open, tmp_path: Path) -> None:
    odd = 'Odd, "quoted"; Ünicode \U0001f3a9'
    facts = made_up_facts(unreviewed(odd, 6), unreviewed("Elsewhere", 7), *HATS["labels"])
    review = [*REVIEW, Decided(odd, "e", reason='"as, it; is"'), Decided("Elsewhere", "i")]
    first = reviewed(opened(facts), review, tmp_path / "first.csv").read_bytes()
    page = opened(HATS)  # which lacks two of the labels
    assert chosen(page, first) == "7 decisions imported."
    assert "2 of the labels are not on this page" in page.locator("#machines").inner_text()
    page.locator("#reviewer").fill("Bob")
    page.locator("#reviewer").press("Escape")
    assert exported(page, tmp_path / "second.csv").read_bytes() == first
    # As a spreadsheet saves it.
    page = opened(HATS)
    chosen(page, b"\xef\xbb\xbf" + first.replace(b"\n", b"\r\n"))
    assert exported(page, tmp_path / "third.csv").read_bytes() == first


def test_what_is_imported_wins_and_undo_takes_it_back(opened: Open) -> None:
    page = opened(HATS)
    decide(page, Decided("Bucket Hat", "i"))
    text = f"{HEADER}\nbucket hat,exclude,,,no,Bob,2026-01-31\nHat,include,,,,Bob,2026-01-31\n"
    assert chosen(page, text) == (
        "2 decisions imported, 1 in place of others; undo takes that back."
    )
    assert chosen(page, text) == "2 decisions imported."
    assert page.locator("#totals").inner_text().startswith("2 labels decided; would show on 0 more")
    page.keyboard.press("u")
    page.keyboard.press("u")
    assert page.evaluate("[...decisions.values()].map(({ decision }) => decision)") == ["include"]


GOOD = "Hat,exclude,,,no,Bob,2026-01-31"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Line 1: it has to be label,decision,"),
        ("label,decision\nHat,include\n", "Line 1: it has to be label,decision,"),
        (f'{HEADER}\n{GOOD}\n"Cat,include\n', "Line 3: a quotation mark is missing"),
        (f'{HEADER}\nC"a"t,include,,,,Bob,2026-01-31\n', "Line 2: a quotation mark is missing"),
        (f"{HEADER}\n{GOOD},\n", "Line 2: has 8 values, it needs 7"),
        (f"{HEADER}\n\n{GOOD},\n", "Line 3: has 8 values, it needs 7"),
        (
            f"{HEADER}\n{GOOD}\nhAT,include,,,,Bob,2026-01-31\n",
            "Line 3: decides on “hAT” otherwise",
        ),
        (f"{HEADER}\nHat,exclude,,,null,Bob,2026-01-31\n", "Line 2: has no reason; say why."),
        (f"{HEADER}\n{GOOD[3:]}\n", "Line 2: names no label"),
        (f'{HEADER}\n"a\nb"{GOOD[3:]}\nx\n', "Line 2: has a line end or a control character"),
        (f"{HEADER}\nHat,show,,,,Bob,2026-01-31\n", "Line 2: decides “show”; say one of include"),
        (f"{HEADER}\nHat,include,1.01,,,Bob,2026-01-31\n", "Line 2: has a minimum accuracy that"),
        (f"{HEADER}\nHat,include,0x1,,,Bob,2026-01-31\n", "Line 2: has a minimum accuracy that"),
        (f"{HEADER}\nHat,exclude,1,,no,Bob,2026-01-31\n", "Line 2: has a minimum accuracy, which"),
        (f"{HEADER}\nHat,flag,,age,no,Bob,2026-01-31\n", "Line 2: needs a category; say one of we"),
        (f"{HEADER}\nHat,exclude,,age,no,Bob,2026-01-31\n", "Line 2: has a category, which exclu"),
        (f"{HEADER}\nHat,exclude,,,,Bob,2026-01-31\n", "Line 2: has no reason; say why."),
        (f"{HEADER}\nHat,exclude,,,no,,2026-01-31\n", "Line 2: does not say who reviewed"),
        (f"{HEADER}\nHat,exclude,,,no,Bob,2026-02-31\n", "Line 2: has no date as 2026-01-31"),
        (f"{HEADER}\nHat,exclude,,,no,Bob,31.1.2026\n", "Line 2: has no date as 2026-01-31"),
        (HEADER.encode("utf-16"), "The file is not UTF-8 text"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(
    shared: Page, text: str | bytes, words: str
) -> None:
    said = chosen(shared, text)
    assert said.startswith(words)
    assert shared.evaluate("decisions.size") == 0


@pytest.fixture(scope="module")
def shared(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """A page that several tests leave as it is."""
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(render(HATS), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    return page


def test_a_key_is_the_same_in_the_browser(shared: Page) -> None:
    names = [f" \t{chr(code)}Aé\v" for code in range(0x20, 0x250)] + ["İI", "ẞ Σ", "ﬀ\u00a0"]
    assert shared.evaluate("(names) => names.map(keyOf)", names) == list(map(label_key, names))


def test_hundredths_are_whole(shared: Page) -> None:
    """0.55 * 100 is a little more than 55, and would leave out the bin."""
    texts = [f"{hundredth / 100:.2f}" for hundredth in range(101)]
    assert shared.evaluate("(texts) => texts.map(hundredths)", texts) == list(range(101))
    assert shared.evaluate("hundredths('0.905')") == 90.5


# What a catalog says.


class Counting(BaseHTTPRequestHandler):
    """Remembers what it was asked for."""

    def do_GET(self) -> None:
        self.server.paths.append(self.path)  # type: ignore[attr-defined]
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def counting_server() -> Iterator[tuple[str, list[str]]]:
    """Run a server; yield its address and the paths that were asked for."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    server.paths = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", server.paths  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


def hostile_facts(server: str) -> Facts:
    """Return facts of which each text is an attack."""
    text = HOSTILE.replace("SERVER", server)
    take_over = "javascript:document.title = 'taken over'"
    agreement = {
        "machine": text,
        "images": 2,
        "confirmed": 1,
        "between": [0.1, 0.9],
        "unconfirmed": [0],
    }
    says = said(text, text, images_like=[[0, 0.99], [1, 0.9], [2, 0.9]], agreement=[agreement])
    words = dict.fromkeys(("category", "reason", "note", "reviewed_by", "reviewed_on"), text)
    label = {"label": text, "queue": 1, "parents": [text, "b"], "spellings": [text], "said": [says]}
    facts = made_up_facts(words | label | {"decision": "withhold"}, withheld("b", reason=text))
    facts["images"] = [
        described_image(text, f"{server}/image.png?a=1&b=\"'<>", take_over, text, text),
        described_image(text, take_over, f"data:text/html,{text}", text, text),
        described_image(text, f"data:image/svg+xml,{text}", None, text, text),
    ]
    return facts


def test_what_a_catalog_says_runs_nothing_and_reaches_nobody(opened: Open, tmp_path: Path) -> None:
    with counting_server() as (address, asked):
        text = render(hostile_facts(address))
        assert text.count("<script") == text.count("</script") == 2
        page = opened(text)
        asked_for = []
        page.on("request", lambda request: asked_for.append(request.url))
        for key in "wl":
            page.keyboard.press(key)
        page.keyboard.press("Escape")
        page.keyboard.press("n")
        page.keyboard.press("p")
        page.locator("#reviewer").fill(HOSTILE)
        chosen(page, f'{HEADER}\n"{HOSTILE[:9]}",show,,,,Bob,2026-01-31\n')
        page.evaluate("(text) => { location.hash = '#/' + text; }", HOSTILE)
        page.evaluate("location.hash = '#/%'")
        assert page.locator("script, img, iframe, object, embed, base").count() == 2
        assert page.locator("a[href^='http'], a[href^='javascript'], a[href^='data']").count() == 0
        assert "taken over" in page.locator("main").inner_text()
        assert not page.title().startswith("taken over")
        assert asked == asked_for == []

        # Asked for images it loads the one that has an address: the server does count.
        with page.expect_event("requestfinished"):
            page.locator("#load").click()
        assert page.locator("#evidence img").count() == 2  # once more where machines disagree
        assert {path.split("?")[0] for path in asked} == {"/image.png"}
        assert not page.title().startswith("taken over")

        # Without its policy and what keeps texts in their place it would be taken over.
        text = re.sub(r"<meta http-equiv[^>]*>", "", text).replace(r"\u003c", "<")
        broken = tmp_path / "broken.html"
        broken.write_text(text.replace(r"\"", '"'))
        page = page.context.new_page()
        page.goto(broken.as_uri())
        page.wait_for_function("() => document.title === 'taken over'")
        assert "/title" in "".join(asked)


def test_what_the_page_may_load_and_run_is_its_own_alone(opened: Open, tmp_path: Path) -> None:
    with counting_server() as (address, asked):
        page = opened(HATS).context.new_page()
        page.goto((tmp_path / "index.html").as_uri())
        policy = page.locator("meta[http-equiv]").get_attribute("content") or ""
        sources = dict(rule.split(" ", 1) for rule in policy.split("; "))
        assert sources.pop("img-src") == "http: https:"
        for name in ("style-src", "script-src"):
            assert re.fullmatch(r"'sha256-[\w+/=]{44}'", sources.pop(name))
        assert sources == dict.fromkeys(("default-src", "base-uri", "form-action"), "'none'")
        page.evaluate(
            """(address) => {
            const add = (tag, attributes) => document.body.append(make(tag, attributes, "ran = 1"));
            add("script", {});
            add("script", { src: address });
            add("iframe", { src: address });
            add("link", { rel: "stylesheet", href: address });
            add("style", {});
            fetch(address).catch(() => {});
            navigator.sendBeacon(address);
        }""",
            address,
        )
        assert page.evaluate("typeof ran") == "undefined"
        page.wait_for_timeout(100)
        assert asked == []


def test_consent_is_for_the_whole_page_and_asked_anew_after_it(opened: Open) -> None:
    fog, mist = (
        unreviewed(label, 1, said=[said(label, images_like=[[0, 0.97]])])
        for label in ("Fog", "Mist")
    )
    facts = made_up_facts(fog, mist)
    with counting_server() as (address, asked):
        facts["images"][0][1] = f"{address}/hat.jpg"
        page = opened(facts)
        page.keyboard.press("n")
        words = page.locator(".gallery li p").all_inner_texts()
        assert words == ["A hat", "Ada, by 4.0", "lax 0.97"]
        assert page.locator("img").count() == 0
        tab_to(page, "#load")
        with page.expect_event("requestfinished"):
            page.keyboard.press("Enter")
        page.keyboard.press("p")
        assert page.locator("img").count() == 1
        page.reload()
        assert page.locator("img").count() == 0
        assert set(asked) == {"/hat.jpg"}


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("https://example.org/a?b=1&c=2", "https://example.org/a?b=1&c=2"),
        ("HTTP://example.org", "http://example.org"),
        ("javascript:alert(1)", None),
        (" javascript:alert(1)", None),
        ("java\nscript:alert(1)", None),
        ("data:text/html,<script>", None),
        ("//example.org", None),
        ("https:///path", None),
        ("https://[", None),
        ("file:///etc/passwd", None),
        ("", None),
        (None, None),
    ],
)
def test_only_web_addresses_become_links(address: str | None, link: str | None) -> None:
    assert web_address(address) == link


# Who reads it, and on what.


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_screen_reader_can_use_it(opened: Open, scheme: str) -> None:
    hat = said(
        "Hat",
        images_like=[[0, 0.97]],
        agreement=[
            {
                "machine": "clarifai",
                "images": 2,
                "confirmed": 1,
                "between": [0.1, 0.9],
                "unconfirmed": [0],
            }
        ],
    )
    facts = made_up_facts(unreviewed("Hat", 1, parents=["Woman"], said=[hat]), *HATS["labels"])
    page = opened(facts, color_scheme=scheme)

    def serious() -> list[str]:
        violations = Axe().run(page).response["violations"]
        return [
            f"{one['id']}: {[node['html'] for node in one['nodes']][:3]}"
            for one in violations
            if one["impact"] in ("serious", "critical")
        ]

    assert serious() == []
    page.keyboard.press("i")
    page.keyboard.press("p")
    page.keyboard.press("w")
    assert serious() == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert serious() == []
    page.keyboard.press("Escape")
    page.evaluate("document.documentElement.removeAttribute('lang')")
    assert [words.split(":")[0] for words in serious()] == ["html-has-lang"]


def test_everything_has_a_name_and_a_place(shared: Page) -> None:
    for landmark in ("banner", "navigation", "search", "main"):
        assert shared.get_by_role(landmark).count() == 1  # type: ignore[arg-type]
    selects = [("combobox", name) for name in ("Show", "Category", "Machine")]
    inputs = [("searchbox", "Find"), ("textbox", "Your name"), ("spinbutton", "Minimum accuracy")]
    for role, name in [*selects, *inputs, ("button", "Import")]:
        assert shared.get_by_role(role, name=name, exact=True).count() == 1, name  # type: ignore[arg-type]
    for level, name in ((1, "Label review"), (2, "Bucket Hat"), (3, "Decision"), (3, "Images")):
        assert shared.get_by_role("heading", name=name, level=level).count() == 1
    assert shared.locator("#totals").get_attribute("aria-live") == "polite"
    current = shared.locator("#list [aria-current]").all_inner_texts()
    assert [text.split("\n")[0] for text in current] == ["Bucket Hat"]


def test_a_telephone_scrolls_down_alone(opened: Open) -> None:
    long = "Pneumonoultramicroscopicsilicovolcanoconiosis" * 3
    says = said(long, long, images_like=[[0, 0.97]])
    facts = made_up_facts(unreviewed(long, 1, said=[says], parents=[long]), *HATS["labels"])
    facts["images"][0] = [long, None, f"https://example.org/{long}", long, long]
    page = opened(facts, viewport={"width": 320, "height": 640})
    for key in ("i", "p", "w"):
        page.keyboard.press(key)
        assert (
            page.evaluate(
                "(place => 0 < place && place < 100)($('label').getBoundingClientRect().top)"
            )
            or key == "w"
        )
        assert page.evaluate("document.documentElement.scrollWidth") == 320
        assert page.evaluate("$('main').scrollWidth <= $('main').clientWidth")
        notice = page.locator("#notice").bounding_box()
        assert key == "w" or (notice and notice["y"] + notice["height"] == 640)
    texts = page.locator("svg text").all()
    wide = page.evaluate("420 / document.querySelector('svg').clientWidth")
    sizes = [
        text.evaluate("(text) => parseFloat(getComputedStyle(text).fontSize)") for text in texts
    ]
    assert min(sizes) / wide >= 9


def test_a_long_list_is_drawn_in_part_and_goes_on(opened: Open) -> None:
    facts = made_up_facts(*(included(f"Label {number:04}") for number in range(3300)))
    page = opened(facts)
    assert page.locator("#list li").count() == 100
    tab_to(page, "#further")
    page.keyboard.press("Enter")
    assert page.locator("#list li").count() == 200
    assert page.evaluate("document.activeElement.textContent").startswith("Label 0100")
    find(page, "Label 3299")
    page.locator("#search").fill("")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    assert page.locator("#notice").inner_text() == "That was the last label of the list."
    page.keyboard.press("p")
    assert title(page) == "Label 3298"


# The facts.


@pytest.fixture
def connection(sample: Database) -> Iterator[psycopg.Connection]:
    with sample.connect() as connection, connection.transaction(force_rollback=True):
        yield connection


@pytest.fixture(scope="module")
def sample_facts(sample: Database) -> Facts:
    """What is known of all labels of the sample, which takes seconds to read."""
    with sample.connect() as connection:
        return label_facts(connection)


@on_postgres18
def test_the_page_counts_as_the_preview_does(
    connection: psycopg.Connection,
    sample_facts: Facts,
    folder: Path,
    opened: Open,
    tmp_path: Path,
) -> None:
    dice = random.Random(3)
    page = opened(sample_facts)
    labels = page.evaluate(
        "data.labels.filter((label) => label.said.length && !barrier(label))"
        ".map(({ label, aliasOf }) => [label, aliasOf !== undefined])"
    )
    needed = {label_key(line["corrected"]) for line in read("label_corrections", folder)}
    labels = [(label, is_alias) for label, is_alias in labels if label_key(label) not in needed]
    rows = [HEADER]
    for label, is_alias in dice.sample(labels, 300):
        # An alias is not included without its label.
        decision = dice.choice(("exclude", "withhold", "include", "flag")[: 2 if is_alias else 4])
        minimum = dice.choice(("", "0.7", "0.83", "0.945", "1", "0"))
        minimum = minimum if decision in ("include", "flag") else ""
        category = {"withhold": "age", "flag": "drugs"}.get(decision, "")
        rows.append(f'"{label}",{decision},{minimum},{category},why,Ann,2026-12-31')
    text = "\n".join(rows) + "\n"
    assert chosen(page, text) == "300 decisions imported."
    totals = page.evaluate("totals()")
    each = page.evaluate(
        "data.labels.flatMap((label) => changedImages(label, planned(label))"
        ".map(([machine, images], place) => [machine, label.said[place].label, images]))"
    )

    file = tmp_path / "decisions.csv"
    file.write_text(text)
    edit = Edit(folder, may_add=True)
    edit.decide(read_decisions([file]).agreed)
    edit.save()
    effects = preview_edit(connection, folder).effects
    assert sorted(row for row in map(tuple, each) if row[2]) == sorted(
        (effect.provider, effect.label, effect.images) for effect in effects if effect.images
    )
    assert totals["more"] == sum(effect.images for effect in effects if effect.images > 0) > 0
    assert totals["fewer"] == -sum(effect.images for effect in effects if effect.images < 0) > 0


IMAGES_OF = """
select tag ->> 'name', count(*)
from refinery.published_images
cross join jsonb_array_elements(tags) as tag
where tag ->> 'provider' = 'rekognition' and tag ->> 'name' = any(%s)
group by 1
"""


@on_postgres18
def test_a_sitting_empties_the_queue_and_published_tags_follow(
    sample: Database, sample_facts: Facts, folder: Path, opened: Open, tmp_path: Path
) -> None:
    """By the keyboard to the file; applied, previewed, put in force by dbt, and shown."""
    page = opened(sample_facts)
    queue = page.locator("#list .label").all_inner_texts()
    decisions = {label: Decided(label, "e", reason="not needed") for label in queue}
    decisions[queue[0]] = Decided(queue[0], "w", "age", "guesses how old a person is")
    decisions[UNHEARD_OF] = Decided(UNHEARD_OF, "i")
    path = reviewed(page, list(decisions.values()), tmp_path / "decisions.csv")
    assert page.locator("#totals").inner_text() == (
        f"{len(queue)} labels decided; would show on 7 more images, 0 fewer."
    )

    with mock.patch("review.cli.FOLDER", folder):
        applied = sample.invoke(cli, "apply", path)
        previewed = sample.invoke(cli, "preview")
    assert (applied.exit_code, applied.stderr) == (0, "")
    assert previewed.stdout.strip() in applied.stdout
    assert f"“{UNHEARD_OF}” would show on 7 more images." in previewed.stdout

    with edited_seeds(sample) as connection:
        fill_seeds(connection, folder)
        sample.build("seed", "--select", "label_corrections")
        waiting = connection.execute("select count(*) from refinery.unreviewed_labels").fetchone()
        assert waiting == (0,)
        published = dict(connection.execute(IMAGES_OF, (queue,)).fetchall())
        assert published == {UNHEARD_OF: 7}
        signed = connection.execute(
            "select reviewed_by, decision from refinery.policy_history"
            " where label_key in (%s, %s) and in_force_until is null order by decision",
            (label_key(queue[0]), label_key(UNHEARD_OF)),
        )
        assert signed.fetchall() == [("Ann", "include"), ("Ann", "withhold")]
    sample.build("seed", "--select", "label_corrections")


@on_postgres18
def test_the_queue_and_what_is_in_force_are_on_the_page(
    connection: psycopg.Connection, sample_facts: Facts
) -> None:
    facts = {label_key(fact["label"]): fact for fact in sample_facts["labels"]}
    queue = sorted((fact["queue"], fact["label"]) for fact in facts.values() if "queue" in fact)
    awaiting = connection.execute("select label from refinery.unreviewed_labels").fetchall()
    assert [label for _, label in queue] == [label for (label,) in awaiting] != []
    counts = connection.execute("select provider, label, images, decision from refinery.labels")
    for provider, label, images, decision in counts:
        fact = facts[label_key(label)]
        (says,) = (
            one for one in fact["said"] if (one["machine"], one["label"]) == (provider or "", label)
        )
        assert says["images"] == sum(says["bins"].values()) == images
        is_shown = fact.get("decision") in ("include", "flag") and not fact.get("unreviewed")
        assert (decision == "published") == (is_shown and "blocked_by" not in says), label
    assert facts["woman"]["decision"] == "withhold"
    assert facts["woman"]["category"] == "gender"
    assert facts["gun"]["decision"] == "flag"
    assert facts["kid"]["note"] == "alias of Child"
    assert "said" not in facts["abies"] or facts["abies"]["note"] == "alias of Fir"


@on_postgres18
def test_examples_parents_and_agreement_are_of_their_labels(
    connection: psycopg.Connection,
) -> None:
    for relation in ("label_examples", "label_parents", "label_agreement", "label_precision"):
        connection.execute(f"alter table if exists refinery.{relation} rename to was_{relation}")
    connection.execute("""
        create table refinery.label_examples as
        select 'rekognition' as provider, 'Dog' as label, rank::int, identifier, 0.95123 as accuracy
        from (
            select identifier, row_number() over (order by identifier) as rank
            from catalog.image limit 3
        ) as image;
        create table refinery.label_parents as
        select 'rekognition' as provider, 'Dog' as label, 'Mammal' as parent
        union all select 'clarifai', 'dog', 'Animal';
        create table refinery.label_agreement as
        select 'rekognition' as provider, 'Dog' as label, 'clarifai' as other_provider, 9 as images,
        6 as confirmed, 0.667 as share, 0.35432 as share_low, 0.88 as share_high,
        array_agg(identifier) || gen_random_uuid() as unconfirmed_identifiers
        from refinery.label_examples where rank = 1;
        create table refinery.label_precision as
        select 'rekognition' as provider, 'dog' as label, 23 as judgements, 9 as correct,
        3 as made_up, 0.2216 as precision_low, 0.59214 as precision_high
        union all select 'clarifai', 'Horse', 1, 1, 0, 0.2, 1
        union all select 'rekognition', null, 1, 1, 0, 0.2, 1;
    """)
    facts = label_facts(connection, ["DOG", "Cat", "no such label"])
    assert [fact["label"] for fact in facts["labels"]] == ["Cat", "Dog"]
    dog = facts["labels"][1]
    assert dog["parents"] == ["Animal", "Mammal"]
    (says,) = (one for one in dog["said"] if one["machine"] == "rekognition")
    assert says["images_like"] == [[0, 0.9512], [1, 0.9512], [2, 0.9512]]
    assert says["agreement"] == [
        {
            "machine": "clarifai",
            "images": 9,
            "confirmed": 6,
            "between": [0.3543, 0.88],
            "unconfirmed": [0, 3],
        }
    ]
    verdicts = {"judged": 23, "right": 9, "made_up": 3, "between": [0.2216, 0.5921]}
    assert says["verdicts"] == verdicts
    described = connection.execute("""
        select title, coalesce(thumbnail, url), foreign_landing_url, creator,
            license || ' ' || license_version
        from catalog.image inner join refinery.label_examples using (identifier) order by rank
    """).fetchall()
    assert facts["images"] == [*map(list, described), None]


@on_postgres18
def test_the_command_writes_the_folder(sample: Database, tmp_path: Path) -> None:
    output = tmp_path / "new" / "folder"
    done = sample.invoke(cli, "page", "dog, Person", "--output", output)
    assert re.fullmatch(rf"{output}/index.html: 2 labels with \d+ images\n", done.stdout)
    assert [path.name for path in output.iterdir()] == ["index.html"]
    done = sample.invoke(cli, "page", "no such label", "--output", output)
    assert (done.exit_code, "no machine says such a label" in done.stderr) == (1, True)


def test_a_page_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "folder" / "index.html").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    nobody = mock.create_autospec(psycopg.Connection, instance=True)
    for path in (tmp_path / "folder", tmp_path / "file", tmp_path / "file" / "page"):
        with pytest.raises(UserError, match="cannot be written"):
            write_page(nobody, path)
    with (
        mock.patch("os.access", return_value=False),
        pytest.raises(UserError, match="cannot be written; check that it is a file, and who may"),
    ):
        write_page(nobody, tmp_path / "new")
    assert nobody.mock_calls == []


@on_postgres18
def test_examples_that_are_not_built_are_asked_for(loaded: Database) -> None:
    done = loaded.invoke(cli, "page")
    assert (done.exit_code, "dbt build --selector evidence" in done.stderr) == (1, True)
