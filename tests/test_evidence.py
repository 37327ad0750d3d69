"""The evidence on the sample: the sample to judge, and what is read for it."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from unittest import mock

import jinja2
import pytest
import yaml
from conftest import Database
from loads import fetch, oids

from loader.connect import PROJECT
from review.cli import cli

EVIDENCE = PROJECT / "models" / "evidence"
MACROS = list((PROJECT / "macros").glob("*.sql"))
# The made-up example is of the sample: what it is judged by, and what says that it does not count.
EXAMPLE = (
    *("threshold_evaluation", "label_precision", "group_disparity", "image_set_outliers"),
    *("label_judgements", "image_sets", "judgements_count", "image_sets_can_be_compared"),
    *("int_decided_labels", "int_judged_labels", "int_disparity_moments"),
)


def drawn(database: Database, *arguments: str) -> list[dict[str, str]]:
    done = database.invoke(cli, "draw-sample", *arguments)
    assert done.exit_code == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


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


def test_unit_tests_hold_whatever_the_vars_say() -> None:
    """Or `dbt build --selector evidence` would build nothing for who has set one."""
    for model in EVIDENCE.glob("*.sql"):
        code = model.read_text()
        macros = [path.read_text() for path in MACROS if re.search(rf"\b{path.stem}\(", code)]
        read = set(re.findall(r"\bvar\(\s*['\"](\w+)", "".join((code, *macros))))
        for test in yaml.safe_load(model.with_suffix(".yml").read_text()).get("unit_tests", []):
            assert read <= test.get("overrides", {}).get("vars", {}).keys(), test["name"]


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


@pytest.mark.parametrize("labels", [['"dog",Cat'], ["dog ,  dog", " Cat "]])
def test_several_labels_may_stand_in_one(sample: Database, labels: list[str]) -> None:
    rows = drawn(sample, "--each", "1", "--", *labels)
    assert {row["label"] for row in rows} == {"Dog", "Cat"}


def test_make_hands_labels_over_whatever_is_in_them(sample: Database) -> None:
    """No shell reads them; `make` itself would take a dollar sign for its own."""
    odd = "LABEL=Cat, it's `id` * ; | & (x)"
    done = sample.run("make", "--old-file=install", "draw_judgement_sample", "EACH=1", odd)
    assert list(csv.DictReader(io.StringIO(done.stdout))) == drawn(sample, "Cat", "--each", "1")
    none = sample.invoke(cli, "draw-sample", odd)
    assert "no machine says such a label of an image in the catalog" in none.stderr


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


def test_the_example_of_another_catalog_yields_nothing(own_project: Database) -> None:
    options = ("--indirect-selection", "empty", "--exclude-resource-types", "unit_test")
    done = own_project.dbt("build", *options, "--select", *EXAMPLE)
    assert done.returncode == 0, done.stdout
    assert "WARN 54 judgements_count" in done.stdout
    assert "WARN 12 image_sets_can_be_compared" in done.stdout
    for model in EXAMPLE[:4]:
        assert fetch(own_project, f"select * from refinery.{model}") == [], model  # noqa: S608 - from above


def test_dbt_by_itself_leaves_the_evidence_out(project: Database) -> None:
    built = oids(project)
    assert "published_images" in built
    assert not {model.stem for model in EVIDENCE.glob("*.sql")} & built.keys()
    asked = project.invoke(cli, "draw-sample")
    assert (asked.exit_code, "dbt build --selector evidence" in asked.stderr) == (1, True)
