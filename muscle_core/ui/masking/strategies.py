"""Panels of the Masking page: which strategy to take, chart, table, and the tokens aligned to the old version."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from muscle_core.actions.background.submit import submit_evaluation
from muscle_core.actions.strategies.over_seeds import group_by_options
from muscle_core.actions.updates.compare import EvaluatedEnsemble, TrainedVariant, VersionPair
from muscle_core.comparison.choice import Choice
from muscle_core.comparison.pareto import Measures, pareto
from muscle_core.comparison.table_text import compact_strategies, readable_over_seeds, readable_variants
from muscle_core.compat.config import STRATEGIES
from muscle_core.figures import alignment_chart, limits_of, outside, smoothing_window, strategy_chart
from muscle_core.store import Workspace
from muscle_core.store.tables import INTERPOLATION
from muscle_core.ui.chart import chart
from muscle_core.ui.frame import go, plain, plain_lines, wrapping_columns
from muscle_core.ui.masking import read, words
from muscle_core.ui.masking.read import Compared
from muscle_core.ui.numbers import duration
from muscle_core.ui.picks import Picks
from muscle_core.ui.url import linked_control
from muscle_core.ui.wrapped_table import wrapped_table

_ROWS, _COLUMNS = "rows", "columns"  # URL parameters
_SEEDS, _ONE_BY_ONE = words.ROW_NAMES
_MAIN, _ALL = words.COLUMN_NAMES
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # name the lines of mixes
_MOST_ROWS = 20  # of the table with the main columns; with more it scrolls


def explain() -> None:
    """What the strategies mean."""
    with st.expander(words.MEANINGS):
        st.markdown(
            f"{words.MEANINGS_HEAD}\n\n"
            + "\n".join(f"- **{plain(name)}**: {plain(meaning)}" for name, meaning in STRATEGIES.items())
        )


def show(
    workspace: Workspace, chosen: Picks, variants: list[TrainedVariant], ensemble: EvaluatedEnsemble | None
) -> None:
    """The answer, chart and table of all evaluated variants; offers to evaluate the others."""
    missing = [variant.version.name for variant in variants if variant.run is None]
    if missing:
        st.warning(words.not_evaluated(plain(", ".join(missing))), icon=":material/warning:")
        if st.button(words.EVALUATE_THEM, icon=":material/play_arrow:"):
            submit_evaluation(workspace, missing, chosen.dataset.name, split=chosen.split)
            go("training")
    leaked = [variant.version.name for variant in variants if chosen.split in variant.training.split.split("+")]
    if leaked:
        st.warning(words.leaked(plain(", ".join(leaked))), icon=":material/warning:")
    found = read.compared(
        workspace, VersionPair(chosen.old, chosen.new, chosen.dataset, chosen.split), variants, ensemble
    )
    if found.choice is not None:
        _answer(found, found.choice)
    by_seed = _wants_seeds(variants)
    _chart(found, chosen, by_seed=by_seed)
    _table(found, by_seed=by_seed)
    _read_with(found.versions, chosen.new.name)
    _alignment(workspace, variants)


def _wants_seeds(variants: list[TrainedVariant]) -> bool:
    """Offer the view over seeds where a strategy was trained with several, and say whether it is wanted."""
    groups = group_by_options([variant for variant in variants if variant.run is not None])
    if all(len(group.by_seed) < 2 for group in groups):
        return False
    rows = (_SEEDS, _ONE_BY_ONE)
    return linked_control(words.ROWS, rows, _ROWS, format_func=words.ROW_NAMES.__getitem__) == _SEEDS


def _answer(found: Compared, choice: Choice) -> None:
    """Which strategy to take, in one sentence, and how sure that is."""
    st.subheader(words.ANSWER, anchor=False)
    rows = found.strategies.set_index("label")
    harm, quality = choice.measures.harm, choice.measures.quality
    if choice.name is None:
        st.markdown(words.none_keeps(quality, len(choice.losing)))
        return
    row, before = rows.loc[choice.name], found.strategies.iloc[0]
    change = "accuracy_change" if quality == "accuracy" else "score_change"
    flips = harm == "nfr"
    text = words.best(
        plain(choice.name),
        harm,
        _level(row, harm, flips),
        _number(before[harm], flips),
        quality,
        f"{_number(row[quality], flips)}, {_signed(row, change, flips)}",
        int(row["n"]),
        int(row["seeds"]),
    )
    sure = words.alike([plain(name) for name in choice.alike], len(choice.keeping) - 1, helps=choice.helps)
    st.markdown(f"{text} {sure}")
    st.caption(words.KEEPS_MEANS)


def _chart(found: Compared, chosen: Picks, *, by_seed: bool) -> None:
    """All strategies, mixes and the ensemble; what no other one beats is ringed."""
    st.subheader(words.CHART, anchor=False)
    charted, mixed = _charted(found, by_seed=by_seed)
    points = pd.concat([charted, mixed], ignore_index=True)
    front = pareto(points, found.measures)
    names = [plain(str(name)) for name in points["strategy"]]
    lines = {words.mix_line(letter): one.points for letter, one in zip(_LETTERS, found.fronts, strict=False)}
    limits = limits_of(charted)
    left_out = outside(points, limits)
    wants_all = left_out > 0 and st.toggle(words.SHOW_ALL, key="masking_all_points", help=words.SHOW_ALL_HELP)
    says = words.chart_says(
        [names[place] for place in front.optimal], [names[place] for place in front.unclear], len(points)
    )
    for letter, one in zip(_LETTERS, found.fronts, strict=False):
        says += words.mix_says(letter, plain(one.first), plain(one.second), foreign=one.foreign)
    says += words.outside(left_out) if left_out and not wants_all else ""
    chart(
        strategy_chart(charted, lines, points.iloc[front.optimal], None if wants_all else limits),
        key="masking_chart",
        says=says,
        alt=words.CHART_ALT,
        numbers=_numbers(points, found.measures, front.optimal, front.unclear),
        name=f"strategies-{chosen.dataset.name}-{chosen.old.name}-{chosen.new.name}",
    )


def _charted(found: Compared, *, by_seed: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is drawn as a point of its own, and the mixes, which are points of lines; column `strategy` names them."""
    versions = found.versions.assign(family=found.versions["strategy"], strategy=found.versions["label"])
    is_mix = versions["family"] == INTERPOLATION
    parts = [
        one.points[one.points["strategy"] == INTERPOLATION].assign(
            strategy=[
                words.mix_point(letter, alpha)
                for alpha in one.points.loc[one.points["strategy"] == INTERPOLATION, "alpha"]
            ]
        )
        for letter, one in zip(_LETTERS, found.fronts, strict=False)
    ]
    mixed = pd.concat(parts, ignore_index=True) if parts else versions[is_mix]
    # Neither plain nor trained nor mixed: the ensemble.
    is_ensemble = ~is_mix & versions["initialisation"].isna() & ~versions["is_plain_new"].astype(bool)
    versions.loc[is_ensemble, "strategy"] = words.ENSEMBLE
    if not by_seed:
        return versions[~is_mix], mixed
    strategies = found.strategies.assign(family=found.strategies["strategy"], strategy=found.strategies["label"])
    return pd.concat([strategies, versions[is_ensemble]], ignore_index=True), mixed


def _numbers(
    points: pd.DataFrame, measures: Measures, optimal: list[int], unclear: list[int]
) -> Callable[[], pd.DataFrame]:
    """The table behind the chart."""

    def numbers() -> pd.DataFrame:
        columns = [f"{name}{end}" for name in measures for end in ("", "_low", "_high")]
        frame = points[["strategy", "n", *columns]].copy()
        frame["pareto_optimal"] = [place in optimal for place in range(len(frame))]
        frame["not_told_apart"] = [place in unclear for place in range(len(frame))]
        return frame

    return numbers


def _table(found: Compared, *, by_seed: bool) -> None:
    """The strategies side by side: what decides, or all columns."""
    st.subheader(words.TABLE, anchor=False)
    picked = linked_control(words.COLUMNS, (_MAIN, _ALL), _COLUMNS, format_func=words.COLUMN_NAMES.__getitem__)
    frame = found.strategies if by_seed else found.versions
    if picked == _MAIN:
        compact = compact_strategies(frame).map(lambda cell: plain_lines(str(cell)))
        wrapped_table(
            compact,
            "masking_compact",
            wide=[1],
            alt=words.COMPACT_ALT,
            most_rows=_MOST_ROWS,
            least=120,
            tight=True,
        )
        st.caption(words.compact_note(int(frame["n"].min()), int(frame["n"].max())))
        return
    first = "strategy" if by_seed else "version"
    st.dataframe(
        (readable_over_seeds if by_seed else readable_variants)(frame, time_text=duration),
        hide_index=True,
        height="content",
        alt=words.OVER_SEEDS_ALT if by_seed else words.ONE_BY_ONE_ALT,
        key="masking_seeds_table" if by_seed else "masking_table",
        column_config={first: st.column_config.TextColumn(first, pinned=True)},
    )
    st.caption(words.OVER_SEEDS_NOTE if by_seed else words.ONE_BY_ONE_NOTE)


def _read_with(versions: pd.DataFrame, new: str) -> None:
    names = [name for name in versions["version"] if name != new]
    if names:
        left, right = wrapping_columns([2, 1], least=150, key="masking_read_columns", align="bottom")
        name = left.selectbox(words.READ_WITH, names, key="masking_read")
        if right.button(words.OPEN_SAMPLES, icon=":material/table_rows:", width="stretch"):
            go("samples", {"compat": name})


def _alignment(workspace: Workspace, variants: list[TrainedVariant]) -> None:
    """The share of tokens that followed the old version, over the steps of each strategy's trainings."""
    shares = read.shares(workspace, variants)
    if shares.empty:
        return
    window = smoothing_window(shares)
    st.subheader(words.ALIGNMENT, anchor=False)
    chart(
        alignment_chart(shares, window),
        key="masking_alignment",
        says=words.alignment_says(window),
        alt=words.ALIGNMENT_ALT,
        numbers=lambda: shares,
        name="tokens-aligned-to-old",
    )


def _number(value: float, flips: bool) -> str:
    return f"{value * 100:.1f} %" if flips else f"{value:.4f}"


def _level(row: pd.Series, name: str, flips: bool) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    bounds = f"{low * 100:.1f}, {high * 100:.1f}" if flips else f"{low:.4f}, {high:.4f}"
    return f"{_number(row[name], flips)} \\[{bounds}\\]"


def _signed(row: pd.Series, name: str, flips: bool) -> str:
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if flips:
        return f"{value * 100:+.1f} points \\[{low * 100:+.1f}, {high * 100:+.1f}\\]"
    return f"{value:+.4f} \\[{low:+.4f}, {high:+.4f}\\]"
