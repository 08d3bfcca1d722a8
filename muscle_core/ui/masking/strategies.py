"""Panels of the Masking page."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from muscle_core.actions.background import submit_evaluation
from muscle_core.actions.compare import TrainedVariant, compare_trained
from muscle_core.actions.over_seeds import compare_over_seeds, group_by_options, old_shares
from muscle_core.comparison.table_text import readable_over_seeds, readable_variants
from muscle_core.compat.config import STRATEGIES
from muscle_core.figures import alignment_chart, smoothing_window, strategy_chart
from muscle_core.store import Workspace
from muscle_core.ui.frame import go, plain, wrapping_columns
from muscle_core.ui.numbers import duration
from muscle_core.ui.picks import Picks
from muscle_core.ui.url import publish, restore

_ROWS, _ONE_BY_ONE, _SEEDS = "rows", "one by one", "over seeds"


def explain() -> None:
    """What the strategies mean."""
    with st.expander("What the strategies do"):
        st.markdown(
            "While the compatibility adapter is trained, each token of the answer follows one of two teachers: the old "
            "or the new version. The strategy decides which.\n\n"
            + "\n".join(f"- **{plain(name)}**: {plain(meaning)}" for name, meaning in STRATEGIES.items())
        )


def show(workspace: Workspace, chosen: Picks, variants: list[TrainedVariant]) -> None:
    """Table and chart of all evaluated variants; offers to evaluate the others."""
    missing = [variant.version.name for variant in variants if variant.run is None]
    if missing:
        st.warning(f"Trained but not evaluated on this split: {plain(', '.join(missing))}.", icon=":material/warning:")
        if st.button("Evaluate them", icon=":material/play_arrow:"):
            submit_evaluation(workspace, missing, chosen.dataset.name, split=chosen.split)
            go("training")
    leaked = [variant.version.name for variant in variants if chosen.split in variant.training.split.split("+")]
    if leaked:
        st.warning(
            f"Trained on the split that is compared here, so their figures are too good: {plain(', '.join(leaked))}.",
            icon=":material/warning:",
        )
    frame = compare_trained(workspace, chosen.old.name, chosen.new.name, chosen.dataset.name, split=chosen.split)
    charted = _over_seeds(workspace, chosen, variants) if _wants_seeds(variants) else _one_by_one(frame)
    st.plotly_chart(
        strategy_chart(charted),
        key="masking_chart",
        config={"displayModeBar": False},
        alt="Negative flip rate against accuracy of each strategy with intervals; the plain new version is a star",
    )
    _alignment(workspace, variants)
    names = [name for name in frame["version"] if name != chosen.new.name]
    if names:
        left, right = wrapping_columns([2, 1], least=150, key="masking_read_columns", align="bottom")
        name = left.selectbox("Read the samples with", names, key="masking_read")
        if right.button("Open samples", icon=":material/table_rows:", width="stretch"):
            go("samples", {"compat": name})


def _wants_seeds(variants: list[TrainedVariant]) -> bool:
    """Offer the view over seeds where a strategy was trained with several, and say whether it is wanted."""
    groups = group_by_options([variant for variant in variants if variant.run is not None])
    if all(len(group.by_seed) < 2 for group in groups):
        return False
    restore(_ROWS, _SEEDS, lambda value: value in (_ONE_BY_ONE, _SEEDS))
    picked = st.segmented_control("Rows", [_SEEDS, _ONE_BY_ONE], key=_ROWS, required=True)
    publish(_ROWS, picked)
    return picked == _SEEDS


def _one_by_one(frame: pd.DataFrame) -> pd.DataFrame:
    """The table of all versions; returns what is charted."""
    st.dataframe(
        readable_variants(frame, time_text=duration),
        hide_index=True,
        height="content",
        alt="One row for the plain new version and for each trained adapter with accuracy and flip rates",
        key="masking_table",
        column_config={"version": st.column_config.TextColumn("version", pinned=True)},
    )
    st.caption(
        "All rates are shares of the samples in column n; brackets hold 95 % intervals. Changes are "
        "against the plain new version on the same samples (paired bootstrap; p from the exact McNemar test; "
        "adjusted: corrected by Benjamini and Hochberg for comparing several variants)."
    )
    return frame.assign(family=frame["strategy"], strategy=frame["label"])


def _over_seeds(workspace: Workspace, chosen: Picks, variants: list[TrainedVariant]) -> pd.DataFrame:
    """The table of strategies, each pooled over its seeds; returns what is charted."""
    frame = compare_over_seeds(
        workspace, chosen.old.name, chosen.new.name, chosen.dataset.name, variants, split=chosen.split
    )
    st.dataframe(
        readable_over_seeds(frame, time_text=duration),
        hide_index=True,
        height="content",
        alt="One row for the plain new version and for each strategy, as the mean over its seeds",
        key="masking_seeds_table",
        column_config={"strategy": st.column_config.TextColumn("strategy", pinned=True)},
    )
    st.caption(
        "Each figure is the mean over the seeds of one strategy with otherwise equal options, on the samples in column "
        "n. Brackets hold 95 % intervals over these samples; changes are against the plain new version, paired sample "
        "by sample (bootstrap; p by sign flips of each sample's change). "
        "An interval does not tell what other seeds would give: see the range by seed. Mixes of "
        "adapters and ensembles have no seed and stand in the other view. Training time is that of one training."
    )
    return frame.assign(family=frame["strategy"], strategy=frame["label"])


def _alignment(workspace: Workspace, variants: list[TrainedVariant]) -> None:
    """The share of tokens that followed the old version, over the steps of each strategy's trainings."""
    shares = _old_shares(
        str(workspace.home), tuple(variant.training.id for variant in variants), workspace, tuple(variants)
    )
    if shares.empty:
        return
    window = smoothing_window(shares)
    st.subheader("Tokens aligned to the old version during training", anchor=False)
    st.plotly_chart(
        alignment_chart(shares, window),
        key="masking_alignment",
        config={"displayModeBar": False},
        alt="Share of answer tokens that follow the old version over the steps of training, one line a strategy",
    )
    smoothed = f"a running mean over {window:,} steps, fewer at both ends" if window > 1 else "not smoothed"
    st.caption(
        f"Share of the answer tokens of each step that follow the old version: {smoothed}; several seeds of a strategy "
        "are averaged. A strategy without teachers (cross\\_entropy) "
        "has no line."
    )


@st.cache_resource(max_entries=8, show_spinner="Reading training logs …")
def _old_shares(
    home: str, trainings: tuple[str, ...], _workspace: Workspace, _variants: tuple[TrainedVariant, ...]
) -> pd.DataFrame:
    return old_shares(_workspace, _variants)
