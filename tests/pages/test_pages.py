"""Every page by AppTest, started from app.py: with an empty workspace, and with a small real one."""

from __future__ import annotations

from pathlib import Path

import pytest
from built import FilledAnd, evaluated_pair
from helpers import FAST
from streamlit.testing.v1 import AppTest

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.training.train import train_compat
from muscle_core.compat.config import CompatConfig
from muscle_core.store import Workspace, get_dataset, get_version

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("update_report", "samples", "flips", "review", "masking", "training", "library")


def opened(page: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    if page != "update_report":
        app = app.switch_page(f"pages/{page}.py").run()
    assert not app.exception, app.exception
    return app


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    import streamlit as st

    st.cache_resource.clear()


def _small(workspace: Workspace) -> None:
    evaluated_pair(workspace)
    version = train_compat(workspace, "task-old", "task-new", "choice", CompatConfig(**FAST))
    evaluate(workspace, version.name, "choice")


@pytest.fixture
def small(filled_and: FilledAnd) -> Workspace:
    """Two evaluated task versions and one evaluated compatibility adapter."""
    return filled_and(_small)


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_workspace_offers_the_demo(page: str, workspace: Workspace) -> None:
    app = opened(page)
    # The Library is where one's own files are imported.
    expected = ["Load the demo", "Import your own"] if page != "library" else ["Load the demo"]
    assert [button.label for button in app.button][: len(expected)] == expected
    assert not app.error


@pytest.mark.parametrize("page", PAGES)
def test_a_small_workspace_is_shown_without_errors(page: str, small: Workspace) -> None:
    app = opened(page)
    assert not app.error
    assert app.title[0].value


def test_the_report_shows_the_figures_of_the_comparison(small: Workspace) -> None:
    from muscle_core.actions.updates.compare import compare_versions

    comparison = compare_versions(small, "task-old", "task-new", "choice")
    app = opened("update_report")
    values = {metric.label: metric.value for metric in app.metric}
    assert values["Negative flip rate (NFR)"] == f"{comparison.nfr.value * 100:.1f} %"
    assert values["Accuracy, new version"] == f"{comparison.accuracy_new.value * 100:.1f} %"
    labels = [button.label for button in app.button]
    assert f"Q4 · {comparison.counts.q4:,} negative flips" in labels


def test_the_quadrant_in_the_url_filters_the_samples(small: Workspace) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.query_params["quadrant"] = "Q1"
    app.run()
    app = app.switch_page("pages/samples.py").run()
    table = app.dataframe[0].value
    assert {tuple(cell) for cell in table["quadrant"]} == {("Q1 both right",)}
    app.text_input(key="sample").set_value(str(table["sample_id"].iloc[0])).run()
    assert not app.exception
    assert any("both right" in str(element.value) for element in app.markdown)


def test_masking_lists_plain_new_and_the_trained_adapter(small: Workspace) -> None:
    app = opened("masking")
    next(group for group in app.button_group if group.label == "Columns").set_value("all").run()
    table = app.dataframe[0].value
    assert list(table["version"]) == ["task-new", "task-new-token_correctness-s0"]
    assert table["accuracy"].iloc[0].endswith("]")


def test_training_refuses_what_cannot_work_with_a_message(small: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened("training")
    labels = [button.label for button in app.button]
    assert "Start training" in labels


def test_a_double_click_queues_one_job(small: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from muscle_core.jobs import list_jobs

    monkeypatch.setattr("muscle_core.actions.background.submit.ensure_worker", lambda workspace: None)
    monkeypatch.setattr("muscle_core.ui.worker.ensure_worker", lambda workspace: None)
    app = opened("training")
    for _ in range(2):
        next(button for button in app.button if button.label == "Start training").click().run()
        assert not app.exception
    assert sorted(job.kind for job in list_jobs(small)) == ["evaluate", "train_compat"]
    assert {job.state for job in list_jobs(small)} == {"queued"}


def test_text_from_data_is_never_interpreted() -> None:
    from muscle_core.ui.frame import plain
    from muscle_core.ui.samples.detail_text import marked_text, word_difference

    script = "<script>alert(1)</script>"
    for base, text in (("a", script), (script, "a"), (script, "")):
        assert "<script>" not in marked_text(text, difference=word_difference(base, text))
    assert plain("[x](y) $a$ &lt;") == r"\[x\]\(y\) \$a\$ &amp;lt;"


def test_a_quadrant_button_drops_the_filters_of_an_earlier_visit(small: Workspace) -> None:
    app = opened("samples")
    app.text_input(key="search").set_value("no such words at all").run()
    assert any("No sample matches" in str(element.value) for element in app.info)
    app = app.switch_page("pages/update_report.py").run()
    next(button for button in app.button if button.label.startswith("Q1")).click().run()
    assert not app.exception
    assert app.text_input(key="search").value == ""


def test_a_full_evaluation_replaces_a_limited_one_in_the_table(filled: Workspace) -> None:
    for name in ("old", "new"):
        evaluate(filled, name, "choice", limit=5)
    app = opened("samples")
    assert any("5 of 5 samples" in str(element.value) for element in app.caption)
    for name in ("old", "new"):
        evaluate(filled, name, "choice")
    app.run()
    assert any("30 of 30 samples" in str(element.value) for element in app.caption)


def test_the_update_report_can_be_taken_along_as_one_file(small: Workspace) -> None:
    from muscle_core.actions.updates.compare import compare_versions
    from muscle_core.ui import picks
    from muscle_core.ui.update_report import figures

    app = opened("update_report")
    [button] = [b for b in app.get("download_button") if b.proto.label == "Report (HTML)"]
    assert button.proto.label == "Report (HTML)"
    assert not app.error
    dataset, old, new = get_dataset(small, "choice"), get_version(small, "task-old"), get_version(small, "task-new")
    page = figures.report_page(small, picks.Picks(dataset, "test", old, new, None))
    comparison = compare_versions(small, "task-old", "task-new", "choice")
    assert page.startswith("<!DOCTYPE html>")
    assert f"{comparison.counts.q4:,} of {comparison.n:,}" in page


def test_the_report_judges_the_update_against_a_declared_replica(small: Workspace, tmp_path: Path) -> None:
    from muscle_core.actions.imports.outputs import import_predictions
    from muscle_core.actions.updates.compare import predictions_of, require_run
    from muscle_core.actions.updates.noise import judge_update
    from muscle_core.actions.updates.replicas import declare_replica
    from muscle_core.interchange import ImportColumns

    def shown() -> str:
        return " ".join(str(element.value) for element in opened("update_report").markdown).replace("\\", "")

    assert "is noise has not been measured: run one version again on the same samples" in shown()
    run = require_run(small, get_version(small, "task-old"), get_dataset(small, "choice"), "test")
    rows = predictions_of(small, run)[["sample_id", "prediction"]]
    rows.loc[:2, "prediction"] = rows.loc[:2, "prediction"].map({"0": "1", "1": "2", "2": "0"})
    file = tmp_path / "again.csv"
    rows.to_csv(file, index=False)
    import_predictions(small, "old-again", "choice", file, ImportColumns(id="sample_id", prediction="prediction"))
    declare_replica(small, "old-again", "task-old")
    judged = judge_update(small, "task-old", "task-new", "choice")
    assert judged.noise.pairs == 2
    text = shown()
    assert judged.judgement.word in text
    assert f"{judged.noise.rate * 100:.2f}\u00a0% ({judged.noise.flips:.1f} of 30 on average" in text
