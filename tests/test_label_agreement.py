"""What the evidence says of real responses and their labels, worked out again in plain Python."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from statistics import NormalDist, median_low
from typing import Any
from uuid import uuid4

import pytest
from conftest import Database, fresh_database
from loads import fetch, write

from loader.connect import PROJECT
from trial.catalog import load_catalog
from trial.server import Server

REAL_DATA = PROJECT.parent / "shared" / "data"
SEEDS = PROJECT / "seeds"
# An image's machine to what it says: a label's name and accuracy.
Labels = dict[str, dict[str, dict[str, Decimal | None]]]


@dataclass(frozen=True)
class Format:
    """Where a machine's responses have what they say."""

    file: str
    labels: Callable[[Any], Any]
    name: str
    confidence: str
    share: Decimal


FORMATS = {
    "rekognition": Format(
        "labellers_rekognition.jsonl",
        lambda response: response["Labels"],
        "Name",
        "Confidence",
        Decimal("0.01"),
    ),
    "clarifai": Format(
        "labellers_clarifai.jsonl",
        lambda response: response["outputs"][0]["data"]["concepts"],
        "name",
        "value",
        Decimal(1),
    ),
    "azure_vision": Format(
        "labellers_azure_vision.jsonl",
        lambda response: response["tags"],
        "name",
        "confidence",
        Decimal(1),
    ),
}
# Of six catalog images only Rekognition's response is real; other machines' are the catalog's tags.
WITH_PARENTS = "rekognition_labels.jsonl"
CATALOG = "catalog_images.csv"
ANCESTORS = ("+label_agreement", "+label_parents", "+label_model_changes", "+label_model_versions")

NO_TESTS = ("--exclude-resource-types", "unit_test", "test")


@pytest.fixture(scope="module")
def real(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The project with the real catalog, and what three machines say of its images."""
    names = [CATALOG, WITH_PARENTS, *(format.file for format in FORMATS.values())]
    for file in (REAL_DATA / name for name in names):
        if not file.exists():
            pytest.skip(f"{file} is not there")
    with fresh_database(server, "real", tmp_path_factory.mktemp("real")) as fresh:
        fresh.loader("init")
        with fresh.connect() as connection:
            load_catalog(connection, REAL_DATA / CATALOG)
        for provider, format in FORMATS.items():
            fresh.loader("load", "--labeller", provider, REAL_DATA / format.file)
        fresh.loader("load", REAL_DATA / WITH_PARENTS)
        fresh.build("build", "--select", *ANCESTORS, *NO_TESTS)
        yield fresh


def rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as lines:
        yield from csv.DictReader(lines)


def documents(name: str) -> Iterator[dict[str, Any]]:
    with (REAL_DATA / name).open() as lines:
        for line in lines:
            yield json.loads(line, parse_float=Decimal)


def best(tags: Iterator[tuple[str, Decimal | None]]) -> dict[str, Decimal | None]:
    """Return each name with the highest of its accuracies."""
    found: dict[str, Decimal | None] = {}
    for name, accuracy in tags:
        earlier = found.setdefault(name.strip(), accuracy)
        if accuracy is not None and (earlier is None or earlier < accuracy):
            found[name.strip()] = accuracy
    return found


def all_labels() -> Labels:
    """Return what machines say of each image: in responses, and else in the catalog's own tags."""
    labels: Labels = defaultdict(dict)
    files = [(provider, format.file) for provider, format in FORMATS.items()]
    for provider, file in [*files, ("rekognition", WITH_PARENTS)]:
        format = FORMATS[provider]
        for document in documents(file):
            labels[document["image_uuid"]][provider] = best(
                (label[format.name], label[format.confidence] * format.share)
                for label in format.labels(document["response"])
            )
    for image in rows(REAL_DATA / CATALOG):
        tags = json.loads(image["tags"] or "[]", parse_float=Decimal) or []
        own = {tag["provider"] for tag in tags} - {image["provider"]}
        for provider in own - set(labels[image["identifier"]]):
            labels[image["identifier"]][provider] = best(
                (tag["name"], Decimal(tag["accuracy"]) if "accuracy" in tag else None)
                for tag in tags
                if tag["provider"] == provider
            )
    return labels


def minimum_accuracies() -> Callable[[str, str], Decimal]:
    by_label, by_provider = (
        {row[key].lower(): row["minimum_accuracy"] for row in rows(SEEDS / "label_policy" / file)}
        for key, file in (("label", "included_labels.csv"), ("provider", "tag_providers.csv"))
    )
    return lambda key, provider: Decimal(by_label.get(key) or by_provider.get(provider) or "0.9")


def said(labels: Labels) -> Labels:
    """Leave out what machines say below the minimum accuracy."""
    minimum = minimum_accuracies()
    return {
        identifier: {
            provider: {
                name: accuracy
                for name, accuracy in names.items()
                if accuracy is None or accuracy >= minimum(name.lower(), provider)
            }
            for provider, names in machines.items()
        }
        for identifier, machines in labels.items()
    }


def bounds(confirmed: float, images: float) -> tuple[float, float]:
    """Return both roots p of (confirmed/images - p)² = z²·p(1 - p)/images, as Wilson has it."""
    z = NormalDist().inv_cdf(0.975)
    a, b, c = images + z**2, -(2 * confirmed + z**2), confirmed**2 / images
    root = max(b**2 - 4 * a * c, 0) ** 0.5
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def test_agreement_is_what_plain_python_finds(real: Database) -> None:
    means: dict[str, set[str]] = defaultdict(set)
    for row in rows(SEEDS / "evidence" / "label_equivalents.csv"):
        for one, other in permutations((row["label"].lower(), row["equivalent"].lower())):
            means[one].add(other)
    judged: dict[tuple[str, str, str], dict[str, bool]] = defaultdict(dict)
    for identifier, machines in said(all_labels()).items():
        for provider, other in permutations(machines, 2):
            others = {name.lower() for name in machines[other]}
            for name in machines[provider]:
                is_confirmed = bool(others & {name.lower(), *means[name.lower()]})
                judged[provider, name, other][identifier] = is_confirmed
    columns = (
        "provider, label, other_provider, images, confirmed, share, share_low, share_high,"
        " unconfirmed_identifiers::text[]"
    )
    got = fetch(real, f"select {columns} from refinery.label_agreement")  # noqa: S608 - from above
    assert len(got) == len(judged) > 3_000
    for *key, images, confirmed, share, low, high, unconfirmed in got:
        want = judged[tuple(key)]
        assert (images, confirmed) == (len(want), sum(want.values())), key
        shares = (sum(want.values()) / len(want), *bounds(sum(want.values()), len(want)))
        assert [float(part) for part in (share, low, high)] == pytest.approx(shares, abs=0.0000501)
        assert unconfirmed == sorted(image for image, is_so in want.items() if not is_so)[:3]
    # Some by an equivalent alone, and some of the catalog's own tags.
    assert any(judged["rekognition", "Outdoors", "azure_vision"].values())
    responses = {document["image_uuid"] for document in documents(FORMATS["clarifai"].file)}
    assert any(key[0] == "clarifai" and set(images) - responses for key, images in judged.items())


def examples() -> dict[tuple[str, str], list[tuple[str, Decimal | None]]]:
    there = {image["identifier"] for image in rows(REAL_DATA / CATALOG)}
    found = defaultdict(list)
    for identifier, machines in all_labels().items():
        for provider, names in machines.items():
            for name, accuracy in names.items():
                if identifier in there:
                    found[provider, name].append((identifier, accuracy))
    return {
        label: sorted(
            images, key=lambda image: (-(Decimal(-1) if image[1] is None else image[1]), image[0])
        )[:12]
        for label, images in found.items()
    }


def test_examples_are_what_plain_python_finds(real: Database) -> None:
    got = defaultdict(list)
    for provider, label, *image in fetch(
        real,
        "select provider, label, identifier::text, accuracy from refinery.label_examples"
        " order by provider, label, rank",
    ):
        got[provider, label].append(tuple(image))
    assert got == examples()


def test_parents_are_what_plain_python_finds(real: Database) -> None:
    parents = defaultdict(set)
    for document in documents(WITH_PARENTS):
        for label in document["response"]["Labels"]:
            for parent in label["Parents"]:
                parents[document["image_uuid"], label["Name"]].add(parent["Name"])
    want = {
        (provider, label, parent)
        for (provider, label), images in examples().items()
        for identifier, _ in images[:1]
        for parent in parents[identifier, label]
    }
    assert set(fetch(real, "select provider, label, parent from refinery.label_parents")) == want
    assert len(want) > 50


def test_model_versions_are_what_plain_python_finds(real: Database) -> None:
    latest = {
        document["image_uuid"]: document["response"]
        for file in (FORMATS["rekognition"].file, WITH_PARENTS)
        for document in documents(file)
    }
    images = defaultdict(list)
    for response in latest.values():
        labels = ((label["Name"], label["Confidence"] / 100) for label in response["Labels"])
        images[response["LabelModelVersion"]].append(best(labels))
    versions = {}
    for version, labels in images.items():
        accuracies = [accuracy for names in labels for accuracy in names.values()]
        versions[version] = (
            len(labels),
            len(accuracies),
            round(sum(accuracies) / len(accuracies), 6),
            median_low(int(accuracy * 10_000) for accuracy in accuracies) / Decimal(10_000),
        )
    columns = "label_model_version, images, labels, mean_accuracy, median_accuracy"
    query = f"select {columns} from refinery.label_model_versions where provider = 'rekognition'"  # noqa: S608
    assert {version: tuple(row) for version, *row in fetch(real, query)} == versions

    corrected = {
        row["original"]: row["corrected"]
        for row in rows(SEEDS / "label_policy" / "label_corrections.csv")
    }
    before, after = (
        Counter(corrected.get(name, name) for names in images[version] for name in names)
        for version in ("3.0", "2.0")
    )
    want = {label: [before[label], after[label]] for label in before | after}
    got = fetch(
        real,
        "select label, labelled_before, labelled_after from refinery.label_model_changes"
        " where provider = 'rekognition' and (version_before, version_after) = ('3.0', '2.0')",
    )
    assert {label: counts for label, *counts in got} == want


def test_a_model_that_moves_a_label_is_warned_of(real: Database, tmp_path: Path) -> None:
    """One that 30 of 60 images had, and none has; not one that 29 had, and not one of 18 images."""
    test = ("build", "--select", "another_model_moves_labels_little")
    assert "WARN=0" in real.dbt(*test).stdout
    before = [["Just"] * (image < 30) + ["Too Few"] * (image < 29) for image in range(60)]
    lines = [
        json.dumps(
            {
                "image_uuid": str(uuid4()),
                "response": {
                    "Labels": [{"Name": name, "Confidence": 55} for name in names],
                    "LabelModelVersion": version,
                },
            }
        )
        for version, images in (("4.0", before), ("5.0", [[]] * 60))
        for names in images
    ]
    real.loader("load", write(tmp_path / "newer.jsonl", *[line.encode() for line in lines]))
    real.build("build", "--select", "int_rekognition_labels", *NO_TESTS)
    done = real.dbt(*test)
    assert "more or fewer images: Just (rekognition 4.0: 0.5, 5.0: 0)\n" in done.stdout
    assert "WARN 1 another_model_moves_labels_little" in done.stdout
