"""Respellings of labels that must not be shown, and how many of them two kinds of list let out.

`python -m tests.attacks` prints the rates as a Markdown table. No database is asked: the inclusion
list is the plain reading of the rules, and test_attacks.py proves that published_images shows the
same tags.
"""

import csv
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from html import escape
from itertools import chain
from pathlib import Path
from random import Random
from unicodedata import category, lookup, normalize
from urllib.parse import quote

from benchmarks.reading_of_the_rules import Policy, Tag, decide, key

POLICY = Path(__file__).resolve().parent.parent / "seeds" / "label_policy"
IMAGE_PROVIDER = "flickr"


@dataclass(frozen=True)
class Source:
    """Who gives a tag, and with what accuracy."""

    provider: str | None
    accuracy: Decimal | None

    def tag(self, name: str) -> Tag:
        """Make the tag as a catalog has it, without what is None."""
        values = {"name": name, "accuracy": self.accuracy, "provider": self.provider}
        return {field: value for field, value in values.items() if value is not None}


HIGH = Decimal("0.99")
SOURCES = (
    Source("rekognition", HIGH),
    Source("clarifai", HIGH),
    Source("some-labeller", HIGH),
    Source("some-labeller", None),
    # Almost the image's own provider, whose tags are shown unreviewed.
    Source("Flickr", None),
    Source(None, HIGH),
)


# Letters and marks

SPACE = " "
ZERO_WIDTH = (
    "\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
    "\N{WORD JOINER}\N{ZERO WIDTH NO-BREAK SPACE}\N{SOFT HYPHEN}"
)
# Not white space to Unicode, but nothing is seen of them either.
OTHER_BLANKS = (
    "\N{MONGOLIAN VOWEL SEPARATOR}\N{BRAILLE PATTERN BLANK}\N{HANGUL FILLER}"
    "\N{COMBINING GRAPHEME JOINER}\N{VARIATION SELECTOR-16}\N{TAG SPACE}\x08"
)
DIRECTION_MARKS = (
    "\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT MARK}\N{ARABIC LETTER MARK}"
    "\N{LEFT-TO-RIGHT EMBEDDING}\N{RIGHT-TO-LEFT EMBEDDING}"
    "\N{LEFT-TO-RIGHT OVERRIDE}\N{RIGHT-TO-LEFT OVERRIDE}\N{POP DIRECTIONAL FORMATTING}"
    "\N{LEFT-TO-RIGHT ISOLATE}\N{RIGHT-TO-LEFT ISOLATE}"
    "\N{FIRST STRONG ISOLATE}\N{POP DIRECTIONAL ISOLATE}"
)
COMBINING = (
    "\N{COMBINING ACUTE ACCENT}\N{COMBINING DIAERESIS}\N{COMBINING CARON}"
    "\N{COMBINING LONG STROKE OVERLAY}\N{COMBINING ENCLOSING CIRCLE}"
)
# Letters that some functions for small letters or for folding make i, k, s and ss of.
FOLDING = (
    ("i", "\N{LATIN SMALL LETTER DOTLESS I}"),
    ("i", "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}"),
    ("k", "\N{KELVIN SIGN}"),
    ("s", "\N{LATIN SMALL LETTER LONG S}"),
    ("ss", "\N{LATIN SMALL LETTER SHARP S}"),
    ("ss", "\N{LATIN CAPITAL LETTER SHARP S}"),
)


def look_alikes(script: str, letters: str) -> Mapping[str, str]:
    """Return letters of a script by the Latin ones that they look like, given with their names."""
    pairs = (pair.split(" ", 1) for pair in letters.split(", "))
    return {
        latin: lookup(f"{script} {'CAPITAL' if latin.isupper() else 'SMALL'} LETTER {name}")
        for latin, name in pairs
    }


CYRILLIC = look_alikes(
    "CYRILLIC",
    "a A, c ES, e IE, i BYELORUSSIAN-UKRAINIAN I, j JE, o O, p ER, s DZE, x HA, y U, "
    "B VE, H EN, K KA, M EM, T TE",
)
GREEK = look_alikes(
    "GREEK",
    "a ALPHA, i IOTA, k KAPPA, n ETA, o OMICRON, p RHO, u UPSILON, v NU, w OMEGA, y GAMMA, "
    "B BETA, H ETA, K KAPPA, M MU, T TAU",
)
DIGITS = dict(zip("aegiloqrstz", "43911092572", strict=True))
SIGNS = dict(zip("acdehilnostx", "@(|&#!1^*$+%", strict=True))
LIGATURES = {
    "ff": "\N{LATIN SMALL LIGATURE FF}",
    "fi": "\N{LATIN SMALL LIGATURE FI}",
    "fl": "\N{LATIN SMALL LIGATURE FL}",
    "st": "\N{LATIN SMALL LIGATURE ST}",
    "Dz": "\N{LATIN CAPITAL LETTER D WITH SMALL LETTER Z}",
}
PLURALS = {"man": "men", "Man": "Men", "y": "ies", "child": "children", "Child": "Children"}
JOINTS = "-_.,/+*~|\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{EN DASH}\N{MINUS SIGN}\N{MIDDLE DOT}"
QUOTES = (
    *("''", '""', "``", "()", "[]", "{}", "<>", "##", "@@"),
    "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}",
    "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}",
    "\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}",
    "\N{LEFT CORNER BRACKET}\N{RIGHT CORNER BRACKET}",
)
APPROVED = "Cat"


@cache
def white_space() -> tuple[str, ...]:
    """Return every character that is white space to Python or a separator to Unicode."""
    every = map(chr, range(sys.maxunicode + 1))
    return tuple(letter for letter in every if letter.isspace() or category(letter)[0] == "Z")


# Ways to change a name; each yields some of its respellings, perhaps the name itself


def letter_case(name: str) -> Iterator[str]:
    yield name
    yield from (name.upper(), name.lower(), name.swapcase(), name.title(), name.capitalize())
    yield from (alternating(name), alternating(name.swapcase()), name[0].lower() + name[1:])


def folding_letters(name: str) -> Iterator[str]:
    for small, other in FOLDING:
        yield name.lower().replace(small, other)


def alternating(name: str) -> str:
    """Return it with each second letter a capital."""
    return "".join(
        letter.upper() if place % 2 else letter.lower() for place, letter in enumerate(name)
    )


def outer_white_space(name: str) -> Iterator[str]:
    for space in (*white_space(), *ZERO_WIDTH, *OTHER_BLANKS):
        yield from (f"{space}{name}", f"{name}{space}")
    yield from (f"  {name}\t", f"\r\n{name}\r\n", f"\f{name}\v")


def inner_white_space(name: str) -> Iterator[str]:
    for space in (SPACE * 2, SPACE * 3, *white_space(), ""):
        yield name.replace(SPACE, space)
    yield from (SPACE.join(name), "\t".join(name), "\N{NO-BREAK SPACE}".join(name))
    yield from inserted(name, SPACE)


def inserted(name: str, text: str) -> Iterator[str]:
    """Yield it with a text put into each place."""
    for place in range(len(name) + 1):
        yield name[:place] + text + name[place:]


def zero_width(name: str) -> Iterator[str]:
    for letter in ZERO_WIDTH:
        yield from inserted(name, letter)
        yield letter.join(name)


def replaced(name: str, letters: Mapping[str, str]) -> Iterator[str]:
    """Yield it with all of some letters replaced, and with each one alone."""
    yield "".join(letters.get(letter, letter) for letter in name)
    for place, letter in enumerate(name):
        if letter in letters:
            yield name[:place] + letters[letter] + name[place + 1 :]


def homoglyphs(name: str) -> Iterator[str]:
    for letters in (CYRILLIC, GREEK):
        yield from replaced(name, letters)
        yield from replaced(name.upper(), letters)


def full_width(name: str) -> Iterator[str]:
    letters = {chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)}
    yield from replaced(name, letters)
    yield from replaced(name.lower(), letters)
    yield from replaced(name, letters | {SPACE: "\N{IDEOGRAPHIC SPACE}"})


def combining_marks(name: str) -> Iterator[str]:
    for mark in COMBINING:
        yield name + mark
        yield mark.join(name)
    yield from inserted(name, COMBINING[0])


def normal_forms(name: str) -> Iterator[str]:
    for mark in COMBINING[:3]:
        letters = {letter: normalize("NFC", letter + mark) for letter in name if letter.isalpha()}
        for accented in replaced(name, letters):
            yield from (normalize(form, accented) for form in ("NFC", "NFD", "NFKC", "NFKD"))
    for first_capital, first_small in ((0x24B6, 0x24D0), (0x1F110, 0x249C), (0x1F130, 0x24D0)):
        capitals = {chr(0x41 + n): chr(first_capital + n) for n in range(26)}
        small = {chr(0x61 + n): chr(first_small + n) for n in range(26)}
        yield from list(replaced(name, capitals | small))[:2]
    for letters, ligature in LIGATURES.items():
        yield name.replace(letters, ligature)


def mathematical(name: str) -> Iterator[str]:
    capitals_and_small = [*range(0x41, 0x5B), *range(0x61, 0x7B)]
    for first in range(0x1D400, 0x1D6A4, 52):
        letters = {chr(code): chr(first + n) for n, code in enumerate(capitals_and_small)}
        # Unicode left gaps in the styles; those letters stay as they are.
        yield next(replaced(name, {a: b for a, b in letters.items() if category(b) != "Cn"}))


def leetspeak(name: str) -> Iterator[str]:
    for signs in (DIGITS, SIGNS):
        yield from replaced(name.lower(), signs)
        yield from replaced(name, signs)


def doubled_letters(name: str) -> Iterator[str]:
    yield from (name[: place + 1] + name[place:] for place in range(len(name)))
    yield "".join(letter * 2 for letter in name)


def dropped_letters(name: str) -> Iterator[str]:
    yield from (name[:place] + name[place + 1 :] for place in range(len(name)))


def swapped_letters(name: str) -> Iterator[str]:
    for place in range(len(name) - 1):
        yield name[:place] + name[place + 1] + name[place] + name[place + 2 :]


def plurals(name: str) -> Iterator[str]:
    apostrophe = "\N{RIGHT SINGLE QUOTATION MARK}"
    yield from (f"{name}{end}" for end in ("s", "es", "'s", "s'", f"{apostrophe}s"))
    yield from (f"{article} {name}" for article in ("a", "an", "the", "two"))
    for end in ("s", "es"):
        yield name.removesuffix(end)
        yield SPACE.join(word + end for word in name.split(SPACE))
    for one, many in PLURALS.items():
        if name.endswith(one):
            yield name.removesuffix(one) + many


def joints(name: str) -> Iterator[str]:
    for joint in JOINTS:
        yield name.replace(SPACE, joint)
        yield from (joint.join(name), f"{joint}{name}", f"{name}{joint}")


def percent_encoding(name: str) -> Iterator[str]:
    every = "".join(f"%{byte:02X}" for byte in name.encode())
    yield from (every, every.lower(), quote(every), f"{every[:3]}{name[1:]}", f"{name}%20")
    yield from (quote(name), name.replace(SPACE, "+"), f"%20{name}", f"{name}%00", f"{name}%0A")


def html_entities(name: str) -> Iterator[str]:
    decimal = [f"&#{ord(letter)};" for letter in name]
    hexadecimal = [f"&#x{ord(letter):x};" for letter in name]
    for letters in (decimal, hexadecimal):
        yield from ("".join(letters), letters[0] + name[1:], name[:-1] + letters[-1])
        yield escape("".join(letters))
    yield name.replace(SPACE, "&nbsp;")
    yield from (f"&nbsp;{name}", f"{name}&zwj;", f"{name}&shy;", f"<b>{name}</b>", f"{name}<br>")


def direction_marks(name: str) -> Iterator[str]:
    for mark in DIRECTION_MARKS:
        yield from (f"{mark}{name}", f"{name}{mark}", f"{name[:1]}{mark}{name[1:]}")
    override = "\N{RIGHT-TO-LEFT OVERRIDE}"
    yield from (name[::-1], f"{override}{name[::-1]}\N{POP DIRECTIONAL FORMATTING}")


def quotes(name: str) -> Iterator[str]:
    for start, end in QUOTES:
        yield from (f"{start}{name}{end}", f"{start}{name}", f"{name}{end}")


def escapes(name: str) -> Iterator[str]:
    yield "".join(f"\\u{ord(letter):04x}" for letter in name)
    yield "".join(f"\\x{ord(letter):02x}" for letter in name)
    yield from (f"\\{name}", f"{name}\\", f"{name}\\n", f"{name}\\0", f"{name}\x01", f"\x7f{name}")
    # Read as patterns of SQL or as its text, should a rule ever do so.
    yield from (f"%{name}%", f"{name}%", f"_{name[1:]}", f"{name}' or 'a'='a", f"{name}'--")


def joined(name: str) -> Iterator[str]:
    for between in (SPACE, ", ", ",", "/", "|", ";", "\n", "\t", "\v", " & ", " > ", ""):
        yield from (f"{APPROVED}{between}{name}", f"{name}{between}{APPROVED}")


LETTER_CASE = "letter case"
ALIASES = "aliases"
KINDS: Mapping[str, Callable[[str], Iterable[str]]] = {
    LETTER_CASE: letter_case,
    "letters that fold to others": folding_letters,
    "leading and trailing white space": outer_white_space,
    "inner white space": inner_white_space,
    "zero-width characters": zero_width,
    "homoglyphs": homoglyphs,
    "full-width forms": full_width,
    "combining marks": combining_marks,
    "normal forms": normal_forms,
    "mathematical letters": mathematical,
    "leetspeak": leetspeak,
    "doubled letters": doubled_letters,
    "dropped letters": dropped_letters,
    "swapped letters": swapped_letters,
    "plural and singular": plurals,
    "hyphens and the like": joints,
    "percent-encoding": percent_encoding,
    "HTML entities": html_entities,
    "right-to-left marks": direction_marks,
    "quotes around": quotes,
    "escapes and patterns": escapes,
    "joined with an approved label": joined,
}
# A letter more, less or in another place makes another word. The other kinds do not: an approved
# label that is, say, the plural of a withheld one would be a mistake in the policy.
MAKE_OTHER_WORDS = frozenset({"doubled letters", "dropped letters", "swapped letters"})


# The attacks


@dataclass(frozen=True)
class Attack:
    """A respelling of a label, as the name of a tag."""

    label: str
    kind: str
    name: str
    source: Source

    @property
    def tag(self) -> Tag:
        return self.source.tag(self.name)


def rows(file: str) -> list[dict[str, str]]:
    with (POLICY / f"{file}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@cache
def approved_labels() -> Mapping[str, str]:
    return {key(row["label"]): row["label"] for row in rows("included_labels")}


def approved_label(name: str) -> str | None:
    """Return the approved label that a name is, None if it is none."""
    return approved_labels().get(key(name))


@cache
def withheld_labels() -> tuple[str, ...]:
    """Return the sensitive labels that are never shown."""
    return tuple(row["label"] for row in rows("sensitive_labels") if row["handling"] == "withhold")


@cache
def forbidden_labels() -> tuple[str, ...]:
    """Return the labels that are withheld as sensitive, or reviewed and not included."""
    reviewed = (row["label"] for row in rows("reviewed_labels"))
    excluded = (label for label in reviewed if approved_label(label) is None)
    labels = {key(label): label for label in chain(withheld_labels(), excluded)}
    return tuple(sorted(labels.values()))


@cache
def aliases() -> Mapping[str, set[str]]:
    """Return the other names of labels by their keys, as the reviewers noted them."""
    names: dict[str, set[str]] = defaultdict(set)
    for row in rows("reviewed_labels"):
        start, is_alias, other = row["note"].partition("alias of ")
        if is_alias and not start:
            names[key(row["label"])].add(other)
            names[key(other)].add(row["label"])
    return names


def respellings(label: str) -> Iterator[tuple[str, str]]:
    """Yield the kind and the name of each respelling, some of them more than once."""
    for other in sorted(aliases().get(key(label), ())):
        yield from ((ALIASES, name) for name in letter_case(other))
    for kind, respell in KINDS.items():
        yield from ((kind, name) for name in respell(label))


def attacks_on(labels: Iterable[str]) -> list[Attack]:
    """Return all respellings of labels, each under the first kind that makes it.

    Each source gives the labels' names themselves; one by chance gives each of the other names.
    """
    chance = Random(1)
    attacks = []
    for label in labels:
        kinds: dict[str, str] = {}
        for kind, name in respellings(label):
            kinds.setdefault(name, kind)
        for name, kind in kinds.items():
            every = kind in (ALIASES, LETTER_CASE)
            sources = SOURCES if every else [chance.choice(SOURCES)]
            attacks += [Attack(label, kind, name, source) for source in sources]
    return attacks


# What two kinds of list make of them


def shown_by_inclusion_list(attack: Attack, policy: Policy) -> bool:
    return decide(attack.tag, IMAGE_PROVIDER, policy) == "published"


def shown_by_exclusion_list(attack: Attack, policy: Policy) -> bool:
    """Whether a list of the same labels to leave out shows it.

    Such a list compares names in lower case. Denied patterns and the minimum accuracy count too.
    """
    name, accuracy = attack.name.lower(), attack.source.accuracy
    is_accurate = accuracy is None or accuracy >= policy.minimum(name, attack.source.provider)
    return is_accurate and not policy.denies(name) and name not in _forbidden_names()


@cache
def _forbidden_names() -> frozenset[str]:
    return frozenset(label.lower() for label in forbidden_labels())


def measure(attacks: Iterable[Attack], policy: Policy) -> list[Counter[str]]:
    """Count the tags by kind, those that the exclusion list shows, and those of the inclusion list.

    A name that is an approved label itself is no success, and not counted.
    """
    counted = [attack for attack in attacks if approved_label(attack.name) is None]
    return [
        Counter(attack.kind for attack in counted),
        Counter(attack.kind for attack in counted if shown_by_exclusion_list(attack, policy)),
        Counter(attack.kind for attack in counted if shown_by_inclusion_list(attack, policy)),
    ]


def exceptions(attacks: Iterable[Attack]) -> dict[tuple[str, str, str], str]:
    """Return which respellings are approved labels themselves: label, kind, name and that label."""
    approved = ((attack, approved_label(attack.name)) for attack in attacks)
    return {(at.label, at.kind, at.name): found for at, found in approved if found is not None}


def report(attacks: list[Attack]) -> str:
    """Return a table with a line for each kind, one for all, and the exceptions as a list."""
    counts = measure(attacks, Policy.read(POLICY))
    kinds = [kind for kind in (*KINDS, ALIASES) if counts[0][kind]]
    lines = [
        "| respelling | tags | shown by an exclusion list | shown by the inclusion list |",
        "|---|--:|--:|--:|",
    ]
    for title, these in (*((kind, [kind]) for kind in kinds), ("**all**", kinds)):
        tags, *shown = (sum(count[kind] for kind in these) for count in counts)
        shares = (f"{number:,} ({number / tags:.1%})" for number in shown)
        lines.append(f"| {' | '.join((title, f'{tags:,}', *shares))} |")
    listed = (
        f"- {label}, {kind}: {name} (approved: {found})"
        for (label, kind, name), found in exceptions(attacks).items()
    )
    return "\n".join((*lines, "", *listed))


if __name__ == "__main__":
    print(report(attacks_on(forbidden_labels())))
