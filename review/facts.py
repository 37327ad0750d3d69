"""What is known of labels, for those who decide on them: a value that goes into JSON as it is."""

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import yaml
from psycopg import sql

from loader.connect import PROJECT
from loader.errors import UserError
from review.check import FLAGGED_CATEGORIES, WITHHELD_CATEGORIES, unseen, visible
from review.files import is_empty, label_key
from review.live import function, relation

RELATIONS = (
    "confidence_distribution",
    "int_label_counts",
    "int_label_policy_in_force",
    "label_agreement",
    "label_examples",
    "label_parents",
    "label_precision",
    "policy_history",
    "published_images",
    "reviewed_labels",
    "sensitive_labels",
    "unreviewed_labels",
)
FUNCTIONS = ("label_key", "minimum_accuracy", "tag_decision")

# Labels that machines say, and those that the policy alone knows; in the spelling on most images.
# What is decided of a label is in the files' own words even where too few have signed it.
LABELS = """
with

policy as materialized (
    select
        denied_tag_patterns,
        included_labels #> '{{}}' as included_labels,
        reviewed_labels #> '{{}}' as reviewed_labels,
        sensitive_labels #> '{{}}' as sensitive_labels,
        label_corrections #> '{{}}' as label_corrections
    from {int_label_policy_in_force}
),

spellings as (
    select label, counted as images from {int_label_counts}
    where counted_by = 'label'
    union all
    select label, 0 from {reviewed_labels}
    union all
    select label, 0 from {sensitive_labels}
),

spelt as (
    select {label_key}(label) as key, label, sum(images) as images
    from spellings
    where label is not null
    group by label
),

labels as (
    select key, array_agg(label order by images desc, label collate "C") as spellings
    from spelt
    where %(keys)s::text[] is null or key = any(%(keys)s)
    group by key
),

queue as (
    select
        {label_key}(label) as key,
        row_number() over (
            order by
                images_if_included desc,
                images_at_minimum_accuracy desc,
                images desc,
                label collate "C" asc
        ) as position
    from {unreviewed_labels}
),

reviewed as (
    select {label_key}(label) as key, note, reviewed_by, reviewed_on
    from {reviewed_labels}
),

sensitive as (
    select {label_key}(label) as key, category, handling, reason
    from {sensitive_labels}
)

select
    labels.key,
    jsonb_strip_nulls(jsonb_build_object(
        'label', labels.spellings[1],
        'spellings', case when cardinality(labels.spellings) > 1 then labels.spellings[2:] end,
        'queue', queue.position,
        'unreviewed', case when not policy.reviewed_labels ? labels.key then true end,
        'decision', case
            when policy.sensitive_labels -> labels.key ->> 'handling' = 'withhold' then 'withhold'
            when reviewed.key is null then null
            when not policy.included_labels ? labels.key then 'exclude'
            when policy.sensitive_labels ? labels.key then 'flag'
            else 'include'
        end,
        'minimum', trim_scale((policy.included_labels ->> labels.key)::numeric)::text,
        'category', sensitive.category,
        'reason', sensitive.reason,
        'note', reviewed.note,
        'reviewed_by', reviewed.reviewed_by,
        'reviewed_on', reviewed.reviewed_on,
        'is_denied', case when labels.key like any(policy.denied_tag_patterns) then true end,
        'replaced_by', (
            select min(correction.value)
            from jsonb_each_text(policy.label_corrections) as correction
            where
                {label_key}(correction.key) = labels.key
                and {label_key}(correction.value) <> labels.key
        )
    ))
from labels
cross join policy
left join queue on labels.key = queue.key
left join reviewed on labels.key = reviewed.key
left join sensitive on labels.key = sensitive.key
order by labels.key collate "C"
"""

# As `labels` has them. What tags without an accuracy say is kept at each minimum, so it is at 101.
SAID = """
with

policy as materialized (
    select
        denied_tag_patterns,
        tag_providers #> '{{}}' as tag_providers,
        label_corrections #> '{{}}' as label_corrections
    from {int_label_policy_in_force}
),

counts as (
    select provider, label, accuracy, sum(counted)::bigint as images
    from {int_label_counts}
    where counted_by = 'label'
    group by provider, label, accuracy
),

said as (
    select
        provider,
        label,
        {label_key}(label) as key,
        sum(images) as images,
        jsonb_object_agg(coalesce((accuracy * 100)::integer, 101), images)
            filter (where images <> 0) as bins
    from counts
    group by provider, label
    having sum(images) > 0
)

select
    said.key,
    said.provider,
    said.label,
    jsonb_strip_nulls(jsonb_build_object(
        'machine', coalesce(said.provider, ''),
        'label', said.label,
        'images', said.images,
        'bins', said.bins,
        'minimum', trim_scale({minimum_accuracy}(null, said.provider, policy.tag_providers, '{{}}'))
            ::text,
        'blocked_by', nullif(
            {tag_decision}(
                said.label, said.key, said.provider, 1, null, policy.denied_tag_patterns,
                policy.tag_providers, jsonb_build_object(said.key, null),
                jsonb_build_object(said.key, true), '{{}}', policy.label_corrections
            ),
            'published'
        )
    ))
from said
cross join policy
where %(keys)s::text[] is null or said.key = any(%(keys)s)
order by said.images desc, said.provider collate "C", said.label collate "C"
"""

EXAMPLES = """
select provider, label, identifier, accuracy
from {label_examples}
where %(keys)s::text[] is null or {label_key}(label) = any(%(keys)s)
order by rank
"""
PARENTS = """
select distinct {label_key}(label), parent
from {label_parents}
where %(keys)s::text[] is null or {label_key}(label) = any(%(keys)s)
order by parent
"""
AGREEMENT = """
select provider, label, other_provider, images, confirmed, share_low, share_high,
    unconfirmed_identifiers
from {label_agreement}
where %(keys)s::text[] is null or {label_key}(label) = any(%(keys)s)
order by other_provider
"""
PRECISION = """
select {label_key}(label), provider, judgements, correct, made_up, precision_low, precision_high
from {label_precision}
where label is not null and (%(keys)s::text[] is null or {label_key}(label) = any(%(keys)s))
"""
# The fit that is nearer to the histogram, of as many images as give one a shape.
FITS = """
select
    provider,
    label,
    nearer_fit,
    case nearer_fit when 'beta' then alpha else log_mean end,
    case nearer_fit when 'beta' then beta else log_standard_deviation end
from {confidence_distribution}
where
    nearer_fit is not null
    and images >= 30
    and (%(keys)s::text[] is null or {label_key}(label) = any(%(keys)s))
"""
# No two catalogs have begun their history in the same moment.
BEGINNING = "select current_database(), min(in_force_from)::text from {policy_history}"
# As jsonb, because a catalog need not have any of these columns.
IMAGES = """
select
    image.identifier,
    fields ->> 'title',
    coalesce(nullif(fields ->> 'thumbnail', ''), fields ->> 'url'),
    coalesce(nullif(fields ->> 'foreign_landing_url', ''), fields ->> 'url'),
    fields ->> 'creator',
    concat_ws(' ', fields ->> 'license', fields ->> 'license_version')
from {published_images} as image
cross join lateral (select to_jsonb(image) as fields) as described
where image.identifier = any(%(identifiers)s)
"""

Fact = dict[str, Any]


def label_facts(connection: psycopg.Connection, named: Sequence[str] = ()) -> Fact:
    """Return what is known of the labels named, of all if none is; raises UserError."""
    names = {name: relation(name) for name in RELATIONS}
    names |= {name: function(name) for name in FUNCTIONS}
    values: dict[str, Any] = {"keys": [label_key(name) for name in named] or None}

    def rows(query: str) -> list[tuple[Any, ...]]:
        return connection.execute(sql.SQL(query).format(**names), values).fetchall()

    labels: dict[str, Fact] = dict(rows(LABELS))
    if not labels:
        raise UserError("no machine says such a label, and the label policy has none")
    places: dict[UUID, int] = {}

    def place(identifier: UUID) -> int:
        return places.setdefault(identifier, len(places))

    said: dict[tuple[str | None, str], Fact] = {}
    for key, provider, label, fact in rows(SAID):
        said[provider, label] = fact
        labels[key].setdefault("said", []).append(fact)
    # The counts are as old as the last refresh: what came later waits for the next one.
    for provider, label, identifier, accuracy in rows(EXAMPLES):
        if fact := said.get((provider, label)):
            fact.setdefault("images_like", []).append([place(identifier), _short(accuracy)])
    for provider, label, other, images, confirmed, low, high, unconfirmed in rows(AGREEMENT):
        if fact := said.get((provider, label)):
            fact.setdefault("agreement", []).append(
                {
                    "machine": other,
                    "images": images,
                    "confirmed": confirmed,
                    "between": [_short(low), _short(high)],
                    "unconfirmed": [place(identifier) for identifier in unconfirmed or ()],
                }
            )
    for key, provider, judged, correct, made_up, low, high in rows(PRECISION):
        for fact in labels[key].get("said", []) if key in labels else ():
            if fact["machine"] == (provider or ""):
                fact["verdicts"] = {
                    "judged": judged,
                    "right": correct,
                    "made_up": made_up,
                    "between": [_short(low), _short(high)],
                }
    for provider, label, fit, *parameters in rows(FITS):
        if fact := said.get((provider, label)):
            fact["fit"] = [fit, *map(_short, parameters)]
    for key, parent in rows(PARENTS):
        if key in labels:
            labels[key].setdefault("parents", []).append(parent)

    values = {"identifiers": list(places)}
    described = {identifier: described_image(*fields) for identifier, *fields in rows(IMAGES)}
    mark_unwritable(labels.values())
    return {
        # What a browser keeps is of one catalog and not of another's page beside it.
        "catalog": str(rows(BEGINNING)[0]),
        "reviewers_required": reviewers_required(),
        "categories": {"withhold": WITHHELD_CATEGORIES, "flag": FLAGGED_CATEGORIES},
        "images": [described.get(identifier) for identifier in places],
        "labels": list(labels.values()),
    }


def mark_unwritable(labels: Collection[Fact]) -> None:
    """Say of labels that the policy's files can have no line of it; such labels are not shown."""
    written = {visible(fact["label"]): fact["label"] for fact in labels if "decision" in fact}
    for fact in labels:
        label = fact["label"]
        twin = written.get(visible(label), label)
        if is_empty(label):
            fact["unwritable"] = "The policy's files cannot name it: dbt reads it as no name."
        elif unseen(label):
            fact["unwritable"] = (
                "The policy's files cannot name it: it has a character that nobody sees."
            )
        elif "decision" not in fact and label_key(twin) != label_key(label):
            fact["unwritable"] = (
                f"It differs from “{twin}” only by white space or Unicode form; the policy's files "
                "cannot name both."
            )


def reviewers_required() -> int:
    """Return the var of that name."""
    settings = yaml.safe_load((PROJECT / "dbt_project.yml").read_bytes())
    return int(settings["vars"]["reviewers_required"])


def described_image(
    title: str | None, address: str | None, page: str | None, creator: str | None, license_: str
) -> list[str | None]:
    """Return what the page says of an image; of addresses only those that may be links."""
    return [title, web_address(address), web_address(page), creator, license_]


def web_address(url: str | None) -> str | None:
    """Return an address that may be a link: http or https, with a host; else nothing."""
    try:
        parts = urlsplit((url or "").strip())
    except ValueError:
        return None
    return parts.geturl() if parts.scheme in ("http", "https") and parts.netloc else None


def _short(value: Decimal | None) -> float | None:
    return None if value is None else round(float(value), 4)
