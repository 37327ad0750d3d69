"""Whether the intervals of judged tags hold what they say, and what real verdicts come to."""

import csv
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal

import pytest
from conftest import Database, fresh_database
from loads import fetch, on_postgres18
from test_label_agreement import bounds

from loader.connect import PROJECT
from trial.server import Server

VERDICTS = PROJECT.parent / "shared" / "data" / "judged_labels.csv"

# Of each label the tags that there are, and the share of right ones in its lowest and highest bin.
# Five labels, as are drawn by default, as frequent as Zipf's law has it; and two of which the
# frequent one is nearly always right.
Labels = dict[str, tuple[int, float, float]]
MANY: Labels = {
    "a": (40_000, 0.47, 0.79),
    "b": (20_000, 0.35, 0.93),
    "c": (13_333, 0.52, 0.73),
    "d": (10_000, 0.40, 0.87),
    "e": (8_000, 0.57, 0.68),
}
UNLIKE: Labels = {"frequent": (20_000, 0.97, 0.97), "rare": (1_000, 0.5, 0.5)}
BINS = 10
GROWTH = 1.2  # of a bin, from the one below it
DRAWS = 500
JUDGED = """
create temporary table draws (
    provider text, label text, label_key text, is_correct boolean, weight numeric,
    is_made_up boolean, accuracy numeric, problem text
)
"""

VERDICT_COLUMNS = ("identifier", "label", "provider", "is_correct")
INTO_JUDGEMENTS = f"copy refinery.label_judgements ({', '.join(VERDICT_COLUMNS)}) from stdin"
RESPONSES = {
    "rekognition": lambda labels: {
        "Labels": [{"Name": label, "Confidence": 100} for label in labels]
    },
    "google_vision": lambda labels: {
        "labelAnnotations": [{"description": label, "score": 1} for label in labels]
    },
}

Tag = tuple[float, bool]


def population(tags: int, lowest: float, highest: float) -> list[list[Tag]]:
    """Return the bins' tags, each with an accuracy from 0.5 on and whether it is right."""
    scale = sum(GROWTH**place for place in range(BINS))
    cells = []
    for place in range(BINS):
        size = round(tags * GROWTH**place / scale)
        right = lowest + (highest - lowest) * place / (BINS - 1)
        cells.append(
            [
                (0.5 + 0.5 * (place + number / size) / BINS, number * right % 1 < right)
                for number in range(size)
            ]
        )
    return cells


def right_shares(labels: Labels, threshold: float) -> tuple[float, float]:
    """Return the precision and the recall of a threshold in the whole population."""
    tags = [tag for label in labels.values() for cell in population(*label) for tag in cell]
    taken = [is_right for accuracy, is_right in tags if accuracy >= threshold]
    return sum(taken) / len(taken), sum(taken) / sum(is_right for _, is_right in tags)


def draw(
    labels: Labels, each: int
) -> Iterator[tuple[str, str, str, bool, float | None, bool, float]]:
    """Yield samples of the population, as `review draw-sample` draws them, a provider each."""
    rng = random.Random(1)
    cells = [(name, cell) for name, label in labels.items() for cell in population(*label)]
    for number in range(DRAWS):
        for label, cell in cells:
            for accuracy, is_right in rng.sample(cell, each):
                yield str(number), label, label, is_right, len(cell) / each, False, accuracy


def coverage(
    database: Database, labels: Labels, each: int, *, weighted: bool = True
) -> dict[tuple[str | None, float, str], float]:
    """Return how often the model's intervals have the truth inside, by label and threshold."""
    database.build("compile", "--quiet", "--select", "threshold_evaluation")
    model = database.compiled("threshold_evaluation")
    for relation, ours in (
        (f'"{database.name}"."refinery"."int_judged_labels"', "draws"),
        ("generate_series(50, 99)", "generate_series(90, 92, 2)"),
    ):
        assert model.count(relation) == 1
        model = model.replace(relation, ours)
    columns = "label, threshold, precision_low, precision_high, recall_low, recall_high"
    with database.connect() as connection:
        connection.execute(JUDGED)
        with connection.cursor().copy("copy draws from stdin") as copy:
            for row in draw(labels, each):
                copy.write_row((*row, None))
        if not weighted:
            connection.execute("update draws set weight = null")
        found = connection.execute(f"select {columns} from ({model}) as evaluated").fetchall()  # noqa: S608 - the model's
    truths = {
        (label, threshold): right_shares(of_label, threshold)
        for label, of_label in [(None, labels), *((name, {name: labels[name]}) for name in labels)]
        for threshold in (0.9, 0.92)
    }
    inside: Counter[tuple[str | None, float, str]] = Counter()
    for label, threshold, *ends in found:
        precision, recall = truths[label, float(threshold)]
        inside[label, float(threshold), "precision"] += ends[0] <= precision <= ends[1]
        inside[label, float(threshold), "recall"] += ends[2] <= recall <= ends[3]
    assert len(found) == DRAWS * len(truths)
    return {key: count / DRAWS for key, count in inside.items()}


@pytest.mark.parametrize("each", [5, 20])
def test_intervals_of_weighted_judgements_cover_the_truth(database: Database, each: int) -> None:
    """95 % are meant; 93 to 97 % of 500 draws are what chance leaves of that.

    With five of a cell, a single label's may be wider than it need be: two cells have few outcomes.
    Within a bin, at 0.92, chance also has a say in how many of its tags are taken.
    """
    for (label, threshold, rate), share in coverage(database, MANY, each).items():
        is_at_a_bound = threshold == 0.9
        lowest = 0.93 if is_at_a_bound else 0.92
        highest = 0.97 if is_at_a_bound and (each == 20 or label is None) else 0.995
        assert lowest <= share <= highest, (label, threshold, rate, share)


@on_postgres18
def test_frequent_tags_that_are_right_make_nobody_sure_of_the_others(database: Database) -> None:
    """By the variance within cells alone, 67 % would be covered."""
    covered = coverage(database, UNLIKE, 20)
    assert {covered[None, threshold, "precision"] > 0.93 for threshold in (0.9, 0.92)} == {True}


@on_postgres18
def test_without_weights_the_truth_is_missed(database: Database) -> None:
    """Rare accuracies are judged as often as frequent ones: recall would be that of the judged."""
    covered = coverage(database, MANY, 20, weighted=False)
    assert max(share for (_, _, rate), share in covered.items() if rate == "recall") < 0.05


@pytest.fixture(scope="module")
def judged(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The project with the real verdicts, and labels of an accuracy that nobody has published.

    Each judged label was said, so 1.0 stands for its score: then every threshold takes it, and what
    is counted is how often the machine was right at all.
    """
    said: dict[str, dict[str, dict[str, None]]] = defaultdict(lambda: defaultdict(dict))
    for row in verdicts():
        said[row["provider"]][row["identifier"]][row["label"]] = None
    folder = tmp_path_factory.mktemp("judged")
    files = {provider: folder / f"{provider}.jsonl" for provider in said}
    for provider, images in said.items():
        with files[provider].open("w") as file:
            for identifier, labels in images.items():
                response = RESPONSES[provider](list(labels))
                print(json.dumps({"image_uuid": identifier, "response": response}), file=file)
    with fresh_database(server, "judged", folder) as fresh:
        fresh.loader("init")
        with fresh.connect() as connection:
            connection.execute((PROJECT / "trial" / "catalog.sql").read_bytes())
            with connection.cursor().copy("copy catalog.image (identifier) from stdin") as copy:
                for identifier in {row["identifier"] for row in verdicts()}:
                    copy.write_row((identifier,))
        for provider, file in files.items():
            fresh.loader("load", "--labeller", provider, file)
        selected = ("--select", "+label_precision", "+threshold_evaluation")
        fresh.build("build", *selected, "--exclude-resource-types", "unit_test", "test")
        with fresh.connect() as connection:
            connection.execute("truncate refinery.label_judgements")
            with connection.cursor().copy(INTO_JUDGEMENTS) as copy:
                for row in once(verdicts()):
                    copy.write_row([row[column] for column in VERDICT_COLUMNS])
        yield fresh


def verdicts() -> Iterator[dict[str, str]]:
    if not VERDICTS.exists():
        pytest.skip(f"{VERDICTS} is not there")
    with VERDICTS.open(newline="") as lines:
        yield from csv.DictReader(lines)


def once(rows: Iterator[dict[str, str]]) -> list[dict[str, str]]:
    """Return the first verdict on each label of an image: the seed takes no second one."""
    first: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        first.setdefault((row["identifier"], row["provider"], row["label"]), row)
    return list(first.values())


def test_real_verdicts_are_counted_by_machine_and_by_label(judged: Database) -> None:
    """Of 10,828 verdicts, 11 on Google's labels repeat another, and 10 of them are for right."""
    want: dict[tuple[str, str | None], Counter[bool]] = defaultdict(Counter)
    for row in once(verdicts()):
        for label in (row["label"], None):
            want[row["provider"], label][row["is_correct"] == "true"] += 1
    got = fetch(
        judged,
        "select provider, label, correct, judgements, precision, precision_low, precision_high,"
        " made_up from refinery.label_precision",
    )
    all_labels = {
        provider: (correct, judgements, precision)
        for provider, label, correct, judgements, precision, *_ in got
        if label is None
    }
    assert all_labels == {
        "rekognition": (5079, 5850, Decimal("0.8682")),
        "google_vision": (4645 - 10, 4978 - 11, Decimal("0.9332")),
    }
    assert len(got) == len(want) > 1_500
    for provider, label, correct, judgements, precision, low, high, made_up in got:
        counts = want[provider, label]
        assert (correct, judgements) == (counts[True], counts.total())
        shares = (counts[True] / counts.total(), *bounds(counts[True], counts.total()))
        assert [float(x) for x in (precision, low, high)] == pytest.approx(shares, abs=0.0000501)
        assert made_up == 0
    upper_bounds = [row[6] for row in got]
    assert upper_bounds == sorted(upper_bounds)


def test_real_verdicts_are_taken_by_every_threshold(judged: Database) -> None:
    """So precision is that of label_precision, of the labels that have rows of their own."""
    differing = """
        select * from refinery.threshold_evaluation as evaluation
        full join (
            select * from refinery.label_precision where label is null or judgements >= 30
        ) as every
            on
                evaluation.provider = every.provider
                and evaluation.label is not distinct from every.label
        where
            (evaluation.precision, evaluation.precision_low, evaluation.precision_high,
                evaluation.recall, evaluation.judgements)
            is distinct from
            (every.precision, every.precision_low, every.precision_high, 1, every.judgements)
    """
    assert fetch(judged, differing) == []
    ((rows,),) = fetch(judged, "select count(*) from refinery.threshold_evaluation")
    assert rows > 50 * 50


def test_verdicts_on_one_image_are_alike() -> None:
    """So intervals are wider than judgements tell that are taken for independent ones."""
    intervals = {}
    for provider in ("rekognition", "google_vision"):
        images: dict[str, list[bool]] = defaultdict(list)
        for row in once(row for row in verdicts() if row["provider"] == provider):
            images[row["identifier"]].append(row["is_correct"] == "true")
        size = sum(map(len, images.values()))
        share = sum(map(sum, images.values())) / size
        residuals = [sum(image) - share * len(image) for image in images.values()]
        # Of a ratio, each image drawn as a whole (Cochran, Sampling Techniques, 1977).
        variance = sum(each**2 for each in residuals) * len(images) / (len(images) - 1) / size**2
        alike = share * (1 - share) / variance
        intervals[provider] = [round(bound, 4) for bound in bounds(share * alike, alike)]
    assert intervals == {"rekognition": [0.8574, 0.8783], "google_vision": [0.9235, 0.9416]}
