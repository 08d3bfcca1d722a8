"""What broke, in short: its causes, the part that breaks most, and what a compatibility adapter repairs."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from muscle_core.actions.updates.compare import TrainedVariant, trained_variants
from muscle_core.actions.updates.explain import property_name
from muscle_core.comparison import Comparison
from muscle_core.errors import MuscleError
from muscle_core.metrics import Rate
from muscle_core.metrics.text import SIGNIFICANCE_LEVEL, p_text
from muscle_core.store import Workspace
from muscle_core.store.tables import INTERPOLATION
from muscle_core.ui import data
from muscle_core.ui.frame import go, plain, wrapping_columns
from muscle_core.ui.numbers import SCORE_NAMES, percent, with_interval
from muscle_core.ui.picks import Picks
from muscle_core.ui.samples.link import open_samples
from muscle_core.ui.slices import slices_of
from muscle_core.ui.update_report import words

MOST_CAUSES = 3
MINIMUM_SLICE = 30
AT_ONCE = 50_000  # samples; with more, slices are looked for when asked
FLIPS_AT_ONCE = 5_000  # negative flips; of more texts causes are looked for when asked
USUAL_STRATEGY = "token_correctness"
_LOOKED, _FOUND = "report_look_for_slices", "report_find_causes"


def show(workspace: Workspace, chosen: Picks, comparison: Comparison) -> None:
    """Draw the three panels, of which each says where to read on."""
    st.subheader(words.SHORT_TITLE, anchor=False)
    flips = comparison.counts is not None
    columns = wrapping_columns(3 if flips else 2, least=260, key="report_short")
    panels = (_causes, _slice, _adapter) if flips else (_slice, _adapter)
    for number, (column, panel) in enumerate(zip(columns, panels, strict=True)):
        with column.container(border=True, height="stretch", key=f"report_short_{number}"):
            try:
                panel(workspace, chosen, comparison)
            except (MuscleError, OSError) as error:  # the figures above hold without it
                st.warning(plain(str(error)), icon=":material/warning:")


def _causes(workspace: Workspace, chosen: Picks, comparison: Comparison) -> None:
    st.markdown(f"**{words.CAUSES}**")
    assert comparison.counts is not None
    total = comparison.counts.q4
    if not total:
        st.markdown(words.NO_FLIPS)
        return
    versions = (chosen.new, chosen.dataset, chosen.split)
    if total > FLIPS_AT_ONCE and not st.session_state.get(_FOUND) and data.has_texts(workspace, *versions):
        st.caption(words.many_flips(total))
        st.button(words.FIND_CAUSES, icon=":material/search:", width="stretch", on_click=_ask_for, args=(_FOUND,))
        return
    found = data.causes(workspace, chosen.old, chosen.new, chosen.dataset, chosen.split)["flips"]
    if found.empty:
        st.markdown(words.NO_CAUSES)
        return
    for place, (cause, samples) in enumerate(found.head(MOST_CAUSES).items()):
        if st.button(
            plain(words.cause_button(str(cause), int(samples), total)),
            key=f"report_cause_{place}",
            help=words.CAUSE_HELP,
            width="stretch",
        ):
            open_samples({"quadrant": "Q4", "cause": str(cause)})
    rest = found.iloc[MOST_CAUSES:]
    if len(rest):
        st.caption(words.more_causes(len(rest), int(rest.sum()), total))


def _slice(workspace: Workspace, chosen: Picks, comparison: Comparison) -> None:
    st.markdown(f"**{words.WHERE}**")
    if comparison.n > AT_ONCE and not st.session_state.get(_LOOKED):
        st.caption(words.many_samples(comparison.n))
        st.button(words.LOOK_FOR_SLICES, icon=":material/search:", width="stretch", on_click=_ask_for, args=(_LOOKED,))
        return
    table = _slices(workspace, chosen)
    if not table.attrs["tested"]:
        st.markdown(words.NO_SLICES)
        return
    clear = table[table["p_adjusted"] < SIGNIFICANCE_LEVEL]
    if clear.empty:
        st.markdown(words.no_slice(table.attrs["tested"], MINIMUM_SLICE))
        return
    row = clear.sort_values(["p_adjusted", "p", "slice"], kind="stable").iloc[0]
    st.markdown(_slice_text(row, comparison, table.attrs["tested"]))
    where = {"slice": f"{row['column']}={row['value']}"}
    by_flips = comparison.counts is not None
    if st.button(
        words.OPEN_SLICE if by_flips else words.OPEN_SLICE_SAMPLES,
        icon=":material/table_rows:",
        key="report_open_slice",
        width="stretch",
    ):
        open_samples({**({"quadrant": "Q4"} if by_flips else {}), **where})


def _ask_for(what: str) -> None:
    st.session_state[what] = True


def _slice_text(row: pd.Series, comparison: Comparison, tested: int) -> str:
    name = plain(f"{property_name(row['column'])}: {row['value']}")
    p = p_text(row["p_adjusted"])
    if "nfr" in row:
        rate = Rate(row["nfr"], int(row["negative_flips"]), int(row["n"]), row["nfr_low"], row["nfr_high"])
        rest = f"{percent(row['rest_nfr'])} of {int(row['rest_n']):,}"
        return words.slice_breaks(name, with_interval(rate), rest, p, tested)
    loss = (
        f"{row['regression']:.4f} ({int(row['n']):,} samples; 95 % interval {row['regression_low']:.4f}–"
        f"{row['regression_high']:.4f})"
    )
    score = SCORE_NAMES.get(str(comparison.score), str(comparison.score))
    rest = f"{row['rest_regression']:.4f} ({int(row['rest_n']):,})"
    return words.slice_loses(name, plain(score), loss, rest, p, tested)


def _slices(workspace: Workspace, chosen: Picks) -> pd.DataFrame:
    """Every slice by one property; topics are left out, which take longest to find."""
    return slices_of(workspace, chosen.old, chosen.new, chosen.dataset, chosen.split, minimum=MINIMUM_SLICE)


def _adapter(workspace: Workspace, chosen: Picks, comparison: Comparison) -> None:
    st.markdown(f"**{words.ADAPTER}**")
    found = trained_variants(workspace, chosen.old, chosen.new, chosen.dataset, chosen.split)
    trained = [one for one in found if one.training.kind != INTERPOLATION]
    evaluated = [one for one in trained if one.run is not None]
    if not trained:
        st.markdown(words.NO_ADAPTER)
        if st.button(words.TRAIN, icon=":material/model_training:", key="report_train", width="stretch"):
            go("training")
        return
    if not evaluated:
        st.markdown(words.ADAPTER_NOT_EVALUATED)
    elif comparison.counts is None:
        st.markdown(words.adapters_trained(len(evaluated)))
    else:
        _effect(workspace, chosen, evaluated)
    if st.button(words.SEE_MASKING, icon=":material/tune:", key="report_masking", width="stretch"):
        go("masking")


def _effect(workspace: Workspace, chosen: Picks, evaluated: list[TrainedVariant]) -> None:
    usual = [one for one in evaluated if one.training.strategy == USUAL_STRATEGY]
    one = (usual or evaluated)[0]
    effect = data.repair(workspace, chosen.old, chosen.new, one.version, chosen.dataset, chosen.split)
    name = plain(one.version.name)
    repaired = f"{effect.repaired:,} of {effect.flips:,}"
    st.markdown(words.adapter_line(name, repaired, f"{effect.broken:,} of {effect.both_right:,}"))
    st.caption(words.adapter_of(len(evaluated)))
    picks = {"compat": one.version.name}
    for count, text, key, filters in (
        (effect.repaired, words.open_repaired, "report_repaired", {"quadrant": "Q4", "right": one.version.name}),
        (effect.broken, words.open_broken, "report_broken", {"quadrant": "Q1", "wrong": one.version.name}),
    ):
        if count and st.button(text(count), icon=":material/table_rows:", key=key, width="stretch"):
            open_samples(filters, picks)
