"""First run: what every page says in a workspace where nothing can be compared yet, and its one next step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import choice_rows
from streamlit.testing.v1 import AppTest

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.interchange import ImportColumns
from muscle_core.jobs import list_jobs
from muscle_core.store import Workspace
from muscle_core.ui import words
from muscle_core.ui.frame import PAGES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _fresh_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit as st

    st.cache_resource.clear()
    # No worker: what is queued stays queued, to be looked at.
    monkeypatch.setattr("muscle_core.actions.background.submit.ensure_worker", lambda workspace: None)
    monkeypatch.setattr("muscle_core.ui.worker.ensure_worker", lambda workspace: None)


def opened(page: str = "update_report") -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    if page != "update_report":
        app = app.switch_page(f"pages/{page}.py").run()
    assert not app.exception, app.exception
    return app


def said(app: AppTest) -> str:
    return "\n".join(str(e.value) for e in (*app.markdown, *app.info, *app.error, *app.caption)).replace("\\", "")


def click(app: AppTest, label: str) -> AppTest:
    [button] = [button for button in app.button if button.label == label]
    app = button.click().run()
    assert not app.exception, app.exception
    return app


def with_answers(workspace: Workspace, folder: Path, version: str, dataset: str) -> None:
    file = folder / f"{version}.json"
    file.write_text(json.dumps([{"id": r["id"], "answer": r["choices"][len(version) % 3]} for r in choice_rows(30)]))
    import_predictions(workspace, version, dataset, file, ImportColumns(prediction="answer"))


def with_dataset(workspace: Workspace, name: str) -> None:
    rows = [(row["id"], row) for row in choice_rows(30)]
    add_dataset_rows(workspace, name, "multiple_choice", {"test": rows})


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_workspace_says_what_the_page_is_for_and_what_to_do(page: str, workspace: Workspace) -> None:
    app = opened(page)
    assert words.PURPOSES[page] in said(app)
    assert "This workspace is empty" in said(app)
    assert {"Load the demo", "Import your own"} - {"Import your own" if page == "library" else ""} <= {
        button.label for button in app.button
    }
    assert not app.error


def test_every_page_has_a_purpose_of_its_own() -> None:
    texts = [words.PURPOSES[page] for page in PAGES]
    assert len(set(texts)) == len(PAGES)
    assert all(1 <= text.count(". ") + 1 <= 2 for text in texts)


def test_import_your_own_leads_to_the_import(workspace: Workspace) -> None:
    app = click(opened("samples"), "Import your own")
    assert app.title[0].value == "Library"
    assert app.segmented_control(key="tab").value == "import"
    assert app.file_uploader[0].label == "File with the answers"


def test_a_dataset_alone(workspace: Workspace) -> None:
    with_dataset(workspace, "questions")
    app = opened("masking")
    assert "The dataset questions is here, but no model version has answered it" in said(app)
    assert click(app, "Add a model version").segmented_control(key="tab").value == "versions"


def test_two_versions_with_weights_are_evaluated_by_one_click(filled: Workspace) -> None:
    app = opened("update_report")
    assert "old, new have not answered choice (test) yet" in said(app)
    assert any("evaluate old new --dataset choice --split test" in code.value for code in app.code)
    app = click(app, "Evaluate them")
    [job] = list_jobs(filled)
    assert (job.kind, job.payload["versions"], job.payload["dataset"]) == ("evaluate", ["old", "new"], "choice")
    # While it is under way: progress, and nothing to click a second time.
    assert [button.label for button in app.button] == []


def test_the_version_that_is_missing_is_named(filled: Workspace) -> None:
    evaluate(filled, "new", "choice")
    app = opened("review")
    assert "new has answered choice (test); old has not" in said(app)
    click(app, "Evaluate it")
    assert list_jobs(filled)[0].payload["versions"] == ["old"]


def test_outputs_alone_need_those_of_a_second_version(workspace: Workspace, tmp_path: Path) -> None:
    with_dataset(workspace, "questions")
    with_answers(workspace, tmp_path, "mine", "questions")
    app = opened("training")
    assert "mine has answered questions (test), and there is no second version" in said(app)
    assert click(app, "Import your own").segmented_control(key="tab").value == "import"


def test_runs_on_different_datasets_are_told_apart(workspace: Workspace, tmp_path: Path) -> None:
    for name, version in (("first", "a"), ("second", "bb")):
        with_dataset(workspace, name)
        with_answers(workspace, tmp_path, version, name)
    text = said(opened("update_report"))
    assert "bb has answered second (test), but a has only answered other datasets" in text
    assert "import what it answered on second (test)" in text


def test_names_from_data_are_not_interpreted(filled: Workspace) -> None:
    with_dataset(filled, "a_b_c")
    app = opened("update_report")
    assert not any("<em>" in str(element.value) for element in app.info)
    assert "a_b_c" not in said(app)  # the first dataset is suggested


def test_a_failed_job_is_told_with_its_reason(filled: Workspace) -> None:
    app = click(opened("update_report"), "Evaluate them")
    [job] = list_jobs(filled)
    with filled.writing() as session:
        found = session.merge(job)
        found.state, found.error = "failed", "the folder /models/old is gone"
    app = opened("update_report")
    assert "has failed: the folder /models/old is gone" in said(app)
    assert "Evaluate them" in [button.label for button in app.button]


def test_a_cancelled_demo_can_be_loaded_again(workspace: Workspace) -> None:
    click(opened("update_report"), "Load the demo")
    [job] = list_jobs(workspace)
    assert job.kind == "load_demo"
    with workspace.writing() as session:
        session.merge(job).state = "cancelled"
    app = opened("samples")
    assert "Loading the demo was cancelled" in said(app)
    assert "Load the demo" in [button.label for button in app.button]
