"""Tables of trained variants as people read them, in the terminal and on the page."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeGuard

import pandas as pd

_DASH = "–"
# Scale, unit and digits of a figure.
_SHARE, _POINTS = (100, " %", ".1f"), (100, " points", "+.1f")
_SCORE, _SCORE_CHANGE = (1, "", ".4f"), (1, "", "+.4f")
_Row = dict[str, Any]
_TimeText = Callable[[float], str]


def readable_variants(frame: pd.DataFrame, *, time_text: _TimeText) -> pd.DataFrame:
    """Return the columns people compare, one by one, as text; brackets hold 95 % intervals.

    Args:
        frame: result of `muscle_core.actions.updates.compare.compare_trained`.
        time_text: writes a number of seconds.
    """
    rows = []
    for row in frame.to_dict("records"):
        cells = {
            "version": row["version"],
            "strategy": row["strategy"] or f"{_DASH} (plain new version)",
            "n": f"{int(row['n']):,}",
        }
        if is_known(row.get("accuracy")):
            cells |= {
                "accuracy": _level(row, "accuracy", *_SHARE),
                "NFR": _level(row, "nfr", *_SHARE),
                "NFR_mc": _level(row, "nfr_mc", *_SHARE),
                "NFR change": _with_p(_change(row, "nfr", *_POINTS), row, "nfr"),
                "accuracy change": _with_p(_change(row, "accuracy", *_POINTS), row, "accuracy"),
            }
        if is_known(row.get("regression")):
            cells |= {
                f"mean {row['score']}": f"{row['mean_score']:.4f}",
                "regression": _level(row, "regression", *_SCORE),
                "gain": _level(row, "gain", *_SCORE),
                "regression change": _change(row, "regression", *_SCORE_CHANGE),
            }
        training = _training(row, time_text)
        seed = f"{int(row['seed'])}" if is_known(row["seed"]) else _DASH
        time = training.pop("training time")
        rows.append({**cells, **training, "seed": seed, "training time": time})
    return pd.DataFrame(rows)


def readable_over_seeds(
    frame: pd.DataFrame, *, time_text: _TimeText = lambda seconds: f"{seconds:,.0f} s"
) -> pd.DataFrame:
    """Return the columns people compare, as text; brackets hold 95 % intervals over the samples.

    Args:
        frame: result of `muscle_core.actions.strategies.over_seeds.compare_over_seeds`.
        time_text: writes a number of seconds.
    """
    rows = []
    for row in frame.to_dict("records"):
        plain = bool(row["is_plain_new"])
        cells = {
            "strategy": f"{_DASH} ({row['label']}, plain new version)" if plain else row["label"],
            "seeds": _DASH if plain else row["seed_list"],
            "n": f"{int(row['n']):,}",
        }
        if is_known(row.get("accuracy")):
            cells |= {
                "accuracy": _level(row, "accuracy", *_SHARE),
                "NFR": _level(row, "nfr", *_SHARE),
                "NFR by seed": _by_seed(row, "nfr", *_SHARE),
                "NFR change": _with_p(_change(row, "nfr", *_POINTS), row, "nfr"),
                "accuracy change": _with_p(_change(row, "accuracy", *_POINTS), row, "accuracy"),
            }
        if is_known(row.get("regression")):
            cells |= {
                f"mean {row['score']}": f"{row['mean_score']:.4f}",
                "regression": _level(row, "regression", *_SCORE),
                "regression by seed": _by_seed(row, "regression", *_SCORE),
                "regression change": _change(row, "regression", *_SCORE_CHANGE),
                "mean score change": _change(row, "score", *_SCORE_CHANGE),
            }
        cells |= _training(row, time_text)
        if frame["differing"].any():
            cells["options that differ"] = row["differing"] or _DASH
        rows.append(cells)
    return pd.DataFrame(rows)


def compact_strategies(frame: pd.DataFrame) -> pd.DataFrame:
    """Return what decides between strategies, in few columns of two lines each: figure, and 95 % interval.

    Args:
        frame: result of `muscle_core.actions.updates.compare.compare_trained` or
            `muscle_core.actions.strategies.over_seeds.compare_over_seeds`, both with the name of each row in `label`.

    Returns:
        Text; lines of a cell are separated by a line feed, units stand in the names of the columns.
    """
    rows = []
    for row in frame.to_dict("records"):
        plain = bool(row["is_plain_new"])
        name = f"{row['label']}\nplain new version" if plain else str(row["label"])
        if not plain and row.get("seed_list"):
            name += f"\nseed{'s' if row['seeds'] > 1 else ''} {row['seed_list']}"
        cells = {"strategy": name}
        if is_known(row.get("accuracy")):
            cells |= {
                "NFR, %": _two_lines(row, "nfr", 100, ".1f"),
                "change": _DASH if plain else _two_lines(row, "nfr_change", 100, "+.1f"),
                "accuracy, %": _two_lines(row, "accuracy", 100, ".1f"),
                "change ": _DASH if plain else _two_lines(row, "accuracy_change", 100, "+.1f"),
            }
        elif is_known(row.get("regression")):
            cells |= {
                "regression": _two_lines(row, "regression", 1, ".3f"),
                "change": _DASH if plain else _two_lines(row, "regression_change", 1, "+.3f"),
                f"mean {row['score']}": _two_lines(row, "mean_score", 1, ".3f"),
                "change ": _DASH if plain else _two_lines(row, "score_change", 1, "+.3f"),
            }
        rows.append(cells)
    return pd.DataFrame(rows).fillna(_DASH)


def _two_lines(row: _Row, name: str, scale: int, digits: str) -> str:
    value, low, high = (row.get(f"{name}{end}", math.nan) * scale for end in ("", "_low", "_high"))
    if not math.isfinite(value):
        return _DASH
    return f"{value:{digits}}\n{low:{digits}} to {high:{digits}}"


def is_known(value: Any) -> TypeGuard[float]:
    """Whether a cell of a table holds a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def _training(row: _Row, time_text: _TimeText) -> dict[str, str]:
    """Where a training began, what it followed, and how long it was."""
    return {
        "starts from": row["initialisation"] or _DASH,
        "tokens aligned to old": f"{row['old_share'] * 100:.1f} %" if is_known(row["old_share"]) else _DASH,
        "steps": f"{int(row['steps']):,}" if is_known(row["steps"]) else _DASH,
        "training time": time_text(row["seconds"]) if is_known(row["seconds"]) else _DASH,
    }


def _level(row: _Row, name: str, scale: int, unit: str, digits: str) -> str:
    value, low, high = (row[f"{name}{end}"] * scale for end in ("", "_low", "_high"))
    return f"{value:{digits}}{unit} [{low:{digits}}, {high:{digits}}]"


def _by_seed(row: _Row, name: str, scale: int, unit: str, digits: str) -> str:
    if row["is_plain_new"] or row["seeds"] < 2:
        return _DASH
    low, high = (f"{row[f'{name}_{end}'] * scale:{digits}}" for end in ("min", "max"))
    return f"{low} to {high}{unit}"


def _change(row: _Row, name: str, scale: int, unit: str, digits: str) -> str:
    if row["is_plain_new"] or not is_known(row.get(f"{name}_change")):
        return _DASH
    value, low, high = (row[f"{name}_change{end}"] * scale for end in ("", "_low", "_high"))
    relative = row.get(f"{name}_relative_change")
    share = f" ({relative * 100:+.0f} %)" if is_known(relative) else ""
    return f"{value:{digits}}{unit}{share} [{low:{digits}}, {high:{digits}}]"


def _with_p(text: str, row: _Row, name: str) -> str:
    """The change with its p-value, and the one adjusted for the number of variants where that is another."""
    p, adjusted = row.get(f"{name}_change_p"), row.get(f"{name}_change_p_adjusted")
    if text == _DASH or not is_known(p):
        return text
    more = f" ({adjusted:.2g} adjusted)" if is_known(adjusted) and f"{adjusted:.2g}" != f"{p:.2g}" else ""
    return f"{text}, p = {p:.2g}{more}"
