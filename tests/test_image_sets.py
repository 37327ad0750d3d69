"""Which labels tell sets of images apart, on real photographs: why a quarter is the default.

A set is what another machine calls by a word. Some of it are references; from their top four labels
the rest of the set should be told from as many images that the other machine does not call so.
`pytest -s -m slow` prints the table of docs/evidence.md.
"""

import math
import random
from collections import Counter
from collections.abc import Callable
from uuid import UUID

import pytest
import yaml
from loads import real_data
from test_label_agreement import said_in

from loader.connect import PROJECT

REFERENCES, TOP_LABELS = 8, 4
SHARES = (1, 0.5, 0.4, 0.3, 0.25, 0.2, 0.1)

Labels = dict[UUID, dict[str, float]]
"""An image's labels, each with its accuracy."""

Score = Callable[[str, int], float]
"""How much a label that so many references have is worth as a top label; 0: it is none."""


def labels_of(provider: str) -> Labels:
    said = said_in(provider, real_data(f"labellers_{provider}.jsonl"))
    return {image: {name: float(sure) for name, sure in of.items()} for image, of in said.items()}


def told_apart(
    ours: Labels, words: list[tuple[list[UUID], list[UUID]]], draws: int, score: Score
) -> float:
    """Print the shares of outsiders and of members that are flagged; return their difference."""
    dice = random.Random(1)
    flagged: dict[bool, list[bool]] = {True: [], False: []}
    for members, outsiders in (word for word in words for _ in range(draws)):
        references = dice.sample(members, REFERENCES)
        rest = [image for image in members if image not in references]
        counts = Counter(label for image in references for label in ours[image])
        sums = {label: sum(ours[i].get(label, 0) for i in references) for label in counts}
        scores = {label: score(label, count) for label, count in counts.items()}
        ranked = sorted(scores, key=lambda each: (-scores[each], -sums[each], each))
        top = {label for label in ranked[:TOP_LABELS] if scores[label] > 0}
        others = dice.sample(outsiders, min(len(outsiders), len(rest)))
        for is_member, images in ((True, rest), (False, others)):
            flagged[is_member] += [not top & set(ours[image]) for image in images]
    shares = [sum(flagged[side]) / len(flagged[side]) for side in (False, True)]
    print(f"{shares[0]:.3f} {shares[1]:.3f} {shares[0] - shares[1]:.3f}")
    return shares[0] - shares[1]


@pytest.mark.parametrize("draws", [10, pytest.param(40, marks=pytest.mark.slow)])
def test_a_label_on_a_quarter_of_the_images_tells_no_set_apart(draws: int) -> None:
    """The default is near the best, and far better than to count all labels or rare ones alone."""
    ours, theirs = labels_of("rekognition"), labels_of("clarifai")
    called = Counter(
        word for said in theirs.values() for word, value in said.items() if value >= 0.95
    )
    words = [
        (
            sorted(image for image in ours if theirs[image].get(word, 0) >= 0.95),
            sorted(image for image in ours if theirs[image].get(word, 0) < 0.5),
        )
        for word, count in sorted(called.items())
        if 18 <= count <= 100
    ]
    images = Counter(label for said in ours.values() for label in said)

    def up_to(share: float) -> Score:
        return lambda label, count: count if images[label] <= share * len(ours) else 0

    found = {share: told_apart(ours, words, draws, up_to(share)) for share in SHARES}
    by_rarity = told_apart(
        ours, words, draws, lambda label, count: count * math.log(len(ours) / images[label])
    )
    default = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    chosen = found[default["outlier_most_common_share"]]
    assert chosen > max(found.values()) - 0.02
    assert chosen > max(found[1], found[0.1], by_rarity) + 0.05
