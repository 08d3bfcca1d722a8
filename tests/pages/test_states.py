"""Every page in every state of a workspace: empty, the demo, large, and broken in many ways. None raises anything."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from benchmarks.pages.workspace import make_workspace
from muscle_core.actions.updates.compare import compare_versions
from muscle_core.store import Workspace
from muscle_core.ui.frame import PAGES

ROOT = Path(__file__).resolve().parents[2]
CHOICE = {"dataset": "demo-choice", "old": "demo-choice-v1", "new": "demo-choice-v2"}
LARGE_ROWS = 200_000


@pytest.fixture(autouse=True)
def _fresh_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit as st

    st.cache_resource.clear()
    for module in ("actions.strategies.ablation", "actions.background.submit", "ui.worker"):
        monkeypatch.setattr(f"muscle_core.{module}.ensure_worker", lambda workspace: None)


def opened(page: str, parameters: dict[str, str] | None = None) -> AppTest:
    """A page as a visitor gets it; whatever it raises fails the test."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    for name, value in (parameters or {}).items():
        app.query_params[name] = value
    app.run()
    if page != next(iter(PAGES)):
        app = app.switch_page(PAGES[page].file).run()
    assert not app.exception, f"{page}: {app.exception[0].message}"
    assert [element.value for element in app.title] == [PAGES[page].title]
    return app


def said(app: AppTest) -> str:
    """What the page says in its error boxes, as the reader sees it."""
    return " ".join(str(element.value) for element in app.error).replace("\\", "")


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_workspace_has_a_way_on_from_every_page(page: str, workspace: Workspace) -> None:
    app = opened(page)
    assert not app.error
    assert "Load the demo" in [button.label for button in app.button]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_the_demo(page: str, demo_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSCLE_HOME", str(demo_home))
    for dataset, task in (("demo-choice", "choice"), ("demo-math", "math"), ("demo-dialogue", "dialogue")):
        picks = {"dataset": dataset, "old": f"demo-{task}-v1", "new": f"demo-{task}-v2"}
        app = opened(page, picks)
        assert not app.error, said(app)
        # Something to look at or to fill in, beside the sidebar's picks.
        assert app.metric or app.dataframe or app.table or app.number_input or app.get("plotly_chart")
        # A file that is there before the click is gone with the next run: an error in a browser that asks for it late.
        assert not [one.proto.label for one in app.get("download_button") if one.proto.url]


@pytest.fixture(scope="module")
def large_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200,000 samples."""
    home = tmp_path_factory.mktemp("large") / "workspace"
    make_workspace(home, LARGE_ROWS).close()
    return home


@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_a_large_comparison(page: str, large_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSCLE_HOME", str(large_home))
    app = opened(page)
    assert not app.error, said(app)
    if page == "update_report":
        workspace = Workspace.open()
        comparison = compare_versions(workspace, "old", "new", "choice")
        workspace.close()
        values = {metric.label: metric.value for metric in app.metric}
        assert values["Negative flip rate (NFR)"] == f"{comparison.nfr.value * 100:.1f} %"
    # No page hands more to the browser than what it shows.
    assert all(len(table.value) < 5_000 for table in app.dataframe)


def _each(folder: Path, change: Callable[[Path], object]) -> None:
    files = [file for file in folder.rglob("*.parquet") if file.is_file()]
    assert files
    for file in files:
        change(file)


def _in_database(home: Path, *statements: str) -> None:
    with sqlite3.connect(home / "muscle.db") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def _no_database(home: Path) -> None:
    for end in ("", "-wal", "-shm"):
        (home / f"muscle.db{end}").unlink(missing_ok=True)
    (home / "muscle.db").write_bytes(b"this is no database at all\n" * 400)


def _overwritten(home: Path) -> None:
    _in_database(home, "PRAGMA wal_checkpoint(TRUNCATE)")
    file = home / "muscle.db"
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"\x5a" * (len(content) - 4096))


def _a_file(home: Path) -> None:
    shutil.rmtree(home)
    home.write_text("no folder")


READING = ("update_report", "samples", "review")  # pages that read predictions
SAMPLES = ("samples", "review")  # pages that cannot do without the inputs
EVERY = tuple(PAGES)
# What is broken; which pages must say so; what they say: what it is, where, and what to do.
BROKEN: dict[str, tuple[Callable[[Path], object], tuple[str, ...], tuple[str, ...]]] = {
    "predictions deleted": (
        lambda home: shutil.rmtree(home / "predictions"),
        READING,
        (
            "the answers of 'demo-",
            "(test)",
            "/predictions/",
            "muscle_core evaluate demo-",
        ),
    ),
    "predictions cut off": (
        lambda home: _each(home / "predictions", lambda file: file.write_bytes(file.read_bytes()[:-200])),
        READING,
        ("are damaged", "/predictions/", "muscle_core evaluate demo-"),
    ),
    "dataset file missing": (
        lambda home: _each(home / "datasets", Path.unlink),
        SAMPLES,
        ("the file of dataset 'demo-choice' is gone", "/datasets/", "Add the dataset again"),
    ),
    "dataset file cut off": (
        lambda home: _each(home / "datasets", lambda file: file.write_bytes(file.read_bytes()[:300])),
        SAMPLES,
        ("are missing or damaged", "/datasets/", "Add the dataset again"),
    ),
    "database of a newer version": (
        lambda home: _in_database(home, "UPDATE alembic_version SET version_num = '9999'"),
        EVERY,
        ("written by a newer version", "muscle.db", "Update the workbench"),
    ),
    "database of an older version": (
        lambda home: _in_database(home, "UPDATE alembic_version SET version_num = '0003'"),
        EVERY,
        ("revision 0003", "muscle.db", "python -m muscle_core workspace migrate"),
    ),
    "no database": (_no_database, EVERY, ("file is not a database", "muscle.db", "restore a backup")),
    "database overwritten": (_overwritten, EVERY, ("malformed", "muscle.db", "restore a backup")),
    "a table is gone": (
        lambda home: _in_database(home, "PRAGMA foreign_keys = OFF", "DROP TABLE evaluation_runs"),
        EVERY,
        ("no such table: evaluation_runs", "muscle.db", "Restore a backup"),
    ),
    "a file in place of the folder": (_a_file, EVERY, ("cannot be made", "Name another folder in MUSCLE_HOME")),
    "adapters gone": (lambda home: shutil.rmtree(home / "adapters", ignore_errors=True), (), ()),
    "job folders gone": (lambda home: shutil.rmtree(home / "jobs", ignore_errors=True), (), ()),
}


@pytest.fixture
def broken(request: pytest.FixtureRequest, demo_home: Path, tmp_path: Path) -> str:
    """Name of what is broken in a copy of the demo."""
    shutil.copytree(demo_home, tmp_path / "workspace")
    BROKEN[request.param][0](tmp_path / "workspace")
    return request.param


@pytest.mark.parametrize("broken", BROKEN, indirect=True)
def test_what_is_broken_is_said_with_place_and_remedy_and_nothing_else_fails(broken: str) -> None:
    import streamlit as st

    _, pages, words = BROKEN[broken]
    for page in PAGES:
        st.cache_resource.clear()
        app = opened(page, CHOICE)
        if page in pages:
            assert app.error, f"{page} says nothing of: {broken}"
        if app.error:
            for word in words:
                assert word in said(app), page
            assert "Traceback" not in said(app)


def test_a_database_that_goes_bad_under_an_open_app_is_told(demo_home: Path, tmp_path: Path) -> None:
    shutil.copytree(demo_home, tmp_path / "workspace")
    for page in PAGES:
        opened(page, CHOICE)
    _in_database(tmp_path / "workspace", "PRAGMA foreign_keys = OFF", "DROP TABLE evaluation_runs")
    app = opened("update_report", CHOICE)
    assert "no such table: evaluation_runs" in said(app)
    assert "start the app again" in said(app)


def test_another_dataset_can_be_picked_where_one_cannot_be_read(demo_home: Path, tmp_path: Path) -> None:
    shutil.copytree(demo_home, tmp_path / "workspace")
    workspace = Workspace.open()
    from muscle_core.store import get_dataset, get_version, runs_of

    [run, *_] = runs_of(
        workspace, get_version(workspace, "demo-choice-v1"), get_dataset(workspace, "demo-choice"), "test"
    )
    shutil.rmtree(workspace.path(run.path))
    workspace.close()
    app = opened("update_report", CHOICE)
    assert "cannot be read" in said(app)
    app.selectbox(key="dataset").select("demo-math").run()
    assert not app.exception
    assert not app.error
    assert any(metric.label == "Negative flip rate (NFR)" for metric in app.metric)
