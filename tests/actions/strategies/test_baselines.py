"""Mixes of adapters, the ensemble of both versions, and the token view, through the workspace and the commands."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import choice_rows, save_random_adapter

from muscle_core import cli
from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.evaluation.question import EvaluationOptions
from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.actions.library.models import add_model_version
from muscle_core.actions.strategies import ensemble as ensemble_action
from muscle_core.actions.strategies.ensemble import ENSEMBLE_LABEL, ensemble_of, evaluate_ensemble
from muscle_core.actions.strategies.interpolate import interpolate_versions, sweep
from muscle_core.actions.strategies.token_view import view_tokens
from muscle_core.actions.updates.compare import compare_trained, compare_versions, trained_variants
from muscle_core.compat import STRATEGIES
from muscle_core.errors import Cancelled, ConfigError, DataError, ModelError, StoreError
from muscle_core.interchange import ImportColumns
from muscle_core.store import (
    TrainingRun,
    Workspace,
    get_dataset,
    get_version,
    list_runs,
    list_training_runs,
    list_versions,
    read_predictions,
)

TRIPLE = ("task-old", "task-new", "choice")


@pytest.fixture
def tuned(filled: Workspace, tiny_bases: dict[str, Path], tmp_path: Path) -> Workspace:
    """Versions with random adapters: `task-old` on the old base, `task-new` and `compat` on the new one."""
    for seed, (name, base) in enumerate((("task-old", "old"), ("task-new", "new"), ("compat", "new"))):
        folder = save_random_adapter(tmp_path / name, tiny_bases[base], seed, r=2 + seed)
        add_model_version(filled, name, str(tiny_bases[base]), adapter=str(folder), role=base)
    return filled


def predictions(workspace: Workspace, run) -> list[list[float]]:
    frame = read_predictions(workspace.path(run.path)).set_index("sample_id").sort_index()
    return [list(values) for values in frame["choice_loglikelihoods"]]


def snapshot(workspace: Workspace) -> tuple:
    names = sorted(v.name for v in list_versions(workspace))
    folder = workspace.path("adapters")
    adapters = sorted(folder.iterdir()) if folder.exists() else []
    return names, len(list_training_runs(workspace)), len(list_runs(workspace)), adapters


# --- interpolation ---


def test_a_sweep_makes_evaluates_and_compares_mixes_once(tuned: Workspace) -> None:
    for name in ("task-old", "task-new", "compat"):
        evaluate(tuned, name, "choice")
    found = sweep(tuned, *TRIPLE, "task-new", "compat", shares=(0.25, 1.0, 0.25))
    assert [version.name for version, _ in found] == ["task-new-interpolation-0.25", "task-new-interpolation-1"]
    for version, run in found:
        assert (version.role, version.parent_id) == ("compat", get_version(tuned, "task-new").id)
        assert run.rows == 30
    end = list_runs(tuned)
    compat = next(run for run in end if run.version_id == get_version(tuned, "compat").id)
    assert np.allclose(predictions(tuned, found[1][1]), predictions(tuned, compat), atol=1e-4)
    assert not np.allclose(predictions(tuned, found[0][1]), predictions(tuned, compat), atol=1e-2)
    table = compare_trained(tuned, *TRIPLE)
    assert list(table["version"]) == ["task-new", *[version.name for version, _ in found]]
    assert list(table["strategy"][1:]) == ["interpolation", "interpolation"]
    assert table["label"][1] == "interpolation: 75 % task-new, 25 % compat"
    assert [table[column][1] for column in ("seed", "steps", "old_share", "initialisation")] == [None] * 4
    assert table["seconds"][1] > 0
    before = snapshot(tuned)
    again = sweep(tuned, *TRIPLE, "task-new", "compat", shares=(0.25, 1.0))
    assert [(v.id, r.id) for v, r in again] == [(v.id, r.id) for v, r in found]
    assert snapshot(tuned) == before


def test_a_mix_records_what_it_was_made_of(tuned: Workspace) -> None:
    version = interpolate_versions(tuned, *TRIPLE, "task-new", "compat", 0.5, name="half")
    [record] = list_training_runs(tuned)
    assert (record.kind, record.strategy, record.result_version_id) == ("interpolation", "interpolation", version.id)
    first, second = (get_version(tuned, name) for name in ("task-new", "compat"))
    assert record.options == {
        "first": first.id,
        "second": second.id,
        "share": 0.5,
        "first_name": "task-new",
        "second_name": "compat",
        "from_another_base": [],
    }
    assert record.made_by["second_fingerprint"] == second.fingerprint
    assert record.split == ""
    assert version.base_fingerprint == first.base_fingerprint
    assert version.adapter == f"adapters/{record.id}"
    assert interpolate_versions(tuned, *TRIPLE, "task-new", "compat", 0.5).name == "half"


def test_the_old_versions_own_adapter_is_mixed_where_asked_for(tuned: Workspace) -> None:
    before = snapshot(tuned)
    with pytest.raises(ModelError, match="trained on another base"):
        interpolate_versions(tuned, *TRIPLE, "task-old", "task-new", 0.5)
    assert snapshot(tuned) == before
    version = interpolate_versions(tuned, *TRIPLE, "task-old", "task-new", 0.5, other_base=True)
    [record] = list_training_runs(tuned)
    assert record.options["from_another_base"] == ["task-old"]
    assert version.base_fingerprint == get_version(tuned, "new").base_fingerprint


def test_a_mix_is_not_judged_by_what_its_parts_were_trained_on(tuned: Workspace) -> None:
    dataset, compat = get_dataset(tuned, "choice"), get_version(tuned, "compat")
    with tuned.writing() as session:
        session.add(
            TrainingRun(
                kind="task", seed=0, options={}, dataset_id=dataset.id, split="train", result_version_id=compat.id,
                metrics_path="", summary={},
            )
        )  # fmt: skip
    with pytest.raises(ConfigError, match="Train on another split"):
        sweep(tuned, *TRIPLE, "task-new", "compat", split="train")
    interpolate_versions(tuned, *TRIPLE, "task-new", "compat", 0.5)
    assert next(run for run in list_training_runs(tuned) if run.kind == "interpolation").split == "train"


def test_mixes_that_cannot_be_made_are_refused_and_nothing_is_written(tuned: Workspace) -> None:
    before = snapshot(tuned)
    parts = ("task-new", "compat")
    for arguments, options, error, words in (
        ((*TRIPLE, *parts, 1.5), {}, ConfigError, "from 0 to 1"),
        ((*TRIPLE, "task-new", "nobody", 0.5), {}, StoreError, "no model version named 'nobody'"),
        ((*TRIPLE, "task-new", "new", 0.5), {}, ModelError, "'new' is a plain base"),
        ((*TRIPLE, "compat", "compat", 0.5), {}, ModelError, "same version, 'compat'"),
        (("task-old", "task-new", "none", *parts, 0.5), {}, StoreError, "no dataset named"),
        (("task-new", "task-new", "choice", *parts, 0.5), {}, ModelError, "same version"),
        ((*TRIPLE, *parts, 0.5), {"name": "old"}, ConfigError, "already a model version"),
    ):
        with pytest.raises(error, match=words):
            interpolate_versions(tuned, *arguments, **options)
    with pytest.raises(ConfigError, match="at least one share"):
        sweep(tuned, *TRIPLE, *parts, shares=())
    with pytest.raises(ConfigError, match="from 0 to 1"):
        sweep(tuned, *TRIPLE, *parts, shares=(0.5, 2.0))
    assert snapshot(tuned) == before


# --- ensemble ---


def test_the_ensemble_is_evaluated_compared_and_kept(tuned: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = (evaluate(tuned, name, "choice") for name in ("task-old", "task-new"))
    assert ENSEMBLE_LABEL not in set(compare_trained(tuned, *TRIPLE)["label"])
    run = evaluate_ensemble(tuned, *TRIPLE)
    version = ensemble_of(tuned, get_version(tuned, "task-old"), get_version(tuned, "task-new"))
    assert version is not None
    assert (version.name, version.role, version.base) == ("task-old-task-new-ensemble", "ensemble", None)
    assert [member["name"] for member in version.made_by["ensemble_of"]] == ["task-old", "task-new"]
    tokens = [
        read_predictions(tuned.path(one.path), ["sample_id", "token_loglikelihoods"])
        .sort_values("sample_id")["token_loglikelihoods"]
        .tolist()
        for one in (old, new)
    ]
    mixed = [
        [
            sum(math.log((math.exp(p) + math.exp(q)) / 2) for p, q in zip(*choice, strict=True))
            for choice in zip(*rows, strict=True)
        ]
        for rows in zip(*tokens, strict=True)
    ]
    assert np.allclose(predictions(tuned, run), mixed, atol=1e-4)
    table = compare_trained(tuned, *TRIPLE)
    assert list(table["version"]) == ["task-new", version.name]
    assert list(table["label"]) == ["task-new", ENSEMBLE_LABEL]
    assert table["strategy"][1] == ENSEMBLE_LABEL
    assert compare_versions(tuned, "task-old", version.name, "choice").n == 30
    monkeypatch.setattr(ensemble_action, "answer", lambda *args, **options: pytest.fail("asked again"))
    assert evaluate_ensemble(tuned, *TRIPLE).id == run.id


def test_kept_answers_of_an_ensemble_are_judged_anew_and_limits_are_runs_of_their_own(tuned: Workspace) -> None:
    first = evaluate_ensemble(tuned, *TRIPLE, limit=5)
    assert first.rows == 5
    whole = evaluate_ensemble(tuned, *TRIPLE, limit=30)
    assert whole.row_limit is None
    by_byte = evaluate_ensemble(tuned, *TRIPLE, options=EvaluationOptions(scoring="per_byte"))
    assert len({first.id, whole.id, by_byte.id}) == 3
    assert len({first.version_id, whole.version_id, by_byte.version_id}) == 1
    assert len(list(tuned.path("answers").iterdir())) == 1


def test_a_generating_task_is_answered_by_both(tuned: Workspace) -> None:
    rows = [(row["id"], {"id": row["id"], "question": row["question"], "answer": "#### 3"}) for row in choice_rows(4)]
    add_dataset_rows(tuned, "sums", "math", {"test": rows}, max_new_tokens=4)
    run = evaluate_ensemble(tuned, "task-old", "task-new", "sums")
    assert run.rows == 4
    assert set(run.summary["finish_reasons"]) <= {"stop", "length"}


def test_a_stopped_ensemble_leaves_no_version_and_goes_on_later(
    tuned: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muscle_core.actions.evaluation.evaluate._SMALLEST_SHARD", 8)
    before = snapshot(tuned)
    with pytest.raises(Cancelled, match="stopped after 8 samples"):
        evaluate_ensemble(tuned, *TRIPLE, should_stop=lambda: True)
    assert snapshot(tuned) == before
    done: list[int] = []
    evaluate_ensemble(tuned, *TRIPLE, report=lambda count, total: done.append(count))
    assert done[0] == 8


def test_an_ensemble_has_no_weights_of_its_own(tuned: Workspace) -> None:
    evaluate_ensemble(tuned, *TRIPLE, limit=2)
    for use in (
        lambda: evaluate(tuned, "task-old-task-new-ensemble", "choice"),
        lambda: evaluate_ensemble(tuned, "task-old", "task-old-task-new-ensemble", "choice"),
        lambda: interpolate_versions(tuned, *TRIPLE, "task-new", "task-old-task-new-ensemble", 0.5),
        lambda: view_tokens(tuned, *TRIPLE, ["c0"], compat_name="task-old-task-new-ensemble"),
    ):
        with pytest.raises(ModelError, match="stands for two versions"):
            use()
    with pytest.raises(ConfigError, match="role must be one of"):
        add_model_version(tuned, "x", get_version(tuned, "new").base, role="ensemble")


def test_pairs_that_are_no_ensemble_are_refused(tuned: Workspace, tiny_bases: dict[str, Path], tmp_path: Path) -> None:
    add_model_version(tuned, "foreign", str(tiny_bases["foreign"]))
    file = tmp_path / "outputs.csv"
    file.write_text("id,answer\nc0,1\n")
    import_predictions(tuned, "outputs-only", "choice", file, ImportColumns(prediction="answer"))
    before = snapshot(tuned)
    for pair, error, words in (
        (("task-old", "task-old"), ModelError, "same version"),
        (("task-old", "foreign"), ModelError, "tokenizers of 'task-old' and 'foreign' differ"),
        (("outputs-only", "task-new"), ModelError, "imported outputs only"),
        (("task-old", "nobody"), StoreError, "no model version"),
    ):
        with pytest.raises(error, match=words):
            evaluate_ensemble(tuned, *pair, "choice")
    with pytest.raises(StoreError, match="no split"):
        evaluate_ensemble(tuned, *TRIPLE, split="dev")
    with pytest.raises(ModelError, match="no chat template"):
        evaluate_ensemble(tuned, *TRIPLE, options=EvaluationOptions(chat=True))
    (tmp_path / "task-new" / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="have changed since"):
        evaluate_ensemble(tuned, *TRIPLE)
    assert snapshot(tuned) == before


# --- token view ---


def test_the_tokens_of_samples_are_shown_in_the_order_asked_for(tuned: Workspace) -> None:
    views = view_tokens(tuned, *TRIPLE, ["c4", "c0"], compat_name="compat")
    assert ["".join(view.text) for view in views] == [
        f" {row['choices'][row['answer']]}<eos>" for row in (choice_rows(5)[4], choice_rows(1)[0])
    ]
    [alone] = view_tokens(tuned, *TRIPLE, ["c0"])
    assert alone.models["student"] == alone.models["new"]
    assert alone.models["old"].gold_loglikelihood == pytest.approx(views[1].models["old"].gold_loglikelihood, abs=1e-4)
    assert views[1].models["student"].gold_loglikelihood != alone.models["student"].gold_loglikelihood
    assert set(alone.follows) == set(STRATEGIES)
    # The first token of the answer is what the evaluation scores too.
    run = evaluate(tuned, "task-old", "choice")
    row = read_predictions(tuned.path(run.path)).set_index("sample_id").loc["c0"]
    assert alone.models["old"].gold_loglikelihood[0] == pytest.approx(row["gold_loglikelihood"], abs=1e-4)


def test_samples_and_versions_that_cannot_be_shown_are_refused(tuned: Workspace, tiny_bases: dict[str, Path]) -> None:
    add_model_version(tuned, "foreign", str(tiny_bases["foreign"]))
    with pytest.raises(StoreError, match=r"(?s)'choice' \(test\).*no sample 'c99'; did you mean 'c9'.*no sample '-'"):
        view_tokens(tuned, *TRIPLE, ["c99", "c0", "-"])
    with pytest.raises(StoreError, match="no split"):
        view_tokens(tuned, *TRIPLE, ["c0"], split="dev")
    with pytest.raises(ModelError, match="tokenizers of 'task-new' and 'foreign' differ"):
        view_tokens(tuned, *TRIPLE, ["c0"], compat_name="foreign")
    with pytest.raises(ModelError, match="tokenizers"):
        view_tokens(tuned, "foreign", "task-new", "choice", ["c0"])
    rows = [
        ("bare", {"id": "bare", "prompt": "the cat"}),
        ("long", {"id": "long", "prompt": "cat " * 300, "response": "x"}),
    ]
    add_dataset_rows(tuned, "free", "instruction", {"test": rows})
    with pytest.raises(DataError, match="no reference answer"):
        view_tokens(tuned, "task-old", "task-new", "free", ["bare"])
    with pytest.raises(DataError, match="256 tokens"):
        view_tokens(tuned, "task-old", "task-new", "free", ["long"])


# --- commands ---


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["muscle_core", *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_the_commands(tuned: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pair = ["--old", "task-old", "--new", "task-new", "-d", "choice"]
    assert run_command(monkeypatch, "evaluate", "task-old", "task-new", "-d", "choice") == 0
    assert run_command(monkeypatch, "train", "interpolate", "task-new", "compat", *pair, "--share", "0.4") == 0
    assert "task-new-interpolation-0.4 on choice (test): " in capsys.readouterr().out
    assert run_command(monkeypatch, "ensemble", *TRIPLE[:2], "-d", "choice") == 0
    assert f"{ENSEMBLE_LABEL} on choice (test): " in capsys.readouterr().out
    assert run_command(monkeypatch, "masking", *TRIPLE[:2], "-d", "choice") == 0
    table = capsys.readouterr().out
    assert "interpolation: 60 % task-new, 40 % compat" in table
    assert ENSEMBLE_LABEL in table
    tokens = ["tokens", *TRIPLE[:2], "-d", "choice", "--sample", "c0", "--sample", "c2", "--compat", "compat"]
    assert run_command(monkeypatch, *tokens) == 0
    shown = capsys.readouterr().out
    assert shown.count("<eos>") >= 2
    assert "' cat'" in shown
    assert "old+gold" in shown
    assert run_command(monkeypatch, "models", "list") == 0
    assert "(two versions)" in capsys.readouterr().out
    assert run_command(monkeypatch, "tokens", *TRIPLE[:2], "-d", "choice", "--sample", "zz") == 2
    assert "error: the tokens of samples of 'choice' (test) cannot be shown" in capsys.readouterr().err
    assert run_command(monkeypatch, "train", "interpolate", "task-new", "compat", *pair, "--share", "7") == 2
    assert "from 0 to 1" in capsys.readouterr().err
    variants = trained_variants(
        tuned, get_version(tuned, "task-old"), get_version(tuned, "task-new"), get_dataset(tuned, "choice")
    )
    assert [variant.training.kind for variant in variants] == ["interpolation"]
