"""The table over seeds as people read it, in the terminal and on the page."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

_DASH = "–"


def readable_over_seeds(
    frame: pd.DataFrame, *, time_text: Callable[[float], str] = lambda seconds: f"{seconds:,.0f} s"
) -> pd.DataFrame:
    """Return the columns people compare, as text; brackets hold 95 % intervals over the samples.

    Args:
        frame: result of `muscle_core.actions.over_seeds.compare_over_seeds`.
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
        if _known(row.get("accuracy")):
            cells |= {
                "accuracy": _share(row, "accuracy"),
                "NFR": _share(row, "nfr"),
                "NFR by seed": _by_seed(row, "nfr", 100, " %", ".1f"),
                "NFR change": _change(row, "nfr", 100, " points", "+.1f"),
                "accuracy change": _change(row, "accuracy", 100, " points", "+.1f"),
            }
        if _known(row.get("regression")):
            cells |= {
                f"mean {row['score']}": f"{row['mean_score']:.4f}",
                "regression": f"{row['regression']:.4f} [{row['regression_low']:.4f}, {row['regression_high']:.4f}]",
                "regression by seed": _by_seed(row, "regression", 1, "", ".4f"),
                "regression change": _change(row, "regression", 1, "", "+.4f"),
                "mean score change": _change(row, "score", 1, "", "+.4f"),
            }
        cells |= {
            "starts from": row["initialisation"] or _DASH,
            "tokens aligned to old": f"{row['old_share'] * 100:.1f} %" if _known(row["old_share"]) else _DASH,
            "steps": f"{int(row['steps']):,}" if _known(row["steps"]) else _DASH,
            "training time": time_text(row["seconds"]) if _known(row["seconds"]) else _DASH,
        }
        if frame["differing"].any():
            cells["options that differ"] = row["differing"] or _DASH
        rows.append(cells)
    return pd.DataFrame(rows)


def _known(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _share(row: dict[str, Any], name: str) -> str:
    return f"{row[name] * 100:.1f} % [{row[f'{name}_low'] * 100:.1f}, {row[f'{name}_high'] * 100:.1f}]"


def _by_seed(row: dict[str, Any], name: str, scale: int, unit: str, digits: str) -> str:
    if row["is_plain_new"] or row["seeds"] < 2:
        return _DASH
    low, high = (f"{row[f'{name}_{end}'] * scale:{digits}}" for end in ("min", "max"))
    return f"{low} to {high}{unit}"


def _change(row: dict[str, Any], name: str, scale: int, unit: str, digits: str) -> str:
    if row["is_plain_new"]:
        return _DASH
    value, low, high = (row[f"{name}_change{end}"] * scale for end in ("", "_low", "_high"))
    relative = row.get(f"{name}_relative_change")
    share = f" ({relative * 100:+.0f} %)" if relative is not None and _known(relative) else ""
    return f"{value:{digits}}{unit}{share} [{low:{digits}}, {high:{digits}}]"
