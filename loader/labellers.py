"""The machines whose responses are loaded, and the table of each."""

import re

import yaml
from psycopg import sql

from loader.connect import PROJECT
from loader.errors import UserError

DEFAULT = "rekognition"
LIST = PROJECT / "dbt_project.yml"
# What is a part of relations' names; `read_responses` and two more are the ledger's.
NAME = re.compile(
    "(?!(?:read|released|forgotten|catalog|machine|image|decided|judged)$)[a-z][a-z0-9_]{0,39}"
)


def labellers() -> list[str]:
    """Return the names in the var `labellers`; raises UserError for what cannot be one."""
    try:
        names = [str(name) for name in yaml.safe_load(LIST.read_bytes())["vars"]["labellers"]]
    except (OSError, yaml.YAMLError, LookupError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"the var labellers of {LIST} cannot be read: {reason}") from None
    for name in names:
        if not NAME.fullmatch(name):
            raise UserError(
                f"{name} in the var labellers of {LIST} cannot be a labeller's name: take another, "
                "of at most 40 small letters, digits and _"
            )
    return names


def responses_of(labeller: str) -> sql.Identifier:
    """Return the table of a labeller's responses."""
    return sql.Identifier("raw", f"{labeller}_responses")
