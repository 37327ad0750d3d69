"""The sample data must look like the real files, or what it proves says nothing about them."""

import csv
import json
import statistics
import uuid
from array import array
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from trial import sample
from trial.cli import main

COLUMNS = (
    "identifier,created_on,updated_on,ingestion_type,provider,source,foreign_identifier,"
    "foreign_landing_url,url,thumbnail,width,height,filesize,license,license_version,creator,"
    "creator_url,title,meta_data,tags,watermarked,last_synced_with_source,removed_from_source,"
    "filetype,category,standardized_popularity"
)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    done = CliRunner().invoke(main, ["sample", str(tmp_path_factory.mktemp("sample"))])
    assert done.exit_code == 0
    catalog, labels = map(Path, done.output.splitlines())
    return catalog, labels


@pytest.fixture(scope="module")
def catalog(paths: tuple[Path, Path]) -> list[dict[str, str]]:
    with paths[0].open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def responses(paths: tuple[Path, Path]) -> list[dict[str, Any]]:
    return good_lines(paths[1])


def good_lines(path: Path) -> list[dict[str, Any]]:
    good = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            good.append(json.loads(line))
        except ValueError:
            continue
    return good


def labels_of(response: dict[str, Any]) -> list[dict[str, Any]]:
    return response["response"]["Labels"]


def assert_published_statistics(responses: list[dict[str, Any]]) -> None:
    confidences = [label["Confidence"] for each in responses for label in labels_of(each)]
    above_90 = sum(confidence > 90 for confidence in confidences)
    by_image = [[label["Confidence"] for label in labels_of(each)] for each in responses]
    by_image = [confidences for confidences in by_image if confidences]
    published = {
        "mean of the images' means": (statistics.fmean(map(statistics.fmean, by_image)), 81.0739),
        "median of the images' medians": (
            statistics.median(map(statistics.median, by_image)),
            82.5641,
        ),
        "labels an image": (len(confidences) / len(responses), 12.33),
        "mean confidence": (statistics.fmean(confidences), 79.93),
        "median confidence": (statistics.median(confidences), 81.38),
        "percent above 90": (100 * above_90 / len(confidences), 37.85),
        "above 90 an image": (above_90 / len(responses), 4.66),
    }
    for name, (got, want) in published.items():
        assert got == pytest.approx(want, rel=0.01), name


def test_labels_match_the_published_statistics(responses: list[dict[str, Any]]) -> None:
    assert_published_statistics(responses)


def test_another_seed_matches_the_published_statistics_too(tmp_path: Path) -> None:
    # Guards that they hold by construction: tuned to one seed, they would drift with the next.
    sample.write_labels(tmp_path / "labels.jsonl", images=15_000, seed=7)
    assert_published_statistics(good_lines(tmp_path / "labels.jsonl"))


def test_labels_have_the_shape_that_rekognition_sends(responses: list[dict[str, Any]]) -> None:
    versions = {each["response"]["LabelModelVersion"] for each in responses}
    assert versions == {"2.0", "3.0"}
    for each in responses:
        response = each["response"]
        assert list(each) == ["image_uuid", "response"]
        assert list(response) == ["Labels", "LabelModelVersion", "ResponseMetadata"]
        keys = ["Name", "Confidence", "Instances", "Parents"]
        if response["LabelModelVersion"] == "3.0":
            keys += ["Aliases", "Categories"]
        assert all(list(label) == keys for label in response["Labels"])
        confidences = [label["Confidence"] for label in response["Labels"]]
        assert confidences == sorted(confidences, reverse=True)
        assert confidences == list(array("f", confidences)), "not float32"
        assert all(55 <= confidence <= 100 for confidence in confidences)


def test_labels_share_confidences(responses: list[dict[str, Any]]) -> None:
    neighbours = [pair for each in responses for pair in pairwise(labels_of(each))]
    shared = sum(a["Confidence"] == b["Confidence"] for a, b in neighbours)
    assert 0.2 < shared / len(neighbours) < 0.6


def test_label_names_are_mostly_the_reviewed_ones(responses: list[dict[str, Any]]) -> None:
    with sample.REVIEWED_LABELS.open(encoding="utf-8", newline="") as file:
        reviewed = {row["label"] for row in csv.DictReader(file)}
    names = Counter(label["Name"] for each in responses for label in labels_of(each))
    made_up = set(sample.NEW_LABELS) | set(sample.EARLIER_SPELLINGS)
    assert set(names) <= reviewed | made_up
    assert made_up <= set(names)
    assert len(reviewed & set(names)) > 0.99 * len(reviewed), "the tail occurs, too"
    assert 0.25 < names["Person"] / len(responses) < 0.4
    assert sum(names[name] for name in sample.NEW_LABELS) == len(responses) // 100


def test_every_labelled_image_is_in_the_catalog_once(
    responses: list[dict[str, Any]], catalog: list[dict[str, str]]
) -> None:
    identifiers = [row["identifier"] for row in catalog]
    assert len(set(identifiers)) == 20_000
    assert {uuid.UUID(identifier).version for identifier in identifiers} == {4}
    labelled = dict.fromkeys(each["image_uuid"] for each in responses)
    assert list(labelled) == identifiers[:15_000]


def test_label_file_has_the_oddities_of_real_ones_at_fixed_places(
    paths: tuple[Path, Path], responses: list[dict[str, Any]]
) -> None:
    text = paths[1].read_text(encoding="utf-8")
    *lines, cut = text.split("\n")
    assert len(lines) == 15_000 + 2
    assert lines[7_501] == sample.NOT_JSON
    assert cut.startswith('{"image_uuid":"')
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut)
    repeated, first = json.loads(lines[11_252]), json.loads(lines[0])
    assert repeated["image_uuid"] == first["image_uuid"]
    assert labels_of(repeated) != labels_of(first)
    empty = [place for place, each in enumerate(responses) if not labels_of(each)]
    assert empty[:3] == [10, 1_010, 2_010]
    assert len(empty) == 15
    names = [[label["Name"] for label in labels_of(each)] for each in responses]
    doubled = [place for place, each in enumerate(names) if len(set(each)) < len(each)]
    assert 1 <= len(doubled) <= 5


def test_catalog_has_the_columns_of_the_real_one(paths: tuple[Path, Path]) -> None:
    with paths[0].open(encoding="utf-8") as file:
        assert file.readline() == COLUMNS + "\n"


def test_catalog_names_no_real_place_on_the_web(catalog: list[dict[str, str]]) -> None:
    for row in catalog:
        for column in ("foreign_landing_url", "url", "thumbnail", "creator_url"):
            assert not row[column] or row[column].startswith("https://example.org/")


def test_catalog_has_every_odd_kind_of_tags(catalog: list[dict[str, str]]) -> None:
    values = {row["tags"] for row in catalog}
    assert {"", "{}", "[]", "null", '"harbour"'} <= values

    arrays = [json.loads(value) for value in values if value.startswith("[")]
    tags = [tag for array_ in arrays for tag in array_]
    objects = [tag for tag in tags if isinstance(tag, dict)]
    assert None in tags
    assert "harbour" in tags
    assert any("name" not in tag for tag in objects)
    assert any("provider" not in tag for tag in objects)

    names = [tag.get("name") for tag in objects]
    texts = {name for name in names if isinstance(name, str)}
    assert None in names
    assert 2019 in names
    assert {"sunset", "Sunset", " sunset "} <= texts
    assert {"uploaded:by=instagram", "cc0", " cc0", "by-nc"} <= texts

    accuracies = [tag["accuracy"] for tag in objects if "accuracy" in tag]
    assert None in accuracies
    assert "high" in accuracies
    assert 1.2 in accuracies
    numbers_as_text = [a for a in accuracies if isinstance(a, str) and a != "high"]
    assert all(0 < float(accuracy) <= 1 for accuracy in numbers_as_text)
    assert 0.1 < len(numbers_as_text) / len(accuracies) < 0.3

    assert any(tag.get("provider") == "rekognition" for tag in objects), "left by an earlier run"


def test_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    def written(folder: str, seed: int) -> list[bytes]:
        paths = sample.write_sample(tmp_path / folder, images=300, labelled=200, seed=seed)
        return [path.read_bytes() for path in paths]

    assert written("a", seed=1) == written("b", seed=1)
    assert not set(written("a", seed=1)) & set(written("c", seed=2))


def test_existing_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "catalog.csv").write_text("mine")
    catalog, labels = sample.write_sample(tmp_path, images=30, labelled=20)
    assert catalog.read_text() == "mine"
    assert len(labels.read_text().splitlines()) == 20 + 3
    assert sorted(tmp_path.iterdir()) == [catalog, labels]


def test_interrupted_run_leaves_no_half_written_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path, *_: object) -> None:
        path.write_text("half a li")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sample, "write_labels", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sample.write_sample(tmp_path, images=30, labelled=20)
    assert not (tmp_path / "labels.jsonl").exists()

    _, labels = sample.write_sample(tmp_path, images=30, labelled=20)
    assert len(good_lines(labels)) == 20 + 1
