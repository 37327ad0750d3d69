"""`python -m benchmarks.review_page`: how fast the reviewers' page of 3,300 labels is in a browser.

Labels, images and counts are made up; no database is needed, but chromium and the dev dependencies
are.
"""

import random
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from review.check import FLAGGED_CATEGORIES, WITHHELD_CATEGORIES
from review.page import render

LABELS, IMAGES_A_LABEL, AWAITING = 3_300, 12, 300
PRESSES = 200
OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
FIRST_PAINT = 'performance.getEntriesByName("first-contentful-paint")[0].startTime'
READY = 'performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd'
# From the key's own time to the frame after the page has dealt with it.
WATCH = """
window.took = [];
addEventListener("keydown", ({ timeStamp }) => requestAnimationFrame(() => {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => window.took.push(performance.now() - timeStamp);
  channel.port2.postMessage(null);
}), true);
"""


def made_up_facts(labels: int = LABELS) -> dict[str, Any]:
    """Return what a page shows, of as many labels."""
    dice = random.Random(1)
    words = ("river", "stone", "cloud", "lamp", "glass", "wheel", "paper", "garden", "tower")

    def said(machine: str, number: int) -> dict[str, Any]:
        bins = {str(bin_): dice.randint(1, 400) for bin_ in range(55, 100)}
        images = [[number * IMAGES_A_LABEL + rank, 0.99] for rank in range(IMAGES_A_LABEL)]
        counts = {"images": sum(bins.values()), "bins": bins, "minimum": "0.9"}
        return {"machine": machine, "label": name(number), "images_like": images, **counts}

    def name(number: int) -> str:
        return f"{dice.choice(words)} {words[number % len(words)]} {number}".title()

    def label(number: int) -> dict[str, Any]:
        facts = [said("rekognition", number), said("clarifai", number)]
        facts[1]["blocked_by"] = "provider_withheld"
        awaits = {"queue": number + 1, "unreviewed": True}
        state = awaits if number < AWAITING else {"decision": "include"}
        return {"label": facts[0]["label"], "said": facts, "parents": ["Nature"], **state}

    address = "https://images.example.org/photographs"
    return {
        "catalog": "made up",
        "reviewers_required": 1,
        "categories": {"withhold": WITHHELD_CATEGORIES, "flag": FLAGGED_CATEGORIES},
        "images": [
            [
                f"A photograph, number {place}",
                f"{address}/{place}.jpg",
                address,
                "someone",
                "by 4.0",
            ]
            for place in range(labels * IMAGES_A_LABEL)
        ],
        "labels": [label(number) for number in range(labels)],
    }


def milliseconds_a_key(page: Page, key: str, presses: int = PRESSES) -> list[float]:
    """Return how long each press of a key takes until what it changed is drawn."""
    page.evaluate("window.took = []")
    for press in range(presses):
        page.keyboard.press(key)
        page.wait_for_function("(press) => window.took.length > press", arg=press)
    return sorted(page.evaluate("window.took"))


def main() -> None:
    """Write such a page, open it, press keys, and print what it took."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder, "index.html")
        path.write_text(render(made_up_facts()), encoding="utf-8")
        print(f"{LABELS:,} labels of {IMAGES_A_LABEL} images: {path.stat().st_size / 1e6:.1f} MB")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(OPTIONS)
        )
        page = browser.new_page()
        page.goto(path.as_uri())
        page.wait_for_timeout(500)
        paint, ready = page.evaluate(FIRST_PAINT), page.evaluate(READY)
        print(f"first paint after {paint:.0f} ms, ready after {ready:.0f} ms")
        page.evaluate(WATCH)
        for key, what in (("n", "next label"), ("i", "include, and the next label")):
            took = milliseconds_a_key(page, key)
            worst = took[int(len(took) * 0.95)]
            print(f"{what}: median {statistics.median(took):.0f} ms, 95th of 100 {worst:.0f} ms")
        browser.close()


if __name__ == "__main__":
    main()
