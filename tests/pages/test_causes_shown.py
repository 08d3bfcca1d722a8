"""The Samples page shows why a sample flipped: a column, a filter of causes with its rule, and what was seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.interchange import ImportColumns
from muscle_core.store import Workspace

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    import streamlit as st

    st.cache_resource.clear()


@pytest.fixture
def sums(workspace: Workspace, tmp_path: Path) -> Workspace:
    """30 sums; the new version gets 6 wrong by a false equation and 4 without an answer."""
    rows = [{"id": f"m{i}", "question": f"{i} and {i} ?", "gold": str(2 * i)} for i in range(30)]
    add_dataset_rows(workspace, "sums", "math", {"test": [(row["id"], row) for row in rows]})
    for side in ("old", "new"):
        lines = []
        for i in range(30):
            text = f"{i} + {i} = {2 * i}\n#### {2 * i}"
            if side == "new" and i < 6:
                text = f"{i} + {i} = {2 * i + 1}\n#### {2 * i + 1}"
            elif side == "new" and i < 10:
                text = "I do not know."
            lines.append(json.dumps({"id": f"m{i}", "output": text}) + "\n")
        file = tmp_path / f"{side}.jsonl"
        file.write_text("".join(lines))
        import_predictions(workspace, side, "sums", file, ImportColumns(output="output"))
    return workspace


def opened(**parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for key, value in {"old": "old", "new": "new", **parameters}.items():
        app.query_params[key] = value
    app.run()
    app = app.switch_page("pages/samples.py").run()
    assert not app.exception, app.exception
    return app


def captions(app: AppTest) -> str:
    return "\n".join(str(element.value) for element in app.caption)


def test_negative_flips_can_be_filtered_by_cause(sums: Workspace) -> None:
    app = opened(quadrant="Q4")
    assert app.dataframe[0].value["cause"].value_counts().to_dict() == {
        "wrong calculation": 6,
        "no answer extracted": 4,
    }
    assert "Rule:" not in captions(app)
    app.session_state["samples_add_filter"] = True  # as a click on "Add a filter" does
    app.run()
    assert app.selectbox(key="samples_add_cause").options == ["wrong calculation (6)", "no answer extracted (4)"]
    app.selectbox(key="samples_add_cause").set_value("wrong calculation").run()
    assert not app.exception
    assert set(app.dataframe[0].value["sample_id"]) == {f"m{i}" for i in range(6)}
    assert "6 of 30 samples" in captions(app)
    assert "Rule: An equation in the new output does not hold" in captions(app)
    assert app.query_params["cause"] == "wrong calculation"


def test_a_link_names_the_cause_and_another_quadrant_drops_it(sums: Workspace) -> None:
    app = opened(quadrant="Q4", cause="no answer extracted", rows="25")
    assert len(app.dataframe[0].value) == 4
    app.segmented_control(key="quadrant").set_value("Q1").run()
    assert not app.exception
    assert len(app.dataframe[0].value) == 20
    assert "cause" not in app.dataframe[0].value
    assert "cause" not in app.query_params
    app = opened(quadrant="Q4", cause="no such cause")
    assert len(app.dataframe[0].value) == 10
    assert "cause" not in app.query_params


def test_a_sample_shows_its_cause_its_rule_and_what_was_seen(sums: Workspace) -> None:
    app = opened(sample="m3")
    assert any(element.value == "**Cause: wrong calculation**" for element in app.markdown)
    assert r"Seen here: 3 \+ 3 \= 7" in captions(app)
    assert "cause" in app.dataframe[0].value  # all quadrants are listed, flips among them
    app = opened(sample="m20")
    assert not any("Cause:" in str(element.value) for element in app.markdown)
