"""The Masking page by AppTest: what it says of strategies, the chart's numbers, references, and broken states."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from built import FilledAnd, evaluated_pair
from helpers import FAST, save_random_adapter
from streamlit.testing.v1 import AppTest

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.library.models import add_model_version
from muscle_core.actions.strategies.interpolate import sweep
from muscle_core.actions.training.train import train_compat
from muscle_core.actions.updates.compare import compare_versions
from muscle_core.compat.config import CompatConfig
from muscle_core.jobs import list_jobs
from muscle_core.store import Workspace

ROOT = Path(__file__).resolve().parents[2]


def _trained(workspace: Workspace) -> None:
    evaluated_pair(workspace)
    for options in ({}, {"strategy": "always_old"}):
        version = train_compat(workspace, "task-old", "task-new", "choice", CompatConfig(**FAST, **options))
        evaluate(workspace, version.name, "choice")


@pytest.fixture
def trained(no_worker: None, filled_and: FilledAnd) -> Workspace:
    return filled_and(_trained)


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for key, value in {"old": "task-old", "new": "task-new", **query}.items():
        app.query_params[key] = value
    app = app.run().switch_page("pages/masking.py").run()
    assert not app.exception, app.exception
    return app


def said(elements: object) -> str:
    return "\n".join(str(element.value) for element in elements).replace("\\", "")  # type: ignore[attr-defined]


def button(app: AppTest, label: str):
    return next(one for one in app.button if one.label.startswith(label))


def test_the_answer_names_the_strategy_with_figures_and_n(trained: Workspace) -> None:
    app = opened()
    text = said(app.markdown)
    found = re.search(r"\*\*(\w+)\*\*: NFR ([\d.]+) % \[([\d.]+), ([\d.]+)\] .* n = 30, one seed", text)
    assert found is not None, text
    name = next(n for n in ("task-new-token_correctness-s0", "task-new-always_old-s0") if found[1] in n)
    nfr = compare_versions(trained, "task-old", name, "choice").nfr
    assert [found[2], found[3], found[4]] == [f"{v * 100:.1f}" for v in (nfr.value, nfr.low, nfr.high)]
    assert "told apart" in text or "breaks clearly less" in text
    assert "Keeps the gain: the 95 % interval" in said(app.caption)


def test_the_main_columns_are_few_and_the_rest_is_a_switch_away(trained: Workspace) -> None:
    app = opened()
    rows = app.table[0].value
    assert list(rows.columns) == ["strategy", "NFR, %", "change", "accuracy, %", "change "]
    assert "plain new version" in rows["strategy"].iloc[0]
    next(group for group in app.button_group if group.label == "Columns").set_value("all").run()
    assert not app.exception
    assert "NFR_mc" in app.dataframe[0].value.columns
    assert app.query_params["columns"] == "all"
    assert "columns" in opened(columns="all").query_params


def test_the_chart_says_what_is_ringed_and_what_is_not_told_apart(trained: Workspace) -> None:
    app = opened()
    text = said(app.caption)
    assert (
        "Ringed (Pareto-optimal), since by the estimates no other of the 3 points is better in both figures: " in text
    )
    assert "Not told apart from these" in text or "apart from those of a ringed one" in text


def test_mixes_and_the_ensemble_start_once_and_say_how_long(trained: Workspace) -> None:
    app = opened()
    text = said(app.caption)
    assert "None of them is there. Missing: α 0.25, 0.5, 0.75; evaluating takes about" in text
    assert "The ensemble has not been evaluated; evaluating takes about" in text
    button(app, "Make and evaluate the missing mixes (3)").click().run()
    assert not app.exception
    button(app, "Evaluate the ensemble").click().run()
    assert [job.kind for job in list_jobs(trained)] == ["ensemble", "interpolate"]
    assert button(app, "Make and evaluate").disabled
    assert button(app, "Evaluate the ensemble").disabled
    assert said(app.caption).count("Under way (job ") == 2
    opened()  # another session sees the same and starts nothing
    assert len(list_jobs(trained)) == 2


def test_mixes_are_a_line_with_their_alphas(trained: Workspace, tiny_bases: dict[str, Path], tmp_path: Path) -> None:
    folder = save_random_adapter(tmp_path / "other", tiny_bases["new"], 7)
    add_model_version(trained, "other", str(tiny_bases["new"]), adapter=str(folder))
    sweep(trained, "task-old", "task-new", "choice", "other", "task-new", shares=(0.25, 0.75))
    app = opened()
    assert "Mixes A: from the adapter of other (α 0) to that of task-new (α 1)." in said(app.caption)
    assert "no other of the 5 points" in said(app.caption)
    app.selectbox(key=next(box.key for box in app.selectbox if box.label.startswith("Mix the new"))).set_value(
        "task-new-always_old-s0"
    ).run()
    assert "None of them is there." in said(app.caption)


def test_the_button_says_what_it_starts(pair: Workspace) -> None:
    app = opened()
    app.multiselect(key="ablation_strategies").set_value(["always_old"]).run()
    text = said(app.caption)
    assert "The button starts 1 training (always_old, seed 0) and 1 evaluation, once, however often" in text
    assert "How long they take is not known before the first one was trained." in text
    assert "No compatibility adapter has been trained" in said(app.info)


def test_the_papers_figures_stand_apart_and_say_so(pair: Workspace) -> None:
    app = opened()
    panel = next(expander for expander in app.expander if expander.label == "Published figures (paper)")
    note = said(panel.warning)
    assert "not comparable with the figures above; nothing here was measured by this workbench" in note
    rows = panel.table[0].value
    assert list(rows["source"]) == ["Table 3", "Table 3"]
    assert [text.replace("\\", "") for text in rows["plain new version"]] == ["8.49", "11.60"]
    assert not any("8.49" in said([table]) for table in app.table[:-1])


def test_lost_predictions_are_a_message(trained: Workspace) -> None:
    for folder in trained.path("predictions").iterdir():
        for file in folder.iterdir():
            file.write_bytes(b"broken")
    app = opened()
    assert app.error
    assert not app.exception
