"""Evaluate and compare through the workspace, with real tiny models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import choice_rows

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.library.datasets import add_dataset_rows, load_samples
from muscle_core.actions.library.models import add_model_version
from muscle_core.actions.updates.compare import compare_versions, predictions_of, require_run
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


def test_a_stopped_evaluation_leaves_no_run_and_goes_on_later(
    filled: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muscle_core.actions.evaluation.evaluate._SMALLEST_SHARD", 8)
    with pytest.raises(Cancelled, match="stopped after 8 samples"):
        evaluate(filled, "old", "choice", should_stop=lambda: True)
    assert list_runs(filled) == []
    assert not filled.path("predictions").exists()
    reports: list[tuple[int, int]] = []
    evaluate(filled, "old", "choice", report=lambda *counts: reports.append(counts))
    assert reports == [(8, 30), (16, 30), (24, 30), (30, 30)]


def test_changed_weights_are_refused(filled: Workspace, tmp_path: Path, tiny_bases: dict[str, Path]) -> None:
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


def _add_choice(workspace: Workspace, name: str, rows: list[dict], **options: str) -> None:
    placed = {"test": [(row["id"], row) for row in rows]}
    template = options.get("template", "Question : {input} Answer :")
    add_dataset_rows(workspace, name, "multiple_choice", placed, template=template)


def test_the_same_rows_under_two_names_are_two_runs(filled: Workspace) -> None:
    rows = choice_rows(6)
    _add_choice(filled, "one", rows)
    _add_choice(filled, "two", rows[::-1])
    assert get_dataset(filled, "one").fingerprint == get_dataset(filled, "two").fingerprint
    runs = [evaluate(filled, "old", name, limit=3) for name in ("one", "two")]
    assert [run.dataset_id for run in runs] == [get_dataset(filled, name).id for name in ("one", "two")]
    assert set(predictions_of(filled, runs[0])["sample_id"]) == {"c0", "c1", "c2"}
    assert set(predictions_of(filled, runs[1])["sample_id"]) == {"c3", "c4", "c5"}


@pytest.mark.parametrize("damage", ["folder", "part", "bytes"])
def test_a_run_whose_predictions_are_lost_is_made_again(
    filled: Workspace, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr("muscle_core.actions.evaluation.evaluate._SMALLEST_SHARD", 10)
    first = evaluate(filled, "old", "choice")
    folder = filled.path(first.path)
    if damage == "folder":
        shutil.rmtree(folder)
    elif damage == "part":
        (folder / "part-00001.parquet").unlink()
    else:
        (folder / "part-00001.parquet").write_bytes(b"PAR1 not really PAR1")
    again = evaluate(filled, "old", "choice")
    assert again.id != first.id
    assert [run.id for run in list_runs(filled)] == [again.id]
    assert len(predictions_of(filled, again)) == 30
    assert [path.name for path in filled.path("predictions").iterdir()] == [again.id]


def test_a_lost_file_of_a_dataset_is_written_again_only_from_the_same_rows(filled: Workspace) -> None:
    rows = choice_rows(6)
    _add_choice(filled, "d", rows)
    dataset = get_dataset(filled, "d")
    with pytest.raises(ConfigError, match="already a dataset"):
        _add_choice(filled, "d", rows)
    filled.path(dataset.path).write_bytes(b"damaged")
    with pytest.raises(DataError, match="damaged"):
        load_samples(filled, dataset, "test")
    for other in (
        lambda: _add_choice(filled, "d", rows[1:]),
        lambda: _add_choice(filled, "d", rows, template="{input}"),
    ):
        with pytest.raises(ConfigError, match="already a dataset"):
            other()
    _add_choice(filled, "d", rows)
    assert [sample.id for sample in load_samples(filled, dataset, "test")] == [row["id"] for row in rows]
    assert get_dataset(filled, "d").id == dataset.id


def test_a_dataset_that_loses_the_race_for_its_name_leaves_no_file(
    filled: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from muscle_core.actions.library import datasets

    def slow(samples, path):
        monkeypatch.undo()
        _add_choice(Workspace.open(filled.home), "d", choice_rows(4))
        datasets.write_samples(samples, path)

    files = set(filled.path("datasets").iterdir())
    monkeypatch.setattr(datasets, "write_samples", slow)
    monkeypatch.setenv("MUSCLE_HOME", str(filled.home))
    with pytest.raises(ConfigError, match="already a dataset"):
        _add_choice(filled, "d", choice_rows(6))
    winner = get_dataset(filled, "d")
    assert set(filled.path("datasets").iterdir()) - files == {filled.path(winner.path)}
    assert len(load_samples(filled, winner, "test")) == 4


def test_a_changed_tokenizer_is_refused(filled: Workspace, tmp_path: Path, tiny_bases: dict[str, Path]) -> None:
    copy = shutil.copytree(tiny_bases["old"], tmp_path / "copy")
    add_model_version(filled, "moving", str(copy))
    shutil.copy(tiny_bases["foreign"] / "tokenizer.json", copy / "tokenizer.json")
    with pytest.raises(ModelError, match="tokenizer files of 'moving' have changed"):
        evaluate(filled, "moving", "choice")
    assert not filled.path("predictions").exists()


def test_the_run_records_how_answers_were_scored(filled: Workspace) -> None:
    record = evaluate(filled, "old", "choice", limit=2).decoding
    assert (record["method"], record["scoring"]) == ("greedy", "sum")
    assert {"max_new_tokens", "stop"} <= set(record)
