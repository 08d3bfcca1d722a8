"""The Update report page: what broke in short, where its buttons lead, and what a click on a chart opens."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from furnished import furnish
from streamlit.testing.v1 import AppTest

from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.comparison import compare
from muscle_core.comparison.repair import repair_by, repair_of
from muscle_core.interchange import ImportColumns
from muscle_core.store import Workspace
from muscle_core.ui.update_report import in_short

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    import streamlit as st

    st.cache_resource.clear()


def opened(**picks: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in picks.items():
        app.query_params[name] = value
    return clean(app.run())


def clean(app: AppTest) -> AppTest:
    assert not app.exception, app.exception
    assert not app.error
    return app


def text(app: AppTest) -> str:
    return " ".join(str(one.value) for one in (*app.markdown, *app.caption, *app.warning)).replace("\\", "")


def parameter(app: AppTest, name: str) -> str | None:
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def button(app: AppTest, start: str):
    return next(one for one in app.button if one.label.replace("\\", "").startswith(start))


@pytest.fixture
def trained(workspace: Workspace, tmp_path: Path) -> Workspace:
    """30 samples: the old version fails n % 5 == 0, the new one 1, the adapter 2."""
    furnish(workspace, tmp_path)
    return workspace


def test_an_adapter_is_told_with_counts_and_opens_what_it_fixes_and_breaks(trained: Workspace) -> None:
    app = opened(dataset="choice")
    assert "compat fixes 6 of 6 negative flips, and newly breaks 6 of 18 samples that both versions have" in text(
        app
    ).replace("*", "")
    app = clean(button(app, "Read the 6 that it fixes").click().run())
    assert (parameter(app, "quadrant"), parameter(app, "right"), parameter(app, "compat")) == ("Q4", "compat", "compat")
    assert app.title[0].value == "Samples"
    app = clean(button(opened(dataset="choice"), "Read the 6 that it breaks").click().run())
    assert (parameter(app, "quadrant"), parameter(app, "wrong")) == ("Q1", "compat")


def test_repair_counts_only_what_the_adapter_answered_once(trained: Workspace) -> None:
    import pandas as pd

    ids = list("abcdef")
    old = pd.DataFrame({"sample_id": ids, "prediction": ids, "correct": [True] * 5 + [False]})
    new = old.assign(correct=[False, False, False, True, True, False])
    compared = compare(old, new, task_kind="math", old_name="o", new_name="n")
    correct = pd.Series([True, False, True, True, False, None], index=["a", "b", "c", "c", "d", "e"], dtype="boolean")
    assert repair_of(compared, correct) == (1, 2, 1, 1)
    assert repair_of(compared, correct.iloc[:0]) == (0, 0, 0, 0)
    for part in (correct, correct.iloc[:0], correct.iloc[::-1]):
        answers = pa.table({"sample_id": list(part.index), "correct": pa.array(part, pa.bool_())})
        assert repair_by(compared.rows, answers) == repair_of(compared, part)


@pytest.fixture
def sums(workspace: Workspace, tmp_path: Path) -> Workspace:
    """100 sums in two parts; the new version breaks 12 of one by a false equation, and 2 of the other by silence."""
    rows = [{"id": f"m{i}", "question": f"{i} and {i} ?", "gold": str(2 * i), "part": "ab"[i % 2]} for i in range(100)]
    add_dataset_rows(workspace, "sums", "math", {"test": [(row["id"], row) for row in rows]})
    for side in ("old", "new"):
        lines = []
        for i in range(100):
            out = f"{i} + {i} = {2 * i}\n#### {2 * i}"
            if side == "new" and i % 2 == 0 and i < 24:
                out = f"{i} + {i} = {2 * i + 1}\n#### {2 * i + 1}"
            elif side == "new" and i in (1, 3):
                out = "I do not know."
            lines.append(json.dumps({"id": f"m{i}", "output": out}) + "\n")
        file = tmp_path / f"{side}.jsonl"
        file.write_text("".join(lines))
        import_predictions(workspace, side, "sums", file, ImportColumns(output="output"))
    return workspace


def test_causes_and_the_worst_part_are_counted_and_open_their_samples(sums: Workspace) -> None:
    app = opened()
    said = text(app)
    assert "part: a" in said
    assert "NFR 24.0 % (12 of 50; 95 % interval" in said
    assert "all other samples 4.0 % of 50" in said
    assert "No compatibility adapter has been trained for this update" in said
    labels = [one.label for one in app.button]
    assert labels.index("wrong calculation · 12 of 14") < labels.index("no answer extracted · 2 of 14")
    samples = clean(button(app, "no answer extracted").click().run())
    assert (parameter(samples, "quadrant"), parameter(samples, "cause")) == ("Q4", "no answer extracted")
    assert sorted(samples.dataframe[0].value["sample_id"]) == ["m1", "m3"]
    samples = clean(button(opened(), "Read its negative flips").click().run())
    assert (parameter(samples, "quadrant"), parameter(samples, "slice")) == ("Q4", "meta.part=a")


def test_many_samples_are_searched_for_slices_when_asked(sums: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_short, "AT_ONCE", 99)
    with monkeypatch.context() as patch:
        patch.setattr(in_short, "_slices", lambda *a: pytest.fail("it looked without being asked"))
        app = opened()
        assert "With 100 samples this takes some seconds" in text(app)
    app = clean(button(app, "Look for the part").click().run())
    assert "part: a" in text(app)


def test_the_causes_of_many_texts_are_looked_for_when_asked(sums: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_short, "FLIPS_AT_ONCE", 13)
    with monkeypatch.context() as patch:
        patch.setattr(in_short.data, "causes", lambda *a: pytest.fail("it looked without being asked"))
        app = opened()
        assert "both answers of each of 14 negative flips" in text(app)
    app = clean(button(app, "Find the causes").click().run())
    assert button(app, "no answer extracted")


def test_what_was_clicked_in_a_chart_opens_the_samples_without_earlier_filters(sums: Workspace) -> None:
    for filters in ({"quadrant": "Q4"}, {"right": "new"}, {"answers": "different"}):
        app = opened(search="left over")
        app.session_state["_report_clicked"] = filters
        app = clean(app.run())
        assert app.title[0].value == "Samples"
        assert parameter(app, "search") is None
        assert {name: parameter(app, name) for name in filters} == filters


def test_the_page_stays_whole_where_the_inputs_are_gone(sums: Workspace) -> None:
    for file in (sums.home / "datasets").iterdir():
        file.unlink()
    app = opened()
    assert "the file of dataset 'sums' is gone" in text(app)
    assert any(metric.label == "Negative flip rate (NFR)" for metric in app.metric)
    assert [one for one in app.get("download_button") if one.proto.label == "All figures (JSON)"]
