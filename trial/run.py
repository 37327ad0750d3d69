"""What `make run` does: from label files to published tags, and a summary of what is where."""

import json
import logging
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
from psycopg import errors, sql

from loader.connect import PROJECT, connect, has_own_server
from loader.errors import UserError
from loader.files import LabelFile, find_files
from loader.load import load_files
from loader.schema import create_schema
from trial.catalog import catalog_origin, load_catalog, read_header
from trial.environment import dbt_environment
from trial.sample import FOLDER, write_sample
from trial.server import Server

log = logging.getLogger(__name__)


def run(labels: str, catalog: str) -> None:
    """Check, start, load, build and sum up; the first step that fails ends it.

    `labels` are paths and globs as a shell reads them. An empty string names no file.
    """
    label_files = find_files(split_words(labels))
    if catalog:
        read_header(Path(catalog))  # or the sample would be put away for nothing
    check_policy()
    if not has_own_server():
        step("Starting the embedded Postgres")
        Server.of_project().start()
    if label_files or catalog:
        make_room_for_own_files()
    with connect() as connection:
        before = read_state(connection)
        create_schema(connection)
        catalog_path, label_files = choose_files(connection, catalog, label_files)
        step("Loading")
        if catalog_path:
            load_catalog_file(connection, catalog_path)
    if label_files:
        load_files(label_files)
    step("Building tags and views with dbt, and testing them; logs/dbt.log says how far it is")
    build()
    with connect() as connection:
        print_summary(connection, is_changed=read_state(connection) != before)


def step(what: str) -> None:
    """Say what is being done, as each of these takes seconds."""
    log.info("▸ %s", what)


def split_words(text: str) -> list[str]:
    """Split as a shell does, so that a name with spaces can be quoted."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserError(f"LABELS={text} cannot be read: {error}") from None


def make_room_for_own_files() -> None:
    """Put the sample away, so that the user's images stand alone. Only the embedded server's."""
    with connect() as connection:
        origin = catalog_origin(connection)
    if not is_sample(origin.file):
        return
    if has_own_server():
        raise UserError(
            "this database holds the sample: name another with PGDATABASE, or drop its schemas "
            "raw, catalog and refinery first"
        )
    step("Putting the sample away")
    Server.of_project().recreate_database()


def is_sample(file: str | None) -> bool:
    """Whether a catalog's origin is the sample."""
    return file == str(FOLDER / "catalog.csv")


def choose_files(
    connection: psycopg.Connection, catalog: str, label_files: list[LabelFile]
) -> tuple[Path | None, list[LabelFile]]:
    """Return the user's files; else the sample's, where the database holds no other catalog."""
    origin = catalog_origin(connection)
    if catalog or label_files:
        if not catalog and not origin.exists:
            raise UserError("there is no table catalog.image yet: add CATALOG=… to load one")
        return (Path(catalog) if catalog else None), label_files
    if origin.exists and not is_sample(origin.file):
        log.info("No files were named: running on what the database holds.")
        return None, []
    if not (FOLDER / "labels.jsonl").exists():
        step("Making the sample: 20,000 images, 15,000 of them labelled")
    catalog_path, labels_path = write_sample(FOLDER)
    return catalog_path, find_files([str(labels_path)])


def load_catalog_file(connection: psycopg.Connection, path: Path) -> None:
    """Load a catalog file and say what came of it."""
    rows = load_catalog(connection, path)
    if rows is None:
        log.info("%s: loaded before, nothing to do", path)
    else:
        log.info("%s: %s images", path, f"{rows:,}")


def check_policy() -> None:
    """Check the label policy's files, before anything is changed."""
    if run_program(sys.executable, "-m", "review", "check") != 0:
        raise UserError("the label policy is not in order; mend the lines above first")


def build() -> None:
    """Let dbt build and test all; it says what fails, and which labels await review."""
    dbt = Path(sys.executable).with_name("dbt")
    all_nodes = ("--select", "*")  # the evidence too, which dbt by itself leaves out
    no_unit_tests = ("--exclude-resource-type", "unit_test")  # they test the code, not the data
    if run_program(dbt, "--quiet", "--no-use-colors", "build", *all_nodes, *no_unit_tests) != 0:
        raise UserError("dbt did not finish; what failed stands above, more in logs/dbt.log")


def run_program(*command: str | Path) -> int:
    """Run one of the project's programs, pass on what it said, and return its exit status."""
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        env=os.environ | dbt_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,  # so that Ctrl-C reaches it by us alone
    ) as program:
        try:
            said, _ = program.communicate()
        except KeyboardInterrupt:
            program.send_signal(signal.SIGINT)
            program.communicate()  # dbt cancels what runs in Postgres, and says so at length
            raise
    for line in said.splitlines():
        log.info("%s", line)
    return program.returncode


def models() -> dict[str, sql.Identifier]:
    """Return the models' relations by name, as dbt last read the project; empty if it never did."""
    manifest = PROJECT / os.environ.get("DBT_TARGET_PATH", "target") / "manifest.json"
    nodes = json.loads(manifest.read_text())["nodes"].values() if manifest.exists() else ()
    return {node["name"]: sql.Identifier(node["schema"], node["alias"]) for node in nodes}


STATE = """
select md5(policy::text), (select max(response_id) from {machine_tags})
from {int_label_policy_in_force} as policy
"""
COUNTS = """
select
    (select count(*) from {catalog_images}) as images,
    (select count(distinct identifier) from {machine_tags}) as labelled_images,
    (select coalesce(sum(jsonb_array_length(tags)), 0) from {machine_tags}) as labels,
    (select coalesce(sum(loaded_lines), 0) from raw.loaded_chunks) as loaded_lines,
    (select count(*) from raw.rejected_lines) as rejected_lines,
    (select count(*) from {rejected_responses}) as rejected_responses
"""
DECISIONS = "select decision, count(*) from {tag_decisions} group by 1 order by 2 desc"


def read_state(connection: psycopg.Connection) -> tuple[object, ...] | None:
    """Return what the published tags follow from: equal states, equal tags. None before a build."""
    catalog = catalog_origin(connection).fingerprint
    try:
        state = connection.execute(sql.SQL(STATE).format(**models())).fetchone()
    except (KeyError, errors.UndefinedTable):
        return None
    return (catalog, *(state or ()))


def print_summary(connection: psycopg.Connection, is_changed: bool) -> None:
    """Print what is where, in at most 25 lines."""
    counts = connection.execute(sql.SQL(COUNTS).format(**models())).fetchone() or ()
    images, labelled, labels, loaded, rejected, misshapen = (f"{count:,}" for count in counts)
    decisions = dict(connection.execute(sql.SQL(DECISIONS).format(**models())).fetchall())
    tags, published = sum(decisions.values()), decisions.pop("published", 0)
    rows = [
        (loaded, f"lines loaded; {rejected} rejected, {misshapen} of another shape"),
        (labels, f"machine labels of {labelled} images, all kept: machine_tags"),
        (images, "images in the catalog: catalog_images"),
        (f"{tags:,}", "tags of theirs, each decided on: tag_decisions"),
        (f"{published:,}", "published: published_images"),
        *((f"{count:,}", f"withheld: {decision}") for decision, count in decisions.items()),
    ]
    lines = [f"{count:>12}  {what}" for count, what in rows]
    if not is_changed:
        lines += ["", "Nothing has changed since the last run."]
    print("", *lines, "", NEXT, sep="\n")
    if is_sample(catalog_origin(connection).file):
        print(OWN_FILES, flush=True)
    elif not has_own_server():
        print(WAY_BACK, flush=True)


NEXT = """\
Next: make psql                        look into published_images and tag_decisions
      make review                      the page on which labels are reviewed
      .venv/bin/dbt seed               after an edit in seeds/label_policy: it is live
      .venv/bin/python -m catalog      the tags into the catalog's own table, and back"""
OWN_FILES = "      make run LABELS=… CATALOG=…      the same with your own files"
WAY_BACK = """\
      .venv/bin/python -m trial server remove
                                       throws this database away: make run is the sample's again"""
