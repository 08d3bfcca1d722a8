"""Import outputs that were made elsewhere: synthetic files, and the real Llama-3 update where it is at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset
from muscle_core.actions.updates.compare import compare_versions, predictions_of
from muscle_core.errors import ConfigError, DataError
from muscle_core.interchange import ImportColumns
from muscle_core.store import Workspace, list_runs, list_versions


def test_the_same_file_twice_is_one_run(filled: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "o.csv"
    file.write_text("id,answer,ok\nc0,0,1\nc1,2,0\n")
    columns = ImportColumns(prediction="answer", correct="ok")
    first = import_predictions(filled, "theirs", "choice", file, columns)
    assert import_predictions(filled, "theirs", "choice", file, columns).id == first.id
    assert len(list_runs(filled)) == 1
    assert list(predictions_of(filled, first)["correct"]) == [True, False]


def test_a_bad_file_imports_nothing(filled: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "o.csv"
    file.write_text("id,answer,ok\nc0,0,1\nzz,2,0\nc0,1,1\nc1,1,maybe\n")
    with pytest.raises(DataError) as refusal:
        import_predictions(filled, "theirs", "choice", file, ImportColumns(prediction="answer", correct="ok"))
    for place in ("o.csv:3", "o.csv:4", "o.csv:5"):
        assert place in str(refusal.value)
    assert list_runs(filled) == []
    assert "theirs" not in {v.name for v in list_versions(filled)}


def test_an_unusable_version_name_is_refused_before_the_file_is_read(filled: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not usable"):
        import_predictions(filled, "a b", "choice", tmp_path / "gone.csv", ImportColumns(prediction="answer"))


def test_a_failing_import_leaves_no_files(filled: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "o.csv"
    file.write_text("id,answer\nc0,0\n")
    monkeypatch.setattr("muscle_core.actions.evaluation.runs.summarise", lambda rows: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        import_predictions(filled, "theirs", "choice", file, ImportColumns(prediction="answer"))
    assert list(filled.path("predictions").iterdir()) == []


def test_two_equal_imports_at_once_are_one_run(
    filled: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from muscle_core.actions.imports import outputs

    file = tmp_path / "o.csv"
    file.write_text("id,answer\nc0,0\nc1,cat\n")
    columns = ImportColumns(prediction="answer")
    winners = []

    def write_late(workspace, run, chunks):
        monkeypatch.undo()
        winners.append(import_predictions(Workspace.open(workspace.home), "theirs", "choice", file, columns))
        return outputs.write_run(workspace, run, chunks)

    monkeypatch.setattr(outputs, "write_run", write_late)
    run = import_predictions(filled, "theirs", "choice", file, columns)
    assert [run.id] == [winner.id for winner in winners] == [known.id for known in list_runs(filled)]
    assert [path.name for path in filled.path("predictions").iterdir()] == [run.id]


@pytest.mark.real
def test_the_real_llama_update_has_its_known_flips(workspace: Workspace, real_data: Path) -> None:
    folder = real_data / "gsm8k_llama3_8b_to_3.1_8b"
    add_dataset(workspace, "gsm8k", "math", {"test": folder / "questions.jsonl"})
    for side in ("old", "new"):
        import_predictions(
            workspace,
            f"llama-{side}",
            "gsm8k",
            folder / "scores.csv",
            ImportColumns(prediction=f"{side}_answer", correct=f"{side}_correct", output="output"),
            texts_file=folder / f"{side}.jsonl",
        )
    figures = compare_versions(workspace, "llama-old", "llama-new", "gsm8k").to_dict()
    assert figures["n"] == 1319
    quadrants = figures["quadrants"]
    assert (quadrants["q2"], quadrants["q4"], quadrants["q3"], quadrants["q3_changed"]) == (160, 87, 124, 83)
