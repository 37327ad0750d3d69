"""Who stands behind a review, and since when."""

import getpass
import shutil
import subprocess
from collections.abc import Iterable
from datetime import date

from loader.connect import PROJECT
from loader.errors import UserError
from review.files import WHITE_SPACE, label_key


def names(text: str) -> list[str]:
    """Return the names of a text in which `;` stands between them, each once."""
    return each_once(name.strip(WHITE_SPACE) for name in text.split(";"))


def each_once(found: Iterable[str]) -> list[str]:
    """Return names in their order, each in its first spelling, as functions/reviewer_count.sql."""
    first: dict[str, str] = {}
    for name in found:
        first.setdefault(label_key(name), name)
    return [name for key, name in first.items() if key]


def this_person() -> str:
    """Return git's user.name, else the login name; raises UserError if there is neither."""
    if git := shutil.which("git"):
        asked = subprocess.run(
            [git, "-C", PROJECT, "config", "user.name"],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if name := asked.stdout.strip():
            return name
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        raise UserError("nobody knows who you are here: say it, --reviewed-by NAME") from None


def today() -> str:
    """Return the day as reviewed_on has it."""
    return date.today().isoformat()
