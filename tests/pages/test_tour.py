"""The guided tour: its five steps, their links, and figures that are those of the comparison."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from demo_like import COMPAT, DATASET, NEW, OLD, make_demo_like, right_compat, right_new, right_old
from streamlit.testing.v1 import AppTest

from muscle_core.actions.updates.compare import compare_trained, compare_versions
from muscle_core.jobs import list_jobs
from muscle_core.metrics.text import p_text
from muscle_core.store import Workspace
from muscle_core.ui.tour import steps

ROOT = Path(__file__).resolve().parents[2]
BROKEN = [n for n in range(60) if right_old(n) and not right_new(n)]


@pytest.fixture(autouse=True)
def _fresh_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit as st

    st.cache_resource.clear()
    monkeypatch.setattr("muscle_core.actions.background.submit.ensure_worker", lambda workspace: None)
    monkeypatch.setattr("muscle_core.ui.worker.ensure_worker", lambda workspace: None)


@pytest.fixture
def demo(workspace: Workspace, tmp_path: Path) -> Workspace:
    make_demo_like(workspace, tmp_path)
    return workspace


def opened(**parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in parameters.items():
        app.query_params[name] = value
    return ran(app.run())


def ran(app: AppTest) -> AppTest:
    assert not app.exception, app.exception
    return app


def said(app: AppTest) -> str:
    elements = (*app.markdown, *app.caption, *app.code)
    return "\n".join(str(e.value) for e in elements).replace("\\", "").replace("**", "").replace("\u00a0", " ")


def click(app: AppTest, label: str) -> AppTest:
    [button] = [button for button in app.button if button.label == label]
    return ran(button.click().run())


def test_without_the_demo_nothing_is_offered(filled: Workspace) -> None:
    assert "Tour" not in [button.label for button in opened().button]


def test_the_tour_leads_through_five_steps_and_back(demo: Workspace) -> None:
    app = click(opened(), "Tour")
    titles, headings = [], []
    for number in range(1, 6):
        text = said(app)
        assert f"Tour · step {number} of 5" in text
        titles.append(app.title[0].value)
        headings += [title for title in steps.words.TITLES if title in text]
        assert ("tour_back" in [b.key for b in app.button]) == (number > 1)
        if number < 5:
            app = click(app, "Next")
    assert titles == ["Update report", "Samples", "Flips", "Masking", "Update report"]
    assert len(headings) == 5
    assert "tour_next" not in [button.key for button in app.button]
    for number in range(4, 0, -1):
        app = click(app, "Back")
        assert f"Tour · step {number} of 5" in said(app)
    app = click(app, "End tour")
    assert "Tour · step" not in said(app)
    assert app.title[0].value == "Update report"


def test_its_figures_are_those_of_the_comparison(demo: Workspace) -> None:
    comparison = compare_versions(demo, OLD, NEW, DATASET)
    assert comparison.nfr.numerator == len(BROKEN)
    text = said(opened(tour="1"))
    assert f"{comparison.accuracy_new.value * 100:.1f} % of 60 questions right" in text
    assert f"{len(BROKEN)} inputs that the old version got right are wrong now" in text
    assert f"{comparison.nfr.value * 100:.1f} % (95 % interval {comparison.nfr.low * 100:.1f}" in text
    assert ("chance alone can explain" in text) == (comparison.mcnemar_p >= 0.05)
    assert p_text(comparison.mcnemar_p) in text

    repaired = [n for n in BROKEN if right_compat(n)]
    anew = [n for n in range(60) if right_old(n) and right_new(n) and not right_compat(n)]
    row = compare_trained(demo, OLD, NEW, DATASET).set_index("version").loc[COMPAT]
    text = said(opened(tour="4"))
    assert f"{len(repaired)} of the {len(BROKEN)} broken inputs right again and breaks {len(anew)} others" in text
    assert f"falls from {comparison.nfr.value * 100:.1f} % to {row['nfr'] * 100:.1f} %" in text
    change = "{:+.1f} points [{:+.1f}, {:+.1f}]".format(
        *(row[f"nfr_change{end}"] * 100 for end in ("", "_low", "_high"))
    )
    assert change in text


@pytest.mark.parametrize("number", range(1, 6))
def test_a_link_opens_the_page_and_the_picks_of_its_step(demo: Workspace, number: int) -> None:
    app = opened(tour=str(number))
    assert app.title[0].value.lower().replace(" ", "_") == steps.STEPS[number - 1].page
    assert f"Tour · step {number} of 5" in said(app)
    assert app.selectbox(key="dataset").value == DATASET
    assert app.selectbox(key="old").value == OLD
    assert app.selectbox(key="new").value == (COMPAT if number == 5 else NEW)
    if number == 2:
        assert "Q4" in app.query_params["quadrant"]
        assert app.query_params["sample"]


def test_a_link_that_names_more_is_obeyed(demo: Workspace) -> None:
    app = opened(tour="1", new=COMPAT)
    assert app.selectbox(key="new").value == COMPAT


def test_a_step_that_does_not_exist_is_ignored(demo: Workspace) -> None:
    for number in ("0", "6", "x", "-1", "1e3"):
        assert "Tour · step" not in said(opened(tour=number))


def test_the_picks_stay_free_during_a_step(demo: Workspace) -> None:
    app = click(opened(), "Tour")
    app.selectbox(key="new").set_value(COMPAT).run()
    ran(app)
    assert "Tour · step 1 of 5" in said(app)
    assert app.selectbox(key="new").value == COMPAT


def test_who_wanders_off_finds_the_way_back(demo: Workspace) -> None:
    app = click(click(opened(), "Tour"), "Next")
    app = ran(app.switch_page("pages/library.py").run())
    assert "The tour is at step 2 of 5, on the page Samples" in said(app)
    app = click(app, "Back to step 2")
    assert app.title[0].value == "Samples"
    assert "Tour · step 2 of 5" in said(app)


def test_the_repaired_inputs_are_one_click_away(demo: Workspace) -> None:
    app = click(opened(tour="4"), "Read the repaired inputs")
    assert app.title[0].value == "Samples"
    wanted = {"quadrant": "Q4", "right": COMPAT, "compat": COMPAT, "tour": "4"}
    assert {key: app.query_params[key] for key in wanted if key in app.query_params} == wanted
    assert "Tour · step 4 of 5" in said(app)
    assert click(app, "Back to the adapters").title[0].value == "Masking"


def test_the_gate_of_the_last_step_is_the_real_one(demo: Workspace) -> None:
    import shlex

    from typer.testing import CliRunner

    from muscle_core.cli import app as commands

    app = opened(tour="5")
    text = said(app)
    lines = [line for code in app.code for line in code.value.splitlines() if " gate " in line]
    codes = [
        CliRunner().invoke(commands, shlex.split(line.removeprefix("python -m muscle_core "))).exit_code
        for line in lines
    ]
    assert codes == [100, 0]
    assert "the plain new version fails and the adapter demo-choice-compat passes the gate" in text


def test_without_an_adapter_it_says_how_to_get_one(workspace: Workspace, tmp_path: Path) -> None:
    make_demo_like(workspace, tmp_path, with_compat=False)
    app = opened(tour="4")
    assert "No compatibility adapter of demo-choice-v1 → demo-choice-v2 is here" in said(app)
    assert {"Load what is missing of the demo", "Train an adapter"} <= {button.label for button in app.button}
    app = click(app, "Load what is missing of the demo")
    assert [job.kind for job in list_jobs(workspace)] == ["load_demo"]
    assert "Hold every release against a limit" in said(opened(tour="5"))


def test_a_link_into_a_workspace_without_the_demo_offers_it(filled: Workspace) -> None:
    app = opened(tour="3")
    assert "The tour is about the dataset demo-choice" in said(app)
    app = click(app, "End tour")
    assert "The tour is about" not in said(app)


def test_damaged_predictions_are_told_and_do_not_lock_the_pages(demo: Workspace) -> None:
    shutil.rmtree(demo.path("predictions"))
    app = opened(tour="1")
    assert any("are missing" in str(error.value) for error in app.error)
    assert "End tour" in [button.label for button in app.button]
    app = ran(app.switch_page("pages/library.py").run())
    assert app.segmented_control(key="tab").value == "versions"
