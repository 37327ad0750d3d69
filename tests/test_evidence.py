"""The evidence on the sample: the sample to judge, what is read for it, and the reviewers' page."""

import base64
import csv
import hashlib
import io
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import psycopg
import pytest
from conftest import Database
from loads import fetch, on_postgres18

from loader.connect import PROJECT
from loader.errors import UserError
from review.page import Section, plot, render, web_address, write_page

CHROMIUM = shutil.which("chromium")
HOSTILE = """'"></a></td><script>document.title = "taken over"</script><img src=SERVER/title>"""


def review(database: Database, *arguments: str | Path) -> tuple[int, str, str]:
    """Return a command's exit status and what it printed as result and as reason."""
    done = database.run(sys.executable, "-m", "review", *arguments)
    return done.returncode, done.stdout, done.stderr


def drawn(database: Database, *arguments: str) -> list[dict[str, str]]:
    status, out, err = review(database, "draw-sample", *arguments)
    assert status == 0, err
    return list(csv.DictReader(io.StringIO(out)))


def test_the_drawn_sample_has_as_many_of_each_label_and_bin(sample: Database) -> None:
    rows = drawn(sample, "dog", "Cat", "--each", "3", "--width", "0.1")
    judgements = (PROJECT / "seeds" / "evidence" / "label_judgements.csv").read_text()
    assert list(rows[0]) == judgements.splitlines()[0].split(",")
    assert {row["is_correct"] + row["judged_group"] + row["is_made_up"] for row in rows} == {""}
    cell = "provider, label, least(floor(accuracy * 10), 9)::integer"
    accuracies = fetch(
        sample,
        f"select identifier::text, {cell} from refinery.int_decided_labels"  # noqa: S608 - from above
        " where label in ('Dog', 'Cat')",
    )
    cells = {(identifier, *cell[:2]): cell for identifier, *cell in accuracies}
    got = Counter(tuple(cells[row["identifier"], row["provider"], row["label"]]) for row in rows)
    there = Counter(tuple(cell) for _, *cell in accuracies)
    assert got == {cell: min(count, 3) for cell, count in there.items()}
    for row in rows:
        cell = tuple(cells[row["identifier"], row["provider"], row["label"]])
        assert Decimal(row["weight"]) == round(Decimal(there[cell]) / got[cell], 4)

    again = drawn(sample, "dog", "Cat", "--each", "3", "--width", "0.1", "--with-urls")
    assert {row.pop("url").split("/")[2] for row in again} == {"example.org"}
    other = drawn(sample, "dog", "Cat", "--each", "3", "--width", "0.1", "--seed", "2")
    assert again == rows != other


def test_a_sample_of_no_label_in_particular_is_what_people_can_judge(sample: Database) -> None:
    """Of the labels that are shown on most images, enough of each for rows of their own."""
    labels = Counter(row["label"] for row in drawn(sample))
    most_shown = """
        select label from refinery.labels
        where decision = 'published' group by label order by sum(images) desc limit 5
    """
    assert set(labels) == {label for (label,) in fetch(sample, most_shown)}
    assert 200 <= sum(labels.values()) <= 500
    assert min(labels.values()) >= 30
    assert len({row["label"] for row in drawn(sample, "--most", "2")}) == 2


@pytest.mark.parametrize(
    "labels", [["dog", "Cat"], ["dog,Cat"], [" dog ,  Cat "], ['"dog", Cat'], ["dog,dog", "Cat"]]
)
def test_several_labels_may_stand_in_one(sample: Database, labels: list[str]) -> None:
    rows = drawn(sample, "--each", "1", "--", *labels)
    assert {row["label"] for row in rows} == {"Dog", "Cat"}


def test_make_hands_labels_over_whatever_is_in_them(sample: Database) -> None:
    """No shell reads them; `make` itself would take a dollar sign for its own."""
    make = (
        "make",
        "--silent",
        "--no-print-directory",
        "draw_judgement_sample",
        "--old-file=install",
    )
    named = sample.run(*make, "EACH=1", "LABEL=Cat, Dog")
    assert {row["label"] for row in csv.DictReader(io.StringIO(named.stdout))} == {"Cat", "Dog"}
    odd = sample.run(*make, "LABEL=it's `id` * ; | & (x)")
    assert "Error: no machine says such a label of an image in the catalog\n" in odd.stderr


def test_a_page_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    nobody = mock.create_autospec(psycopg.Connection, instance=True)
    for path in (tmp_path, file / "page.html"):
        with pytest.raises(UserError, match="cannot be written"):
            write_page(nobody, path, None, 1)
    with (
        mock.patch("os.access", return_value=False),
        pytest.raises(UserError, match="cannot be written; check that it is a file, and who may"),
    ):
        write_page(nobody, tmp_path / "new" / "page.html", None, 1)
    assert nobody.mock_calls == []


def test_judgements_read_no_other_image(sample: Database) -> None:
    """On a catalog of millions, reading all tags for some hundred judgements would take hours."""
    for model, images in (("int_judged_labels", 54), ("image_set_outliers", 12)):
        explain = "explain (analyze, timing off, format json)"
        ((explained,),) = fetch(sample, f"{explain} select * from refinery.{model}")  # noqa: S608 - a name
        read = {
            node["Relation Name"]: node["Actual Rows"] * node["Actual Loops"]
            + node.get("Rows Removed by Filter", 0) * node["Actual Loops"]
            for node in nodes(explained[0]["Plan"])
            if node.get("Relation Name") in ("image", "int_rekognition_labels")
        }
        assert set(read) == {"image", "int_rekognition_labels"}
        assert all(0 < rows <= images for rows in read.values()), (model, read)


def nodes(plan: dict[str, object]) -> Iterator[dict[str, object]]:
    yield plan
    for child in plan.get("Plans", []):  # type: ignore[attr-defined]
        yield from nodes(child)


def test_the_example_of_another_catalog_yields_nothing(project: Database) -> None:
    done = project.dbt("build", "--selector", "evidence", "--exclude-resource-types", "unit_test")
    assert done.returncode == 0, done.stdout
    assert re.search(r"WARN 54 judgements_count", done.stdout)
    assert re.search(r"WARN 12 image_sets_can_be_compared", done.stdout)
    models = ("threshold_evaluation", "label_precision", "group_disparity", "image_set_outliers")
    for model in models:
        assert fetch(project, f"select * from refinery.{model}") == [], model  # noqa: S608 - a name


def test_dbt_by_itself_leaves_the_evidence_out(project: Database) -> None:
    paths = project.dbt("--quiet", "ls", "--output", "path").stdout.splitlines()
    assert "models/marts/published_images.sql" in paths
    assert not [path for path in paths if "evidence" in path]


@on_postgres18
def test_a_page_of_the_sample(sample: Database, tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.html"
    done = review(sample, "page", "dog", "Person", "--output", page)
    assert done == (0, f"{page}: 2 labels with 24 images\n", "")
    text = page.read_text()
    assert re.findall(r"<h2>(\w+) ", text) == ["Dog", "Person"]
    rows = fetch(
        sample,
        """
        select images.url, images.creator, images.license
        from refinery.label_gallery
        inner join refinery.published_images as images using (identifier)
        where label = 'Dog' and images.tags @> '[{"name": "Dog"}]'
        order by rank
        """,
    )
    assert len(rows) == 12
    assert re.findall(r'data-address="([^"]+)"', text)[:12] == [url for url, _, _ in rows]
    assert all(f"<td>{creator}</td>" in text and license_ in text for _, creator, license_ in rows)
    status, _, err = review(sample, "page", "no such label")
    assert (status, "no such label is published" in err) == (1, True)
    status, _, err = review(sample, "page", "--output", page / "page.html")
    assert (status, "page.html cannot be written" in err) == (1, True)


def test_the_evidence_that_is_not_built_is_asked_for(loaded: Database) -> None:
    status, _, err = review(loaded, "draw-sample")
    assert (status, "dbt build --selector evidence" in err) == (1, True)


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


def hostile_section(server: str) -> Section:
    text = HOSTILE.replace("SERVER", server)
    image = {
        "rank": 1,
        "identifier": "00000000-0000-0000-0000-000000000001",
        "accuracy": 0.99,
        "title": text,
        "url": f"{server}/image.png?a=1&b=\"'<>",
        "landing_page": "javascript:document.title = 'taken over'",
        "creator": text,
        "license": text,
        "license_version": text,
        "location": text,
    }
    return {
        "provider": text,
        "label": f"a/b \\ {text}",
        "images": 4,
        "images_at_zero": 1,
        "histogram": {"0.00": 1, "0.55": 1, "0.99": 1, "1.00": 1},
        "mean_accuracy": Decimal("0.635"),
        "standard_deviation": Decimal("0.4"),
        "threshold": Decimal("0.9"),
        "share_at_threshold": Decimal("0.5"),
        "log_mean": Decimal("-0.2"),
        "log_standard_deviation": Decimal("0.28"),
        "gallery": [image, image | {"rank": 2, "url": "javascript:alert(1)", "title": None}],
    }


def test_what_the_catalog_says_is_text_on_the_page() -> None:
    page = render([hostile_section("http://127.0.0.1:1")])
    assert page.count("<script>") == page.count("</script>") == 1
    assert re.findall(r"<img [^>]*>", page) == re.findall(r"<img data-address=[^>]*>", page)
    assert 'href="javascript' not in page
    assert "src=" not in re.sub(r"&lt;img src=", "", page.replace("image.src = ", ""))


def test_a_plot_has_a_bar_a_bin_and_the_curve_of_the_fit() -> None:
    section = hostile_section("http://127.0.0.1:1")
    drawing = plot(section)
    assert [bar.words for bar in drawing.bars] == ["0.00: 1", "0.55: 1", "0.99: 1", "1.00: 1"]
    assert len(drawing.curve.split()) == 101
    for no_fit in (
        {"log_mean": None, "log_standard_deviation": None},
        {"log_standard_deviation": 0},
    ):
        assert plot(section | no_fit).curve == ""


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


def opened(page: Path) -> str:
    """Open a page in a browser of its own and return the document that became of it."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *("--disable-sync", "--virtual-time-budget=2000", "--dump-dom"),
            *(f"--user-data-dir={page.parent / 'browser'}", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed; .ci/run installs it")
def test_opening_the_page_loads_nothing_and_runs_nothing_of_the_catalogs(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    with counting_server() as (address, asked):
        text = render([hostile_section(address)])
        page.write_text(text)
        document = opened(page)
        assert asked == []
        assert "<title>Label galleries, for reviewers</title>" in document
        assert document.count("<tr>") == 3
        assert document.count("<img") == 1

        # With a click on its button it loads the one image: the server does count.
        click = 'document.querySelector("button").click()'
        digest = base64.b64encode(hashlib.sha256(click.encode()).digest()).decode()
        text = text.replace("script-src ", f"script-src 'sha256-{digest}' ")
        page.write_text(text.replace("</body>", f"<script>{click}</script></body>"))
        assert "<button" not in opened(page)
        assert [path.split("?")[0] for path in asked] == ["/image.png"]

        # Without its policy and with the titles unescaped it would load more, and be taken over.
        text = re.sub(r"<meta http-equiv[^>]*>", "", text)
        page.write_text(text.replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", '"'))
        assert "<title>taken over</title>" in opened(page)
        assert "/title" in "".join(asked)
