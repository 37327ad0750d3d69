"""What the evidence says of real responses and verdicts, worked out again in plain Python."""

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from statistics import NormalDist
from uuid import UUID, uuid4

import pytest
from conftest import Database, clone
from loads import fetch, real_data, write

from benchmarks.reading_of_the_rules import FORMATS, Policy, key, machine_tags
from review.files import FOLDER
from trial.server import Server

OWN = Policy.read(FOLDER)
CATALOG = "catalog_images.csv"
# An image's machine to what it says: a label's name and accuracy.
Labels = dict[UUID, dict[str, dict[str, Decimal | None]]]
Files = list[tuple[str, Path]]

# What is asked, what it is made of, and the test of dbt that warns of models.
NODES = (
    *("label_agreement", "label_examples", "label_precision", "label_model_changes"),
    *("int_judged_labels", "label_equivalents", "label_judgements"),
    *("int_decided_labels", *(f"int_{name}_labels" for name in ("catalog", *FORMATS))),
    "another_model_moves_labels_little",
)
SELECTED = ("--select", *NODES, "--indirect-selection", "empty")
INTO_CATALOG = "copy catalog.image (identifier, provider, tags) from stdin"
JUDGEMENT = "identifier, label, provider, is_correct"
INTO_JUDGEMENTS = f"copy refinery.label_judgements ({JUDGEMENT}) from stdin"


def rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as lines:
        yield from csv.DictReader(lines)


def verdicts() -> list[dict[str, str]]:
    """Return the first verdict on each label of an image: the seed takes no second one."""
    first: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows(real_data("judged_labels.csv")):
        first.setdefault((row["identifier"], row["provider"], row["label"]), row)
    return list(first.values())


def responses(provider: str, images: Iterable[tuple[object, Iterable[str]]], **more: str) -> bytes:
    """Write responses that are as sure as can be of these labels."""
    of = FORMATS[provider]
    lines = []
    for image, labels in images:
        found = [{of.name: label, of.confidence: 10**of.digits} for label in labels]
        response = {str(of.labels[0]): found} | more
        lines.append(json.dumps({"image_uuid": str(image), "response": response}))
    return "\n".join(lines).encode()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """What machines say of the catalog's images, of images that people judged, and of no image.

    Each judged label was said, so 1.0 stands for its score, which nobody has published. The last
    are of two newer models: “Just” is a label of 30 of 60 images by the one, and of none by the
    other.
    """
    folder = tmp_path_factory.mktemp("files")
    said: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in verdicts():
        said[row["provider"]][row["identifier"]].append(row["label"])
    judged = [
        (name, write(folder / name, responses(name, images.items())))
        for name, images in said.items()
    ]
    before = [["Just"] * (image < 30) + ["Too Few"] * (image < 29) for image in range(60)]
    newer = [
        responses("rekognition", [(uuid4(), names) for names in images], LabelModelVersion=version)
        for version, images in (("4.0", before), ("5.0", [[]] * 60))
    ]
    machines = ("rekognition", "clarifai", "azure_vision")
    return [
        *((name, real_data(f"labellers_{name}.jsonl")) for name in machines),
        ("rekognition", real_data("rekognition_labels.jsonl")),
        *judged,
        ("rekognition", write(folder / "newer", *newer)),
    ]


@pytest.fixture(scope="module")
def real(
    server: Server, built_project: Database, files: Files, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """The project with all of it, and a file of what dbt said."""
    folder = tmp_path_factory.mktemp("real")
    with clone(server, built_project, "real", folder) as real, real.connect() as connection:
        with connection.cursor().copy(INTO_CATALOG) as copy:
            for row in rows(real_data(CATALOG)):
                copy.write_row((row["identifier"], row["provider"], row["tags"] or None))
            for identifier in {row["identifier"] for row in verdicts()}:
                copy.write_row((identifier, None, None))
        for provider, file in files:
            real.loader("load", "--labeller", provider, file)
        done = real.dbt("build", *SELECTED, "--exclude-resource-types", "unit_test")
        assert done.returncode == 0, done.stdout
        (folder / "said").write_text(done.stdout)
        # The seed's own judgements are of another catalog, and count for nothing.
        with connection.cursor().copy(INTO_JUDGEMENTS) as copy:
            for row in verdicts():
                copy.write_row(list(row.values()))
        yield real


def said_in(provider: str, file: Path) -> dict[UUID, dict[str, Decimal]]:
    """Return what a machine says of each image in a file, as it spells it."""
    tags = machine_tags(file.read_bytes().splitlines(), replace(OWN, corrections={}), provider)
    return {
        image: {str(tag["name"]): tag["accuracy"] for tag in of_image}
        for image, of_image in tags.items()
    }


@pytest.fixture(scope="module")
def labels(files: Files) -> Labels:
    """What machines say of each image: in responses, and else in the catalog's own tags."""
    labels: Labels = defaultdict(dict)
    for provider, file in files:
        for image, said in said_in(provider, file).items():
            labels[image][provider] = said
    for row in rows(real_data(CATALOG)):
        tags = [
            (tag["name"].strip(), Decimal(tag["accuracy"]) if "accuracy" in tag else None, tag)
            for tag in json.loads(row["tags"] or "[]", parse_float=Decimal) or []
        ]
        # Of a name that is there twice, the most accurate one comes last and stays.
        tags.sort(key=lambda tag: Decimal(-1) if tag[1] is None else tag[1])
        image = UUID(row["identifier"])
        for provider in {tag["provider"] for *_, tag in tags} - {row["provider"], *labels[image]}:
            labels[image][provider] = {
                name: accuracy for name, accuracy, tag in tags if tag["provider"] == provider
            }
    return labels


def bounds(confirmed: float, images: float) -> tuple[float, float]:
    """Return both roots p of (confirmed/images - p)² = z²·p(1 - p)/images, as Wilson has it."""
    z = NormalDist().inv_cdf(0.975)
    a, b, c = images + z**2, -(2 * confirmed + z**2), confirmed**2 / images
    root = max(b**2 - 4 * a * c, 0) ** 0.5
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def test_agreement_is_what_plain_python_finds(real: Database, labels: Labels) -> None:
    means: dict[str, set[str]] = defaultdict(set)
    for row in rows(FOLDER.parent / "evidence" / "label_equivalents.csv"):
        for one, other in permutations((key(row["label"]), key(row["equivalent"]))):
            means[one].add(other)
    judged: dict[tuple[str, str, str], dict[UUID, bool]] = defaultdict(dict)
    for image, machines in labels.items():
        said = {
            provider: [
                name
                for name, accuracy in names.items()
                if accuracy is None or accuracy >= OWN.minimum(key(name), provider)
            ]
            for provider, names in machines.items()
        }
        for provider, other in permutations(said, 2):
            others = set(map(key, said[other]))
            for name in said[provider]:
                is_confirmed = bool(others & {key(name), *means[key(name)]})
                judged[provider, name, other][image] = is_confirmed
    columns = (
        "provider, label, other_provider, images, confirmed, share, share_low, share_high,"
        " unconfirmed_identifiers"
    )
    got = fetch(real, f"select {columns} from refinery.label_agreement")  # noqa: S608 - from above
    assert len(got) == len(judged) > 3_000
    for *label, images, confirmed, share, low, high, unconfirmed in got:
        want = judged[tuple(label)]
        assert (images, confirmed) == (len(want), sum(want.values())), label
        shares = (sum(want.values()) / len(want), *bounds(sum(want.values()), len(want)))
        assert [float(part) for part in (share, low, high)] == pytest.approx(shares, abs=0.0000501)
        assert unconfirmed == sorted(image for image, is_so in want.items() if not is_so)[:3]
    # Some by an equivalent alone, and some of the catalog's own tags.
    assert any(judged["rekognition", "Outdoors", "azure_vision"].values())
    responses = said_in("clarifai", real_data("labellers_clarifai.jsonl"))
    assert any(name[0] == "clarifai" and set(at) - set(responses) for name, at in judged.items())


def test_examples_are_what_plain_python_finds(real: Database, labels: Labels) -> None:
    """The most accurate images of each label; one without an accuracy counts as below all."""
    there = {UUID(row["identifier"]) for row in (*rows(real_data(CATALOG)), *verdicts())}
    found = defaultdict(list)
    for image in there & labels.keys():
        for provider, names in labels[image].items():
            for name, accuracy in names.items():
                rank = 1 if accuracy is None else -accuracy
                found[provider, name].append((rank, image, accuracy))
    query = """
        select provider, label, array_agg(identifier order by rank),
            array_agg(accuracy order by rank)
        from refinery.label_examples group by provider, label
    """
    got = {
        (provider, label): list(zip(*images, strict=True))
        for provider, label, *images in fetch(real, query)
    }
    assert got == {label: [at[1:] for at in sorted(images)[:12]] for label, images in found.items()}


def test_a_model_that_moves_a_label_is_warned_of(real: Database) -> None:
    """One that 30 of 60 images had, and none has; not one that 29 had, and not one of 18 images."""
    said = (real.folder / "said").read_text()
    assert "more or fewer images: Just (rekognition 4.0: 0.5, 5.0: 0)\n" in said
    assert "WARN 1 another_model_moves_labels_little" in said


def test_real_verdicts_are_counted_by_machine_and_by_label(real: Database) -> None:
    """Of 10,828 verdicts, 11 on Google's labels repeat another, and 10 of them are for right."""
    want: dict[tuple[str, str | None], Counter[bool]] = defaultdict(Counter)
    for row in verdicts():
        for label in (row["label"], None):
            want[row["provider"], label][row["is_correct"] == "true"] += 1
    assert want["rekognition", None] == {True: 5079, False: 5850 - 5079}
    assert want["google_vision", None] == {True: 4645 - 10, False: 4978 - 11 - (4645 - 10)}
    got = fetch(
        real,
        "select provider, label, correct, judgements, precision, precision_low, precision_high,"
        " made_up from refinery.label_precision",
    )
    assert len(got) == len(want) > 1_500
    for provider, label, correct, judgements, precision, low, high, made_up in got:
        counts = want[provider, label]
        assert (correct, judgements, made_up) == (counts[True], counts.total(), 0)
        shares = (counts[True] / counts.total(), *bounds(counts[True], counts.total()))
        assert [float(x) for x in (precision, low, high)] == pytest.approx(shares, abs=0.0000501)
    assert got == sorted(got, key=lambda row: row[6])  # by the upper bound
