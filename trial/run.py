"""What `make run` does: from label files to published tags, and a summary of what is where."""

import argparse
import logging
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.pq import Conninfo
from tqdm import tqdm

import review.__main__ as policy
from loader.connect import connect, connection_environment, has_own_server
from loader.errors import UserError, exit_status
from loader.files import LabelFile, find_files
from loader.load import load_files
from loader.schema import create_schema
from review.live import relation
from trial.catalog import catalog_origin, load_catalog
from trial.sample import write_sample
from trial.server import PROJECT, Server

log = logging.getLogger("run")

SAMPLE = Path("sample")
AWAIT_REVIEW = re.compile(r"Labels that await review.*")
DBT_STEP = re.compile(r"(\d+) of (\d+) (OK|PASS|WARN|FAIL|ERROR|SKIP)\b")


@dataclass(frozen=True)
class State:
    """What the published tags follow from: equal states, equal tags."""

    catalog: str | None
    newest_response: int
    policy: str


def main(arguments: list[str] | None = None) -> int:
    """Run all steps; return 0 if each succeeded, else 1."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # as python -m loader
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", default="", help="label files and globs, in one string")
    parser.add_argument("--catalog", default="", help="a catalog file, .csv or .tsv, .gz allowed")
    options = parser.parse_args(arguments)
    return exit_status(lambda: run(split_words(options.labels), options.catalog))


def split_words(text: str) -> list[str]:
    """Split as a shell does, so that a name with spaces can be quoted."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserError(f"LABELS={text} cannot be read: {error}") from None


def run(labels: list[str], catalog: str) -> None:
    """Check, start, load, build and sum up; the first step that fails ends it."""
    label_files = find_files(labels)
    if policy.main(["check"]) != 0:
        raise UserError("the label policy is not in order; mend the lines above first")
    if not has_own_server():
        step("Starting the embedded Postgres")
        Server.of_project().start()
    if labels or catalog:
        make_room_for_own_files()
    before = read_state()
    with connect() as connection:
        create_schema(connection)
        catalog_path, label_files = choose_files(connection, catalog, label_files)
        step("Loading")
        if catalog_path:
            load_catalog_file(connection, catalog_path)
    if label_files:
        load_files(label_files)
    step("Building tags and views with dbt, and testing them")
    build()
    print_summary(is_changed=read_state() != before)


def step(what: str) -> None:
    """Say what is being done, as each of these takes seconds."""
    log.info("▸ %s", what)


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
    if not (SAMPLE / "labels.jsonl").exists():
        step("Making the sample: 20,000 images, 15,000 of them labelled")
    catalog_path, labels_path = write_sample(SAMPLE)
    return catalog_path, find_files([str(labels_path)])


def is_sample(file: str | None) -> bool:
    """Whether a catalog's origin is the sample."""
    return file == str(SAMPLE / "catalog.csv")


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


def load_catalog_file(connection: psycopg.Connection, path: Path) -> None:
    """Load a catalog file and say what came of it."""
    rows = load_catalog(connection, path)
    if rows is None:
        log.info("%s: loaded before, nothing to do", path)
    else:
        log.info("%s: %s images", path, f"{rows:,}")


def build() -> None:
    """Run `dbt build`, with a bar on a terminal and what it says of failures."""
    command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", "build"]
    command += ["--select", "*"]  # the evidence too, which dbt by itself leaves out
    command += ["--exclude-resource-type", "unit_test"]  # they test the code, not the data
    said = []
    with subprocess.Popen(
        command, cwd=PROJECT, env=dbt_environment(), stdout=subprocess.PIPE, text=True
    ) as dbt:
        assert dbt.stdout is not None  # noqa: S101 - it is a pipe
        with tqdm(disable=None, unit="step", desc="dbt build") as bar:
            for line in dbt.stdout:
                said.append(line)
                if found := DBT_STEP.search(line):
                    bar.total = int(found[2])
                    bar.update()
    if dbt.returncode != 0:
        failures = [line for line in said if not re.search(r" (START|PASS|OK|SKIP) ", line)]
        log.error("%s", "".join(failures).strip())
        raise UserError("dbt did not finish; what failed stands above, more in logs/dbt.log")
    steps = [found for line in said if (found := DBT_STEP.search(line))]
    log.info("dbt build: %s steps, none failed", len(steps))
    for line in said:
        if found := AWAIT_REVIEW.search(line):
            log.info("%s", found[0])


def dbt_environment() -> dict[str, str]:
    """Return the environment for dbt, which reads no PGSERVICE."""
    passwords = [option.val for option in Conninfo.get_defaults() if option.keyword == b"password"]
    secret = {"PGPASSWORD": passwords[0].decode()} if passwords and passwords[0] else {}
    return os.environ | connection_environment() | secret


def read_state() -> State:
    """Return what the published tags follow from at this moment."""
    with connect() as connection:
        catalog = catalog_origin(connection).fingerprint
        if not has_relations(connection):
            return State(catalog, 0, "")
        query = sql.SQL(
            "select (select coalesce(max(response_id), 0) from {}), md5(policy::text)"
            " from {} as policy"
        ).format(relation("machine_tags"), relation("int_label_policy"))
        newest_response, digest = connection.execute(query).fetchone() or (0, "")
    return State(catalog, newest_response, digest)


def has_relations(connection: psycopg.Connection) -> bool:
    """Whether an earlier run has built the models in this database."""
    names = [relation(name).as_string(connection) for name in ("machine_tags", "int_label_policy")]
    (missing,) = connection.execute(
        "select count(*) from unnest(%s::text[]) as name where to_regclass(name) is null", (names,)
    ).fetchone() or (1,)
    return bool(missing == 0)


COUNTS = """
select
    (select count(*) from {catalog_images}) as images,
    (select count(*) from {machine_tags}) as labelled_images,
    (select coalesce(sum(jsonb_array_length(tags)), 0) from {machine_tags}) as labels,
    (select count(*) from raw.rekognition_responses) as loaded_lines,
    (select count(*) from raw.rejected_lines) as rejected_lines,
    (select count(*) from {rejected_responses}) as rejected_responses
"""
DECISIONS = "select decision, count(*) from {tag_decisions} group by 1 order by 2 desc"


def print_summary(is_changed: bool) -> None:
    """Print what is where, in at most 25 lines."""
    models = ("catalog_images", "machine_tags", "rejected_responses", "tag_decisions")
    relations = {name: relation(name) for name in models}
    with connect() as connection:
        counts = connection.execute(sql.SQL(COUNTS).format(**relations)).fetchone() or ()
        decisions = dict(connection.execute(sql.SQL(DECISIONS).format(**relations)).fetchall())
    images, labelled, labels, loaded, rejected, misshapen = (f"{count:,}" for count in counts)
    published = decisions.pop("published", 0)
    tags = published + sum(decisions.values())
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
    print("", *lines, "", NEXT, sep="\n", flush=True)


NEXT = """\
Next: make psql                        look into published_images and tag_decisions
      make galleries                   a page of each label's images, for reviewers
      .venv/bin/dbt seed               after an edit in seeds/label_policy: it is live
      make run LABELS=… CATALOG=…      the same with your own files"""


if __name__ == "__main__":
    sys.exit(main())
