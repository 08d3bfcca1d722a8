"""What a workspace lacks before two versions can be compared: every state between empty and comparable."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from helpers import choice_rows
from typer.testing import CliRunner

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.actions.library.first_steps import (
    ADD_DATASET,
    ADD_VERSIONS,
    EMPTY,
    EVALUATE,
    IMPORT_OUTPUTS,
    SECOND_VERSION,
    NextStep,
    next_step,
)
from muscle_core.actions.library.models import add_model_version, set_parent
from muscle_core.cli import app
from muscle_core.errors import ConfigError, StoreError
from muscle_core.interchange import ImportColumns
from muscle_core.store import Workspace, get_version


def add_rows(workspace: Workspace, name: str = "choice") -> None:
    rows = [(row["id"], row) for row in choice_rows(30)]
    add_dataset_rows(workspace, name, "multiple_choice", {"train": rows[:5], "test": rows}, template="Q : {input} A :")


def add_answers(workspace: Workspace, folder: Path, version: str, dataset: str = "choice") -> None:
    file = folder / f"{version}-{dataset}.json"
    file.write_text(json.dumps([{"id": r["id"], "answer": r["choices"][len(version) % 3]} for r in choice_rows(30)]))
    import_predictions(workspace, version, dataset, file, ImportColumns(prediction="answer"))


def test_nothing_at_all(workspace: Workspace) -> None:
    assert next_step(workspace) == NextStep(EMPTY)


def test_a_dataset_alone(workspace: Workspace) -> None:
    add_rows(workspace)
    assert next_step(workspace) == NextStep(ADD_VERSIONS, "choice", "test")


def test_a_version_alone(workspace: Workspace, tiny_bases: dict[str, Path]) -> None:
    add_model_version(workspace, "one", str(tiny_bases["old"]))
    assert next_step(workspace) == NextStep(ADD_DATASET, versions=("one",))
    add_rows(workspace)
    assert next_step(workspace) == NextStep(SECOND_VERSION, "choice", "test", (), ("one",))


def test_two_versions_that_were_never_asked_and_then_one_of_them(filled: Workspace) -> None:
    assert next_step(filled) == NextStep(EVALUATE, "choice", "test", (), ("old", "new"))
    evaluate(filled, "new", "choice")
    step = next_step(filled)
    assert step == NextStep(EVALUATE, "choice", "test", ("new",), ("old",))
    # The command is one that works as it stands.
    done = CliRunner().invoke(app, shlex.split(step.command.removeprefix("python -m muscle_core ")))
    assert done.exit_code == 0, done.output
    assert next_step(filled) is None


def test_of_three_versions_the_related_one_is_suggested(filled: Workspace, tiny_bases: dict[str, Path]) -> None:
    add_model_version(filled, "later", str(tiny_bases["new"]), parent="new")
    evaluate(filled, "later", "choice")
    assert next_step(filled).versions == ("new",)


def test_outputs_of_one_version_without_weights(workspace: Workspace, tmp_path: Path) -> None:
    add_rows(workspace)
    add_answers(workspace, tmp_path, "alone")
    assert next_step(workspace) == NextStep(SECOND_VERSION, "choice", "test", ("alone",))


def test_outputs_on_different_datasets_have_nothing_in_common(workspace: Workspace, tmp_path: Path) -> None:
    for name in ("first", "second"):
        add_rows(workspace, name)
    add_answers(workspace, tmp_path, "a", "first")
    add_answers(workspace, tmp_path, "b", "second")
    step = next_step(workspace)
    assert step == NextStep(IMPORT_OUTPUTS, "second", "test", ("b",), ("a",))
    assert step.command == "python -m muscle_core runs import a FILE --dataset second --split test"
    add_answers(workspace, tmp_path, "a", "second")
    assert next_step(workspace) is None


@pytest.mark.parametrize("kind", [EMPTY, ADD_VERSIONS, ADD_DATASET, EVALUATE, SECOND_VERSION, IMPORT_OUTPUTS])
def test_every_kind_has_a_command(kind: str) -> None:
    step = NextStep(kind, "data", "test", (), ("one", "two"))
    assert all(line.startswith("python -m muscle_core ") for line in step.command.splitlines())
    assert step.command


def test_a_version_can_be_said_to_follow_another_but_never_itself(workspace: Workspace, tmp_path: Path) -> None:
    add_rows(workspace)
    for name in ("a", "bb", "ccc"):
        add_answers(workspace, tmp_path, name)
    set_parent(workspace, "bb", "a")
    set_parent(workspace, "ccc", "bb")
    assert get_version(workspace, "ccc").parent_id == get_version(workspace, "bb").id
    with pytest.raises(ConfigError, match="it would follow itself, for 'ccc' follows it"):
        set_parent(workspace, "a", "ccc")
    with pytest.raises(ConfigError, match="it would follow itself"):
        set_parent(workspace, "a", "a")
    with pytest.raises(StoreError, match="no model version named 'zzz'"):
        set_parent(workspace, "a", "zzz")
    assert get_version(workspace, "a").parent_id is None
