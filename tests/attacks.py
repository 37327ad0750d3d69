"""Respellings of labels that must not be shown, and how many of them two kinds of list let out.

`python -m tests.attacks` prints the rates as a Markdown table. No database is asked: the inclusion
list is the plain reading of the rules, and test_attacks.py proves that published_images shows the
same tags.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from html import escape
from random import Random
from typing import NamedTuple
from unicodedata import category, normalize
from urllib.parse import quote

from benchmarks.reading_of_the_rules import Policy, Tag, accuracy_of, decide, key, provider_of
from review.files import FOLDER, read

IMAGE_PROVIDER = "flickr"
HIGH = Decimal("0.99")
# Who gives a tag, and with what accuracy.
SOURCES: tuple[Tag, ...] = (
    {"provider": "rekognition", "accuracy": HIGH},
    {"provider": "clarifai", "accuracy": HIGH},
    {"provider": "some-labeller", "accuracy": HIGH},
    {"provider": "some-labeller"},
    # Almost the image's own provider, whose tags are shown unreviewed.
    {"provider": "Flickr"},
    {"accuracy": HIGH},
)


# Letters and marks

SPACE = " "
# All that is white space to Python or a separator to Unicode.
WHITE_SPACE = [at for at in map(chr, range(0x3001)) if at.isspace() or category(at)[0] == "Z"]
# Not white space to Unicode, but nothing is seen of them either.
UNSEEN = (
    "\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NON-JOINER}\N{WORD JOINER}\N{ZERO WIDTH NO-BREAK SPACE}"
    "\N{SOFT HYPHEN}\N{MONGOLIAN VOWEL SEPARATOR}\N{BRAILLE PATTERN BLANK}\N{HANGUL FILLER}"
    "\N{COMBINING GRAPHEME JOINER}\N{VARIATION SELECTOR-16}\N{TAG SPACE}\x01\x08\x7f"
)
DIRECTION_MARKS = (
    "\N{RIGHT-TO-LEFT OVERRIDE}\N{POP DIRECTIONAL FORMATTING}\N{RIGHT-TO-LEFT MARK}"
    "\N{LEFT-TO-RIGHT MARK}\N{RIGHT-TO-LEFT EMBEDDING}\N{FIRST STRONG ISOLATE}"
)
COMBINING = (
    "\N{COMBINING ACUTE ACCENT}\N{COMBINING DIAERESIS}\N{COMBINING CARON}"
    "\N{COMBINING LONG STROKE OVERLAY}\N{COMBINING ENCLOSING CIRCLE}"
)
# Letters that some functions for small letters or for folding make these of.
FOLDING = {
    "i": "\N{LATIN SMALL LETTER DOTLESS I}\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}",
    "k": "\N{KELVIN SIGN}",
    "s": "\N{LATIN SMALL LETTER LONG S}",
    "ss": "\N{LATIN SMALL LETTER SHARP S}\N{LATIN CAPITAL LETTER SHARP S}",
    "fi": "\N{LATIN SMALL LIGATURE FI}",
    "st": "\N{LATIN SMALL LIGATURE ST}",
}
# Letters of other scripts that look like Latin ones, and digits and signs that do a little.
CYRILLIC = dict(zip("aceiopsy", "\u0430\u0441\u0435\u0456\u043e\u0440\u0455\u0443", strict=True))
DIGITS = dict(zip("aegiloqrstz", "43911092572", strict=True))
SIGNS = dict(zip("acdehilnostx", "@(|&#!1^*$+%", strict=True))
# Where Unicode has A and a again: full-width, in circles, in brackets, and in mathematics.
ALPHABETS = (
    *((0xFF21, 0xFF41), (0x24B6, 0x24D0), (0x1F110, 0x249C)),
    *((first, first + 26) for first in range(0x1D400, 0x1D6A4, 52)),
)
JOINTS = "-_.,/+*~|\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{EN DASH}\N{MINUS SIGN}\N{MIDDLE DOT}"
PLURALS = (("man", "men"), ("y", "ies"), ("child", "children"), ("", "s"), ("", "es"), ("", "'s"))
QUOTES = ("''", '""', "``", "()", "[]", "{}", "<>", "##", "%%", "\u201c\u201d")


# Ways to change a name; each yields some of its respellings, perhaps the name itself


def letter_case(name: str) -> Iterator[str]:
    yield from (name, name.upper(), name.lower(), name.swapcase(), name.title())
    yield from (alternating(name), alternating(name.swapcase()))


def alternating(name: str) -> str:
    """Return it with each second letter a capital."""
    return "".join(
        letter.upper() if place % 2 else letter.lower() for place, letter in enumerate(name)
    )


def folding_letters(name: str) -> Iterator[str]:
    for small, others in FOLDING.items():
        yield from (name.lower().replace(small, other) for other in others)


def outer_white_space(name: str) -> Iterator[str]:
    for space in WHITE_SPACE:
        yield from (f"{space}{name}", f"{name}{space}")


def inner_white_space(name: str) -> Iterator[str]:
    for space in (*WHITE_SPACE, SPACE * 2, ""):
        yield name.replace(SPACE, space)
    yield from marked(name, (SPACE, "\t", "\N{NO-BREAK SPACE}"))


def marked(name: str, marks: Iterable[str]) -> Iterator[str]:
    """Yield it with a mark at either end, within, and between all of its letters."""
    for mark in marks:
        yield from (f"{mark}{name}", f"{name}{mark}", f"{name[0]}{mark}{name[1:]}")
        yield mark.join(name)


def combining_marks(name: str) -> Iterator[str]:
    for accented in marked(name, COMBINING):
        yield from (normalize("NFC", accented), normalize("NFD", accented))


def replaced(name: str, letters: Mapping[str, str]) -> Iterator[str]:
    """Yield it with all of some letters replaced, and with each one alone."""
    yield "".join(letters.get(letter, letter) for letter in name)
    for place, letter in enumerate(name):
        yield name[:place] + letters.get(letter, letter) + name[place + 1 :]


def homoglyphs(name: str) -> Iterator[str]:
    for letters in (CYRILLIC, DIGITS, SIGNS):
        yield from replaced(name.lower(), letters)


def other_alphabets(name: str) -> Iterator[str]:
    for capital, small in ALPHABETS:
        letters = {
            chr(first + number): chr(other + number)
            for first, other in ((0x41, capital), (0x61, small))
            for number in range(26)
            # Unicode left gaps in the styles; those letters stay as they are.
            if category(chr(other + number)) != "Cn"
        }
        yield from list(replaced(name, letters))[:2]


def mistyped_letters(name: str) -> Iterator[str]:
    """Yield it with each letter doubled, dropped, or changed for the next one."""
    for place, letter in enumerate(name):
        start, end = name[:place], name[place + 1 :]
        yield from (f"{start}{letter}{letter}{end}", f"{start}{end}")
        yield f"{start}{end[:1]}{letter}{end[1:]}"


def plurals(name: str) -> Iterator[str]:
    yield from (f"{article} {name}" for article in ("a", "the", "two"))
    for one, many in PLURALS:
        for start, end in ((one, many), (many, one)):
            yield SPACE.join(word.removesuffix(start) + end for word in name.split(SPACE))


def joints(name: str) -> Iterator[str]:
    yield from (name.replace(SPACE, joint) for joint in JOINTS)
    yield from marked(name, JOINTS)


def encodings(name: str) -> Iterator[str]:
    """Yield it as addresses, HTML and programs would write it."""
    for form in ("%{:02X}", "&#{};", "&#x{:x};", "\\u{:04x}", "\\x{:02x}"):
        letters = [form.format(ord(letter)) for letter in name]
        yield from ("".join(letters), letters[0] + name[1:], escape("".join(letters)))
    yield from (quote(name), name.replace(SPACE, "+"), name.replace(SPACE, "&nbsp;"))
    yield from (f"{name}{end}" for end in ("%20", "%00", "&zwj;", "<br>", "\\n", "\\0", "\\"))


def quotes(name: str) -> Iterator[str]:
    for start, end in QUOTES:
        yield from (f"{start}{name}{end}", f"{start}{name}", f"{name}{end}")
    # Read as patterns of SQL or as its text, should a rule ever do so.
    yield from (f"_{name[1:]}", f"{name}' or 'a'='a", f"{name}'--")


def right_to_left(name: str) -> Iterator[str]:
    yield from marked(name, DIRECTION_MARKS)
    yield from (name[::-1], f"{DIRECTION_MARKS[0]}{name[::-1]}{DIRECTION_MARKS[1]}")


def joined(name: str) -> Iterator[str]:
    for between in (SPACE, ", ", ",", "/", "|", ";", "\n", "\t", "\v", " & ", " > ", ""):
        yield from (f"Cat{between}{name}", f"{name}{between}Cat")


def aliases(name: str) -> Iterator[str]:
    for other in OTHER_NAMES[key(name)]:
        yield from letter_case(other)


# A letter more, less or in another place makes another word. The other kinds do not: an approved
# label that is, say, the plural of a withheld one would be a mistake in the policy.
MAKES_OTHER_WORDS = "mistyped letters"
KINDS: Mapping[str, Callable[[str], Iterable[str]]] = {
    "aliases": aliases,
    "letter case": letter_case,
    "letters that fold to others": folding_letters,
    "leading and trailing white space": outer_white_space,
    "inner white space": inner_white_space,
    "characters that are not seen": partial(marked, marks=UNSEEN),
    "homoglyphs and leetspeak": homoglyphs,
    "letters of other alphabets": other_alphabets,
    "combining marks": combining_marks,
    MAKES_OTHER_WORDS: mistyped_letters,
    "plural and singular": plurals,
    "hyphens and the like": joints,
    "encodings and escapes": encodings,
    "right-to-left marks": right_to_left,
    "quotes around": quotes,
    "joined with an approved label": joined,
}
# Made by every source, as they come nearest to the label.
NEAREST = tuple(KINDS)[:3]


# The attacks


class Attack(NamedTuple):
    """A respelling of a label, as a tag."""

    label: str
    kind: str
    tag: Tag

    @property
    def name(self) -> str:
        return str(self.tag["name"])


APPROVED = {line.key: line.name for line in read("included_labels")}
WITHHELD = [line for line in read("sensitive_labels") if line["handling"] == "withhold"]
# Withheld as sensitive, or reviewed and not included.
FORBIDDEN = {
    line.key: line.name
    for line in (*WITHHELD, *read("reviewed_labels"))
    if line in WITHHELD or line.key not in APPROVED
}
# The other names of labels by their keys, as the reviewers noted them.
OTHER_NAMES: dict[str, list[str]] = defaultdict(list)
for line in read("reviewed_labels"):
    if line["note"].startswith("alias of "):
        other = line["note"].removeprefix("alias of ")
        OTHER_NAMES[line.key].append(other)
        OTHER_NAMES[key(other)].append(line.name)


def approved_label(name: str) -> str | None:
    """Return the approved label that a name is, None if it is none."""
    return APPROVED.get(key(name))


def attacks_on(labels: Iterable[str]) -> list[Attack]:
    """Return all respellings of labels, each under the first kind that makes it.

    Each source gives the nearest names; one by chance gives each of the others.
    """
    chance = Random(1)
    attacks = []
    for label in labels:
        kinds: dict[str, str] = {}
        for kind, respell in KINDS.items():
            for name in respell(label):
                kinds.setdefault(name, kind)
        for name, kind in kinds.items():
            sources = SOURCES if kind in NEAREST else [chance.choice(SOURCES)]
            attacks += [Attack(label, kind, source | {"name": name}) for source in sources]
    return attacks


# What two kinds of list make of them


def shown_by_exclusion_list(attack: Attack, policy: Policy) -> bool:
    """Whether a list of the same labels to leave out shows it.

    Such a list compares names in lower case. Denied patterns and the minimum accuracy count too.
    """
    name, accuracy = attack.name.lower(), accuracy_of(attack.tag)
    is_accurate = accuracy is None or accuracy >= policy.minimum(name, provider_of(attack.tag))
    return is_accurate and not policy.denies(name) and name not in FORBIDDEN


def exceptions(attacks: Iterable[Attack]) -> Iterator[tuple[Attack, str]]:
    """Yield the respellings that are approved labels themselves, with that label."""
    for attack in attacks:
        if approved := approved_label(attack.name):
            yield attack, approved


def report(attacks: list[Attack]) -> str:
    """Return a table with a line for each kind, one for all, and the exceptions as a list.

    A name that is an approved label itself is no success, and not counted.
    """
    policy = Policy.read(FOLDER)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for attack in attacks:
        if approved_label(attack.name) is None:
            is_shown = decide(attack.tag, IMAGE_PROVIDER, policy) == "published"
            for title in (attack.kind, "**all**"):
                counts[title]["tags"] += 1
                counts[title]["excluded"] += shown_by_exclusion_list(attack, policy)
                counts[title]["included"] += is_shown
    lines = [
        "| respelling | tags | shown by an exclusion list | shown by the inclusion list |",
        "|---|--:|--:|--:|",
    ]
    for title in (*KINDS, "**all**"):
        tags, *shown = (counts[title][of] for of in ("tags", "excluded", "included"))
        shares = (f"{number:,} ({number / tags:.1%})" for number in shown)
        lines.append(f"| {' | '.join((title, f'{tags:,}', *shares))} |")
    listed = (
        f"- {attack.label}, {attack.kind}: {attack.name} (approved: {approved})"
        for attack, approved in exceptions(attacks)
    )
    return "\n".join((*lines, "", *listed))


if __name__ == "__main__":
    print(report(attacks_on(FORBIDDEN.values())))
