"""The evidence on the sample: the sample to judge, and what is read for it."""

import csv
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from unittest import mock

import jinja2
import pytest
import yaml
from conftest import Database
from loads import fetch, on_postgres18

from loader.connect import PROJECT


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
        assert (int(row["cell_size"]), int(row["drawn"])) == (there[cell], got[cell])
        assert Decimal(row["weight"]) == round(Decimal(there[cell]) / got[cell], 4)

    again = drawn(sample, "dog", "Cat", "--each", "3", "--width", "0.1", "--with-urls")
    assert {row.pop("url").split("/")[2] for row in again} == {"example.org"}
    other = drawn(sample, "dog", "Cat", "--each", "3", "--width", "0.1", "--seed", "2")
    assert again == rows != other


@on_postgres18
def test_unit_tests_hold_whatever_the_vars_say(sample: Database) -> None:
    """Or `dbt build --selector evidence` would build nothing for who has set one."""
    ours = {
        "threshold_objective": "cost",
        "threshold_minimum_precision": 0.9,
        "threshold_minimum_judgements": 20,
        "cost_of_false_show": 5,
        "cost_of_miss": 2,
        "disparity_confidence": 0.9,
        "disparity_gap": 0.1,
        "outlier_top_labels": 3,
        "outlier_shared_labels": 2,
        "outlier_most_common_share": 0.3,
        "outlier_joins_aliases": False,
        "largest_share_change": 0.1,
        "evidence_threshold": 0.8,
        "gallery_images": 3,
        "gallery_place_keys": ["land"],
        "labelling_backlog": 5,
    }
    unit_tests = ("--select", "models/evidence,test_type:unit")
    done = sample.dbt("test", *unit_tests, "--vars", json.dumps(ours))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("var", "value", "words"),
    [
        ("threshold_objective", "recall", "is precision, f1 or cost, not recall."),
        ("threshold_minimum_precision", 95, "is between 0 and 1, not 95."),
        ("threshold_minimum_precision", 1, "is between 0 and 1, not 1."),
        ("cost_of_miss", -1, "are 0 or above."),
        ("cost_of_false_show", -1, "are 0 or above."),
    ],
)
def test_a_var_that_says_what_cannot_be_is_refused(var: str, value: object, words: str) -> None:
    """By the macro alone: dbt parses the project anew for each var."""
    ours = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"] | {var: value}
    exceptions = mock.Mock()
    macro = jinja2.Template((PROJECT / "macros" / "threshold_objective.sql").read_text())
    names = {"var": ours.__getitem__, "execute": True, "exceptions": exceptions, "return": str}
    macro.make_module(names).threshold_objective()
    exceptions.raise_compiler_error.assert_called_once()
    assert words in exceptions.raise_compiler_error.call_args.args[0]


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


def test_the_evidence_that_is_not_built_is_asked_for(loaded: Database) -> None:
    status, _, err = review(loaded, "draw-sample")
    assert (status, "dbt build --selector evidence" in err) == (1, True)
