"""What reviewers read: counts of labels, the queue, the preview of an edit, explanations."""

import html
import os
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from unittest import mock
from uuid import UUID, uuid4

import psycopg
import pytest
from click.testing import CliRunner
from conftest import PUT_IN_FORCE, UNHEARD_OF, Database, edit
from loads import fetch, on_postgres18

from loader.printable import printable
from review.cli import cli
from review.explain import Explanation, explain
from review.files import FOLDER, Line, label_key, read
from review.live import fill_seeds, relation
from review.preview import Effect, as_list, as_table, preview_edit


@pytest.fixture(scope="module")
def refreshed(sample: Database) -> Database:
    """The sample, with the counts of labels as of now."""
    sample.build("run", "--selector", "refresh")
    return sample


@pytest.fixture
def connection(refreshed: Database) -> Iterator[psycopg.Connection]:
    with refreshed.connect() as opened:
        yield opened


Accuracies = dict[tuple[str | None, UUID], dict[str, Decimal | None]]


@pytest.fixture(scope="module")
def read_tags(refreshed: Database) -> Accuracies:
    """Each machine's labels of each image, read tag by tag."""
    found: Accuracies = defaultdict(dict)
    with refreshed.connect() as connection:
        machine = connection.execute("select provider, identifier from refinery.machine_tags")
        found.update({row: {} for row in machine})
        stored = connection.execute(
            """
            select
                machine.provider,
                machine.identifier,
                tag ->> 'name',
                (tag ->> 'accuracy')::numeric
            from refinery.machine_tags as machine
            cross join jsonb_array_elements(machine.tags) as tag
            """
        )
        for provider, image, name, accuracy in stored:
            found[provider, image][name] = accuracy
        decided = connection.execute(
            """
            select decision.provider, decision.identifier, decision.name, decision.accuracy
            from refinery.tag_decisions as decision
            inner join refinery.stg_catalog__images as image using (identifier)
            where
                decision.decision <> 'malformed'
                and case
                    when decision.provider is null then decision.accuracy is not null
                    else decision.provider is distinct from image.provider
                end
            """
        )
        seen = set(found)
        for provider, image, name, accuracy in decided:
            if (provider, image) not in seen:
                labels, label = found[provider, image], name.strip(" \t\n\r\f\v")
                known = [a for a in (labels.get(label), accuracy) if a is not None]
                labels[label] = max(known, default=None)
    return found


def mean_of(values: list[Decimal]) -> Decimal:
    # statistics.mean goes by fractions and takes a minute.
    return sum(values, Decimal(0)) / len(values)


def test_the_histogram_counts_each_tag_once(
    connection: psycopg.Connection, read_tags: Accuracies
) -> None:
    want: dict[tuple[object, ...], int] = defaultdict(int)
    for (provider, _), labels in read_tags.items():
        for label, accuracy in labels.items():
            cut = None if accuracy is None else int(accuracy * 100)
            want[provider, label, cut] += 1
    got = connection.execute(
        "select provider, label, (accuracy * 100)::integer, counted"
        " from refinery.int_corrected_counts where counted_by = 'label'"
    ).fetchall()
    assert {row[:3]: row[3] for row in got} == want
    assert len({provider for provider, *_ in got}) >= 3


def test_the_summary_is_what_one_gets_by_reading_all_tags(
    connection: psycopg.Connection, read_tags: Accuracies
) -> None:
    for row in connection.execute("select * from refinery.label_summary").fetchall():
        provider, images, labels, per_image, mean, median, image_mean, image_median, *high = row
        own = [tags for (who, _), tags in read_tags.items() if (who or "(none)") == provider]
        accuracies = [a for tags in own for a in tags.values() if a is not None]
        means = [mean_of([*tags.values()]) for tags in own if tags]
        medians = [statistics.median(tags.values()) for tags in own if tags]
        above = sum(accuracy > Decimal("0.9") for accuracy in accuracies)
        at = sum(accuracy == Decimal("0.9") for accuracy in accuracies)
        assert (images, labels) == (len(own), sum(map(len, own)))
        assert per_image == pytest.approx(Decimal(labels) / images)
        assert mean == pytest.approx(mean_of(accuracies))
        assert median == pytest.approx(statistics.median(accuracies), abs=Decimal("0.0002"))
        assert image_mean == pytest.approx(mean_of(means))
        assert image_median == pytest.approx(statistics.median(medians), abs=Decimal("0.0002"))
        assert (high[0], high[3]) == (above + at, above)
        for count, share, per_image in (high[:3], high[3:]):
            shares = [Decimal(count) / labels, Decimal(count) / images]
            assert [share, per_image] == pytest.approx(shares)


def test_what_is_left_at_a_minimum_is_what_one_gets_by_reading_all_tags(
    connection: psycopg.Connection, read_tags: Accuracies
) -> None:
    minimums = [Decimal(percent) / 100 for percent in (0, 80, 85, 90, 95)]
    want: dict[tuple[str | None, str | None], list[int]] = defaultdict(lambda: [0] * 10)
    for (provider, _), labels in read_tags.items():
        # Without an accuracy no minimum leaves a tag out.
        kept = {label: 1 if each is None else each for label, each in labels.items()}
        for place, minimum in enumerate(minimums):
            left = [label for label, accuracy in kept.items() if accuracy >= minimum]
            want[provider, None][place] += len(left)
            want[provider, None][5 + place] += bool(left)
            for label in left:
                want[provider, label][place] += 1
                want[provider, label][5 + place] += 1
    got = connection.execute("select * from refinery.label_retention").fetchall()
    assert {row[:2]: list(row[2:]) for row in got} == dict(want)


def test_the_queue_holds_what_nobody_has_reviewed(
    connection: psycopg.Connection, read_tags: Accuracies
) -> None:
    reviewed = {line.key for line in read("reviewed_labels")}
    want: dict[str, set[UUID]] = defaultdict(set)
    for (_, image), labels in read_tags.items():
        for label in labels:
            want[label_key(label)].add(image)
    queue = connection.execute(
        "select label, images, images_at_minimum_accuracy, images_if_included,"
        " example_identifiers from refinery.unreviewed_labels"
    ).fetchall()
    assert UNHEARD_OF in [label for label, *_ in queue[:10]]
    for label, images, _, _, examples in queue:
        key = label_key(label)
        assert key not in reviewed
        assert images >= len(want[key])
        assert examples == sorted(want[key])[:3]
    order = [(-shown, -accurate, -images, label) for label, images, accurate, shown, _ in queue]
    assert order == sorted(order)


@on_postgres18
def test_a_second_refresh_counts_the_same(refreshed: Database) -> None:
    everything = "select * from refinery.int_label_counts order by 1, 2, 3, 4, 5"
    before = fetch(refreshed, everything)
    refreshed.build("run", "--selector", "refresh")
    assert fetch(refreshed, everything) == before


@on_postgres18
def test_the_queue_can_stop_a_refresh(refreshed: Database) -> None:
    test = ("test", "--select", "labels_await_review")
    warned = refreshed.dbt(*test)
    assert warned.returncode == 0
    assert UNHEARD_OF in warned.stdout
    assert refreshed.dbt(*test, "--vars", "{unreviewed_labels_severity: error}").returncode == 1


def test_without_an_edit_there_is_nothing_to_preview(refreshed: Database) -> None:
    done = refreshed.run(sys.executable, "-m", "review", "preview")
    assert (done.returncode, done.stdout.split(":")[0]) == (0, "Nothing would change")


def test_a_preview_is_what_the_edit_then_does(
    connection: psycopg.Connection, refreshed: Database, folder: Path
) -> None:
    edit(folder, "included_labels", "\nPerson,\n", "\n")
    edit(folder, "included_labels", "\nNature,\n", "\nNature,0.75\n")
    edit(folder, "included_labels", "\nBucket,\n", f"\nBucket,\n{UNHEARD_OF},\n")
    edit(folder, "reviewed_labels", "\nBucket,", f"\n{UNHEARD_OF},,ann,2026-11-22\nBucket,")
    found = preview_edit(connection, folder)
    assert found.stopped_for == []
    previewed = {(effect.provider, effect.label): effect for effect in found.effects}
    # Nobody else has seen the edit, and it is gone.
    assert preview_edit(connection, FOLDER) == ([], [])

    shown = (
        "select name, count(distinct identifier) from refinery.tag_decisions"
        " where decision = 'published' and provider = 'rekognition' group by 1"
    )
    before = dict(connection.execute(shown).fetchall())
    with connection.transaction(force_rollback=True):
        apply(connection, folder)
        after = dict(connection.execute(shown).fetchall())
    changes = {name: after.get(name, 0) - before.get(name, 0) for name in before | after}
    assert {name: change for name, change in changes.items() if change} == {
        label: effect.images for (who, label), effect in previewed.items() if who == "rekognition"
    }
    person = previewed["rekognition", "Person"]
    assert (person.before, person.after) == ("published", "excluded_label")
    assert person.in_words() == f"“Person” would show on {-person.images:,} fewer images."
    unknown = previewed["rekognition", UNHEARD_OF]
    assert (unknown.before, unknown.after) == ("unreviewed_label", "published")


def apply(connection: psycopg.Connection, folder: Path) -> None:
    """Make the edited files live."""
    fill_seeds(connection, folder)
    connection.execute(PUT_IN_FORCE)


def test_a_preview_reads_as_a_table(connection: psycopg.Connection, folder: Path) -> None:
    edit(folder, "included_labels", "\nPerson,\n", "\n")
    found = preview_edit(connection, folder).effects
    header, row, _, words = as_table(found, "text").splitlines()
    assert header.split() == ["label", "machine", "before", "after", "images"]
    assert row.split()[:4] == ["Person", "rekognition", "published", "excluded_label"]
    assert words == found[0].in_words()
    lines = as_table(found, "markdown").splitlines()
    assert lines[2].startswith("| Person | rekognition | published | excluded_label | -")
    assert as_table([], "text").startswith("Nothing would change")


@pytest.mark.parametrize("style", ["text", "markdown"])
def test_a_preview_of_many_labels_is_the_totals_and_the_largest(style: str) -> None:
    few = [
        Effect("rekognition", f"L{n}", "published", "published", n) for n in range(2_000, 1_980, -1)
    ]
    assert "preview" not in as_table(few, style)
    many = [*few, Effect("rekognition", "Lost", "published", "excluded_label", -7)]
    text = as_table(many, style)
    assert "L1981" in text
    assert "Lost" not in text
    assert "21 labels would change: 39,810 tags would be published, 7 withdrawn.\n" in text
    assert "Above are the 20 largest; `python -m review preview --all` lists all of them." in text
    assert "“L2000” would show on 2,000 more images." in text
    whole = as_table(many, style, most=None)
    assert "Lost" in whole
    assert "labels would change" not in whole


@on_postgres18
@pytest.mark.parametrize(("options", "lines"), [([], 20), (["--all"], 2_000)])
def test_all_that_a_lower_minimum_shows_is_listed_if_asked_for(
    refreshed: Database, folder: Path, options: list[str], lines: int
) -> None:
    edit(folder, "tag_providers", "\nrekognition,0.9,", "\nrekognition,0.8,")
    in_our_place = mock.patch.dict(os.environ, refreshed.environment, clear=True)
    with in_our_place, mock.patch("review.cli.FOLDER", folder):
        done = CliRunner().invoke(cli, ["preview", *options], catch_exceptions=False)
    listed = [line for line in done.stdout.splitlines() if line.split()[-4:-1] == SHOWN_MORE]
    assert lines <= len(listed) < lines * 2


SHOWN_MORE = ["rekognition", "published", "published"]


@on_postgres18
def test_a_preview_says_what_dbt_would_stop_the_edit_for(
    connection: psycopg.Connection, refreshed: Database, folder: Path
) -> None:
    """By the figures by which dbt then stops it."""
    edit(folder, "tag_providers", "\nclarifai,0.9,true,", "\nclarifai,0.9,false,")
    found = preview_edit(connection, folder)
    shown = sum(effect.images for effect in found.effects)
    (words,) = found.stopped_for
    assert words.startswith(f"{shown:,} of ")
    with connection.transaction():
        connection.execute("update refinery.tag_providers set is_withheld = false")
    done = refreshed.dbt("seed", "--select", "label_corrections")
    refreshed.build("seed")
    assert f": {words}. If that is meant, say" in done.stdout
    header = (FOLDER / "tag_providers.csv").read_text().splitlines()[0]
    (folder / "tag_providers.csv").write_text(header + "\n")
    stopped_for = preview_edit(connection, folder).stopped_for
    assert stopped_for[0] == "2 of 2 lines of tag_providers.csv would be gone"


@on_postgres18
@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("tag_providers", "0.9", "most", "“clarifai” has a minimum_accuracy that is no number"),
        ("tag_providers", "true", "perhaps", "“clarifai” needs true or false as is_withheld"),
        ("reviewed_labels", "\nCat,", "\nCat,a\0b", "has a NUL character; save it as UTF-8"),
    ],
    ids=["no number", "no truth", "NUL"],
)
def test_a_file_in_disorder_is_named_and_nothing_previewed(
    refreshed: Database, folder: Path, file: str, old: str, new: str, words: str
) -> None:
    edit(folder, file, old, new)
    in_our_place = mock.patch.dict(os.environ, refreshed.environment, clear=True)
    with in_our_place, mock.patch("review.cli.FOLDER", folder):
        done = CliRunner().invoke(cli, ["preview"], catch_exceptions=False)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {file}.csv:")
    assert words in done.stderr


@on_postgres18
def test_the_command_ends_with_what_dbt_would_stop_the_edit_for(
    refreshed: Database, folder: Path
) -> None:
    edit(folder, "tag_providers", "\nclarifai,0.9,true,", "\nclarifai,0.9,false,")
    in_our_place = mock.patch.dict(os.environ, refreshed.environment, clear=True)
    with in_our_place, mock.patch("review.cli.FOLDER", folder):
        done = CliRunner().invoke(cli, ["preview"], catch_exceptions=False)
    *_, heading, _, _, how = done.stdout.splitlines()
    assert heading == "dbt would not put this edit in force:"
    assert how == "If it is meant: `dbt seed --vars 'largest_policy_change: 1'`"


ODD = "a|b\n`c` <b>[d](e)</b> *f* \x1b[2J\x9b2J \u202e\u2066\u2028\u200b\\| Café 猫"


def test_no_label_steers_the_terminal_or_breaks_the_table() -> None:
    effect = Effect("odd\nmachine", ODD, "published", "excluded_label", -1)
    short = Effect("rekognition", "Cat", "published", "excluded_label", -1)
    lines = as_table([effect, short], "text").splitlines()
    assert len(lines) == 6
    assert all(line.isprintable() for line in lines)
    assert "\\x1b[2J\\x9b2J \\u202e\\u2066\\u2028\\u200b" in lines[1]
    assert lines[1].split("\\| ")[1].startswith("Café 猫")
    assert len({line.index("published") for line in lines[1:3]}) == 1


def test_no_label_breaks_or_injects_into_markdown() -> None:
    """Markdown knows no escape for a sign in each place; an entity is its sign, and no markup."""
    effect = Effect("odd\nmachine", ODD, "published", "excluded_label", -1)
    _, _, row, _, words = as_table([effect], "markdown").splitlines()
    assert row.count("|") == 6
    assert not set("<>[]`*\\@#") & set(row.replace("&#", ""))
    assert html.unescape(row.split(" | ")[0].removeprefix("| ")) == printable(ODD)
    assert not set("<>[]`*|\\") & set(words)
    assert as_list([ODD], "markdown").count("\n") == 0


def test_an_explanation_is_as_many_lines_as_it_says() -> None:
    line = Line("reviewed_labels", 7, {"label": ODD, "note": ODD}, "")
    text = str(Explanation(ODD, ODD, None, "published", "It is shown.", line))
    assert len(text.splitlines()) == 3
    assert all(words.isprintable() for words in text.splitlines())


@on_postgres18
def test_no_label_in_the_review_queue_steers_the_terminal(refreshed: Database) -> None:
    with refreshed.connect() as connection:
        connection.execute(
            "insert into refinery.int_label_counts values"
            " (false, 'label', 'rekognition', %s, 0.99, 1000, null, 990, '{}')",
            (ODD,),
        )
        try:
            done = refreshed.dbt("test", "--select", "labels_await_review")
        finally:
            connection.execute("delete from refinery.int_label_counts where label = %s", (ODD,))
    (queue,) = (line for line in done.stdout.split("\n") if "that await review" in line)
    assert f": {printable(ODD)} (1000), " in queue
    assert f", {UNHEARD_OF} (" in queue


SINCE = r"    In force since [0-9: -]{16}; reviewed by maintainers on 2026-11-22"


def test_each_tag_is_explained_by_its_line(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What they read in files is the same for each image.
    monkeypatch.setattr("review.explain.read", cache(read))
    monkeypatch.setattr("review.explain.relation", cache(relation))
    seen = set()
    images = connection.execute(
        """
        select identifier from refinery.tag_decisions
        group by identifier order by count(distinct decision) desc, identifier limit 200
        """
    ).fetchall()
    for (image,) in images:
        decisions = connection.execute(
            "select name, decision from refinery.tag_decisions where identifier = %s"
            " order by position",
            (image,),
        ).fetchall()
        explained = explain(connection, image, FOLDER)
        assert [(tag.name, tag.decision) for tag in explained] == decisions
        for tag in explained:
            seen.add(tag.decision)
            if tag.line and "label" in tag.line.values:
                assert tag.line.key == label_key(tag.name or "")
            if tag.decision in ("denied_pattern", "provider_withheld", "sensitive_label"):
                assert tag.line is not None
                assert f"\n    {tag.line.file}.csv:{tag.line.number}: " in str(tag)
                text = (FOLDER / f"{tag.line.file}.csv").read_text().splitlines()
                assert text[tag.line.number - 1].startswith(tag.line.name)
            if tag.decision in ("sensitive_label", "excluded_label"):
                assert re.fullmatch(SINCE, str(tag).splitlines()[-1])
    assert len(seen) >= 7


@on_postgres18
def test_a_review_that_is_not_live_is_said(connection: psycopg.Connection, folder: Path) -> None:
    edit(folder, "reviewed_labels", "\nBucket,", f"\n{UNHEARD_OF},,ann,2026-11-22\nBucket,")
    (image,) = (
        connection.execute(
            "select min(identifier::text)::uuid from refinery.tag_decisions"
            " where name = %s and decision = 'unreviewed_label'",
            (UNHEARD_OF,),
        ).fetchone()
        or ()
    )
    (before,) = (tag for tag in explain(connection, image, FOLDER) if tag.name == UNHEARD_OF)
    (edited,) = (tag for tag in explain(connection, image, folder) if tag.name == UNHEARD_OF)
    assert (before.sentence, before.line) == ("Nobody has reviewed the label.", None)
    assert "its line is not live yet: `dbt seed`" in str(edited)


@on_postgres18
def test_an_image_that_is_not_there_is_an_error(refreshed: Database) -> None:
    done = refreshed.run(sys.executable, "-m", "review", "explain", str(uuid4()))
    assert (done.returncode, "has no image" in done.stderr) == (1, True)
