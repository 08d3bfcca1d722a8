"""The Flips page by AppTest: empty, one pair, three versions, scores, an imported matrix; what its sentences say."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from furnished import furnish
from reports import add_update
from streamlit.testing.v1 import AppTest

from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.updates.compare import compare_versions
from muscle_core.actions.updates.history import history_of
from muscle_core.interchange import ImportColumns
from muscle_core.store import Workspace
from muscle_core.ui.flips import words
from muscle_core.ui.flips.scores import _round_step
from muscle_core.ui.flips.slices import slice_link
from muscle_core.ui.flips.versions import state_filters

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    import streamlit as st

    st.cache_resource.clear()


def opened(tab: str = "", **parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for key, value in {**({"flips_tab": tab} if tab else {}), **parameters}.items():
        app.query_params[key] = value
    app.run()
    app = app.switch_page("pages/flips.py").run()
    assert not app.exception, app.exception
    assert not app.error, app.error
    return app


def said(app: AppTest) -> str:
    texts = [str(element.value) for kind in (app.caption, app.markdown, app.info) for element in kind]
    return "\n".join(texts).replace("\\", "")


def charts(app: AppTest) -> list[dict]:
    return [json.loads(element.proto.spec) for element in app.get("plotly_chart")]


@pytest.fixture
def furnished(workspace: Workspace, tmp_path: Path) -> Workspace:
    """Versions old, new and compat, all evaluated on one dataset of 30 choices."""
    furnish(workspace, tmp_path)
    return workspace


def test_an_empty_workspace_offers_the_demo(workspace: Workspace) -> None:
    app = opened()
    assert app.button[0].label == "Load the demo"


def test_the_first_tab_says_the_rates_of_the_update(furnished: Workspace) -> None:
    one = compare_versions(furnished, "old", "new", "choice")
    app = opened(old="old", new="new")
    text = said(app)
    assert f"{one.nfr.value * 100:.1f} % ({one.nfr.numerator} of 30; 95 % interval" in text
    assert f"{one.counts.q1} of 30) stayed right" in text
    assert "The most frequent finding on the negative flips" in text
    assert len(charts(app)) == 3
    assert all(element.proto.alt for element in app.get("plotly_chart"))
    assert app.query_params["flips_tab"] in ("update", ["update"])


def test_only_the_open_tab_is_worked_out(furnished: Workspace) -> None:
    app = opened("slices", old="old", new="new", minimum="5")
    assert words.CORRECTION in said(app)
    assert words.FLOW not in [element.value for element in app.subheader]


def test_an_unknown_tab_in_the_url_opens_the_first(furnished: Workspace) -> None:
    assert words.RATES in [element.value for element in opened("no-such-tab").subheader]


def test_pairs_on_all_datasets_say_where_nothing_was_evaluated(furnished: Workspace, tmp_path: Path) -> None:
    add_update(furnished, tmp_path, "math", rows=40)
    app = opened("pairs", dataset="choice", old="old", new="new")
    [spec] = charts(app)
    missing = spec["data"][1]
    assert set(missing["text"]) == {words.NOT_EVALUATED}
    one = compare_versions(furnished, "math-old", "math-new", "math")
    assert f"{one.nfr.value * 100:.1f} %<br>{one.nfr.numerator} of 40" in spec["data"][0]["text"]
    assert spec["data"][0]["customdata"][0] == ["choice", "test", "old", "new", "nfr"]
    assert "The largest NFR is that of" in said(app)
    app.text_input(key="pair_search").set_value("math-old").run()
    assert not app.exception
    assert len(charts(app)[0]["data"][0]["x"]) == 2
    app.text_input(key="pair_search").set_value("no such version").run()
    assert words.NO_PAIR in said(app)


@pytest.mark.parametrize("measure", list(words.MEASURES))
def test_the_matrix_of_one_dataset_is_ordered_by_accuracy(furnished: Workspace, measure: str) -> None:
    app = opened("pairs", dataset="choice", pairs="versions", measure=measure)
    [spec] = charts(app)
    order = [name for name, _ in sorted(_accuracies(furnished).items(), key=lambda pair: (-pair[1], pair[0]))]
    assert spec["layout"]["xaxis"]["ticktext"] == order
    assert "All 3 versions on choice, the most accurate first" in said(app)
    assert "of 30 samples judged in both" in said(app)


def _accuracies(workspace: Workspace) -> dict[str, float]:
    found = history_of(workspace, [], "choice")
    return {name: rate.value for name, rate in zip(found.names, found.accuracies(), strict=True)}


def test_slices_that_do_not_differ_are_said_to(furnished: Workspace) -> None:
    app = opened("slices", dataset="choice", old="old", new="new", minimum="5")
    assert "No slice differs: of " in said(app)
    table = app.dataframe[0].value
    assert set(table["verdict"]) == {words.MAY_NOT_DIFFER}
    app.number_input(key="minimum").set_value(10_000).run()
    assert not app.exception
    assert words.NO_SLICE in said(app)


def test_a_slice_that_differs_comes_first(workspace: Workspace, tmp_path: Path) -> None:
    from muscle_core.actions.library.datasets import add_dataset_rows

    rows = [
        {"id": f"m{i}", "question": f"{i} and {i} ?", "gold": str(2 * i), "kind": "odd" if i % 2 else "even"}
        for i in range(120)
    ]
    add_dataset_rows(workspace, "sums", "math", {"test": [(row["id"], row) for row in rows]})
    for side in ("old", "new"):
        file = tmp_path / f"{side}.json"
        wrong = [side == "new" and i % 2 == 1 and i < 60 for i in range(120)]
        file.write_text(json.dumps([{"id": f"m{i}", "output": f"#### {2 * i + wrong[i]}"} for i in range(120)]))
        import_predictions(workspace, side, "sums", file, ImportColumns(output="output"))
    app = opened("slices", old="old", new="new", topics="no")
    table = app.dataframe[0].value
    assert table["verdict"].iloc[0] == words.DIFFERS
    assert "meta.kind = odd" in set(table[table["verdict"] == words.DIFFERS]["slice"])
    assert "more negative flips than the rest beyond chance" in said(app)
    app = opened("slices", old="old", new="new", topics="no", conditions="2", minimum="10")
    assert any(" and " in name for name in app.dataframe[0].value["slice"])


def test_three_versions_are_followed_in_the_order_of_the_url(furnished: Workspace) -> None:
    app = opened("versions", dataset="choice", versions="compat,old,new")
    found = history_of(furnished, ["compat", "old", "new"], "choice")
    table = app.dataframe[-1].value
    assert [text.replace(" ", "") for text in table["pattern"]] == list(found.patterns()["trajectory"])
    assert list(table["samples"]) == list(found.patterns()["samples"])
    assert "Over 3 versions" in said(app)
    app.segmented_control(key="order").set_value("accuracy").run()
    assert not app.exception
    ordered = sorted(_accuracies(furnished).items(), key=lambda pair: pair[1])
    ticks = charts(app)[0]["layout"]["xaxis"]["ticktext"]
    assert [text.split("<br>")[1] for text in ticks] == [f"{value * 100:.1f} % right" for _, value in ordered]
    app.multiselect(key="versions").set_value(["old"]).run()
    assert words.TOO_FEW_VERSIONS in said(app)


def test_scores_have_gain_loss_and_a_tau(workspace: Workspace, tmp_path: Path) -> None:
    add_update(workspace, tmp_path, "summary", rows=60)
    app = opened("scores", tau="0.1")
    one = compare_versions(workspace, "summary-old", "summary-new", "summary", tau=0.1).continuous["rouge1"]
    values = {metric.label: metric.value for metric in app.metric}
    assert values["Mean gain"] == f"{one.gain.value:.4f}"
    assert values["Mean regression"] == f"{one.regression.value:.4f}"
    assert values["Became worse"] == f"{one.regression_rate.value * 100:.1f} %"
    assert f"{one.regression_rate.numerator} of 60" in said(app)
    assert app.slider(key="tau").value == pytest.approx(0.1)
    app.slider(key="tau").set_value(0.0).run()
    assert not app.exception
    plain = compare_versions(workspace, "summary-old", "summary-new", "summary").continuous["rouge1"]
    assert f"fell by more than 0 in {plain.regression_rate.value * 100:.1f} %" in said(app)
    for tab in ("update", "versions"):
        assert words.NO_RIGHT_OR_WRONG in said(opened(tab))
    [spec] = charts(opened("pairs"))
    assert words.SCORES_ONLY in spec["data"][0]["text"]
    assert "mean loss" in str(charts(opened("slices", minimum="5"))[0]["layout"]["xaxis"])


def test_right_and_wrong_alone_have_no_scores(furnished: Workspace) -> None:
    assert words.NO_SCORES in said(opened("scores"))


def test_a_matrix_of_many_versions_is_shown_and_searched(workspace: Workspace, tmp_path: Path) -> None:
    """30 versions of 50 samples, imported one by one; version 0 is best."""
    from muscle_core.actions.library.datasets import add_dataset_rows

    rows = [{"id": f"m{i}", "question": f"{i} ?", "gold": str(i)} for i in range(50)]
    add_dataset_rows(workspace, "many", "math", {"test": [(row["id"], row) for row in rows]})
    for version in range(30):
        file = tmp_path / f"v{version}.csv"
        with file.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["id", "prediction"])
            writer.writerows([f"m{i}", str(i if (i * 7 + version * 3) % 50 >= version else -1)] for i in range(50))
        import_predictions(workspace, f"v{version:02d}", "many", file, ImportColumns(id="id", prediction="prediction"))
    app = opened("pairs", pairs="versions")
    [spec] = charts(app)
    assert len(spec["data"][0]["x"]) == 30 * 29
    assert spec["layout"]["xaxis"]["ticktext"][0] == "v00"
    app.text_input(key="pair_search").set_value("v1").run()
    assert len(charts(app)[0]["layout"]["xaxis"]["ticktext"]) == 10
    assert all(float(text) >= 0 for text in charts(app)[0]["data"][0]["text"])
    app = opened("pairs")
    assert "20 of 870 pairs are shown" in said(app)


def test_links_name_conditions_and_states() -> None:
    assert slice_link([("meta.kind", "odd"), ("gold", "1 to 3")]) == "meta.kind=odd&gold=1 to 3"
    assert state_filters({"a": "right", "b": "wrong", "c": "right"}) == {"right": "a,c", "wrong": "b"}
    assert state_filters({"a": "right", "b": "right"}) == {"right": "a,b"}
    assert state_filters({"a": "right", "b": "not judged"}) is None


@pytest.mark.parametrize(
    ("wanted", "step"), [(0.0049, 0.005), (0.005, 0.005), (0.0051, 0.01), (3.0, 5.0), (0.0, 0.001)]
)
def test_the_steps_of_tau_are_round(wanted: float, step: float) -> None:
    assert _round_step(wanted) == pytest.approx(step)
