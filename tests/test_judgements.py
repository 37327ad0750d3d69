"""Whether the intervals of judged tags hold what they say, of tags whose truth is known."""

import random
import re
from collections import Counter
from collections.abc import Iterator

import pytest
from conftest import Database

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
JUDGED = """
create temporary table draws (
    provider text, label text, label_key text, is_correct boolean, weight numeric,
    is_made_up boolean, accuracy numeric, problem text
)
"""

# So many draws, and by how much more a share of them may be off than one of 500: by chance alone
# two thirds of the shares are off by up to 0.02 of 120 draws, and 0.01 of 500.
DRAWS = pytest.mark.parametrize(
    ("draws", "chance"), [(120, 0.05), pytest.param(500, 0, marks=pytest.mark.slow)]
)

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
    labels: Labels, each: int, draws: int
) -> Iterator[tuple[str, str, str, bool, float | None, bool, float]]:
    """Yield samples of the population, as `review draw-sample` draws them, a provider each."""
    rng = random.Random(1)
    cells = [(name, cell) for name, label in labels.items() for cell in population(*label)]
    for number in range(draws):
        for label, cell in cells:
            for accuracy, is_right in rng.sample(cell, each):
                yield str(number), label, label, is_right, len(cell) / each, False, accuracy


def coverage(
    database: Database, labels: Labels, each: int, draws: int
) -> dict[tuple[str | None, float, str], float]:
    """Return how often the model's intervals have the truth inside, by label and threshold."""
    model = database.compiled("threshold_evaluation")
    for relation, ours in (
        (r'"\w+"\."refinery"\."int_judged_labels"', "draws"),
        (r"generate_series\(50, 99\)", "generate_series(90, 92, 2)"),
    ):
        model, replaced = re.subn(relation, ours, model)
        assert replaced == 1
    columns = "label, threshold, precision_low, precision_high, recall_low, recall_high"
    with database.connect() as connection:
        connection.execute(JUDGED)
        with connection.cursor().copy("copy draws from stdin") as copy:
            for row in draw(labels, each, draws):
                copy.write_row((*row, None))
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
    assert len(found) == draws * len(truths)
    return {key: count / draws for key, count in inside.items()}


@pytest.mark.parametrize("each", [5, 20])
@DRAWS
def test_intervals_of_weighted_judgements_cover_the_truth(
    sample: Database, each: int, draws: int, chance: float
) -> None:
    """95 % are meant; 93 to 97 % of 500 draws are what chance leaves of that.

    With five of a cell, a single label's may be wider than it need be: two cells have few outcomes.
    Within a bin, at 0.92, chance also has a say in how many of its tags are taken.
    """
    for (label, threshold, rate), share in coverage(sample, MANY, each, draws).items():
        is_at_a_bound = threshold == 0.9
        lowest = (0.93 if is_at_a_bound else 0.92) - chance
        highest = 0.97 if is_at_a_bound and (each == 20 or label is None) else 0.995
        # A share ends at 1, so that chance leaves less above.
        assert lowest <= share <= highest + chance / 2, (label, threshold, rate, share)


@DRAWS
def test_frequent_tags_that_are_right_make_nobody_sure_of_the_others(
    sample: Database, draws: int, chance: float
) -> None:
    """By the variance within cells alone, 67 % would be covered."""
    covered = coverage(sample, UNLIKE, 20, draws)
    for threshold in (0.9, 0.92):
        assert covered[None, threshold, "precision"] > 0.93 - chance
