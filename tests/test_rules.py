"""What the models make of responses and tags, compared with a plain reading of the rules."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from functools import partial
from itertools import chain, product
from uuid import UUID

import psycopg
import pytest
from conftest import PUT_IN_FORCE, Database, fresh_database
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loads import fetch
from psycopg import sql
from psycopg.types.json import set_json_loads

from benchmarks.reading_of_the_rules import (
    DECISIONS,
    FORMATS,
    MACHINE,
    PROBLEMS,
    Format,
    Json,
    Policy,
    Tag,
    accuracy_of,
    decide,
    documents,
    is_machine_tag,
    json_text,
    key,
    machine_tags,
    merged,
    parse,
    problems,
    provider_of,
    published,
    trimmed,
    value_at,
    winners,
)
from loader.connect import PROJECT
from trial.catalog import load_catalog
from trial.server import Server

LABELLED = {MACHINE: 319, "clarifai": 300, "azure_vision": 300}
REAL_DATA = PROJECT.parent / "shared" / "data"
OWN_POLICY = PROJECT / "seeds" / "label_policy"

# A policy with all that the project's own leaves out or its tests forbid.
ODD_FILES = {
    "included_labels": """label,minimum_accuracy
Cat,
Gorilla,0.99
 spaced OUT\t,
Low,0.1
Zero,0
Machete,
Sword,0.95
Loose,
Both,
Old Name,
ATM,
Chatéau,
100% Wool,
cc0 Museum,
Unsigned,
Signed By None,
""",
    "reviewed_labels": """label,note,reviewed_by,reviewed_on
CAT,, ann ;Bob,2026-01-01
gorilla,, ann ;Bob,2026-01-01
Spaced Out,, ann ;Bob,2026-01-01
Low,, ann ;Bob,2026-01-01
Zero,, ann ;Bob,2026-01-01
Machete,, ann ;Bob,2026-01-01
Sword,, ann ;Bob,2026-01-01
Both,, ann ;Bob,2026-01-01
Old Name,, ann ;Bob,2026-01-01
ATM,, ann ;Bob,2026-01-01
CHATÉAU,, ann ;Bob,2026-01-01
100% wool,, ann ;Bob,2026-01-01
cc0 museum,, ann ;Bob,2026-01-01
Bandage,, ann ;Bob,2026-01-01
Slum,, ann ;Bob,2026-01-01
Unsigned,,,
Signed By None,, ; ,2026-01-01
""",
    "sensitive_labels": """label,category,handling,reason
 Sword ,weapons,flag,
MACHETE,tools,flag,
Bandage,injury,flag,
Rifle,weapons,flag,
Both,age,hide,
Girl,gender,withhold,
Old Girl,gender,,
""",
    "label_corrections": """original,corrected
Atm,ATM
Old Name,Name
Old Girl,Cat
Unread,Read
Name,Cat
""",
    "tag_providers": """provider,minimum_accuracy,is_withheld,note
clarifai,,true,
strict,0.95,false,
lax,0.5,false,
silent,,false,
5,0.25,false,
unsure,0.9,,
rekognition,,false,
Clarifai ,0.9,true,
""",
    "denied_tag_patterns": """pattern,match,reason
 EXACTLY ,exact,
50%,contains,
a_b,exact,
back\\slash,contains,
cc0,,
Glob,glob,
""",
}


def odd_rows() -> dict[str, list[dict[str, str]]]:
    return {name: list(csv.DictReader(io.StringIO(text))) for name, text in ODD_FILES.items()}


@dataclass(frozen=True)
class PolicyInUse:
    """A policy as the reading has it, and the rows to put into the seeds, None for their own."""

    reading: Policy
    rows: Mapping[str, list[dict[str, str]]] | None = None


POLICIES = {
    "own": PolicyInUse(Policy.read(OWN_POLICY)),
    "odd": PolicyInUse(Policy.of(odd_rows()), odd_rows()),
}
with_both_policies = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)


# What examples are made of


@dataclass(frozen=True)
class Image:
    """A row of the catalog; `tags` is JSON as text, None for SQL's null."""

    identifier: UUID
    provider: str | None
    tags: str | None

    @property
    def tag_list(self) -> Json:
        return None if self.tags is None else parse(self.tags)


@dataclass(frozen=True)
class Example:
    """A catalog, and the lines of each labeller's label file."""

    images: list[Image]
    lines: Mapping[str, list[bytes]] = field(default_factory=dict)


OTHER_MACHINE = "clarifai"
INTO_STORE = (
    "insert into {} (identifier, provider, names, accuracies, label_model_version, response_id) "
)
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
    "my {} too",
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
    *("0" * 100, "0" * 101, "0" * 150, "0" * 100 + ".9", "0" * 101 + ".9"),
    *("0." + "9" * 100, "0." + "9" * 101, "." + "9" * 100, "." + "9" * 101),
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
    {"provider": OTHER_MACHINE, "accuracy": Decimal("0.99")},
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
MODEL_VERSIONS = [MISSING, "2.0", "3.0"]


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
        answer = document.get("response") if isinstance(document, dict) else None
        if isinstance(answer, dict) and "Labels" in answer:
            labels, version = answer["Labels"], answer.get("LabelModelVersion", MISSING)
            if isinstance(labels, list):
                labels = [_label_of(of, label) for label in labels]
            yield document | {"response": _answer_of(of, labels, version)}
        else:
            yield document


def _label_of(of: Format, label: Json) -> Json:
    """Rename a label's keys; half of the confidences come into the range, half stay out of it."""
    if not isinstance(label, dict):
        return label
    name, confidence = label.get("Name", MISSING), label.get("Confidence", MISSING)
    if isinstance(confidence, Decimal) and len(str(confidence)) % 2 == of.digits % 2:
        confidence = confidence.scaleb(of.digits - 2, Context(prec=100))
    return record(**{of.name: name, of.confidence: confidence})


def _answer_of(of: Format, labels: Json, version: object) -> Json:
    answer: Json = {}
    for path, value in ((of.labels, labels), (of.version, version)):
        if path and value is not MISSING:
            answer = _with_value(answer, path, value)
    return answer


def _with_value(into: Json, path: tuple[str | int, ...], value: object) -> Json:
    """Put a value where a path leads to, and what is missing on the way."""
    if not path:
        return value
    step, *rest = path
    if isinstance(step, int):
        return [_with_value(into[0] if into else None, tuple(rest), value)]
    into = into or {}
    return into | {step: _with_value(into.get(step), tuple(rest), value)}


def as_lines(documents: list[Json]) -> list[bytes]:
    return [json_text(document).encode() for document in documents]


# One large example with everything in it


def every_tag() -> Example:
    """Return all names, accuracies and providers, each with some of the others."""
    tags_by_provider = {
        provider: [
            record(name=name, accuracy=accuracy, provider=of)
            for name, accuracy, of in product(FEW_NAMES, FEW_ACCURACIES, PROVIDERS)
        ]
        for provider in IMAGE_PROVIDERS
    }
    of_flickr = [
        record(name=name, accuracy=accuracy, provider=of)
        for name, accuracy, of in chain(
            product(respellings(NAMES), [MISSING, Decimal("0.99")], ["flickr", MACHINE]),
            product(FEW_NAMES, ACCURACIES, FEW_PROVIDERS),
        )
    ]
    # Alone in their images, so that no other tag can bring the same sensitivity.
    alone = [
        (of_image, [record(name=name, accuracy=accuracy, provider=of)])
        for of_image, name, accuracy, of in product(
            IMAGE_PROVIDERS, ["Sword", "Machete"], [MISSING, Decimal("0.99")], PROVIDERS
        )
    ]
    lists = [*tags_by_provider.items(), ("flickr", of_flickr), ("flickr", ODD_TAGS), *alone]
    columns = [
        *((provider, json_text(tags)) for provider, tags in lists),
        *(("flickr", column) for column in ODD_TAG_COLUMNS),
    ]
    return Example(
        [Image(UUID(int=n), provider, tags) for n, (provider, tags) in enumerate(columns)]
    )


def every_response() -> Example:
    """Return all names and confidences, all that is odd, and images that come twice."""
    names = [*NAMES, *ODD_TAG_COLUMNS[3:5], *respellings(["Atm", "RAM Memory"])]
    labels = [
        record(Name=name, Confidence=confidence) for name, confidence in product(names, CONFIDENCES)
    ]
    first, second, third, *_ = map(str, IDENTIFIERS)
    good = [
        response(first, [{"Name": "Cat", "Confidence": Decimal(99)}], "2.0"),
        response(second, labels, "3.0"),
        response(third, ODD_LABELS),
        *(response(str(IDENTIFIERS[3]), [label]) for label in ODD_LABELS),
        response(str(IDENTIFIERS[4]), []),
        response(str(UUID(int=5)), []),
        response(first.upper(), list(reversed(labels))),
    ]
    bad = [
        *ODD_DOCUMENTS,
        *(response(identifier, []) for identifier in ODD_IDENTIFIERS),
        *(record(image_uuid=first, response=odd) for odd in ODD_RESPONSES),
    ]
    stale = {"name": "Cat", "accuracy": Decimal("0.5"), "provider": MACHINE}
    own = {identifier: [stale, {"name": "tree"}] for identifier in IDENTIFIERS}
    own[IDENTIFIERS[4]] = [stale]
    images = [Image(identifier, "flickr", json_text(tags)) for identifier, tags in own.items()]
    others = {
        labeller: as_lines([*said_by(labeller, [*good, *bad]), *good, *bad])
        for labeller in FORMATS
        if labeller != MACHINE
    }
    return Example(images, {MACHINE: as_lines([*good, *bad])} | others)


# Random examples

respelt = st.builds(
    lambda name, case, spelling: spelling.format(case(name)),
    st.sampled_from(NAMES),
    st.sampled_from(CASES),
    st.sampled_from(SPELLINGS),
)
policy_names = st.sampled_from(sorted(POLICIES["own"].reading.reviewed)).map(str.title)
# No surrogates and no zero: they are no text to Postgres.
any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
names = st.one_of(st.sampled_from(NAMES), respelt, policy_names, any_text)
fractions = st.decimals(0, 1, places=3).map(abs)
tags = st.one_of(
    st.builds(
        lambda name, accuracy, provider: record(name=name, accuracy=accuracy, provider=provider),
        names,
        st.one_of(st.sampled_from(ACCURACIES), st.just(Decimal("0.97")), fractions),
        st.one_of(st.sampled_from(FEW_PROVIDERS), st.sampled_from(PROVIDERS)),
    ),
    st.builds(lambda name: {"name": name, "provider": "flickr"}, names),
    st.sampled_from(ODD_TAGS),
)
tag_columns = st.one_of(st.lists(tags, max_size=8).map(json_text), st.sampled_from(ODD_TAG_COLUMNS))
labels = st.one_of(
    st.builds(
        lambda name, confidence: record(Name=name, Confidence=confidence),
        st.one_of(st.sampled_from(["Cat", "Atm", "ATM", "\tATM", "Sword"]), names),
        st.one_of(st.sampled_from(CONFIDENCES), st.decimals(0, 100, places=4).map(abs)),
    ),
    st.sampled_from(ODD_LABELS),
)
identifiers = st.sampled_from(IDENTIFIERS)
good_responses = st.builds(
    response,
    st.one_of(identifiers.map(str), identifiers.map(lambda identifier: str(identifier).upper())),
    st.lists(labels, max_size=6),
    st.sampled_from(MODEL_VERSIONS),
)
odd_responses = st.one_of(
    st.sampled_from(ODD_DOCUMENTS),
    st.builds(response, st.sampled_from(ODD_IDENTIFIERS), st.just([])),
    st.builds(
        lambda identifier, odd: record(image_uuid=identifier, response=odd),
        identifiers.map(str),
        st.sampled_from(ODD_RESPONSES),
    ),
)
images = st.builds(
    lambda columns: [
        Image(identifier, *column) for identifier, column in zip(IDENTIFIERS, columns, strict=False)
    ],
    # Fewer than the identifiers: some responses are for images that the catalog does not have.
    st.lists(st.tuples(st.sampled_from(IMAGE_PROVIDERS), tag_columns), min_size=1, max_size=7),
)
responses = st.lists(st.one_of(good_responses, good_responses, odd_responses), max_size=8)
lines = st.fixed_dictionaries(
    {MACHINE: responses.map(as_lines)},
    optional={
        labeller: responses.map(partial(said_by, labeller)).map(list).map(as_lines)
        for labeller in FORMATS
        if labeller != MACHINE
    },
)
examples = st.builds(Example, images, lines)


def rows(key_of: str, **columns: st.SearchStrategy[str]) -> st.SearchStrategy[list]:
    return st.lists(
        st.fixed_dictionaries(columns), max_size=6, unique_by=lambda row: key(row[key_of])
    )


of_names, minimums = st.sampled_from(NAMES), st.sampled_from(["", "0", "0.5", "0.95"])
policy_files = st.fixed_dictionaries(
    {
        "included_labels": rows("label", label=of_names, minimum_accuracy=minimums),
        "reviewed_labels": rows(
            "label",
            label=of_names,
            note=st.just(""),
            reviewed_by=st.sampled_from(["ann", "Bob; ann", "", " ; "]),
            reviewed_on=st.just(""),
        ),
        "sensitive_labels": rows(
            "label",
            label=of_names,
            category=st.sampled_from(["weapons", "injury"]),
            handling=st.sampled_from(["flag", "withhold"]),
            reason=st.just(""),
        ),
        # Short ways, so that two labels of an image become one.
        "label_corrections": st.dictionaries(of_names, st.sampled_from(FEW_NAMES), max_size=6).map(
            lambda pairs: [{"original": old, "corrected": new} for old, new in pairs.items()]
        ),
        "tag_providers": rows(
            "provider",
            provider=st.sampled_from([*FORMATS, "lax"]),
            minimum_accuracy=minimums,
            is_withheld=st.sampled_from(["true", "false", "false"]),
            note=st.just(""),
        ),
        "denied_tag_patterns": rows(
            "pattern",
            pattern=st.sampled_from(["cc0", "by", "a"]),
            match=st.sampled_from(["exact", "contains"]),
            reason=st.just(""),
        ),
    }
)


# Comparing


@dataclass(frozen=True)
class Outcome:
    """What becomes of an example; tags as text, so that 0.90 is not 0.9."""

    machine_tags: dict[tuple[UUID, str], object]
    merged: dict[UUID, list[str]]
    decisions: dict[tuple[UUID, int], object]
    published: dict[UUID, object]
    safe: dict[UUID, object]
    rejected: dict[tuple[str, int], str]


def texts(tags: list[Json]) -> list[str]:
    return [json_text(tag) for tag in tags]


def wanted(example: Example, policy: Policy) -> Outcome:
    """Apply the reading of the rules."""
    of_machine = {
        labeller: machine_tags(lines, policy, labeller) for labeller, lines in example.lines.items()
    }
    tags = {image.identifier: _merged(image, of_machine) for image in example.images}
    providers = {image.identifier: image.provider for image in example.images}
    shown = {image: _published(tags[image], providers[image], policy) for image in tags}
    return Outcome(
        machine_tags={
            (image, labeller): (
                texts(of_machine[labeller][image]),
                _version(document["response"], labeller),
                number,
            )
            for labeller, lines in example.lines.items()
            for image, number in winners(lines, labeller).items()
            for document in [list(documents(lines))[number]]
        },
        merged={image: texts(tags[image]) for image in tags},
        decisions={
            (image, position): (*_told(tag), decide(tag, providers[image], policy))
            for image in tags
            for position, tag in enumerate(tags[image], start=1)
        },
        published=shown,
        safe={image: row for image, row in shown.items() if not row[1]},
        rejected={
            (labeller, number): problem
            for labeller, lines in example.lines.items()
            for number, problem in enumerate(problems(lines, labeller))
            if problem is not None
        },
    )


def _version(response: Json, labeller: str) -> str | None:
    path = FORMATS[labeller].version
    value = value_at(response, path) if path else None
    return value if value is None or isinstance(value, str) else json_text(value)


def _merged(image: Image, of_machine: Mapping[str, Mapping[UUID, list[Tag]]]) -> list[Json]:
    at = image.identifier
    return merged(
        image.tag_list,
        {machine: tags[at] for machine, tags in of_machine.items() if at in tags},
    )


def _published(
    tags: list[Json], provider: str | None, policy: Policy
) -> tuple[list[str], list[str]]:
    shown, sensitivity = published(tags, provider, policy)
    return texts(shown), sensitivity


def _told(tag: Json) -> tuple[str | None, str | None, Decimal | None]:
    if not isinstance(tag, dict):
        return None, None, None
    name = tag.get("name")
    return name if isinstance(name, str) else None, provider_of(tag), accuracy_of(tag)


def found(connection: psycopg.Connection) -> Outcome:
    """Read the models."""
    set_json_loads(parse, connection)
    number = {
        response_id: place
        for labeller in FORMATS
        for place, (response_id,) in enumerate(
            connection.execute(
                sql.SQL("select response_id from {} order by response_id").format(
                    sql.Identifier("raw", f"{labeller}_responses")
                )
            )
        )
    }
    machine = connection.execute(
        "select identifier, provider, tags, label_model_version, response_id"
        " from refinery.machine_tags"
    )
    merged = connection.execute("select identifier, tags from refinery.catalog_images")
    decided = connection.execute(
        "select identifier, position, name, provider, accuracy, decision"
        " from refinery.tag_decisions"
    )
    shown = connection.execute(
        "select identifier, tags, sensitivity from refinery.published_images"
    )
    safe = connection.execute("select identifier, tags, sensitivity from refinery.safe_images")
    rejected = connection.execute(
        "select provider, response_id, problem from refinery.rejected_responses"
    )
    return Outcome(
        machine_tags=unique(
            ((row[0], row[1]), (texts(row[2]), row[3], number[row[4]])) for row in machine
        ),
        merged=unique((image, texts(tags)) for image, tags in merged),
        decisions=unique(((row[0], row[1]), row[2:]) for row in decided),
        published=unique((image, (texts(tags), flags)) for image, tags, flags in shown),
        safe=unique((image, (texts(tags), flags)) for image, tags, flags in safe),
        rejected=unique(
            ((by, number[response_id]), problem) for by, response_id, problem in rejected
        ),
    )


def unique(pairs: Iterator[tuple[object, object]]) -> dict:
    """Make a dict, and see to it that no key comes twice."""
    pairs = list(pairs)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def assert_same(got: Outcome, want: Outcome) -> None:
    """Compare relation by relation, and show a few rows of the first that differs."""
    for relation in fields(Outcome):
        there, due = getattr(got, relation.name), getattr(want, relation.name)
        keys = sorted(there.keys() | due.keys(), key=str)
        differ = [at for at in keys if there.get(at) != due.get(at) or (at in there) != (at in due)]
        shown = [f"{at}\n  got  {there.get(at)}\n  want {due.get(at)}" for at in differ[:3]]
        assert not differ, f"{relation.name}: {len(differ)} differ\n" + "\n".join(shown)


# Examples on the empty project


@with_both_policies
def test_tags_by_every_rule(project: Database, policy: PolicyInUse) -> None:
    decisions = compare(project, policy, every_tag()).decisions
    assert {decision for *_, decision in decisions.values()} == set(DECISIONS)


@with_both_policies
def test_responses_with_every_problem(project: Database, policy: PolicyInUse) -> None:
    outcome = compare(project, policy, every_response())
    assert set(outcome.rejected.values()) == set(PROBLEMS)


@with_both_policies
@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    # An example is a whole catalog, and each takes a few queries.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(example=examples)
def test_random_catalogs(project: Database, policy: PolicyInUse, example: Example) -> None:
    compare(project, policy, example)


COUNTS = ("int_catalog_labels", "int_label_counts")
LABELS = "select provider, label, images from refinery.labels"
SUMMARY = "select provider, images, labels, mean_accuracy from refinery.label_summary"
SEEDED_LABELS = """
select provider, label, seeded_images_shown from refinery.int_labels_by_policy
where seeded_images_shown > 0
"""
SHOWN_LABELS = """
select provider, label, images_at_minimum_accuracy from refinery.labels
where decision = 'published' and images_at_minimum_accuracy > 0
"""


@settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(example=examples, files=policy_files)
def test_any_edit_is_live_at_once_and_taken_back_with_its_files(
    project: Database, example: Example, files: dict[str, list[dict[str, str]]]
) -> None:
    """Tags, counts and what the preview reads; no image is labelled or counted again."""
    with project.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("set local jit = off")
        fill(connection, example, project)
        connection.execute("insert into refinery.int_label_changes default values")
        for name in COUNTS:
            refill(connection, name, project.compiled(name))
        before, counts_before = found(connection), counted(connection)
        for name, lines in files.items():
            keep = sql.SQL("create temporary table {} as table {}")
            connection.execute(keep.format(sql.Identifier(name), sql.Identifier("refinery", name)))
            fill_seed(connection, name, lines)
        seeded = set(connection.execute(SEEDED_LABELS))
        connection.execute(PUT_IN_FORCE)
        policy = Policy.of(files)
        assert_same(found(connection), wanted(example, policy))
        assert counted(connection) == recounted(example, policy)
        assert set(connection.execute(SHOWN_LABELS)) == seeded
        for name in files:
            refill(connection, name, f"table pg_temp.{name}")
        connection.execute(PUT_IN_FORCE)
        assert_same(found(connection), before)
        assert counted(connection) == counts_before


def refill(connection: psycopg.Connection, table: str, query: str) -> None:
    into = sql.Identifier("refinery", table)
    connection.execute(sql.SQL("delete from {}").format(into))
    columns = [
        column.name
        for column in connection.execute(sql.SQL("table {}").format(into)).description or ()
    ]
    insert = sql.SQL("insert into {} ({columns}) select {columns} from ({}) as filled")
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    connection.execute(insert.format(into, sql.SQL(query), columns=listed))  # type: ignore[arg-type]


def counted(connection: psycopg.Connection) -> tuple[dict, dict]:
    """Return images by provider and label, and each provider's images, labels, mean accuracy."""
    labels, summary = connection.execute(LABELS), connection.execute(SUMMARY)
    return (
        {(provider, label): images for provider, label, images in labels},
        {provider: figures for provider, *figures in summary},
    )


def recounted(example: Example, policy: Policy) -> tuple[dict, dict]:
    """Count what the reading of the rules says that machines say."""
    said: dict[tuple[str | None, UUID], dict[str, Decimal | None]] = {
        (labeller, image): {tag["name"]: tag["accuracy"] for tag in tags}
        for labeller, lines in example.lines.items()
        for image, tags in machine_tags(lines, policy, labeller).items()
    }
    stored = set(said)
    for image in example.images:
        for tag in image.tag_list if isinstance(image.tag_list, list) else []:
            if decide(tag, image.provider, policy) == "malformed":
                continue
            at = provider_of(tag), image.identifier
            if at not in stored and is_machine_tag(tag, image.provider):
                labels, name = said.setdefault(at, {}), trimmed(tag["name"])
                known = [a for a in (labels.get(name), accuracy_of(tag)) if a is not None]
                labels[name] = max(known, default=None)
    accuracies: dict[str, list[Decimal]] = {}
    images: Counter[str] = Counter()
    labels_of: Counter[str] = Counter()
    for (provider, _), labels in said.items():
        of = "(none)" if provider is None else provider
        images[of] += 1
        labels_of[of] += len(labels)
        accuracies.setdefault(of, []).extend(a for a in labels.values() if a is not None)
    return (
        dict(
            Counter((provider, name) for (provider, _), labels in said.items() for name in labels)
        ),
        {
            provider: [images[provider], labels_of[provider], _mean(accuracies[provider])]
            for provider in images
        },
    )


def _mean(accuracies: list[Decimal]) -> Decimal | None:
    with localcontext(prec=400):
        mean = sum(accuracies) / len(accuracies) if accuracies else None
        return mean if mean is None else mean.quantize(Decimal("1.000000"), ROUND_HALF_UP)


def test_lower_case_is_the_same_on_every_server(project: Database) -> None:
    """Guards the keys of labels: they must not depend on the locale of a database."""
    others = "\N{KELVIN SIGN}\N{ANGSTROM SIGN}\N{LATIN CAPITAL LETTER SHARP S}ΑαЖж"
    letters = [letter for letter in [*map(chr, range(0x21, 0x250)), *others] if letter.isalpha()]
    small = [letter for letter in letters if letter == letter.lower()]
    files = odd_rows() | {
        "included_labels": [{"label": letter, "minimum_accuracy": ""} for letter in small],
        "reviewed_labels": [
            {"label": letter, "note": "", "reviewed_by": "ann", "reviewed_on": ""}
            for letter in small
        ],
    }
    tags = json_text([{"name": f"{letter} ", "provider": MACHINE} for letter in letters])
    example = Example([Image(UUID(int=1), "flickr", tags)])
    outcome = compare(project, PolicyInUse(Policy.of(files), files), example)
    decisions = Counter(decision for *_, decision in outcome.decisions.values())
    assert decisions["published"] > len(small)
    assert decisions["unreviewed_label"] > 0


def compare(project: Database, policy: PolicyInUse, example: Example) -> Outcome:
    """Compare what the models make of an example with the reading; leave nothing behind."""
    with project.connect() as connection, connection.transaction(force_rollback=True):
        # Where Postgres has a compiler, it takes longer than these small queries.
        connection.execute("set local jit = off")
        for name, rows in (policy.rows or {}).items():
            fill_seed(connection, name, rows)
        connection.execute(PUT_IN_FORCE)
        fill(connection, example, project)
        got = found(connection)
    assert_same(got, wanted(example, policy.reading))
    return got


def fill_seed(connection: psycopg.Connection, name: str, rows: list[dict[str, str]]) -> None:
    seed = sql.Identifier("refinery", name)
    connection.execute(sql.SQL("delete from {}").format(seed))
    document = json_text([{key: value or None for key, value in row.items()} for row in rows])
    insert = "insert into {seed} select * from jsonb_populate_recordset(null::{seed}, %s)"
    connection.execute(sql.SQL(insert).format(seed=seed), [document])


def fill(connection: psycopg.Connection, example: Example, project: Database) -> None:
    """Put an example in the place of all there is, and its labels by the models' own SQL."""
    connection.execute("delete from catalog.image")
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into catalog.image (identifier, provider, tags) values (%s, %s, %s)",
            [(image.identifier, image.provider, image.tags) for image in example.images],
        )
        for labeller in FORMATS:
            responses = sql.Identifier("raw", f"{labeller}_responses")
            store = sql.Identifier("refinery", f"int_{labeller}_labels")
            for table in (responses, store):
                cursor.execute(sql.SQL("delete from {}").format(table))
            cursor.executemany(
                sql.SQL("insert into {} (chunk_id, document) values (0, %s)").format(responses),
                [(line.decode(),) for line in example.lines.get(labeller, [])],
            )
            into_store = sql.SQL(INTO_STORE).format(store).as_string(connection)
            cursor.execute(into_store + project.compiled(f"int_{labeller}_labels"))


# The real data


@dataclass(frozen=True)
class RealData:
    """The project on the real data, and the rows of machine_tags after the first of two loads."""

    database: Database
    example: Example
    first_rows: set[tuple]


@pytest.fixture(scope="session")
def real_data(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealData]:
    """The project built on the real data, in two parts as in two data refreshes."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real data is not there ({REAL_DATA})")
    folder = tmp_path_factory.mktemp("real_data")
    lines = (REAL_DATA / "rekognition_labels.jsonl").read_bytes().splitlines(keepends=True)
    parts = {"first.jsonl": lines[:16], "second.jsonl": lines[16:]}
    for name, part in parts.items():
        (folder / name).write_bytes(b"".join(part))
    with fresh_database(server, "real_data", folder) as fresh:
        fresh.loader("init")
        with fresh.connect() as connection:
            load_catalog(connection, REAL_DATA / "catalog_images.csv")
        fresh.loader("load", str(folder / "first.jsonl"))
        fresh.build("build", "--exclude-resource-type", "unit_test")
        first_rows = row_versions(fresh)
        fresh.loader("load", str(folder / "second.jsonl"))
        of = {MACHINE: lines}
        for path in REAL_DATA.glob("labellers_*.jsonl"):
            labeller = path.stem.removeprefix("labellers_")
            fresh.loader("load", "--labeller", labeller, path)
            of.setdefault(labeller, []).extend(path.read_bytes().splitlines(keepends=True))
        fresh.build("run")
        fresh.build("test", "--exclude-resource-type", "unit_test")
        yield RealData(fresh, Example(list(real_images()), of), first_rows)


def real_images() -> Iterator[Image]:
    with (REAL_DATA / "catalog_images.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield Image(UUID(row["identifier"]), row["provider"] or None, row["tags"] or None)


def row_versions(database: Database) -> set[tuple]:
    """Return which version of each row of the store is there: any write makes a new one."""
    versions = "select identifier, xmin::text, ctid::text from refinery.int_rekognition_labels"
    return set(fetch(database, versions))


def test_real_data(real_data: RealData) -> None:
    with real_data.database.connect() as connection:
        got = found(connection)
    assert_same(got, wanted(real_data.example, POLICIES["own"].reading))
    assert len(got.merged) == len(got.published) == 950
    assert Counter(labeller for _, labeller in got.machine_tags) == LABELLED
    assert len(got.decisions) == sum(map(len, got.merged.values())) > 6000
    decisions = {decision for *_, decision in got.decisions.values()}
    assert decisions >= {"published", "provider_withheld", "below_minimum_accuracy"}


def test_further_columns_pass_through(real_data: RealData) -> None:
    same = """
        select count(*)
        from refinery.published_images as shown join catalog.image using (identifier)
        where to_jsonb(shown) - 'sensitivity' - 'tags' = to_jsonb(image) - 'tags'
    """
    assert fetch(real_data.database, same) == [(950,)]


def test_new_responses_leave_the_other_rows_alone(real_data: RealData) -> None:
    after = row_versions(real_data.database)
    assert len(real_data.first_rows) == 16
    assert len(after) == LABELLED[MACHINE]
    assert real_data.first_rows < after
