"""Log-likelihood that each version gives to each choice of one sample."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from muscle_core.errors import DataError
from muscle_core.figures import palette
from muscle_core.figures.text import safe, version_label


def choice_bars(
    choices: Sequence[str],
    old_ll: Sequence[float],
    new_ll: Sequence[float],
    gold: int | None,
    *,
    compat_ll: Sequence[float] | None = None,
    old_name: str = "old",
    new_name: str = "new",
    compat_name: str = "compat",
) -> go.Figure:
    """Return bars of log-likelihood per choice, grouped by version; the right one and each pick are marked.

    The shorter the bar, the likelier the choice.

    Args:
        choices: text of each choice.
        old_ll: log-likelihood of each choice under the old version.
        new_ll: the same under the new version.
        gold: index of the right choice, or None if it is not known.
        compat_ll: the same under a compatibility adapter, if there is one.
        old_name: name of the old version.
        new_name: name of the new version.
        compat_name: name of the version with the compatibility adapter.

    Raises:
        DataError: if the numbers do not fit the choices.
    """
    versions = [(old_name, old_ll, palette.OLD, "/"), (new_name, new_ll, palette.NEW, "")]
    if compat_ll is not None:
        versions.append((compat_name, compat_ll, palette.COMPAT, "x"))
    _check(choices, versions, gold)
    figure = go.Figure()
    for name, likelihoods, color, pattern in versions:
        best = _best(likelihoods)
        figure.add_trace(
            go.Bar(
                x=list(likelihoods),
                y=list(range(len(choices))),
                orientation="h",
                name=version_label(name),
                text=[_bar_text(value, index == best) for index, value in enumerate(likelihoods)],
                textposition="outside",
                cliponaxis=False,
                marker={"color": color, "pattern": {"shape": pattern, "solidity": 0.25}},
                hovertemplate="%{fullData.name}: %{text}<extra></extra>",
            )
        )
    labels = [
        f"{index + 1}. {safe(choice, longest=60)}" + (" <b>✓ right answer</b>" if index == gold else "")
        for index, choice in enumerate(choices)
    ]
    figure.update_yaxes(
        tickvals=list(range(len(choices))), ticktext=labels, autorange="reversed", showgrid=False, zeroline=False
    )
    figure.update_xaxes(title="log-likelihood (nearer to 0 is likelier)", range=_axis_range(versions))
    return palette.style(
        figure,
        110 + 26 * len(versions) * len(choices),
        barmode="group",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )


def _check(choices: Sequence[str], versions: Sequence[tuple[str, Sequence[float], str, str]], gold: int | None) -> None:
    if not len(choices):
        raise DataError("this sample has no choices to show")
    for name, likelihoods, _, _ in versions:
        if len(likelihoods) != len(choices):
            raise DataError(
                f"{name} has {len(likelihoods)} log-likelihoods for {len(choices)} choices; "
                "evaluate this version on this dataset again"
            )
    if gold is not None and not 0 <= gold < len(choices):
        raise DataError(f"the right answer is choice {gold}, but the choices are 0 to {len(choices) - 1}")


def _axis_range(versions: Sequence[tuple[str, Sequence[float], str, str]]) -> list[float]:
    """Limits of the axis, with room for the label at the end of the longest bar."""
    known = [value for _, likelihoods, _, _ in versions for value in likelihoods if math.isfinite(value)]
    return [min([*known, -1.0]) * 1.3, max([*known, 0.0]) * 1.3]


def _best(likelihoods: Sequence[float]) -> int | None:
    known = [(value, -index) for index, value in enumerate(likelihoods) if math.isfinite(value)]
    # The first of equal choices is the one a version picks.
    return -max(known)[1] if known else None


def _bar_text(value: float, picked: bool) -> str:
    number = f"{value:.2f}" if math.isfinite(value) else "–"
    return f"{number} ← pick" if picked else number
