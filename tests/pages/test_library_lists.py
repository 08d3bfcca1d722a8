"""The Library's lists: search, roles, figures with their counts, and what is shown of the row that the URL names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from furnished import TRAINING, furnish
from streamlit.testing.v1 import AppTest

from muscle_core.actions.background.submit import submit_import
from muscle_core.actions.imports.request import ImportRequest
from muscle_core.interchange import ImportColumns
from muscle_core.jobs import Slots, finish, get_job, leases
from muscle_core.store import Workspace, list_runs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def library_home(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    import streamlit as st

    st.cache_resource.clear()
    for module in ("actions.background.submit", "ui.worker"):
        monkeypatch.setattr(f"muscle_core.{module}.ensure_worker", lambda workspace: None)
    furnish(workspace, tmp_path)
    return workspace


def opened(**parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run().switch_page("pages/library.py")
    for key, value in parameters.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception, app.exception
    return app


def said(app: AppTest) -> str:
    elements = (*app.markdown, *app.success, *app.info, *app.warning, *app.error, *app.caption, *app.code)
    tables = [str(table.value.to_dict("list")) for table in app.table]
    return "\n".join([*(str(element.value) for element in elements), *tables]).replace("\\", "")


def names(app: AppTest, column: str = "name") -> list[str]:
    return list(app.dataframe[0].value[column])


def test_versions_show_names_first_and_results_with_their_counts(library_home: Workspace) -> None:
    app = opened()
    frame = app.dataframe[0].value
    assert list(frame.columns)[:4] == ["name", "role", "right", "counts"]
    assert names(app) == ["old", "new", "compat"]
    by_version = {run.version_id: run.summary for run in list_runs(library_home)}
    for version_id, row in zip(("0" * 32, "1" * 32, "2" * 32), frame.to_dict("records"), strict=True):
        summary = by_version[version_id]
        assert row["right"] == pytest.approx(100 * summary["right"] / summary["judged"])
        assert row["counts"] == f"{summary['right']} of {summary['judged']}"
    assert list(frame["parent"]) == ["–", "old", "new"]
    assert list(frame["made by"])[:2] == ["added", "added"]
    app.selectbox(key="figures_on").set_value("-").run()
    assert "right" not in app.dataframe[0].value


def test_search_and_role_filter_the_versions_and_live_in_the_url(library_home: Workspace) -> None:
    app = opened()
    app.text_input(key="version_search").set_value("NEW").run()
    assert names(app) == ["new", "compat"]  # compat by its parent
    assert app.query_params["version_search"] == "NEW"
    app.segmented_control(key="version_role").set_value("compat").run()
    assert names(app) == ["compat"]
    assert names(opened(version_search="old", version_role="new")) == ["new"]
    assert "No row holds all these words" in said(opened(version_search="nowhere"))


def test_the_picked_version_is_shown_with_all_that_is_known(library_home: Workspace) -> None:
    app = opened(version="compat")
    text = said(app)
    assert "c" * 64 in text  # the fingerprint, as it is, to be copied
    assert f"adapters/{TRAINING}" in text
    assert "Made by" in text
    [parent] = [group for group in app.get("button_group") if group.proto.label == "Parent"]
    assert [option.content for option in parent.proto.options] == ["new"]
    [report] = [button for button in app.button if button.label == "Update report"]
    report.click().run()
    assert app.title[0].value == "Update report"
    assert (app.selectbox(key="old").value, app.selectbox(key="new").value) == ("old", "compat")


def test_a_version_that_is_gone_is_told(library_home: Workspace) -> None:
    app = opened(version="nobody")
    assert "There is no model version nobody" in said(app)
    assert app.selectbox(key="version").value is None


def test_a_training_leads_to_its_version_and_its_dataset(library_home: Workspace) -> None:
    app = opened(tab="trainings", training=TRAINING[:8])
    assert TRAINING in said(app)
    [button] = [button for button in app.button if button.label == "Look at the version"]
    button.click().run()
    assert not app.exception, app.exception
    assert (app.segmented_control(key="tab").value, app.selectbox(key="version").value) == ("versions", "compat")
    assert app.query_params["version"] == "compat"


def test_a_dataset_shows_its_first_samples(library_home: Workspace) -> None:
    app = opened(tab="datasets", library_dataset="choice")
    assert names(app) == ["choice", "unused"]
    assert list(app.dataframe[1].value["id"]) == ["c0", "c1", "c2", "c3", "c4"]
    assert "Fingerprint of the dataset" in said(app)
    app = next(button for button in app.button if button.label.startswith("Delete")).click().run()
    assert not app.exception, app.exception
    assert app.segmented_control(key="tab").value == "disk"
    assert (app.selectbox(key="delete_kind").value, app.selectbox(key="delete_dataset").value) == ("dataset", "choice")


def test_a_run_is_found_by_words_and_shown(library_home: Workspace) -> None:
    key = next(run.id[:8] for run in list_runs(library_home) if run.version_id == "1" * 32)
    app = opened(tab="runs", run=key, run_search="new choice")
    assert names(app, "version") == ["new"]
    assert "Finish reasons" in said(app)
    assert any(button.label == "Samples" for button in app.button)


def test_an_import_in_the_background_is_shown_until_it_is_done(library_home: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "large.jsonl"
    file.write_text(json.dumps({"id": "c0", "answer": "cat"}) + "\n")
    request = ImportRequest(file, version="theirs", dataset="choice", columns=ImportColumns(prediction="answer"))
    job_id = submit_import(library_home, request, uploaded=True).job_id
    app = opened(tab="import")
    assert "Import large.jsonl for theirs on choice (test) · waits for a worker" in said(app)
    job = leases.claim(library_home, "w", "m", Slots(1, 0))
    assert job.id == job_id
    leases.beat(library_home, job_id, job.token, progress={"stage": "reading", "done": 10, "total": 40})
    app = opened(tab="import")
    assert "large.jsonl for theirs on choice (test) · runs" in said(app)
    next(button for button in app.button if button.label == "Cancel").click().run()
    assert get_job(library_home, job_id).state == "cancelling"
    finish(library_home, job_id, job.token, "failed", error="large.jsonl:1: no such choice")
    app = opened(tab="import")
    assert "failed; nothing was written" in said(app)
    assert "large.jsonl:1: no such choice" in said(app)
    assert list(library_home.path("uploads").iterdir()) == []  # the page tidies up after a process that could not
