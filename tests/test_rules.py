"""What the models make of responses and tags, compared with a plain reading of the rules."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from conftest import PUT_IN_FORCE, Database, clone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loads import RESPONSES, fetch, write
from psycopg import sql

from benchmarks import reading_of_the_rules as reading
from benchmarks.reading_of_the_rules import FORMATS, MACHINE, Format, Json, Policy, json_text
from loader.connect import PROJECT
from trial.server import Server

LABELLED = {MACHINE: 319, "clarifai": 300, "azure_vision": 300}
REAL_DATA = PROJECT.parent / "shared" / "data"

Files = Mapping[str, list[dict[str, str]]]
"""The label policy's files, each with its rows."""

# A policy with all that the project's own leaves out or its tests forbid.
SIGNED = [
    *("CAT", "gorilla", "Spaced Out", "Low", "Zero", "Machete", "Sword", "Both", "Old Name"),
    *("ATM", "CHATÉAU", "100% wool", "cc0 museum", "Bandage", "Slum"),
]
ODD_FILES = {
    "included_labels": [
        "label,minimum_accuracy",
        *("Cat,", "Gorilla,0.99", " spaced OUT\t,", "Low,0.1", "Zero,0", "Machete,", "Sword,0.95"),
        *("Loose,", "Both,", "Old Name,", "ATM,", "Chatéau,", "100% Wool,", "cc0 Museum,"),
        *("Unsigned,", "Signed By None,"),
    ],
    "reviewed_labels": [
        "label,note,reviewed_by,reviewed_on",
        *(f"{label},, ann ;Bob,2026-01-01" for label in SIGNED),
        *("Unsigned,,,", "Signed By None,, ; ,2026-01-01"),
    ],
    "sensitive_labels": [
        "label,category,handling,reason",
        *(" Sword ,weapons,flag,", "MACHETE,tools,flag,", "Bandage,injury,flag,"),
        *("Rifle,weapons,flag,", "Both,age,hide,", "Girl,gender,withhold,", "Old Girl,gender,,"),
    ],
    "label_corrections": [
        "original,corrected",
        *("Atm,ATM", "Old Name,Name", "Old Girl,Cat", "Unread,Read", "Name,Cat"),
    ],
    "tag_providers": [
        "provider,minimum_accuracy,is_withheld,note",
        *("clarifai,,true,", "strict,0.95,false,", "lax,0.5,false,", "silent,,false,"),
        *("5,0.25,false,", "unsure,0.9,,", "rekognition,,false,", "Clarifai ,0.9,true,"),
    ],
    "denied_tag_patterns": [
        "pattern,match,reason",
        *(" EXACTLY ,exact,", "50%,contains,", "a_b,exact,", "back\\slash,contains,"),
        *("cc0,,", "Glob,glob,"),
    ],
}
ODD_POLICY = {name: list(csv.DictReader(lines)) for name, lines in ODD_FILES.items()}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


OWN_POLICY = {path.stem: read(path) for path in (PROJECT / "seeds/label_policy").glob("*.csv")}


# What examples are made of


@dataclass(frozen=True)
class Image:
    """A row of the catalog; `tags` is JSON as text, None for SQL's null."""

    identifier: UUID
    provider: str | None
    tags: str | None

    @property
    def tag_list(self) -> Json:
        return None if self.tags is None else reading.parse(self.tags)


@dataclass(frozen=True)
class Example:
    """A catalog, and the lines of each labeller's label file."""

    images: list[Image]
    lines: Mapping[str, list[bytes]] = field(default_factory=dict)


# With letters, so that upper case is another spelling.
IDENTIFIERS = [UUID(int=0xABCDEF00_0000_4000_8000_000000000000 + number) for number in range(8)]
MISSING = object()

NAMES = [
    *("Cat", "Gorilla", "Sword", "Girl", "Slum", "Bride", "Mold", "Kid", "Bandage", "Rifle"),
    *("Atm", "ATM", "Ballerina", "RAM Memory", "iPod", "Château de Chambord", "Nobody Knows This"),
    *("by", "by-nc", "no person", "squareformat", "uploaded", "cc0", "pdm", "a:b", "x=y"),
    *("Spaced Out", "Low", "Zero", "Machete", "Loose", "Both", "Old Name", "Old Girl", "Unread"),
    *("Unsigned", "Signed By None"),
    *("Name", "Chatéau", "100% Wool", "cc0 Museum", "exactly", "50%", "500", "a_b", "aXb"),
    *("back\\slash", "backslash", "glob"),
]
FEW_NAMES = ["Cat", "Gorilla", "Sword", "Girl", "Low", "Zero", "Atm", "Nobody Knows This", "cc0"]
BLANK_NAMES = ["", " ", " \t\n\r\f\v"]
# What is no white space to trim: no-break, next line, ideographic, zero width, unit separator.
OTHER_SPACES = "\N{NO-BREAK SPACE}\x85\N{IDEOGRAPHIC SPACE}\N{ZERO WIDTH SPACE}\x1f"
SPELLINGS = [
    "{}",
    *(f"{space}{{}}{space}" for space in " \t\n\r\f\v"),
    *(f"{{}}{space}" for space in OTHER_SPACES),
    " \v\t{}",
    "{}\n\f\r",
    "v{}v",
    "my\n{} too",
]
CASES = [
    str,
    str.upper,
    str.lower,
    str.swapcase,
    lambda name: name.replace("k", "\N{KELVIN SIGN}").replace("K", "\N{KELVIN SIGN}"),
    lambda name: name.replace("i", "\N{LATIN SMALL LETTER DOTLESS I}"),
    lambda name: name.replace("i", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}"),
]


def numbers(*texts: str) -> list[Json]:
    return [Decimal(text) for text in texts]


ACCURACIES = [
    MISSING,
    None,
    *numbers("0", "-0", "1", "1.000", "0.9", "0.90", "0.8999999", "0.5", "0.4999", "0.1", "0.09"),
    *numbers("0.95", "0.9499", "0.98", "0.99", "0.9899999", "0.25", "0.2499", "1.0000001", "-0.1"),
    *numbers("90", "0.00000000000000000000000000000000000001"),
    *("0.90", "0.9", "0.8999999", "1e-1", "9.5E-01", "+0.95", "-0", "-0.1", ".95", "1.", "1.0"),
    *("0.98", " 0.98", "0.98 ", "0.98\n", "0x1", "0b1", "1_0", "0.9_5", "", ".", "-", "e1", "1e"),
    *("NaN", "Infinity", "-Infinity", "1e-999", "1e999", "1e-0001", "0,98", "1f", "null", "true"),
    *("0" * 199 + "1", "0" * 200 + "1", "0" * 198 + ".9", "0" * 199 + ".9"),
    *("0." + "9" * 198, "0." + "9" * 199, "." + "9" * 199, "." + "9" * 200),
    "\N{ARABIC-INDIC DIGIT ZERO}",
    *(True, False, {}, [], [Decimal("0.95")], {"a": Decimal(1)}),
]
FEW_ACCURACIES = [MISSING, None, *numbers("0.99", "0.92", "0.5"), "0.99", "much"]
ODD_PROVIDER: Json = {"bb": [Decimal("1.50"), True, None], "a": "x"}
PROVIDERS = [
    *(MISSING, None, MACHINE, "clarifai", "Clarifai ", "flickr", "Flickr", "flickr ", ""),
    *("strict", "lax", "silent", "unsure", "5", "true", Decimal(5), True, ODD_PROVIDER),
]
FEW_PROVIDERS = [MISSING, "flickr", MACHINE, "lax"]
IMAGE_PROVIDERS = [None, "flickr", "clarifai", MACHINE, "5", "true", "", json_text(ODD_PROVIDER)]
ODD_TAGS: list[Json] = [
    *(None, "Cat", Decimal(5), True, [], ["name"], [{"name": "Cat"}], {}),
    *({"name": None}, {"name": Decimal(5)}, {"name": ["Cat"]}, {"Name": "Cat"}),
    *({"name": blank, "provider": "flickr"} for blank in BLANK_NAMES),
    {"name": "Cat", "unstable__provider": [Decimal("1.50")], "provider": "flickr"},
    {"provider": MACHINE},
    {"provider": "clarifai", "accuracy": Decimal("0.99")},
]
ODD_TAG_COLUMNS = [None, "null", "{}", '"Cat"', "5", "true", "[]", '{"name": "Cat"}']

CONFIDENCES = [
    MISSING,
    None,
    *numbers("0", "-0", "-0.0", "100", "100.0", "100.0000001", "-1", "-0.0000001", "90", "90.00"),
    *numbers("89.9999999", "99.048286438", "99.82632446289062", "50.10", "0.000000000000000001"),
    *numbers("99." + "9" * 60, "99." + "9" * 59 + "8", "9", "0.1"),
    *("99", "", True, [], {}, [Decimal(99)]),
]
ODD_LABELS: list[Json] = [
    *(None, "Cat", Decimal(5), [], ["Name", "Confidence"], {}),
    *({"Name": name, "Confidence": Decimal(99)} for name in (None, Decimal(5), ["Cat"], {})),
    *({"Name": name, "Confidence": Decimal(99)} for name in BLANK_NAMES),
    {"name": "Cat", "confidence": Decimal(99)},
]
ODD_IDENTIFIERS: list[Json] = [
    *(MISSING, None, Decimal(5), True, [], {}, [str(IDENTIFIERS[0])], "", "not one"),
    *(f"{{{IDENTIFIERS[0]}}}", IDENTIFIERS[0].hex, f"urn:uuid:{IDENTIFIERS[0]}"),
    *(f" {IDENTIFIERS[0]}", f"{IDENTIFIERS[0]}\n", f"{IDENTIFIERS[0]}0", str(IDENTIFIERS[0])[:-1]),
    str(IDENTIFIERS[0]).replace("a", "g"),
    str(IDENTIFIERS[0]).replace("-", "_"),
    "abcd-ef00-0000-4000-8000-0000-0000-0000",
]
ODD_RESPONSES: list[Json] = [
    *(MISSING, None, [], "Labels", Decimal(5), {}, [{"Labels": []}]),
    *({"Labels": labels} for labels in (None, {}, "Cat", Decimal(5), {"Name": "Cat"})),
    {"labels": []},
]
ODD_DOCUMENTS: list[Json] = [None, True, Decimal(5), "text", [], [{"image_uuid": "x"}], {}]


def record(**values: object) -> dict[str, Json]:
    """Make an object of the values that are not missing."""
    return {name: value for name, value in values.items() if value is not MISSING}


def respellings(names: list[str]) -> Iterator[str]:
    for name, case, spelling in product(names, CASES, SPELLINGS):
        yield spelling.format(case(name))


def response(identifier: object, labels: Json, version: object = MISSING) -> dict[str, Json]:
    answer = record(Labels=labels, LabelModelVersion=version)
    return record(image_uuid=identifier, response=answer)


def said_by(labeller: str, documents: Iterable[Json]) -> Iterator[Json]:
    """Rewrite what is in Rekognition's format, odd as it may be, in another labeller's."""
    of = FORMATS[labeller]
    for document in documents:
        match document:
            case {"response": {"Labels": labels, **more}}:
                if isinstance(labels, list):
                    labels = [_label_of(of, label) for label in labels]
                answer = _with_value({}, of.labels, labels)
                if of.version and more:
                    answer = _with_value(answer, of.version, more["LabelModelVersion"])
                yield document | {"response": answer}
            case _:
                yield document


def _label_of(of: Format, label: Json) -> Json:
    """Rename a label's keys; half of the confidences come into the range, half stay out of it."""
    if not isinstance(label, dict):
        return label
    name, confidence = label.get("Name", MISSING), label.get("Confidence", MISSING)
    if isinstance(confidence, Decimal) and len(str(confidence)) % 2 == of.digits % 2:
        confidence = confidence.scaleb(of.digits - 2, Context(prec=100))
    return record(**{of.name: name, of.confidence: confidence})


def _with_value(into: Json, path: tuple[str | int, ...], value: Json) -> Json:
    """Put a value where a path leads to, and what is missing on the way."""
    if not path:
        return value
    step, *rest = path
    if isinstance(step, int):
        return [_with_value(into[0] if into else None, tuple(rest), value)]
    into = into or {}
    return into | {step: _with_value(into.get(step), tuple(rest), value)}


def lines_of(documents: Iterable[Json]) -> list[bytes]:
    return [json_text(document).encode() for document in documents]


# One large example with everything in it


def tags_of(*parts: Iterable[object]) -> list[Json]:
    return [
        record(name=name, accuracy=accuracy, provider=provider)
        for name, accuracy, provider in product(*parts)
    ]


def every_tag() -> Example:
    """Return all names, accuracies and providers, each with some of the others."""
    common = tags_of(FEW_NAMES, FEW_ACCURACIES, PROVIDERS)
    lists = [
        *((provider, common) for provider in IMAGE_PROVIDERS),
        ("flickr", tags_of(respellings(NAMES), [Decimal("0.99")], ["flickr", MACHINE])),
        ("flickr", tags_of(FEW_NAMES, ACCURACIES, FEW_PROVIDERS)),
        ("flickr", ODD_TAGS),
    ]
    # Alone in their images, so that no other tag can bring the same sensitivity.
    alone = tags_of(["Sword", "Machete"], [MISSING, Decimal("0.99")], PROVIDERS)
    lists += [(provider, [tag]) for provider, tag in product(IMAGE_PROVIDERS, alone)]
    columns = [(provider, json_text(tags)) for provider, tags in lists]
    columns += [("flickr", column) for column in ODD_TAG_COLUMNS]
    return Example([Image(UUID(int=n), *column) for n, column in enumerate(columns)])


def every_response() -> Example:
    """Return all names and confidences, all that is odd, and images that come twice."""
    names = [*NAMES, *ODD_TAG_COLUMNS[3:5], *respellings(["Atm", "RAM Memory"])]
    first, second, third, fourth, *_ = map(str, IDENTIFIERS)
    good = [
        response(second, [{"Name": "Cat", "Confidence": Decimal(99)}], "2.0"),
        response(third, ODD_LABELS),
        *(response(fourth, [label]) for label in ODD_LABELS),
        response(str(IDENTIFIERS[4]), []),
        response(second.upper(), [], "3.0"),
    ]
    # In parts, or plain Python would take long; one image gets them in the other order.
    for number in range(0, len(names), 10):
        labels = [
            record(Name=name, Confidence=confidence)
            for name, confidence in product(names[number : number + 10], CONFIDENCES)
        ]
        good.append(response(str(UUID(int=number)), labels))
        good.append(response(first, list(reversed(labels)), "3.0"))
    bad = [
        *ODD_DOCUMENTS,
        *(response(identifier, []) for identifier in ODD_IDENTIFIERS),
        *(record(image_uuid=first, response=odd) for odd in ODD_RESPONSES),
    ]
    stale = {"name": "Cat", "accuracy": Decimal("0.5"), "provider": MACHINE}
    # Some responses are for images that the catalog does not have.
    own = {identifier: [stale, {"name": "tree"}] for identifier in IDENTIFIERS}
    own |= {IDENTIFIERS[4]: [stale]} | {UUID(int=number): [] for number in range(100)}
    images = [Image(identifier, "flickr", json_text(tags)) for identifier, tags in own.items()]
    lines = {
        labeller: lines_of([*said_by(labeller, [*good, *bad]), *good, *bad]) for labeller in FORMATS
    }
    return Example(images, lines)


# Random examples

# No surrogates and no zero: they are no text to Postgres.
any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
respelt = st.builds(
    lambda name, case, spelling: spelling.format(case(name)),
    *map(st.sampled_from, (NAMES, CASES, SPELLINGS)),
)
policy_names = st.sampled_from(sorted(Policy.of(OWN_POLICY).reviewed)).map(str.title)
names = st.one_of(st.sampled_from(NAMES), respelt, policy_names, any_text)
tags = st.one_of(
    st.builds(
        record,
        name=names,
        accuracy=st.one_of(st.sampled_from(ACCURACIES), st.decimals(0, 1, places=3).map(abs)),
        provider=st.one_of(st.sampled_from(FEW_PROVIDERS), st.sampled_from(PROVIDERS)),
    ),
    st.sampled_from(ODD_TAGS),
)
tag_columns = st.one_of(st.lists(tags, max_size=8).map(json_text), st.sampled_from(ODD_TAG_COLUMNS))
labels = st.one_of(
    st.builds(
        record,
        Name=st.one_of(st.sampled_from(["Cat", "Atm", "ATM", "\tATM", "Sword"]), names),
        Confidence=st.one_of(st.sampled_from(CONFIDENCES), st.decimals(0, 100, places=4).map(abs)),
    ),
    st.sampled_from(ODD_LABELS),
)
identifiers = st.sampled_from([*map(str, IDENTIFIERS), str(IDENTIFIERS[0]).upper()])
good_responses = st.builds(
    response, identifiers, st.lists(labels, max_size=6), st.sampled_from([MISSING, "2.0", "3.0"])
)
odd_responses = st.one_of(
    st.sampled_from(ODD_DOCUMENTS),
    st.builds(response, st.sampled_from(ODD_IDENTIFIERS), st.just([])),
    st.builds(record, image_uuid=identifiers, response=st.sampled_from(ODD_RESPONSES)),
)
images = st.builds(
    lambda columns: [
        Image(identifier, *column) for identifier, column in zip(IDENTIFIERS, columns, strict=False)
    ],
    # Fewer than the identifiers: some responses are for images that the catalog does not have.
    st.lists(st.tuples(st.sampled_from(IMAGE_PROVIDERS), tag_columns), min_size=1, max_size=7),
)
responses = st.lists(st.one_of(good_responses, good_responses, odd_responses), max_size=8)
of_labeller = {name: responses.map(partial(said_by, name)).map(lines_of) for name in FORMATS}
examples = st.builds(Example, images, st.fixed_dictionaries({}, optional=of_labeller))

DECISIVE = {
    "minimum_accuracy": ["", "0", "0.5", "0.95"],
    "reviewed_by": ["ann", "Bob; ann", "", " ; "],
    "handling": ["flag", "withhold"],
    "corrected": FEW_NAMES,  # short ways, so that two labels of an image become one
    "provider": [*FORMATS, "lax", "strict"],
    "is_withheld": ["true", "false", "false"],
    "match": ["exact", "contains"],
}


def some_of(rows: list[dict[str, str]]) -> st.SearchStrategy[list[dict[str, str]]]:
    """Return some of a file's rows, with other values in the columns that decide."""
    values = {name: st.sampled_from(DECISIVE[name]) for name in rows[0] if name in DECISIVE}
    row = st.tuples(st.sampled_from(rows), st.fixed_dictionaries(values))
    return st.lists(
        row.map(lambda pair: pair[0] | pair[1]),
        max_size=6,
        unique_by=lambda row: reading.key(next(iter(row.values()))),
    )


policies = st.fixed_dictionaries({name: some_of(rows) for name, rows in ODD_POLICY.items()})


# Comparing

Outcome = dict[str, dict[tuple[Any, ...], tuple[Any, ...]]]
"""What becomes of an example: each relation's rows by their keys."""

NUMBERED = f"""
(
    select
        labeller as provider,
        response_id,
        row_number() over (partition by labeller order by response_id) - 1 as number
    from ({RESPONSES}) as response
) as numbered
"""  # noqa: S608 - names of the project
# Of how many columns the key is; tags as text, so that 0.90 is not 0.9.
RELATIONS = {
    "machine_tags": (
        2,
        "identifier, provider, tags::text, label_model_version, number"
        f" from refinery.machine_tags join {NUMBERED} using (provider, response_id)",
    ),
    "merged": (1, "identifier, tags::text from refinery.catalog_images"),
    "decisions": (
        2,
        "identifier, position, name, provider, accuracy, decision from refinery.tag_decisions",
    ),
    "published": (1, "identifier, tags::text, sensitivity from refinery.published_images"),
    "rejected": (
        2,
        f"provider, number, problem from refinery.rejected_responses join {NUMBERED}"
        " using (provider, response_id)",
    ),
}


def found(connection: psycopg.Connection) -> Outcome:
    """Read the models."""
    outcome = {}
    for relation, (size, query) in RELATIONS.items():
        rows = connection.execute(f"select {query}".encode()).fetchall()
        outcome[relation] = {row[:size]: row[size:] for row in rows}
        assert len(outcome[relation]) == len(rows)
    return outcome


def wanted(example: Example, policy: Policy) -> Outcome:
    """Apply the reading of the rules."""
    outcome: Outcome = {relation: {} for relation in RELATIONS}
    said: dict[UUID, dict[str, list[Json]]] = {image.identifier: {} for image in example.images}
    for labeller, lines in example.lines.items():
        loaded, numbers = list(reading.documents(lines)), reading.winners(lines, labeller)
        version_at = FORMATS[labeller].version
        for image, tags in reading.machine_tags(lines, policy, labeller).items():
            said.setdefault(image, {})[labeller] = tags
            answer = loaded[numbers[image]]["response"]
            version = reading.value_at(answer, version_at) if version_at else None
            outcome["machine_tags"][image, labeller] = json_text(tags), version, numbers[image]
        for number, problem in enumerate(reading.problems(lines, labeller)):
            if problem is not None:
                outcome["rejected"][labeller, number] = (problem,)
    for image in example.images:
        at = image.identifier
        tags = reading.merged(image.tag_list, said[at])
        shown, sensitivity = reading.published(tags, image.provider, policy)
        outcome["merged"][at,] = (json_text(tags),)
        outcome["published"][at,] = json_text(shown), sensitivity
        for position, tag in enumerate(tags, start=1):
            decision = reading.decide(tag, image.provider, policy)
            outcome["decisions"][at, position] = *_told(tag), decision
    return outcome


def _told(tag: Json) -> tuple[str | None, str | None, Decimal | None]:
    if not isinstance(tag, dict):
        return None, None, None
    name = tag.get("name")
    by = reading.provider_of(tag), reading.accuracy_of(tag)
    return name if isinstance(name, str) else None, *by


def assert_same(got: Outcome, want: Outcome) -> None:
    """Compare relation by relation, and show a few rows of the first that differs."""
    for relation in RELATIONS:
        there, due = got[relation], want[relation]
        differ = [at for at in there.keys() | due.keys() if there.get(at) != due.get(at)]
        shown = [
            f"{at}\n  got  {there.get(at)}\n  want {due.get(at)}"
            for at in sorted(differ, key=str)[:3]
        ]
        assert not differ, f"{relation}: {len(differ)} differ\n" + "\n".join(shown)


# Examples on the empty project


@pytest.mark.both_versions
@pytest.mark.parametrize("policy", [OWN_POLICY, ODD_POLICY], ids=["own", "odd"])
def test_tags_by_every_rule(project: Database, policy: Files) -> None:
    decisions = compare(project, policy, every_tag())["decisions"]
    assert {decision for *_, decision in decisions.values()} == set(reading.DECISIONS)


@pytest.mark.both_versions
def test_responses_with_every_problem(project: Database) -> None:
    rejected = compare(project, ODD_POLICY, every_response())["rejected"]
    assert {problem for (problem,) in rejected.values()} == set(reading.PROBLEMS)


COUNTS = ("int_catalog_labels", "int_label_counts")
LABELS = "select provider, label, images from refinery.labels"
SEEDED = "select provider, label, seeded_images_shown from refinery.int_labels_by_policy"
SHOWN = """
select provider, label, images_at_minimum_accuracy from refinery.labels where decision = 'published'
"""


@pytest.mark.both_versions
@pytest.mark.parametrize("catalogs", [12, pytest.param(120, marks=pytest.mark.slow)])
def test_any_edit_is_live_at_once_and_taken_back_with_its_files(
    project: Database, catalogs: int
) -> None:
    """Tags, counts and what the preview reads; no image is labelled or counted again."""

    @settings(
        max_examples=catalogs,
        derandomize=True,
        deadline=None,
        # An example is a whole catalog, and each takes a few queries.
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(example=examples, edited=policies)
    def edit(example: Example, edited: Files) -> None:
        with filled(project, example) as connection:
            connection.execute("insert into refinery.int_label_changes default values")
            for name in COUNTS:
                refill(connection, name, project)
            for files in (ODD_POLICY, edited, ODD_POLICY):
                fill_seeds(connection, files)
                seeded = {row for row in connection.execute(SEEDED) if row[2]}
                connection.execute(PUT_IN_FORCE)
                policy = Policy.of(files)
                assert_same(found(connection), wanted(example, policy))
                assert set(connection.execute(LABELS)) == recounted(example, policy)
                assert {row for row in connection.execute(SHOWN) if row[2]} == seeded

    edit()


def recounted(example: Example, policy: Policy) -> set[tuple[str | None, str, int]]:
    """Count the images of what the reading of the rules says that machines say."""
    stored = {
        (labeller, image): tags
        for labeller, lines in example.lines.items()
        for image, tags in reading.machine_tags(lines, policy, labeller).items()
    }
    said = {(*by, tag["name"]) for by, tags in stored.items() for tag in tags}
    for image in example.images:
        for tag in image.tag_list if isinstance(image.tag_list, list) else []:
            if reading.decide(tag, image.provider, policy) != "malformed":
                by = reading.provider_of(tag), image.identifier
                if by not in stored and reading.is_machine_tag(tag, image.provider):
                    said.add((*by, reading.trimmed(tag["name"])))
    counts = Counter((provider, name) for provider, _, name in said)
    return {(*label, images) for label, images in counts.items()}


@pytest.mark.both_versions
def test_lower_case_is_the_same_on_every_server(project: Database) -> None:
    """Guards the keys of labels: they must not depend on the locale of a database."""
    others = "\N{KELVIN SIGN}\N{ANGSTROM SIGN}\N{LATIN CAPITAL LETTER SHARP S}ΑαЖж"
    letters = [letter for letter in [*map(chr, range(0x21, 0x250)), *others] if letter.isalpha()]
    small = [letter for letter in letters if letter == letter.lower()]
    signed = {"note": "", "reviewed_by": "ann", "reviewed_on": ""}
    policy = ODD_POLICY | {
        "included_labels": [{"label": letter, "minimum_accuracy": ""} for letter in small],
        "reviewed_labels": [{"label": letter} | signed for letter in small],
    }
    tags = json_text([{"name": f"{letter} ", "provider": MACHINE} for letter in letters])
    outcome = compare(project, policy, Example([Image(UUID(int=1), "flickr", tags)]))
    decisions = Counter(decision for *_, decision in outcome["decisions"].values())
    assert decisions["published"] > len(small)
    assert decisions["unreviewed_label"] > 0


def compare(project: Database, policy: Files, example: Example) -> Outcome:
    """Compare what the models make of an example with the reading; leave nothing behind."""
    with filled(project, example) as connection:
        fill_seeds(connection, policy)
        connection.execute(PUT_IN_FORCE)
        got = found(connection)
    assert_same(got, wanted(example, Policy.of(policy)))
    return got


def fill_seeds(connection: psycopg.Connection, policy: Files) -> None:
    for name, rows in policy.items():
        seed = sql.Identifier("refinery", name)
        connection.execute(sql.SQL("delete from {}").format(seed))
        document = json_text([{key: value or None for key, value in row.items()} for row in rows])
        insert = "insert into {seed} select * from jsonb_populate_recordset(null::{seed}, %s)"
        connection.execute(sql.SQL(insert).format(seed=seed), [document])


@contextmanager
def filled(project: Database, example: Example) -> Iterator[psycopg.Connection]:
    """Put an example in the place of all there is, and its labels by the models' own SQL."""
    into_catalog = "insert into catalog.image (identifier, provider, tags) values (%s, %s, %s)"
    into_raw = "insert into raw.{}_responses (chunk_id, document) values (0, %s)"
    with (
        project.connect() as connection,
        connection.transaction(force_rollback=True),
        connection.cursor() as cursor,
    ):
        # Where Postgres has a compiler, it takes longer than these small queries.
        cursor.execute("set local jit = off")
        cursor.execute("delete from catalog.image")
        rows = [(image.identifier, image.provider, image.tags) for image in example.images]
        cursor.executemany(into_catalog, rows)
        for labeller in FORMATS:
            cursor.execute(f"delete from raw.{labeller}_responses")  # noqa: S608 - a labeller
            lines = [(line.decode(),) for line in example.lines.get(labeller, [])]
            cursor.executemany(into_raw.format(labeller), lines)
            refill(connection, f"int_{labeller}_labels", project)
        yield connection


def refill(connection: psycopg.Connection, table: str, project: Database) -> None:
    """Fill a model's table by its own SQL, which names the database that was built."""
    query = project.compiled(table).replace('"built_project".', "")
    into = sql.Identifier("refinery", table)
    connection.execute(sql.SQL("delete from {}").format(into))
    columns = [
        column.name
        for column in connection.execute(sql.SQL("table {}").format(into)).description or ()
    ]
    insert = sql.SQL("insert into {} ({columns}) select {columns} from ({}) as filled")
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    connection.execute(insert.format(into, sql.SQL(query), columns=listed))  # type: ignore[arg-type]


# The real data

# Which version of each row of the store is there: any write makes a new one.
ROW_VERSIONS = "select identifier, xmin::text, ctid::text from refinery.int_rekognition_labels"
# The catalog's further columns pass through.
UNCHANGED = """
select count(*)
from refinery.published_images as shown join catalog.image using (identifier)
where to_jsonb(shown) - 'sensitivity' - 'tags' = to_jsonb(image) - 'tags'
"""


def test_real_data(server: Server, built_project: Database, tmp_path: Path) -> None:
    """In two parts as in two data refreshes; the second leaves the first one's rows alone."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real data is not there ({REAL_DATA})")
    lines = (REAL_DATA / "rekognition_labels.jsonl").read_bytes().splitlines()
    files = {MACHINE: [write(tmp_path / "second.jsonl", *lines[16:])]}
    for path in sorted(REAL_DATA.glob("labellers_*.jsonl")):
        files.setdefault(path.stem.removeprefix("labellers_"), []).append(path)
    with clone(server, built_project, "real_data", tmp_path) as real:
        copy_catalog = "copy catalog.image from stdin (format csv, header match)"
        with real.connect() as connection, connection.cursor().copy(copy_catalog) as copy:
            copy.write((REAL_DATA / "catalog_images.csv").read_bytes())
        real.loader("load", write(tmp_path / "first.jsonl", *lines[:16]))
        real.build("run", "--select", "int_rekognition_labels")
        first_rows = set(fetch(real, ROW_VERSIONS))
        for labeller, paths in files.items():
            for path in paths:
                real.loader("load", "--labeller", labeller, path)
        real.build("run", "--select", "config.materialized:label_store")
        real.build("test", "--select", "tests/models")
        rows = set(fetch(real, ROW_VERSIONS))
        assert (len(first_rows), len(rows)) == (16, LABELLED[MACHINE])
        assert first_rows < rows
        ((unchanged,),) = fetch(real, UNCHANGED)
        with real.connect() as connection:
            got = found(connection)
    said = {
        labeller: [line for path in paths for line in path.read_bytes().splitlines()]
        for labeller, paths in files.items()
    }
    said[MACHINE] = lines[:16] + said[MACHINE]
    images = [
        Image(UUID(row["identifier"]), row["provider"] or None, row["tags"] or None)
        for row in read(REAL_DATA / "catalog_images.csv")
    ]
    assert_same(got, wanted(Example(images, said), Policy.of(OWN_POLICY)))
    assert len(got["merged"]) == len(got["published"]) == unchanged == 950
    assert Counter(labeller for _, labeller in got["machine_tags"]) == LABELLED
    assert len(got["decisions"]) > 6000
    decisions = {decision for *_, decision in got["decisions"].values()}
    assert decisions >= {"published", "provider_withheld", "below_minimum_accuracy"}
