"""Mixes of adapters and the ensemble on the pages that list versions and trainings."""

from __future__ import annotations

from pathlib import Path

from helpers import save_random_adapter
from streamlit.testing.v1 import AppTest

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.library.models import add_model_version
from muscle_core.actions.strategies.ensemble import ENSEMBLE_LABEL, evaluate_ensemble
from muscle_core.actions.strategies.interpolate import sweep
from muscle_core.store import Workspace

ROOT = Path(__file__).resolve().parents[2]


def test_masking_library_and_training_cope_with_them(filled: Workspace, tiny_bases: dict, tmp_path: Path) -> None:
    import streamlit as st

    st.cache_resource.clear()
    for seed, name in enumerate(("task-new", "other")):
        folder = save_random_adapter(tmp_path / name, tiny_bases["new"], seed)
        add_model_version(filled, name, str(tiny_bases["new"]), adapter=str(folder))
    for name in ("old", "task-new"):
        evaluate(filled, name, "choice")
    sweep(filled, "old", "task-new", "choice", "task-new", "other", shares=(0.5,))
    run = evaluate_ensemble(filled, "old", "task-new", "choice")
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.query_params["columns"] = "all"
    app = app.run()
    for page in ("masking", "library", "samples", "training"):
        app = app.switch_page(f"pages/{page}.py").run()
        assert not app.exception, app.exception
        assert not app.error
        if page == "masking":
            table = app.dataframe[0].value
            assert list(table["version"]) == ["task-new", "task-new-interpolation-0.5", "old-task-new-ensemble"]
            assert list(table["strategy"][1:]) == ["interpolation", ENSEMBLE_LABEL]
            assert list(table["seed"][1:]) == ["–", "–"]
        if page == "library":
            versions = app.dataframe[0].value.set_index("name")
            assert versions.loc["old-task-new-ensemble", "made by"] == "two versions together"
            app.segmented_control(key="tab").set_value("trainings").run()
            [row] = app.dataframe[0].value.to_dict("records")
            assert (row["made by"], row["last loss"], row["dataset"], row["time"]) == (
                "interpolation",
                "–",
                "choice",
                "–",
            )
            app.segmented_control(key="tab").set_value("runs").run()
            offered = next(box for box in app.selectbox if box.label == "Model version").options
            assert "old-task-new-ensemble" not in offered
    assert run.rows == 30
    picked = next(box for box in app.selectbox if box.label == "New version").options
    assert picked.index("task-new") < picked.index("old-task-new-ensemble")


def test_masking_shows_an_ensemble_where_nothing_was_trained(filled: Workspace) -> None:
    import streamlit as st

    st.cache_resource.clear()
    for name in ("old", "new"):
        evaluate(filled, name, "choice")
    evaluate_ensemble(filled, "old", "new", "choice")
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.query_params["columns"] = "all"
    app = app.run().switch_page("pages/masking.py").run()
    assert not app.exception, app.exception
    assert [info.value for info in app.info if "No compatibility adapter has been trained" in info.value]
    assert list(app.dataframe[0].value["version"]) == ["new", "old-new-ensemble"]
