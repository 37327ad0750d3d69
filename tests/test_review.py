"""What reviewers read: counts of labels, the queue, the preview of an edit, explanations."""

import html
import re
import statistics
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from unittest import mock
from uuid import UUID, uuid4

import psycopg
import pytest
from click.testing import Result
from conftest import PUT_IN_FORCE, UNHEARD_OF, Database, edit
from loads import edited_seeds, fetch

from loader.printable import printable
from review.cli import cli
from review.explain import Explanation, explain
from review.files import FOLDER, Line, label_key, read
from review.live import fill_seeds, relation
from review.preview import Effect, as_list, as_table, preview_edit


@pytest.fixture
def connection(sample: Database) -> Iterator[psycopg.Connection]:
    with sample.connect() as opened:
        yield opened


Accuracies = dict[tuple[str | None, UUID], dict[str, Decimal | None]]

# What a machine has said of an image is its tags here; where it has none, those of the catalog.
SAID = """
select machine.provider, machine.identifier, tag ->> 'name', (tag ->> 'accuracy')::numeric
from refinery.machine_tags as machine
left join lateral jsonb_array_elements(machine.tags) as tag on true
union all
select
    decision.provider,
    decision.identifier,
    trim(e' \\t\\n\\r\\f\\v' from decision.name),
    max(decision.accuracy)
from refinery.tag_decisions as decision
inner join refinery.stg_catalog__images as image using (identifier)
left join refinery.machine_tags as machine
    on image.identifier = machine.identifier and decision.provider = machine.provider
where
    machine.identifier is null
    and decision.decision <> 'malformed'
    and case
        when decision.provider is null then decision.accuracy is not null
        else decision.provider is distinct from image.provider
    end
group by 1, 2, 3
"""


@pytest.fixture(scope="module")
def read_tags(sample: Database) -> Accuracies:
    """Each machine's labels of each image, read tag by tag."""
    found: Accuracies = defaultdict(dict)
    for provider, image, name, accuracy in fetch(sample, SAID):
        found[provider, image] |= {} if name is None else {name: accuracy}
    return found


def mean_of(values: list[Decimal]) -> Decimal:
    # statistics.mean goes by fractions and takes a minute.
    return sum(values, Decimal(0)) / len(values)


def test_summary_and_retention_are_what_one_gets_by_reading_all_tags(
    connection: psycopg.Connection, read_tags: Accuracies
) -> None:
    rows = connection.execute("select * from refinery.label_summary").fetchall()
    left = dict(
        connection.execute(
            "select coalesce(provider, '(none)'), (tags, tags_at_90, images, images_at_90)"
            " from refinery.label_retention where label is null"
        ).fetchall()
    )
    assert len(rows) >= 3
    for row in rows:
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
        # At a minimum all that have no accuracy are left too.
        kept = [sum(a is None or a >= Decimal("0.9") for a in tags.values()) for tags in own]
        some = sum(1 for tags in own if tags)
        assert left[provider] == tuple(map(str, (labels, sum(kept), some, sum(map(bool, kept)))))


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


def test_the_queue_can_stop_a_refresh_and_no_label_in_it_steers_the_terminal(
    sample: Database, connection: psycopg.Connection
) -> None:
    """That it warns, if nothing else is asked for, is seen where all of dbt's tests run."""
    connection.execute(
        "insert into refinery.int_label_counts values"
        " (false, 'label', 'rekognition', %s, 0.99, 1000, null, 990, '{}')",
        (ODD,),
    )
    severity = ("--vars", "{unreviewed_labels_severity: error}")
    try:
        done = sample.dbt("test", "--select", "labels_await_review", *severity)
    finally:
        connection.execute("delete from refinery.int_label_counts where label = %s", (ODD,))
    assert done.returncode == 1
    (queue,) = (line for line in done.stdout.split("\n") if "that await review" in line)
    assert f": {printable(ODD)} (1000), " in queue
    assert f", {UNHEARD_OF} (" in queue


def preview(sample: Database, folder: Path, *options: str) -> Result:
    with mock.patch("review.cli.FOLDER", folder):
        return sample.invoke(cli, "preview", *options)


def test_a_preview_is_what_the_edit_then_does(connection: psycopg.Connection, folder: Path) -> None:
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
        fill_seeds(connection, folder)
        connection.execute(PUT_IN_FORCE)
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


@pytest.mark.parametrize("style", ["text", "markdown"])
def test_a_preview_of_many_labels_is_the_totals_and_the_largest(style: str) -> None:
    assert as_table([], style).startswith("Nothing would change")
    few = [
        Effect("rekognition", f"L{n}", "published", "published", n) for n in range(2_000, 1_980, -1)
    ]
    assert "preview" not in as_table(few, style)
    many = [*few, Effect("rekognition", "Lost", "published", "excluded_label", -7)]
    text = as_table(many, style)
    row = ["L2000", "rekognition", "published", "published", "+2,000"]
    assert row in [re.findall(r"[^| ]+", line) for line in text.splitlines()]
    assert "L1981" in text
    assert "Lost" not in text
    assert "21 labels would change: 39,810 tags would be published, 7 withdrawn.\n" in text
    assert "Above are the 20 largest; `python -m review preview --all` lists all of them." in text
    assert "“L2000” would show on 2,000 more images." in text
    whole = as_table(many, style, most=None)
    assert "Lost" in whole
    assert "labels would change" not in whole


def test_a_preview_says_what_dbt_would_stop_the_edit_for(sample: Database, folder: Path) -> None:
    """By the figures by which dbt then stops it."""
    edit(folder, "tag_providers", "\nclarifai,0.9,true,", "\nclarifai,0.9,false,")
    *_, heading, words, _, how = preview(sample, folder).stdout.splitlines()
    assert heading == "dbt would not put this edit in force:"
    assert how == "If it is meant: `dbt seed --vars 'largest_policy_change: 1'`"
    with edited_seeds(sample) as connection:
        connection.execute("update refinery.tag_providers set is_withheld = false")
        done = sample.dbt("seed", "--select", "label_corrections")
        assert f": {words.removesuffix('.')}. If that is meant, say" in done.stdout
    header = (FOLDER / "tag_providers.csv").read_text().splitlines()[0]
    (folder / "tag_providers.csv").write_text(header + "\n")
    everything = preview(sample, folder, "--all").stdout.splitlines()
    assert "2 of 2 lines of tag_providers.csv would be gone" in everything
    assert len(everything) > 100


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("most", "“clarifai” has a minimum_accuracy that is no number"),
        ("0\0", "has a NUL character; save it as UTF-8"),
    ],
)
def test_a_file_in_disorder_is_named_and_nothing_previewed(
    sample: Database, folder: Path, new: str, words: str
) -> None:
    edit(folder, "tag_providers", "0.9", new)
    done = preview(sample, folder)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: tag_providers.csv:")
    assert words in done.stderr


ODD = "a|b\n`c` <b>[d](e)</b> *f* \x1b[2J\x9b2J \u202e\u2066\u2028\u200b\\| Café 猫"


def test_no_label_steers_the_terminal_or_breaks_the_lines() -> None:
    effect = Effect("odd\nmachine", ODD, "published", "excluded_label", -1)
    short = Effect("rekognition", "Cat", "published", "excluded_label", -1)
    lines = as_table([effect, short], "text").splitlines()
    assert len(lines) == 6
    assert "\\x1b[2J\\x9b2J \\u202e\\u2066\\u2028\\u200b" in lines[1]
    assert lines[1].split("\\| ")[1].startswith("Café 猫")
    assert len({line.index("published") for line in lines[1:3]}) == 1
    line = Line("reviewed_labels", 7, {"label": ODD, "note": ODD}, "")
    explained = str(Explanation(ODD, ODD, None, "published", "It is shown.", line)).splitlines()
    assert len(explained) == 3
    assert all(line.isprintable() for line in lines + explained)


def test_no_label_breaks_or_injects_into_markdown() -> None:
    """Markdown knows no escape for a sign in each place; an entity is its sign, and no markup."""
    effect = Effect("odd\nmachine", ODD, "published", "excluded_label", -1)
    _, _, row, _, words = as_table([effect], "markdown").splitlines()
    assert row.count("|") == 6
    assert not set("<>[]`*\\@#") & set(row.replace("&#", ""))
    assert html.unescape(row.split(" | ")[0].removeprefix("| ")) == printable(ODD)
    assert not set("<>[]`*|\\") & set(words)
    assert as_list([ODD], "markdown").count("\n") == 0


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
        select
            identifier,
            array_agg(name order by position),
            array_agg(decision order by position)
        from refinery.tag_decisions
        where identifier < '20000000-0000-0000-0000-000000000000'
        group by identifier order by count(distinct decision) desc, identifier limit 25
        """
    ).fetchall()
    for image, names, decisions in images:
        explained = explain(connection, image, FOLDER)
        assert [tag.name for tag in explained] == names
        assert [tag.decision for tag in explained] == decisions
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


def test_a_review_that_is_not_live_is_said(connection: psycopg.Connection, folder: Path) -> None:
    edit(folder, "reviewed_labels", "\nBucket,", f"\n{UNHEARD_OF},,ann,2026-11-22\nBucket,")
    ((image,),) = connection.execute(
        "select identifier from refinery.tag_decisions"
        " where name = %s and decision = 'unreviewed_label' limit 1",
        (UNHEARD_OF,),
    ).fetchall()
    (before,) = (tag for tag in explain(connection, image, FOLDER) if tag.name == UNHEARD_OF)
    (edited,) = (tag for tag in explain(connection, image, folder) if tag.name == UNHEARD_OF)
    assert (before.sentence, before.line) == ("Nobody has reviewed the label.", None)
    assert "its line is not live yet: `dbt seed`" in str(edited)


def test_an_image_that_is_not_there_is_an_error(sample: Database) -> None:
    done = sample.invoke(cli, "explain", str(uuid4()))
    assert (done.exit_code, "has no image" in done.stderr) == (1, True)
