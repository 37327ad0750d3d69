"""Nothing that is not approved gets out, however it is spelt, and nothing approved is lost."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from attacks import (
    FORBIDDEN,
    IMAGE_PROVIDER,
    MAKES_OTHER_WORDS,
    NEAREST,
    SOURCES,
    WITHHELD,
    Attack,
    alternating,
    approved_label,
    attacks_on,
    exceptions,
)
from conftest import PUT_IN_FORCE, Database
from loads import fetch, write

from benchmarks.reading_of_the_rules import Json, Policy, Tag, decide, json_text, trimmed
from review.files import FOLDER, read

OWN = Policy.read(FOLDER)
REKOGNITION = SOURCES[0]
TAGS_AN_IMAGE = 200
# The seeds after three mistakes at once: clarifai's labels are let in, nothing is denied by
# pattern, and the withheld labels are included too.
MISTAKES = """
update refinery.tag_providers set is_withheld = false;
delete from refinery.denied_tag_patterns;
insert into refinery.included_labels (label)
select label from refinery.sensitive_labels where handling = 'withhold';
"""
AFTER_MISTAKES = replace(
    OWN,
    withheld_providers=frozenset(),
    denied_exactly=frozenset(),
    denied_within=frozenset(),
    included=dict(OWN.included) | {line.key: None for line in WITHHELD},
)
CASES: tuple[Callable[[str], str], ...] = (
    *(str, str.upper, str.lower, str.title, str.swapcase),
    *(alternating, lambda name: alternating(name).swapcase()),
)
# The places of the tags that are shown.
SHOWN = """
select (tag ->> 'number')::int from refinery.published_images
cross join jsonb_array_elements(tags) as tag
"""
CORRECTIONS = {line.name: line["corrected"] for line in read("label_corrections")}

# Which of many: each that is so many places from the one before, and what is nearest.
each = pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])


@pytest.fixture(scope="module")
def attacks() -> list[Attack]:
    return attacks_on(FORBIDDEN.values())


@pytest.fixture
def connection(project: Database) -> Iterator[psycopg.Connection]:
    """A connection to the project that leaves nothing behind."""
    with project.connect() as opened, opened.transaction(force_rollback=True):
        # Where Postgres has a compiler, it takes longer than these queries.
        opened.execute("set local jit = off")
        yield opened


def in_images(items: Sequence) -> Iterator[tuple[UUID, Sequence]]:
    for start in range(0, len(items), TAGS_AN_IMAGE):
        yield UUID(int=start), items[start : start + TAGS_AN_IMAGE]


def add_images(connection: psycopg.Connection, tags: Sequence[Tag]) -> None:
    """Put tags into the catalog, many an image, each with its place in the sequence."""
    numbered = [tag | {"number": Decimal(number)} for number, tag in enumerate(tags)]
    columns = "identifier, provider, tags"
    with connection.cursor().copy(f"copy catalog.image ({columns}) from stdin") as copy:
        for image, part in in_images(numbered):
            copy.write_row((image, IMAGE_PROVIDER, json_text(list(part))))


def approved_spellings(step: int) -> list[tuple[str, Decimal]]:
    """Return approved labels in every case, each with the accuracy that it needs at the least."""
    lines = read("included_labels")
    odd = [line for line in lines if not line.name.isascii() or line["minimum_accuracy"]]
    superseded = [line for line in lines if line.name in CORRECTIONS.values()]
    return [
        (spelling, Decimal(line["minimum_accuracy"] or "0.9"))
        for line in (*lines[::step], *odd, *superseded)
        for spelling in dict.fromkeys(case(line.name) for case in CASES)
    ]


def test_each_forbidden_label_is_attacked_in_many_ways(attacks: list[Attack]) -> None:
    assert FORBIDDEN.keys() == OWN.withheld | (OWN.reviewed - OWN.included.keys())
    kinds: dict[str, set[str]] = {label: set() for label in FORBIDDEN.values()}
    for attack in attacks:
        kinds[attack.label].add(attack.kind)
    assert min(map(len, kinds.values())) >= 12
    for source in SOURCES:
        assert any(attack.tag == source | {"name": attack.name} for attack in attacks)


def test_only_another_word_is_an_approved_label(attacks: list[Attack]) -> None:
    """Guards the policy: including “Boys” would show what “Boy” is withheld for."""
    alike = [
        f"“{approved}” is in included_labels.csv, but “{at.label}” must not be shown ({at.kind})"
        for at, approved in exceptions(attacks)
        if at.kind != MAKES_OTHER_WORDS
    ]
    assert not alike, "\n".join(alike)


@pytest.mark.both_versions
@each
def test_what_is_approved_is_shown_however_spelt_and_nothing_else(
    connection: psycopg.Connection, attacks: list[Attack], step: int
) -> None:
    """By the policy as it is, and after mistakes, by what stands behind.

    Respellings of approved labels guard how names are compared: a key that made more names alike
    would show these.
    """
    approved = [line.name for line in read("included_labels")]
    odd = [label for label in approved if not label.isascii()]
    every = enumerate([*attacks, *attacks_on([*approved[::80], *odd])])
    respelt = [at for place, at in every if place % step == 0 or at.kind in NEAREST]
    # All white space at the minimum accuracy, and the name alone above it.
    spelt = [(name, Decimal(1)) for name, _ in approved_spellings(step)]
    for space in ("{}", " {}", "{}\t", "\n{}\r", "\v{} \f"):
        spelt += [(space.format(name), least) for name, least in approved_spellings(step)]
    tags = [REKOGNITION | {"name": name, "accuracy": least} for name, least in spelt]
    superseded = {at for at, (name, _) in enumerate(spelt) if trimmed(name) in CORRECTIONS}
    tags += [attack.tag for attack in respelt]
    add_images(connection, tags)
    for policy, mistakes in ((OWN, ""), (AFTER_MISTAKES, MISTAKES + PUT_IN_FORCE)):
        if mistakes:
            connection.execute(mistakes)
        shown = {number for (number,) in connection.execute(SHOWN)}
        want = {
            at for at, tag in enumerate(tags) if decide(tag, IMAGE_PROVIDER, policy) == "published"
        }
        # Written so that what cannot be seen is seen.
        assert shown == want, [ascii(tags[at]) for at in [*(shown ^ want)][:20]]
        assert None not in {approved_label(tags[at]["name"]) for at in shown}
        # A correction replaces them by the same word in other letters, as Atm by ATM.
        assert set(range(len(spelt))) - shown == superseded != set()


@each
def test_of_a_response_all_that_is_approved_is_shown_and_nothing_else(
    own_project: Database, attacks: list[Attack], tmp_path: Path, step: int
) -> None:
    respelt = dict.fromkeys(attack.name for attack in attacks[::step])
    spelt = [
        *((name, Decimal(99)) for name in respelt),
        *((f"\t{name}\n", least * 100) for name, least in approved_spellings(step)),
    ]
    lines, want = [], set()
    for image, part in in_images(spelt):
        found: list[Json] = [{"Name": name, "Confidence": number} for name, number in part]
        lines.append(json_text({"image_uuid": str(image), "response": {"Labels": found}}))
        names = (trimmed(name) for name, _ in part)
        corrected = (CORRECTIONS.get(name, name) for name in names)
        want |= {(image, name) for name in corrected if approved_label(name) is not None}
    own_project.loader("load", write(tmp_path / "odd.jsonl", *map(str.encode, lines)))
    with own_project.connect() as connection:
        add_images(connection, [{}] * len(spelt))
    own_project.build("run", "--select", "int_rekognition_labels")
    query = """
        select identifier, tag ->> 'name' from refinery.published_images
        cross join jsonb_array_elements(tags) as tag
    """
    assert set(fetch(own_project, query)) == want
