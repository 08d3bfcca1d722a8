"""Evaluate and compare through the workspace, with real tiny models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from muscle_core.actions.compare import compare_versions, predictions_of, require_run
from muscle_core.actions.datasets import load_samples
from muscle_core.actions.evaluate import evaluate
from muscle_core.actions.models import add_model_version
from muscle_core.errors import Cancelled, ConfigError, DataError, ModelError, StoreError
from muscle_core.store import Workspace, get_dataset, get_version, list_runs


def test_an_evaluation_scores_every_sample_once(filled: Workspace) -> None:
    run = evaluate(filled, "old", "choice")
    rows = predictions_of(filled, run)
    assert sorted(rows["sample_id"]) == sorted(
        s.id for s in load_samples(filled, get_dataset(filled, "choice"), "test")
    )
    assert run.rows == 30
    assert run.summary["right"] == int(rows["correct"].sum())
    assert (rows["correct"] == (rows["prediction"] == rows["gold"])).all()
    best = rows["choice_loglikelihoods"].map(lambda scores: str(int(np.argmax(scores))))
    assert (best == rows["prediction"]).all()


def test_the_same_evaluation_is_not_repeated(filled: Workspace) -> None:
    first = evaluate(filled, "old", "choice")
    assert evaluate(filled, "old", "choice").id == first.id
    assert evaluate(filled, "old", "choice", limit=30).id == first.id, "a limit of all rows is no limit"
    assert evaluate(filled, "old", "choice", limit=5).id != first.id
    assert len(list_runs(filled)) == 2


def test_no_version_gets_the_answers_of_another(filled: Workspace) -> None:
    runs = [evaluate(filled, name, "choice") for name in ("old", "new")]
    scores = [predictions_of(filled, run).set_index("sample_id")["gold_loglikelihood"] for run in runs]
    assert (scores[0] != scores[1].loc[scores[0].index]).all()


def test_a_stopped_evaluation_leaves_nothing(filled: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muscle_core.scoring.score._CHUNK", 8)
    with pytest.raises(Cancelled):
        evaluate(filled, "old", "choice", should_stop=lambda: True)
    assert list_runs(filled) == []
    assert list(filled.path("predictions").iterdir()) == []


def test_changed_weights_are_refused(filled: Workspace, tmp_path: Path, tiny_bases: dict[str, Path]) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(tiny_bases["old"], copy)
    add_model_version(filled, "moving", str(copy))
    shutil.copy(tiny_bases["new"] / "model.safetensors", copy / "model.safetensors")
    with pytest.raises(ModelError, match="have changed since it was added"):
        evaluate(filled, "moving", "choice")


def test_the_comparison_satisfies_the_identity(filled: Workspace) -> None:
    for name in ("old", "new"):
        evaluate(filled, name, "choice")
    figures = compare_versions(filled, "old", "new", "choice").to_dict()
    json.dumps(figures, allow_nan=False)
    assert figures["n"] == 30
    assert abs(figures["accuracy_new"] - figures["accuracy_old"] - (figures["pfr"] - figures["nfr"])) < 1e-12


def test_a_missing_evaluation_names_the_command(filled: Workspace) -> None:
    with pytest.raises(StoreError, match="python -m muscle_core evaluate old --dataset choice"):
        compare_versions(filled, "old", "new", "choice")


def test_a_version_is_not_compared_with_itself(filled: Workspace) -> None:
    with pytest.raises(ConfigError, match="same version"):
        compare_versions(filled, "old", "old", "choice")


def test_full_runs_come_before_limited_ones(filled: Workspace) -> None:
    full = evaluate(filled, "old", "choice")
    evaluate(filled, "old", "choice", limit=5)
    run = require_run(filled, get_version(filled, "old"), get_dataset(filled, "choice"), "test")
    assert run.id == full.id


def test_bad_requests_are_refused(filled: Workspace) -> None:
    with pytest.raises(StoreError, match="has no split 'dev'"):
        evaluate(filled, "old", "choice", split="dev")
    with pytest.raises(DataError, match="at least 1"):
        evaluate(filled, "old", "choice", limit=0)
    with pytest.raises(StoreError, match="no model version named 'odl'"):
        evaluate(filled, "odl", "choice")
