"""Disk use and deletion on the Library page; and all pages over a workspace that can only be read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from furnished import add_job, furnish
from streamlit.testing.v1 import AppTest

from muscle_core.store import Workspace, list_datasets, list_runs, list_versions
from muscle_core.ui.frame import PAGES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    import streamlit as st

    st.cache_resource.clear()


@pytest.fixture
def furnished(workspace: Workspace, tmp_path: Path) -> Workspace:
    furnish(workspace, tmp_path)
    return workspace


def library() -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run().switch_page("pages/library.py").run()
    assert not app.exception, app.exception
    app.segmented_control(key="tab").set_value("disk").run()
    assert not app.exception, app.exception
    return app


def text(app: AppTest) -> str:
    assert not app.exception, app.exception
    return "\n".join(str(element.value) for element in (*app.markdown, *app.success, *app.warning, *app.error))


def test_disk_use_is_measured_where_it_is_asked_for(furnished: Workspace) -> None:
    app = library()
    tables = len(app.dataframe)
    app.toggle(key="disk_use").set_value(True).run()
    assert not app.exception
    table = app.dataframe[0].value
    assert len(app.dataframe) == tables + 1
    assert {"dataset", "evaluation run", "adapter", "answers", "teacher store", "job"} <= set(table["kind"])


def test_deletion_shows_what_depends_and_needs_a_confirmation(furnished: Workspace) -> None:
    app = library()
    app.selectbox(key="delete_version").set_value("compat").run()
    assert "Depends on it" in text(app)
    assert "compat on choice" in text(app)
    assert app.button(key="delete_now").disabled
    app.checkbox(key="sure_version_compat").check().run()
    assert len(list_versions(furnished)) == 3
    app.button(key="delete_now").click().run()
    assert "Deleted version 'compat'" in text(app).replace("\\", "")
    assert [version.name for version in list_versions(furnished)] == ["old", "new"]
    assert "compat" not in app.selectbox(key="delete_version").options


@pytest.mark.parametrize("kind", ["dataset", "run", "training", "job"])
def test_every_kind_can_be_deleted(furnished: Workspace, kind: str) -> None:
    app = library()
    app.selectbox(key="delete_kind").set_value(kind).run()
    pick = app.selectbox(key=f"delete_{kind}")
    pick.select_index(len(pick.options) - 1).run()
    text(app)
    next(box for box in app.checkbox if str(box.key).startswith("sure_")).check().run()
    app.button(key="delete_now").click().run()
    assert "Deleted" in text(app)
    counts = (len(list_datasets(furnished)), len(list_runs(furnished)), len(list_versions(furnished)))
    assert counts == {"dataset": (1, 3, 3), "run": (2, 2, 3), "training": (2, 2, 2), "job": (2, 3, 3)}[kind]


def test_what_a_job_uses_cannot_be_deleted(furnished: Workspace) -> None:
    add_job(furnished, "e" * 32, "queued", versions=["new"])
    app = library()
    app.selectbox(key="delete_version").set_value("new").run()
    assert "A job uses it" in text(app)
    assert not [button for button in app.button if button.key == "delete_now"]


def test_all_pages_show_a_workspace_that_can_only_be_read(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSCLE_HOME", str(small_disk / "workspace"))
    workspace = Workspace.open()
    furnish(workspace, tmp_path)
    workspace.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    for page in (*PAGES.values(), PAGES["library"]):
        assert not app.exception, app.exception
        # The bases of this workspace are no models, and the preflight of a training says so.
        assert all("This training cannot start" in error.value for error in app.error)
        app = app.switch_page(page.file).run()
    app.segmented_control(key="tab").set_value("disk").run()
    app.selectbox(key="delete_version").set_value("compat").run()
    app.checkbox(key="sure_version_compat").check().run()
    app.button(key="delete_now").click().run()
    assert "how it is mounted" in text(app)
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    app.button(key="delete_now").click().run()  # without a new start of the app
    assert "Deleted version" in text(app)
