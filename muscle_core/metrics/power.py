"""How many samples it takes to see a difference of two flip rates on the same samples.

The test is the exact McNemar test, as in `mcnemar_p`; only samples on which the two disagree carry information. Not
covered: samples in groups (several rows a prompt), which need more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from muscle_core.errors import ConfigError, raise_all


def mcnemar_power(n: int, only_first: float, only_second: float, alpha: float = 0.05) -> float:
    """Return the chance that the exact two-sided McNemar test on `n` samples finds the difference.

    Exact: the number of samples that disagree is binomial, and given that, so is the split between both sides.

    Args:
        n: number of samples.
        only_first: expected share of samples with the outcome in the first version only, such as flips removed.
        only_second: expected share with the outcome in the second version only, such as flips added.
        alpha: level of the test.

    Raises:
        ConfigError: a number, share or level cannot be.
    """
    from scipy.special import bdtr

    if n < 1:
        raise ConfigError(f"the number of samples must be 1 or more; it is {n}")
    _check_shares(only_first, only_second)
    _check_level("alpha", alpha)
    discordant = only_first + only_second
    if discordant == 0:
        return 0.0
    # Counts of disagreement beyond 9 standard deviations weigh less than 1e-18.
    spread = 9 * math.sqrt(n * discordant * (1 - discordant)) + 20
    counts = np.arange(max(1, math.floor(n * discordant - spread)), min(n, math.ceil(n * discordant + spread)) + 1)
    critical = _critical(counts, alpha)
    rejects = critical >= 0
    counts, critical = counts[rejects], critical[rejects]
    share = only_first / discordant
    found = bdtr(critical, counts, share) + bdtr(critical, counts, 1 - share)
    return min(1.0, float(_binomial(counts, n, discordant) @ found))


def required_samples(only_first: float, only_second: float, *, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return how many samples the exact McNemar test needs to find a difference with the wished chance.

    The search starts at n = (z_a sqrt(p) + z_b sqrt(p - d^2))^2 / d^2 with p = only_first + only_second and
    d = only_first - only_second (Connor 1987, "Sample size for testing differences in proportions for the
    paired-sample design", Biometrics 43) and ends at the exact power, from which that approximation is off by 10 %
    where few samples disagree. The power rises in small steps; the number returned has it, and is the smallest up to
    the size of such a step.

    Args:
        only_first: expected share of samples with the outcome in the first version only: for NFR(new) - NFR(compat)
            the flips that the adapter removes.
        only_second: expected share with the outcome in the second version only: the flips that it adds.
        alpha: level of the two-sided test.
        power: wished chance to find the difference.

    Raises:
        ConfigError: the shares are equal, or one of the arguments cannot be.
    """
    _check_level("power", power)
    low = max(1, math.ceil(connor_samples(only_first, only_second, alpha=alpha, power=power) * 0.9))
    while low > 1 and mcnemar_power(low, only_first, only_second, alpha) >= power:
        low //= 2
    high = low + 1
    while mcnemar_power(high, only_first, only_second, alpha) < power:
        low, high = high, math.ceil(high * 1.1) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if mcnemar_power(middle, only_first, only_second, alpha) < power:
            low = middle
        else:
            high = middle
    return high


class SamplesNeeded(NamedTuple):
    """Samples needed to see an NFR fall by `difference`; `samples` is None where it cannot fall by that much.

    `removed` is the share of samples on which the adapter removes a flip: `difference` and what it adds (`added`).
    """

    nfr: float
    difference: float
    removed: float
    added: float
    samples: int | None


def samples_needed(
    rates: Sequence[float],
    differences: Sequence[float],
    *,
    added: float = 0.0,
    alpha: float = 0.05,
    power: float = 0.8,
) -> list[SamplesNeeded]:
    """Return `required_samples` for every pair of a present NFR and a wanted difference.

    Args:
        rates: NFR of the plain new version.
        differences: by how much it should fall.
        added: share of samples on which the adapter adds a flip of its own; 0 is the most favourable case.
        alpha: level of the two-sided test.
        power: wished chance to find the difference.

    Raises:
        ConfigError: one of the numbers cannot be; all are named.
    """
    problems = [f"an NFR lies between 0 and 1, not {value:g}" for value in rates if not 0 <= value <= 1]
    problems += [f"a difference lies between 0 and 1, not {value:g}" for value in differences if not 0 < value <= 1]
    problems += [f"the added flips lie between 0 and 1, not {added:g}"] if not 0 <= added <= 1 else []
    names = (("alpha", alpha), ("power", power))
    problems += [f"{name} lies between 0 and 1, not {value:g}" for name, value in names if not 0 < value < 1]
    raise_all(problems, ConfigError, "the number of samples cannot be worked out")
    rows = []
    for nfr in rates:
        for difference in differences:
            removed = difference + added
            # The adapter can remove only flips that are there, and add only where there is none.
            possible = removed <= nfr + 1e-12 and added <= 1 - nfr
            samples = required_samples(removed, added, alpha=alpha, power=power) if possible else None
            rows.append(SamplesNeeded(nfr, difference, removed, added, samples))
    return rows


def connor_samples(only_first: float, only_second: float, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return Connor's approximation of `required_samples`, not rounded.

    Raises:
        ConfigError: as `required_samples`.
    """
    _check_shares(only_first, only_second)
    _check_level("alpha", alpha)
    _check_level("power", power)
    discordant, difference = only_first + only_second, only_first - only_second
    if difference == 0:
        raise ConfigError(
            f"no number of samples shows a difference of 0: both shares of disagreement are {only_first:g}; "
            "name the difference that matters to you"
        )
    z_alpha, z_power = NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)
    root = z_alpha * math.sqrt(discordant) + z_power * math.sqrt(discordant - difference**2)
    return (root / difference) ** 2


def _critical(counts: np.ndarray, alpha: float) -> np.ndarray:
    """Largest k with 2 P(X <= k) <= alpha for X of Binomial(count, 1/2); -1 where there is none."""
    from scipy.special import bdtr

    low, high = np.full(len(counts), -1), counts // 2 + 1  # rejected at low, not at high
    while (high - low > 1).any():
        middle = (low + high) // 2
        small = (middle < 0) | (2 * bdtr(np.maximum(middle, 0), counts, 0.5) <= alpha)
        low, high = np.where(small, middle, low), np.where(small, high, middle)
    return low


def _binomial(counts: np.ndarray, n: int, share: float) -> np.ndarray:
    """Chances of these counts under Binomial(n, share)."""
    from scipy.special import gammaln, xlog1py, xlogy

    choices = gammaln(n + 1) - gammaln(counts + 1) - gammaln(n - counts + 1)
    chances: np.ndarray = np.exp(choices + xlogy(counts, share) + xlog1py(n - counts, -share))
    return chances


def _check_shares(only_first: float, only_second: float) -> None:
    if not (only_first >= 0 and only_second >= 0 and only_first + only_second <= 1):
        raise ConfigError(
            "the shares of samples on which both disagree must be 0 or more and at most 1 together; "
            f"they are {only_first:g} and {only_second:g}"
        )


def _check_level(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ConfigError(f"{name} must lie between 0 and 1; it is {value:g}")
