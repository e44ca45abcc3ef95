"""Two tail probabilities: how often chance alone would look like this."""

from __future__ import annotations

import math


def chi_squared_tail(statistic: float, freedom: int) -> float:
    """P(X >= ``statistic``) for a chi-squared variable with ``freedom`` >= 1 degrees of freedom.

    The regularised upper incomplete gamma function Q(a + 1, y) = Q(a, y) + y^a e^-y / Gamma(a + 1), from Q(1/2) or
    Q(1); Abramowitz and Stegun 6.5.
    """
    y = statistic / 2
    a = 0.5 if freedom % 2 else 1.0
    tail = math.erfc(math.sqrt(y)) if freedom % 2 else math.exp(-y)
    while a < freedom / 2:
        tail += y**a * math.exp(-y) / math.gamma(a + 1)
        a += 1
    return tail


def binomial_tail(successes: int, trials: int, chance: float) -> float:
    """P(X >= ``successes``) for ``trials`` independent tries that each succeed with probability ``chance``."""
    return sum(
        math.comb(trials, hits) * chance**hits * (1 - chance) ** (trials - hits)
        for hits in range(max(successes, 0), trials + 1)
    )
