"""Rates of an update, from the exact counts of its quadrants.

Formulas: section "Metrics" of the method notes, after arXiv 2407.09435. N is the number of samples that both
versions answered, M1 and M2 are the answers of the old and the new version, y is the right answer.
"""

from __future__ import annotations

from muscle_core.metrics.quadrants import QuadrantCounts
from muscle_core.metrics.rates import Rate, rate


def accuracy_old(counts: QuadrantCounts) -> Rate:
    """Share of samples the old version gets right: (Q1 + Q4) / N.

    Denominator: all samples compared. It does not tell which samples are right, so that two versions of
    equal accuracy may disagree on many of them.
    """
    return rate(counts.q1 + counts.q4, counts.n)


def accuracy_new(counts: QuadrantCounts) -> Rate:
    """Share of samples the new version gets right: (Q1 + Q2) / N.

    Denominator: all samples compared. It does not tell which samples are right: a rise can hide many flips.
    """
    return rate(counts.q1 + counts.q2, counts.n)


def nfr(counts: QuadrantCounts) -> Rate:
    """Negative flip rate: (1/N) sum 1[M1 = y and M2 != y] = Q4 / N.

    Denominator: all samples compared, not only those the old version had right. It does not tell how bad a
    flip is, and it cannot exceed the old accuracy: a weak old version has few flips because it has little
    to lose.
    """
    return rate(counts.q4, counts.n)


def pfr(counts: QuadrantCounts) -> Rate:
    """Positive flip rate: (1/N) sum 1[M1 != y and M2 = y] = Q2 / N.

    Denominator: all samples compared. accuracy(new) - accuracy(old) = PFR - NFR, always. It does not tell
    whether the gains lie where users need them.
    """
    return rate(counts.q2, counts.n)


def nfr_mc(counts: QuadrantCounts) -> Rate:
    """Extended negative flip rate: mean of [M2 != y] and [M1 != M2] = (Q4 + changed half of Q3) / N.

    Denominator: all samples compared. It also counts "both wrong, but differently". Meant for tasks with a
    closed set of answers; with free text nearly every wrong answer differs and the number tells little. It
    does not tell the two parts apart: show Q4 and the changed half of Q3 beside it.
    """
    return rate(counts.q4 + counts.q3_changed, counts.n)


def relative_nfr(counts: QuadrantCounts) -> float | None:
    """NFR against that of two unrelated models: NFR / ((1 - err_old) * err_new) (Yan et al. 2021).

    Denominator: the flips expected if the errors of both versions were independent. 1 means as many flips
    as two unrelated models of these accuracies, below 1 is better. It does not tell how many users are hit,
    and it has no interval here.

    Returns:
        The ratio, or None where it is not defined: the old version has nothing right or the new one nothing
        wrong.
    """
    old_right = counts.q1 + counts.q4
    new_wrong = counts.q3 + counts.q4
    if old_right == 0 or new_wrong == 0:
        return None
    # (q4 / n) / (old_right / n * new_wrong / n), in integers until the one division.
    return counts.q4 * counts.n / (old_right * new_wrong)


def btc(counts: QuadrantCounts) -> Rate:
    """Backward trust compatibility: both right / old right = Q1 / (Q1 + Q4) (Bansal et al. 2019).

    Denominator: samples the old version has right. It does not tell anything about the samples the old
    version had wrong, so the gains of the update do not count.
    """
    return rate(counts.q1, counts.q1 + counts.q4)


def bec(counts: QuadrantCounts) -> Rate:
    """Backward error compatibility: both wrong / new wrong = Q3 / (Q3 + Q4) (Bansal et al. 2019).

    Denominator: errors of the new version; the rate is the share of them that is not new. It does not tell
    how many errors there are: a version with a single, new error has a BEC of 0.
    """
    return rate(counts.q3, counts.q3 + counts.q4)


def inconsistency(counts: QuadrantCounts) -> Rate:
    """Share of the samples wrong in both versions whose answer changed: changed half of Q3 / Q3.

    Denominator: samples both versions get wrong. It does not tell whether the new wrong answer is worse
    than the old one; two missing answers count as unchanged.
    """
    return rate(counts.q3_changed, counts.q3)
