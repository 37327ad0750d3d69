"""The page on which labels are reviewed: one file that needs no server, no account and no SQL.

All is in it, because a page that is opened from a disk may read no other file. What a catalog says
goes into it as data alone, from which the script makes text; what may be loaded and run is bounded
by the page's own Content-Security-Policy.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from loader.errors import UserError
from review.facts import Fact, label_facts

HERE = Path(__file__).parent
SCRIPTS = ("page_decisions.js", "page.js")


def write_page(
    connection: psycopg.Connection, folder: Path, named: Sequence[str] = ()
) -> tuple[Path, Fact]:
    """Write the page of the labels named, of all if none is; return its path and what is on it."""
    path = folder / "index.html"
    with _writing(path):  # before the long work, not after it
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_dir() or not os.access(path if path.exists() else folder, os.W_OK):
            raise UserError(
                f"{path} cannot be written; check that it is a file, and who may write it"
            )
    facts = label_facts(connection, named)
    with _writing(path):
        path.write_text(render(facts), encoding="utf-8")
    return path, facts


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def render(facts: Fact) -> str:
    """Return the page."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (HERE / "page.css").read_text(encoding="utf-8")
    script = "".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    data = json.dumps(facts, ensure_ascii=False, separators=(",", ":")).replace("<", r"\u003c")
    return environment.get_template("page.html.jinja").render(
        style=Markup(style),  # noqa: S704 - the project's own file
        script=Markup(script),  # noqa: S704 - the project's own files
        data=Markup(data),  # noqa: S704 - nothing in it ends its element
        policy=content_security_policy(style, script),
    )


def content_security_policy(style: str, script: str) -> str:
    """Return a policy by which the page's own style and script run, and nothing else."""
    rules = (
        "default-src 'none'",
        "img-src http: https:",
        f"style-src '{_hash(style)}'",
        f"script-src '{_hash(script)}'",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(rules)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
