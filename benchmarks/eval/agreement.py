"""Whether both sides gave the same answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NEAR_TIE = 1e-3  # nats between the best two choices; below it, float32 noise may decide
# torch's float32 log_softmax, which lm-eval uses, is off by 1.55e-5 a token on average and 2.9e-5 at most.
A_TOKEN, A_ROW = 3e-5, 3e-4
_AROUND = 24  # signs shown on both sides of a difference


def compare_choices(
    ours: Sequence[Sequence[float]],
    theirs: Sequence[Sequence[float]],
    tokens: Sequence[Sequence[int]],
    golds: Sequence[int],
) -> dict[str, Any]:
    """Compare log-likelihoods (nats) of every row's choices.

    Args:
        ours: our sums.
        theirs: lm-eval's.
        tokens: number of tokens of every choice.
        golds: number of the right choice of every row.

    Returns:
        Counts, the largest difference, and the rows and choices that stand out.
    """
    other_choice, beyond, near_ties = [], [], 0
    largest, largest_share = 0.0, 0.0
    for row, (one, other, lengths) in enumerate(zip(ours, theirs, tokens, strict=True)):
        margin = min(_margin(one), _margin(other))
        near_ties += margin < NEAR_TIE
        if _best(one) != _best(other):
            other_choice.append(
                {"row": row, "ours": list(one), "theirs": list(other), "near_tie": margin < NEAR_TIE, "margin": margin}
            )
        for number, (mine, yours, length) in enumerate(zip(one, other, lengths, strict=True)):
            difference, allowed = abs(mine - yours), A_TOKEN * length + A_ROW
            largest, largest_share = max(largest, difference), max(largest_share, difference / allowed)
            if not difference <= allowed:
                beyond.append({"row": row, "choice": number, "tokens": length, "ours": mine, "theirs": yours})
    return {
        "rows": len(ours),
        "choices": sum(len(one) for one in ours),
        "same_choice": len(ours) - len(other_choice),
        "other_choice": other_choice,
        "other_choice_without_tie": sum(not row["near_tie"] for row in other_choice),
        "near_ties": near_ties,
        "largest_difference": largest,
        "largest_share_of_allowed": largest_share,
        "beyond_allowed": beyond,
        "accuracy_ours": _accuracy(ours, golds),
        "accuracy_theirs": _accuracy(theirs, golds),
    }


def compare_texts(ours: Sequence[str], theirs: Sequence[str]) -> dict[str, Any]:
    """Compare generated texts, outer white space aside: ours is stripped of it, lm-eval's is not."""
    different = []
    for row, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        one, other = one.strip(), other.strip()
        if one != other:
            shorter = min(len(one), len(other))
            at = next((sign for sign in range(shorter) if one[sign] != other[sign]), shorter)
            part = slice(max(at - _AROUND, 0), at + _AROUND)
            different.append({"row": row, "first_different_sign": at, "ours": one[part], "theirs": other[part]})
    return {"rows": len(ours), "identical": len(ours) - len(different), "different": different}


def _best(values: Sequence[float]) -> int:
    return max(range(len(values)), key=values.__getitem__)


def _margin(values: Sequence[float]) -> float:
    best, second = sorted(values, reverse=True)[:2]
    return best - second


def _accuracy(values: Sequence[Sequence[float]], golds: Sequence[int]) -> float:
    return sum(_best(one) == gold for one, gold in zip(values, golds, strict=True)) / max(len(golds), 1)
