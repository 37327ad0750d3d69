"""Nothing that is not approved gets out, however it is spelt, and nothing approved is lost."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import product
from uuid import UUID

import psycopg
import pytest
from attacks import (
    IMAGE_PROVIDER,
    MAKE_OTHER_WORDS,
    POLICY,
    SOURCES,
    Attack,
    Source,
    alternating,
    approved_label,
    attacks_on,
    exceptions,
    forbidden_labels,
    measure,
    report,
    rows,
    shown_by_inclusion_list,
    withheld_labels,
)
from conftest import PUT_IN_FORCE, Database

from benchmarks.reading_of_the_rules import Policy, json_text
from review.files import WHITE_SPACE, label_key, read

OWN = Policy.read(POLICY)
REKOGNITION = SOURCES[0].provider
TAGS_AN_IMAGE = 200
# The seeds after three mistakes at once: clarifai's labels are let in, nothing is denied by
# pattern, and the withheld labels are included too.
MISTAKES = (
    "update refinery.tag_providers set is_withheld = false",
    "delete from refinery.denied_tag_patterns",
    "insert into refinery.included_labels (label)"
    " select label from refinery.sensitive_labels where handling = 'withhold'",
    PUT_IN_FORCE,
)
AFTER_MISTAKES = replace(
    OWN,
    withheld_providers=frozenset(),
    denied_exactly=frozenset(),
    denied_within=frozenset(),
    included=dict(OWN.included) | {label_key(label): None for label in withheld_labels()},
)
CASES: tuple[Callable[[str], str], ...] = (
    *(str, str.upper, str.lower, str.title, str.swapcase),
    *(alternating, lambda name: alternating(name).swapcase()),
)


@pytest.fixture(scope="module")
def attacks() -> list[Attack]:
    return attacks_on(forbidden_labels())


@pytest.fixture
def connection(project: Database) -> Iterator[psycopg.Connection]:
    """A connection to the project that leaves nothing behind."""
    with project.connect() as opened, opened.transaction(force_rollback=True):
        # Where Postgres has a compiler, it takes longer than these queries.
        opened.execute("set local jit = off")
        yield opened


def in_images(items: Sequence, size: int = TAGS_AN_IMAGE) -> Iterator[tuple[UUID, Sequence]]:
    for start in range(0, len(items), size):
        yield UUID(int=start), items[start : start + size]


def add_images(connection: psycopg.Connection, tags: Sequence[dict]) -> None:
    """Put tags into the catalog, many an image, each with its place in the sequence."""
    numbered = [tag | {"number": Decimal(number)} for number, tag in enumerate(tags)]
    columns = "identifier, provider, tags"
    with connection.cursor().copy(f"copy catalog.image ({columns}) from stdin") as copy:
        for image, part in in_images(numbered):
            copy.write_row((image, IMAGE_PROVIDER, json_text(list(part))))


def shown_numbers(connection: psycopg.Connection) -> set[int]:
    """Return the places of the tags that are shown."""
    shown = connection.execute(
        "select (tag ->> 'number')::int from refinery.published_images"
        " cross join jsonb_array_elements(tags) as tag"
    )
    return {number for (number,) in shown}


def add_responses(connection: psycopg.Connection, project: Database, labels: Sequence) -> None:
    """Put names with confidences into responses, and make machine tags by the model's own SQL."""
    with connection.cursor() as cursor:
        for image, part in in_images(labels):
            cursor.execute(
                "insert into catalog.image (identifier, provider, tags) values (%s, %s, '[]')",
                [image, IMAGE_PROVIDER],
            )
            found = [{"Name": name, "Confidence": confidence} for name, confidence in part]
            document = {"image_uuid": str(image), "response": {"Labels": found}}
            cursor.execute(
                "insert into raw.rekognition_responses (chunk_id, document) values (0, %s)",
                [json_text(document)],
            )
        cursor.execute(
            "insert into refinery.int_rekognition_labels"
            " (identifier, provider, names, accuracies, label_model_version, response_id) "
            + project.compiled("int_rekognition_labels")
        )


def shown_names(connection: psycopg.Connection) -> set[tuple[UUID, str]]:
    """Return the images with the names of the tags that are shown."""
    return set(
        connection.execute(
            "select identifier, tag ->> 'name' from refinery.published_images"
            " cross join jsonb_array_elements(tags) as tag"
        )
    )


def described(attacks: Iterable[Attack]) -> str:
    """Write attacks so that what cannot be seen is seen."""
    lines = [f"{at.label!r}, {at.kind}: {at.name!a} by {at.source}" for at in attacks]
    return "\n".join([f"{len(lines)} differ", *lines[:20]])


# What is attacked, and how


def test_each_forbidden_label_is_attacked_in_many_ways(attacks: list[Attack]) -> None:
    included = {line.key for line in read("included_labels")}
    reviewed = {line.key for line in read("reviewed_labels")}
    withheld = {line.key for line in read("sensitive_labels") if line["handling"] == "withhold"}
    kinds: dict[str, set[str]] = {}
    for attack in attacks:
        kinds.setdefault(label_key(attack.label), set()).add(attack.kind)
    assert kinds.keys() == withheld | (reviewed - included)
    assert min(map(len, kinds.values())) >= 12
    assert {attack.source for attack in attacks} == set(SOURCES)


def test_only_another_word_is_an_approved_label(attacks: list[Attack]) -> None:
    """Guards the policy: including “Boys” would show what “Boy” is withheld for."""
    alike = [
        f"“{found}” is in included_labels.csv, but “{label}” must not be shown ({kind})"
        for (label, kind, _), found in exceptions(attacks).items()
        if kind not in MAKE_OTHER_WORDS
    ]
    assert not alike, "\n".join(alike)


# Nothing unapproved is shown


def test_no_attack_succeeds(connection: psycopg.Connection, attacks: list[Attack]) -> None:
    assert_only_approved_is_shown(connection, attacks, OWN)
    assert not measure(attacks, OWN)[-1]
    print(report(attacks))


def test_no_attack_succeeds_after_mistakes(
    connection: psycopg.Connection, attacks: list[Attack]
) -> None:
    """Guards what stands behind: the withheld labels, and the list itself for all providers."""
    for mistake in MISTAKES:
        connection.execute(mistake)
    assert_only_approved_is_shown(connection, attacks, AFTER_MISTAKES)


def test_no_respelling_of_an_approved_label_is_shown(connection: psycopg.Connection) -> None:
    """Guards how names are compared: a key that made more names alike would show these."""
    labels = [row["label"] for row in rows("included_labels")]
    odd = [label for label in labels if not label.isascii()]
    shown = assert_only_approved_is_shown(connection, attacks_on([*labels[::80], *odd]), OWN)
    assert len(shown) > len(labels[::80])


def assert_only_approved_is_shown(
    connection: psycopg.Connection, attacks: list[Attack], policy: Policy
) -> list[Attack]:
    """Put attacks into the catalog; return those shown, which are what the plain reading shows."""
    add_images(connection, [attack.tag for attack in attacks])
    shown = [attacks[number] for number in sorted(shown_numbers(connection))]
    approved = {line.key: line.name for line in read("included_labels")}
    wrong = [attack for attack in shown if label_key(attack.name) not in approved]
    assert not wrong, described(wrong)
    listed = exceptions(attacks)
    for attack in shown:
        label = listed[attack.label, attack.kind, attack.name]
        assert label == approved[label_key(attack.name)]
    want = {attack for attack in attacks if shown_by_inclusion_list(attack, policy)}
    assert set(shown) == want, described(set(shown) ^ want)
    return shown


def test_no_attack_succeeds_by_a_response(
    connection: psycopg.Connection, project: Database, attacks: list[Attack]
) -> None:
    sample = [attack for attack in attacks if attack.source.provider == REKOGNITION]
    names = list(dict.fromkeys(attack.name for attack in sample))
    add_responses(connection, project, [(name, Decimal(99)) for name in names])
    corrections = {line["original"]: line["corrected"] for line in read("label_corrections")}
    want = set()
    for image, part in in_images(names):
        trimmed = (name.strip(WHITE_SPACE) for name in part)
        corrected = (corrections.get(name, name) for name in trimmed)
        want |= {(image, name) for name in corrected if approved_label(name) is not None}
    assert shown_names(connection) == want
    assert {label_key(name) for _, name in want} <= {line.key for line in read("included_labels")}


# Nothing approved is lost


def approved_spellings() -> Iterator[tuple[str, Decimal]]:
    """Yield each approved label in every case, and the accuracy that it needs at the least."""
    for line in read("included_labels"):
        minimum = Decimal(line["minimum_accuracy"] or "0.9")
        for spelling in dict.fromkeys(case(line.name) for case in CASES):
            yield spelling, minimum


def test_no_approved_label_is_lost(connection: psycopg.Connection) -> None:
    superseded = {line["original"] for line in read("label_corrections")}
    spaces = ["{}", " {}", "{}\t", "\n{}\r", "\v{} \f"]
    # All white space at the minimum accuracy, and the name alone above it.
    spelt = [
        *(
            (space.format(name), least)
            for (name, least), space in product(approved_spellings(), spaces)
        ),
        *((name, Decimal(1)) for name, _ in approved_spellings()),
    ]
    add_images(connection, [Source(REKOGNITION, accuracy).tag(name) for name, accuracy in spelt])
    lost = set(range(len(spelt))) - shown_numbers(connection)
    want = {at for at, (name, _) in enumerate(spelt) if name.strip(WHITE_SPACE) in superseded}
    assert lost == want, [spelt[at] for at in sorted(lost ^ want)[:20]]
    # Those that a correction replaces by the same word in other letters, as Atm by ATM.
    assert {spelt[at][0].strip(WHITE_SPACE) for at in lost} == {
        line["original"]
        for line in read("label_corrections")
        if label_key(line["original"]) == label_key(line["corrected"])
    }


def test_no_approved_label_is_lost_from_a_response(
    connection: psycopg.Connection, project: Database
) -> None:
    corrections = {line["original"]: line["corrected"] for line in read("label_corrections")}
    spelt = [(name, least * 100) for name, least in approved_spellings()]
    add_responses(connection, project, [(f"\t{name}\n", least) for name, least in spelt])
    want = {
        (image, corrections.get(name, name)) for image, part in in_images(spelt) for name, _ in part
    }
    assert shown_names(connection) == want
