"""docs/labellers.md: a labeller is added as the page says, in a copy of the project."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from conftest import Database
from loads import fetch, write

from loader.connect import PROJECT

PAGE = (PROJECT / "docs" / "labellers.md").read_text()
STEPS = PAGE[PAGE.index("## Adding one") :]
PUBLISHED = """
select tag ->> 'name', (tag ->> 'accuracy')::text
from refinery.published_images cross join jsonb_array_elements(tags) as tag
where tag ->> 'provider' = 'acme'
"""


def block_after(words: str) -> str:
    """Return the code of the page that follows some words, without its indentation."""
    (code,) = re.findall(
        rf"{re.escape(words)}.*?\n\n   ```\w+\n(.*?)\n   ```", STEPS, re.DOTALL
    ) or [""]
    return re.sub(r"^   ", "", code, flags=re.MULTILINE) + "\n"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project's own files, without what commands have made in its folder."""
    made = (".*", "target", "logs", "sample", "label-review", "data", "__pycache__")
    shutil.copytree(PROJECT, tmp_path / "copy", ignore=shutil.ignore_patterns(*made))
    return tmp_path / "copy"


def follow_the_page(copy: Path) -> None:
    settings = copy / "dbt_project.yml"
    text, entry = settings.read_text(), block_after("One entry at the end of the var")
    end = text.index("  # The accuracy that a tag needs to be shown,")
    settings.write_text(text[:end] + entry + text[end:])
    for name in re.findall(r"`(models/\S+)`:", STEPS):
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(block_after(f"`{name}`:"))
    providers = copy / "seeds" / "label_policy" / "tag_providers.csv"
    header, *lines = providers.read_text().splitlines()
    lines = sorted([*lines, block_after("A line in").strip()])
    providers.write_text("\n".join([header, *lines]) + "\n")


def test_a_labeller_is_added_as_the_page_says(own_project: Database, copy: Path) -> None:
    follow_the_page(copy)
    assert not list(PROJECT.rglob("*acme*.sql"))
    (document,) = re.findall(r'^`(\{"image_uuid".*\})`\.$', STEPS, re.MULTILINE)
    write(copy / "acme.jsonl", document.encode())
    with own_project.connect() as connection:
        connection.execute(
            "insert into catalog.image (identifier, provider, tags)"
            " values ('00000000-0000-4000-8000-000000000001', 'flickr', '[]')"
        )
    for line in block_after("Its table of lines").splitlines():
        # The tests of the data are of an image; what they find is looked at below.
        program, *arguments = line.replace(" unit_test", "s unit_test test").split()
        if Path(program).name == "dbt":
            own_project.build(*arguments, folder=copy)
        else:
            command(own_project, copy, *arguments)
    assert fetch(own_project, PUBLISHED) == [("Dog", "0.95")]
    command(own_project, copy, "-m", "review", "check")


def command(database: Database, copy: Path, *arguments: str) -> None:
    done = database.run(sys.executable, *arguments, folder=copy)
    assert done.returncode == 0, done.stdout + done.stderr
