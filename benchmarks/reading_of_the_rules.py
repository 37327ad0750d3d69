"""The rules once more in plain Python: what tests compare the SQL with, and row by row runs."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

Json: TypeAlias = "dict[str, Json] | list[Json] | str | Decimal | bool | None"
Tag: TypeAlias = dict[str, Json]

MACHINE = "rekognition"


@dataclass(frozen=True)
class Format:
    """How a labeller writes its labels; confidences go up to ten to the power of `digits`."""

    labels: tuple[str | int, ...]
    name: str
    confidence: str
    digits: int
    version: tuple[str | int, ...] | None = None


# In the order in which tags are merged.
FORMATS = {
    MACHINE: Format(("Labels",), "Name", "Confidence", 2, ("LabelModelVersion",)),
    "clarifai": Format(
        ("outputs", 0, "data", "concepts"),
        "name",
        "value",
        0,
        ("outputs", 0, "model", "model_version", "id"),
    ),
    "google_vision": Format(("labelAnnotations",), "description", "score", 0),
    "azure_vision": Format(("tags",), "name", "confidence", 0, ("modelVersion",)),
}
DECISIONS = (
    "malformed",
    "denied_pattern",
    "provider_withheld",
    "below_minimum_accuracy",
    "sensitive_label",
    "superseded_spelling",
    "unreviewed_label",
    "excluded_label",
    "published",
)
PROBLEMS = (
    "not_an_object",
    "missing_image_uuid",
    "invalid_image_uuid",
    "missing_labels",
    "invalid_label",
)
DEFAULT_MINIMUM = Decimal("0.9")

WHITE_SPACE = " \t\n\r\f\v"
MULTIPLICATION_SIGN = 0xD7
UUID_FORM = re.compile("-".join(f"[0-9A-Fa-f]{{{digits}}}" for digits in (8, 4, 4, 4, 12)))
NUMERIC = re.compile(r"(?=.{1,200}\Z)[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


# Names


def trimmed(text: str) -> str:
    """Without the six kinds of white space at either end."""
    return text.strip(WHITE_SPACE)


def key(text: str) -> str:
    """Return the name that the policy compares."""
    return "".join(map(_lower, trimmed(text)))


def _lower(letter: str) -> str:
    code = ord(letter)
    if "A" <= letter <= "Z" or ("À" <= letter <= "Þ" and code != MULTIPLICATION_SIGN):
        return chr(code + 32)
    if letter == "Ÿ":
        return "ÿ"
    # İ stays: its small letter is not the same in all languages.
    if letter == "İ":
        return letter
    # The rest of Latin Extended-A is pairs, the capital first.
    even_capitals = 0x100 <= code <= 0x137 or 0x14A <= code <= 0x177
    odd_capitals = 0x139 <= code <= 0x148 or 0x179 <= code <= 0x17E
    is_capital = (even_capitals and code % 2 == 0) or (odd_capitals and code % 2 == 1)
    return chr(code + 1) if is_capital else letter


def _is_name(value: Json) -> bool:
    return isinstance(value, str) and trimmed(value) != ""


# Policy


@dataclass(frozen=True)
class Policy:
    """The label policy; labels by their key, spellings and providers as they are."""

    included: Mapping[str, Decimal | None]
    reviewed: frozenset[str]
    withheld: frozenset[str]
    flagged: Mapping[str, str]
    corrections: Mapping[str, str]
    provider_minimums: Mapping[str, Decimal | None]
    withheld_providers: frozenset[str]
    denied_exactly: frozenset[str]
    denied_within: frozenset[str]

    @classmethod
    def read(cls, folder: Path) -> "Policy":
        """Read the CSV files of a folder."""
        return cls.of({path.stem: list(_rows(path)) for path in folder.glob("*.csv")})

    @classmethod
    def of(cls, files: Mapping[str, list[dict[str, str]]]) -> "Policy":
        """Make a policy of each file's rows."""
        sensitive = files["sensitive_labels"]
        providers = files["tag_providers"]
        patterns = files["denied_tag_patterns"]
        return cls(
            included={
                key(row["label"]): _number_or_none(row["minimum_accuracy"])
                for row in files["included_labels"]
            },
            reviewed=frozenset(
                key(row["label"])
                for row in files["reviewed_labels"]
                if any(map(key, row["reviewed_by"].split(";")))  # one has to have signed
            ),
            withheld=frozenset(key(row["label"]) for row in sensitive if row["handling"] != "flag"),
            flagged={
                key(row["label"]): row["category"] for row in sensitive if row["handling"] == "flag"
            },
            corrections={row["original"]: row["corrected"] for row in files["label_corrections"]},
            provider_minimums={
                row["provider"]: _number_or_none(row["minimum_accuracy"]) for row in providers
            },
            withheld_providers=frozenset(
                row["provider"] for row in providers if row["is_withheld"] != "false"
            ),
            denied_exactly=frozenset(
                key(row["pattern"]) for row in patterns if row["match"] == "exact"
            ),
            denied_within=frozenset(
                key(row["pattern"]) for row in patterns if row["match"] != "exact"
            ),
        )

    def denies(self, name: str) -> bool:
        """Whether a row of the denied patterns matches the key."""
        return name in self.denied_exactly or any(part in name for part in self.denied_within)

    def minimum(self, name: str, provider: str | None) -> Decimal:
        """Return the accuracy that a tag must have to be shown."""
        own = self.included.get(name)
        if own is not None:
            return own
        of_provider = None if provider is None else self.provider_minimums.get(provider)
        return DEFAULT_MINIMUM if of_provider is None else of_provider


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _number_or_none(text: str) -> Decimal | None:
    return Decimal(text) if text else None


# From a response to machine tags


def parse(text: str | bytes) -> Json:
    """Parse JSON with its numbers as they are written."""
    return json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def documents(lines: Iterable[bytes]) -> Iterator[Json]:
    """Yield the lines that are JSON; the others never get as far as the rules."""
    for line in lines:
        try:
            yield parse(line)
        except ValueError:
            continue


def problems(lines: Iterable[bytes], labeller: str = MACHINE) -> list[str | None]:
    """Return what is wrong with each line that is JSON, None if nothing."""
    of = FORMATS[labeller]
    return [_problem(document, of) or _label_problem(document, of) for document in documents(lines)]


def value_at(value: Json, path: Iterable[str | int]) -> Json:
    """Return what is there in a response, None if nothing."""
    for step in path:
        if isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        elif isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        else:
            return None
    return value


def _problem(document: Json, of: Format) -> str | None:
    if not isinstance(document, dict):
        return "not_an_object"
    image = document.get("image_uuid")
    if image is None:
        return "missing_image_uuid"
    if not isinstance(image, str) or not UUID_FORM.fullmatch(image):
        return "invalid_image_uuid"
    if not isinstance(value_at(document.get("response"), of.labels), list):
        return "missing_labels"
    return None


def _label_problem(document: Json, of: Format) -> str | None:
    labels = value_at(document["response"], of.labels)
    return None if all(_is_good_label(label, of) for label in labels) else "invalid_label"


def _is_good_label(label: Json, of: Format) -> bool:
    if not isinstance(label, dict):
        return False
    confidence = label.get(of.confidence)
    in_range = isinstance(confidence, Decimal) and 0 <= confidence <= 10**of.digits
    return in_range and _is_name(label.get(of.name))


def winners(lines: Iterable[bytes], labeller: str = MACHINE) -> dict[UUID, int]:
    """Return which of the lines that are JSON, counted from 0, each image's tags come from."""
    return {
        UUID(document["image_uuid"]): number
        for number, document in enumerate(documents(lines))
        if _problem(document, FORMATS[labeller]) is None
    }


def machine_tags(
    lines: Iterable[bytes], policy: Policy, labeller: str = MACHINE
) -> dict[UUID, list[Tag]]:
    """Return the machine's tags of each image that has a good response."""
    lines = list(lines)
    loaded = list(documents(lines))
    return {
        image: _tags_of(loaded[number]["response"], policy, labeller)
        for image, number in winners(lines, labeller).items()
    }


def _tags_of(response: Json, policy: Policy, labeller: str) -> list[Tag]:
    of = FORMATS[labeller]
    good = [label for label in value_at(response, of.labels) if _is_good_label(label, of)]
    said = _best_of_each_name([_machine_tag(label, labeller) for label in good])
    # What the machine said is stored; corrections are made when it is read.
    corrections = policy.corrections
    corrected = [tag | {"name": corrections.get(tag["name"], tag["name"])} for tag in said]
    return _best_of_each_name(corrected)


def _machine_tag(label: dict[str, Json], labeller: str) -> Tag:
    of = FORMATS[labeller]
    return {
        "name": trimmed(label[of.name]),
        "accuracy": _share(label[of.confidence], of.digits),
        "provider": labeller,
    }


def _best_of_each_name(tags: list[Tag]) -> list[Tag]:
    return [tag for place, tag in enumerate(tags) if _is_best_of_its_name(place, tags)]


def _is_best_of_its_name(place: int, tags: list[Tag]) -> bool:
    same = [at for at, tag in enumerate(tags) if tag["name"] == tags[place]["name"]]
    return place == max(same, key=lambda at: (tags[at]["accuracy"], -at))


def _share(number: Decimal, digits_of_highest: int) -> Decimal:
    # Moves the point, as Decimal's own division rounds to 28 digits.
    sign, digits, exponent = number.as_tuple()
    text = plain(Decimal((sign, digits, exponent - digits_of_highest)))
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


def plain(number: Decimal) -> str:
    """Write a number as Postgres does: no exponent, no minus zero, its zeros kept."""
    return format(abs(number) if number == 0 else number, "f")


# Merging


def merged(catalog_tags: Json, machine_tags_by_provider: Mapping[str, list[Tag]]) -> list[Json]:
    """Return the catalog's tags with the machine's tags after them."""
    own = catalog_tags if isinstance(catalog_tags, list) else []
    kept = [tag for tag in own if provider_of(tag) not in machine_tags_by_provider]
    return kept + [tag for machine in FORMATS for tag in machine_tags_by_provider.get(machine, [])]


def provider_of(tag: Json) -> str | None:
    """Return a tag's provider, None if it has none."""
    provider = tag.get("provider") if isinstance(tag, dict) else None
    return provider if provider is None or isinstance(provider, str) else json_text(provider)


def json_text(value: Json) -> str:
    """Write JSON as jsonb does."""
    if isinstance(value, dict):
        pairs = sorted(value.items(), key=lambda pair: (len(pair[0].encode()), pair[0].encode()))
        return "{" + ", ".join(f"{json_text(k)}: {json_text(v)}" for k, v in pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(json_text, value)) + "]"
    if isinstance(value, Decimal):
        return plain(value)
    return json.dumps(value, ensure_ascii=False)


# Deciding


def decide(tag: Json, image_provider: str | None, policy: Policy) -> str:
    """Return the first decision that holds for a tag."""
    if not isinstance(tag, dict) or not _is_name(tag.get("name")) or not _has_good_accuracy(tag):
        return "malformed"
    name, provider, accuracy = key(tag["name"]), provider_of(tag), accuracy_of(tag)
    is_machine = is_machine_tag(tag, image_provider)
    if policy.denies(name):
        return "denied_pattern"
    is_listed = provider in policy.provider_minimums
    if provider in policy.withheld_providers or (is_machine and not is_listed):
        return "provider_withheld"
    if accuracy is not None and accuracy < policy.minimum(name, provider):
        return "below_minimum_accuracy"
    if not is_machine:
        return "published"
    return _decide_on_machine_tag(trimmed(tag["name"]), name, policy)


def _decide_on_machine_tag(spelling: str, name: str, policy: Policy) -> str:
    if name in policy.withheld:
        return "sensitive_label"
    if spelling in policy.corrections:
        return "superseded_spelling"
    if name not in policy.reviewed:
        return "unreviewed_label"
    if name not in policy.included:
        return "excluded_label"
    return "published"


def is_machine_tag(tag: Tag, image_provider: str | None) -> bool:
    """Whether somebody other than the image's own provider gave the tag."""
    provider = provider_of(tag)
    if provider is None:
        return accuracy_of(tag) is not None
    return provider != image_provider


def accuracy_of(tag: Tag) -> Decimal | None:
    """Return a tag's accuracy, None if it has none or none that is a number."""
    accuracy = tag.get("accuracy")
    if isinstance(accuracy, str) and NUMERIC.fullmatch(accuracy):
        return Decimal(accuracy)
    return accuracy if isinstance(accuracy, Decimal) else None


def _has_good_accuracy(tag: Tag) -> bool:
    accuracy = accuracy_of(tag)
    return tag.get("accuracy") is None if accuracy is None else 0 <= accuracy <= 1


def published(
    tags: list[Json], image_provider: str | None, policy: Policy
) -> tuple[list[Json], list[str]]:
    """Return the tags of an image that are shown, and the categories it is flagged with."""
    shown = [tag for tag in tags if decide(tag, image_provider, policy) == "published"]
    flags = {
        policy.flagged[key(tag["name"])]
        for tag in shown
        if is_machine_tag(tag, image_provider) and key(tag["name"]) in policy.flagged
    }
    return shown, sorted(flags)
