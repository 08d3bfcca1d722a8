"""The panel of the Masking page that makes mixes of two adapters and evaluates the ensemble, as background jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from muscle_core.actions.strategies.references import (
    ENSEMBLE_KIND,
    MIX,
    USUAL_SHARES,
    expected_time,
    is_ensemble_there,
    mixes,
    submit_ensemble,
    submit_mixes,
    under_way,
)
from muscle_core.actions.updates.compare import TrainedVariant, VersionPair
from muscle_core.errors import MuscleError
from muscle_core.jobs import Submission
from muscle_core.store import ModelVersion, Workspace
from muscle_core.store.tables import INTERPOLATION
from muscle_core.ui.frame import errors_shown, go, plain, wrapping_columns
from muscle_core.ui.masking import words
from muscle_core.ui.picks import Picks
from muscle_core.ui.training.form import JOB_KEY
from muscle_core.ui.training.start import cannot_train
from muscle_core.ui.url import rerun
from muscle_core.ui.worker import keep_worker

_SHARES = tuple(round(0.05 * number, 2) for number in range(1, 20))


def show(workspace: Workspace, chosen: Picks, variants: Sequence[TrainedVariant]) -> None:
    """Draw the panel."""
    st.subheader(words.REFERENCES, anchor=False)
    problem = cannot_train(chosen)
    if problem:
        st.info(problem, icon=":material/info:")
        return
    st.caption(words.REFERENCES_NOTE)
    pair = VersionPair(chosen.old, chosen.new, chosen.dataset, chosen.split)
    mixed, together = wrapping_columns([3, 2], least=300, key="references")
    with mixed:
        _mixes(workspace, pair, variants)
    with together:
        _ensemble(workspace, pair)


def _mixes(workspace: Workspace, pair: VersionPair, variants: Sequence[TrainedVariant]) -> None:
    if pair.new.adapter is None:
        st.info(words.NO_ADAPTER, icon=":material/info:")
        return
    partners = _partners(pair, variants)
    if not partners:
        st.info(words.NO_PARTNER, icon=":material/info:")
        return
    name = st.selectbox(
        words.MIX_WITH,
        list(partners),
        format_func=lambda one: f"{one} ({words.OTHER_BASE})" if one == pair.old.name else one,
        key=f"mix_with_{pair.new.id}_{pair.dataset.id}",
        help=words.MIX_HELP,
    )
    shares = sorted(
        st.multiselect(words.ALPHAS, _SHARES, USUAL_SHARES, format_func=lambda share: f"{share:g}", key="mix_shares")
    )
    partner = partners[name]
    with errors_shown():
        known = mixes(workspace, pair, partner, pair.new)
    there = [share for share in shares if share in known and known[share].run is not None]
    missing = [share for share in shares if share not in there]
    running = under_way(workspace, pair, MIX)
    if not shares:
        st.caption(words.CHOOSE_ALPHA)
    else:
        st.caption(words.mixes_there(there, missing, expected_time(workspace, pair, len(missing))))
    if (
        st.button(
            words.make_mixes(len(missing)),
            icon=":material/play_arrow:",
            disabled=not missing or running is not None,
            width="stretch",
        )
        and missing
    ):
        _submit(lambda: submit_mixes(workspace, pair, partner.name, pair.new.name, missing, other_base=True))
    _watch(workspace, pair, MIX)


def _partners(pair: VersionPair, variants: Sequence[TrainedVariant]) -> dict[str, ModelVersion]:
    """Versions whose adapter can be mixed with the new one's, what was trained last in front."""
    found = [v.version for v in reversed(variants) if v.training.kind != INTERPOLATION and v.version.adapter]
    return {version.name: version for version in [*found, *([pair.old] if pair.old.adapter else [])]}


def _ensemble(workspace: Workspace, pair: VersionPair) -> None:
    with errors_shown():
        there = is_ensemble_there(workspace, pair)
    running = under_way(workspace, pair, ENSEMBLE_KIND)
    time = expected_time(workspace, pair, 1, both_models=True)
    st.caption(words.ENSEMBLE_THERE if there else words.ensemble_missing(time))
    if st.button(
        words.EVALUATE_ENSEMBLE,
        icon=":material/play_arrow:",
        disabled=there or running is not None,
        width="stretch",
    ):
        _submit(lambda: submit_ensemble(workspace, pair))
    _watch(workspace, pair, ENSEMBLE_KIND)


def _submit(submit: Callable[[], Submission]) -> None:
    try:
        submission = submit()
    except MuscleError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.toast(words.queued(int(submission.is_new)))
    rerun()


def _watch(workspace: Workspace, pair: VersionPair, kind: str) -> None:
    """What is under way; draws the page anew when it has ended."""
    job = under_way(workspace, pair, kind)
    if job is None:
        return
    st.fragment(_state, run_every="2s")(workspace, pair, kind)
    if st.button(words.WATCH_JOB, icon=":material/monitoring:", key=f"watch_{kind}", width="stretch"):
        go("training", {JOB_KEY: job.id[:8]}, afresh=(JOB_KEY,))


def _state(workspace: Workspace, pair: VersionPair, kind: str) -> None:
    job = under_way(workspace, pair, kind)
    if job is None:
        rerun()
    else:
        keep_worker(workspace, job)
        st.caption(words.job_under_way(job.id[:8]))
