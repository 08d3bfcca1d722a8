"""Answers are kept: after a crash, for another scoring, for other versions with the same weights; and for no others."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from helpers import choice_rows

from muscle_core.actions.evaluation.evaluate import EvaluationOptions, evaluate
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.actions.library.models import add_model_version
from muscle_core.actions.updates.compare import compare_versions
from muscle_core.errors import ConfigError, StoreError
from muscle_core.models import load
from muscle_core.scoring import answerer
from muscle_core.store import EvaluationRun, Workspace

ROOT = Path(__file__).resolve().parents[3]


def rows_of(workspace: Workspace, run: EvaluationRun) -> list[dict]:
    """All that a run says of its samples, but how long it took."""
    parts = sorted(workspace.path(run.path).glob("*.parquet"))
    rows = [row for part in parts for row in pq.read_table(part).to_pylist()]
    return [{name: value for name, value in row.items() if name != "latency_seconds"} for row in rows]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the samples that a model was really asked."""
    ids: list[str] = []
    original = answerer.SampleAnswerer.__call__

    def counting(self, samples):
        ids.extend(sample.id for sample in samples)
        return original(self, samples)

    monkeypatch.setattr(answerer.SampleAnswerer, "__call__", counting)
    return ids


def test_another_scoring_asks_nothing(filled: Workspace, asked: list[str]) -> None:
    usual = evaluate(filled, "old", "choice")
    assert len(asked) == 30
    other = evaluate(filled, "old", "choice", options=EvaluationOptions(scoring="per_byte"))
    assert len(asked) == 30
    assert other.id != usual.id
    assert (usual.decoding["scoring"], other.decoding["scoring"]) == ("sum", "per_byte")


def test_the_first_samples_are_not_asked_again_by_the_whole_split(filled: Workspace, asked: list[str]) -> None:
    evaluate(filled, "old", "choice", limit=12)
    evaluate(filled, "old", "choice")
    assert sorted(asked) == sorted({row["id"] for row in choice_rows(30)})


def test_another_template_asks_anew(filled: Workspace, asked: list[str]) -> None:
    evaluate(filled, "old", "choice")
    evaluate(filled, "old", "choice", options=EvaluationOptions(template="is {input}"))
    assert len(asked) == 60


def test_another_chat_template_of_the_same_weights_asks_anew(
    filled: Workspace, tmp_path: Path, tiny_bases: dict[str, Path], asked: list[str]
) -> None:
    chat = EvaluationOptions(chat=True)
    runs = []
    for name in ("formal", "short"):
        folder = tmp_path / name
        shutil.copytree(tiny_bases["old"], folder)
        (folder / "chat_template.jinja").write_text(f"{{{{ messages[0]['content'] }}}} {name} is :")
        add_model_version(filled, name, str(folder))
        runs.append(evaluate(filled, name, "choice", options=chat))
    assert len(asked) == 60
    assert rows_of(filled, runs[0]) != rows_of(filled, runs[1])


def test_equal_samples_are_asked_once(filled: Workspace, asked: list[str]) -> None:
    rows = [{key: value for key, value in row.items() if key != "id"} for row in choice_rows(5)] * 2
    add_dataset_rows(filled, "twice", "multiple_choice", {"test": [("here", row) for row in rows]})
    run = evaluate(filled, "old", "twice")
    assert len(asked) == 5
    assert run.rows == 10


def test_equal_weights_share_answers_and_equal_names_do_not(
    filled: Workspace, tmp_path: Path, tiny_bases: dict[str, Path], asked: list[str]
) -> None:
    add_model_version(filled, "twin", str(tiny_bases["old"]))
    runs = [evaluate(filled, name, "choice") for name in ("old", "twin")]
    assert len(asked) == 30
    assert rows_of(filled, runs[0]) == rows_of(filled, runs[1])
    # The same name for other weights, in the same workspace: as after a version was deleted and added anew.
    folder = tmp_path / "moving"
    shutil.copytree(tiny_bases["old"], folder)
    version = add_model_version(filled, "moving", str(folder))
    evaluate(filled, "moving", "choice")
    with filled.writing() as session:
        session.query(EvaluationRun).filter_by(version_id=version.id).delete()
        session.delete(version)
    shutil.rmtree(folder)
    shutil.copytree(tiny_bases["new"], folder)
    add_model_version(filled, "moving", str(folder))
    moved = evaluate(filled, "moving", "choice")
    assert len(asked) == 60
    assert rows_of(filled, moved) == rows_of(filled, evaluate(filled, "new", "choice"))


def test_runs_of_other_settings_are_compared_only_on_demand(filled: Workspace) -> None:
    per_byte = EvaluationOptions(scoring="per_byte")
    evaluate(filled, "old", "choice", options=per_byte)
    evaluate(filled, "new", "choice")
    with pytest.raises(StoreError, match="'old' has not been evaluated"):
        compare_versions(filled, "old", "new", "choice")
    with pytest.raises(StoreError, match=r"'new' has not been evaluated.*--scoring per_byte"):
        compare_versions(filled, "old", "new", "choice", options=per_byte)
    evaluate(filled, "new", "choice", options=per_byte)
    assert compare_versions(filled, "old", "new", "choice", options=per_byte).to_dict()["n"] == 30


def test_bad_options_are_refused_before_anything_is_asked(filled: Workspace, asked: list[str]) -> None:
    with pytest.raises(ConfigError, match="no scoring 'rouge'; known: sum, per_byte"):
        evaluate(filled, "old", "choice", options=EvaluationOptions(scoring="rouge"))
    with pytest.raises(ConfigError, match=r"must hold \{input\} exactly once"):
        evaluate(filled, "old", "choice", options=EvaluationOptions(template="no place"))
    assert asked == []


def test_adapters_of_one_base_load_it_once(
    filled: Workspace, tmp_path: Path, tiny_bases: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft import LoraConfig, get_peft_model

    from muscle_core.models import ModelSpec

    names = ("a", "b", "c")
    for name in names:
        base = load.load_base(ModelSpec(str(tiny_bases["old"])))
        get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)).save_pretrained(
            tmp_path / name
        )
        add_model_version(filled, name, str(tiny_bases["old"]), adapter=str(tmp_path / name))
    load._cached_base.cache_clear()
    loads: list[str] = []
    original = load.load_base
    monkeypatch.setattr(load, "load_base", lambda spec: loads.append(spec.base) or original(spec))
    runs = [evaluate(filled, name, "choice") for name in names]
    assert len(loads) == 1
    assert len({str(rows_of(filled, run)) for run in runs}) == 3


@pytest.mark.parametrize("kills", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_after_kill_9_a_run_goes_on_and_ends_with_the_same_table(
    filled: Workspace, tmp_path: Path, tiny_bases: dict[str, Path], kills: int
) -> None:
    """Kills at random moments; then the table of an uninterrupted run, bit for bit."""
    rows = {"test": [(row["id"], row) for row in choice_rows(3200)]}
    add_dataset_rows(filled, "large", "multiple_choice", rows, template="Question : {input} Answer :")
    command = [sys.executable, "-m", "muscle_core", "evaluate", "old", "--dataset", "large"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    folder = filled.path("answers")

    def shards() -> int:
        return len(list(folder.glob("*/*.parquet"))) if folder.exists() else 0

    generator, killed = random.Random(7), 0
    for _ in range(kills):
        goal = shards() + generator.randint(1, 7)
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, cwd=tmp_path)
        while shards() < goal and process.poll() is None:
            time.sleep(0.002)
        time.sleep(generator.random() * 0.05)
        killed += process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert killed == kills
    before = shards()
    assert kills <= before < 50
    subprocess.run(command, env=environment, check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)
    resumed = rows_of(filled, evaluate(filled, "old", "large"))
    assert shards() > before
    uninterrupted = Workspace.open(tmp_path / "other")
    add_model_version(uninterrupted, "old", str(tiny_bases["old"]), role="old")
    add_dataset_rows(uninterrupted, "large", "multiple_choice", rows, template="Question : {input} Answer :")
    subprocess.run(
        command,
        env={**environment, "MUSCLE_HOME": str(tmp_path / "other")},
        check=True,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    assert resumed == rows_of(uninterrupted, evaluate(uninterrupted, "old", "large"))
    assert len(resumed) == len({row["sample_id"] for row in resumed}) == 3200
