"""The functions of statistics that Postgres lacks, against values that are known otherwise."""

import math
from collections.abc import Iterator
from fractions import Fraction
from statistics import NormalDist

import pytest
from conftest import Database
from loads import fetch
from psycopg.types.json import Jsonb


def values(database: Database, function: str, arguments: list[tuple[float, ...]]) -> list[float]:
    """Return a function's values."""
    names = ", ".join(f"arguments[{place}]" for place in range(1, len(arguments[0]) + 1))
    query = (
        f"select refinery.{function}({names})"  # noqa: S608 - from above and below
        " from jsonb_to_recordset(%s) as given (arguments float8[])"
    )
    given = Jsonb([{"arguments": list(each)} for each in arguments])
    return [value for (value,) in fetch(database, query, given)]


def of_integers(x: Fraction, alpha: int, beta: int) -> Fraction:
    """Return the value at x: the chance of `alpha` or more hits in `alpha + beta - 1` trials."""
    trials = alpha + beta - 1
    return sum(
        (
            math.comb(trials, hits) * x**hits * (1 - x) ** (trials - hits)
            for hits in range(alpha, trials + 1)
        ),
        Fraction(0),
    )


def known_betas() -> Iterator[tuple[float, float, float, float]]:
    """Yield x, alpha, beta, and the value."""
    for alpha, beta in ((1, 1), (2, 3), (5, 1), (9, 2), (40, 7), (3, 200), (700, 300)):
        for hundredths in (1, 10, 50, 55, 69, 70, 71, 90, 99):
            x = Fraction(hundredths, 100)
            yield float(x), alpha, beta, float(of_integers(x, alpha, beta))
    for x in (0.0001, 0.2, 0.5, 0.9, 0.99, 0.9999):
        yield x, 0.5, 0.5, 2 / math.pi * math.asin(math.sqrt(x))
        for shape in (0.001, 0.3, 1.7, 250.0):
            yield x, shape, 1, x**shape
            yield x, 1, shape, 1 - (1 - x) ** shape
    for shape in (0.01, 2.5, 1e4, 125_000):
        yield 0.5, shape, shape, 0.5
    # Of a normal distribution so narrow that all lies on one side.
    yield 0.7, 1e7, 9e7, 1
    yield 0.05, 1e7, 9e7, 0
    for shape in (0.2, 3.0):
        yield from [(x, shape, 2, float(x >= 1)) for x in (-0.01, 0, 1, 1.01)]


@pytest.mark.both_versions
def test_the_functions_are_those_of_tables(project: Database) -> None:
    known = list(known_betas())
    got = values(project, "beta_cdf", [each[:3] for each in known])
    for want, value in zip(known, got, strict=True):
        assert value == pytest.approx(want[3], abs=1e-9), want
    assert len(known) > 100

    xs = [0, 1e-200, -1e-50, *(step / 7 for step in range(-70, 71)), 1e300]
    got = values(project, "normal_cdf", [(x,) for x in xs])
    assert got == pytest.approx([NormalDist().cdf(x) for x in xs], abs=1e-14)

    xs = [1e-9, 0.001, 0.5, 1, 1.5, 2, 10, 171.5, 12_345.6, 1e8]
    got = values(project, "ln_gamma", [(x,) for x in xs])
    assert got == pytest.approx([math.lgamma(x) for x in xs], rel=1e-13, abs=1e-13)

    unknown = "select refinery.beta_cdf(0.5, null, 1), refinery.normal_cdf(null)"
    assert fetch(project, unknown) == [(None, None)]
