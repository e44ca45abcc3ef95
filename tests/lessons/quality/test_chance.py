"""Tail probabilities against exact values."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.lessons.quality.chance import binomial_tail, chi_squared_tail

CHI_SQUARED = [  # statistic, degrees of freedom, scipy.stats.chi2.sf of scipy 1.17
    (0.0, 1, 1.0),
    (3.84, 1, 0.05004352124870519),
    (25.0, 1, 5.733031437583875e-07),
    (1.0, 2, 0.6065306597126334),
    (9.49, 2, 0.008695062005795453),
    (0.1, 3, 0.9918374237318764),
    (9.49, 3, 0.023437981945934626),
    (3.84, 4, 0.4280923294206225),
    (9.49, 4, 0.049953131223294894),
    (25.0, 5, 0.0001393337911856263),
]


@pytest.mark.parametrize(("statistic", "freedom", "tail"), CHI_SQUARED)
def test_the_chi_squared_tail_is_that_of_scipy(statistic: float, freedom: int, tail: float) -> None:
    assert chi_squared_tail(statistic, freedom) == pytest.approx(tail, rel=1e-12)


@given(st.integers(1, 30), st.integers(0, 31), st.fractions(0, 1, max_denominator=20))
def test_the_binomial_tail_is_the_exact_sum(trials: int, successes: int, chance: Fraction) -> None:
    exact = sum(
        comb(trials, hits) * chance**hits * (1 - chance) ** (trials - hits) for hits in range(successes, trials + 1)
    )
    assert binomial_tail(successes, trials, float(chance)) == pytest.approx(float(exact), abs=1e-12)
