"""The Samples page by AppTest: every filter by its URL, chips that remove it, what is added, and a large workspace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from benchmarks.pages.workspace import make_workspace
from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.actions.updates.compare import compare_versions
from muscle_core.actions.updates.explain import explained_samples
from muscle_core.comparison.conditions import read_column
from muscle_core.interchange import ImportColumns
from muscle_core.store import Workspace, get_dataset, get_version, read_predictions, runs_of
from muscle_core.ui.samples.table import PAGE_SIZES

ROOT = Path(__file__).resolve().parents[2]
PAIR = {"dataset": "choice", "old": "old", "new": "new", "compat": "compat"}
SAMPLES = 600


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    import streamlit as st

    st.cache_resource.clear()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples") / "workspace"
    make_workspace(folder, SAMPLES).close()
    return folder


@pytest.fixture
def samples(home: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """What is known of each sample, read in full."""
    monkeypatch.setenv("MUSCLE_HOME", str(home))
    workspace = Workspace.open(home)
    frame = explained_samples(workspace, "old", "new", "choice")
    run = runs_of(workspace, get_version(workspace, "compat"), get_dataset(workspace, "choice"), "test")[0]
    compat = read_predictions(workspace.local(run.path)).set_index("sample_id")
    frame["compat_correct"] = compat["correct"].reindex(frame["sample_id"]).to_numpy(dtype=bool)
    frame["compat_prediction"] = compat["prediction"].reindex(frame["sample_id"]).to_numpy()
    workspace.close()
    return frame


def opened(**parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for key, value in parameters.items():
        app.query_params[key] = value
    app.run()
    app = app.switch_page("pages/samples.py").run()
    assert not app.exception, app.exception
    assert not app.error
    return app


def chips(app: AppTest) -> list[str]:
    mark = ":gray[Remove filter:] "
    return [button.label.removeprefix(mark).replace("\\", "") for button in app.button if button.label.startswith(mark)]


def click(app: AppTest, chip: str) -> AppTest:
    [button] = [one for one in app.button if one.label.replace("\\", "").endswith(f"] {chip}")]
    button.click().run()
    assert not app.exception
    return app


def count(app: AppTest) -> int:
    [text] = [element.value for element in app.caption if str(element.value).endswith(" samples")]
    return int(text.partition(" of ")[0].replace(",", ""))


def ids(app: AppTest) -> list[str]:
    return list(app.dataframe[0].value["sample_id"])


def q4(frame: pd.DataFrame) -> pd.Series:
    return frame["quadrant"] == "Q4"


def is_in(frame: pd.DataFrame, column: str, value: str) -> np.ndarray:
    found, _ = read_column(frame[column], column, 1)
    return found.codes == found.values.index(value)


CASES: list[tuple[dict[str, str], list[str], Any]] = [
    ({"quadrant": "Q4"}, ["quadrant: Q4 negative flips"], q4),
    (
        {"quadrant": "Q3-changed"},
        ["quadrant: Q3 answer changed"],
        lambda f: (f["quadrant"] == "Q3") & ~f["same_answer"].astype(bool),
    ),
    ({"cause": "clear preference"}, ["cause: clear preference"], lambda f: f["cause"] == "clear preference"),
    (
        {"search": "ANVIL boat"},
        ["holds: ANVIL boat"],
        lambda f: f["input"].str.contains("anvil") & f["input"].str.contains("boat"),
    ),
    (
        {"slice": "kind=toy&level=2"},
        ["kind = toy", "level = 2"],
        lambda f: (f["meta.kind"] == "toy") & (f["meta.level"] == 2),
    ),
    (
        {"right": "old,compat", "wrong": "new"},
        ["right in old", "right in compat", "wrong in new"],
        lambda f: f["compat_correct"] & q4(f),
    ),
    (
        {"answers": "different"},
        ["answers differ"],
        lambda f: ~f["same_answer"].astype(bool) | (f["new_prediction"] != f["compat_prediction"]),
    ),
]


@pytest.mark.parametrize(("parameters", "expected", "rule"), CASES, ids=[str(case[0]) for case in CASES])
def test_a_link_filters_and_its_chips_remove_it(
    samples: pd.DataFrame, parameters: dict[str, str], expected: list[str], rule: Any
) -> None:
    app = opened(**PAIR, **parameters, rows="100")
    chosen = samples[rule(samples)]
    if parameters.get("search"):  # the answers are searched too
        assert count(app) >= len(chosen) > 0
        assert set(ids(app)) & set(chosen["sample_id"])
    else:
        assert count(app) == len(chosen) > 0
        assert ids(app) == list(chosen["sample_id"].iloc[:100])
    assert chips(app) == expected
    for key, value in parameters.items():
        assert app.query_params[key] == value
    for left in range(len(expected) - 1, -1, -1):
        app = click(app, expected[left])
        assert chips(app) == expected[:left]
    assert count(app) == SAMPLES
    assert not any(key in app.query_params for key in parameters)


def test_a_slice_of_numbers_is_named_as_in_the_table_of_slices(samples: pd.DataFrame) -> None:
    column, _ = read_column(samples["input_chars"], "input_chars", 30)
    value = column.values[1]
    app = opened(**PAIR, slice=f"input_chars={value}", rows="100")
    assert chips(app) == [f"length of the input = {value}"]
    assert ids(app) == list(samples["sample_id"][is_in(samples, "input_chars", value)].iloc[:100])


def test_what_a_link_names_and_is_not_there_is_ignored(samples: pd.DataFrame) -> None:
    wrong = {"quadrant": "Q9", "cause": "none such", "slice": "kind=none&x=1&=&", "change": "rouge1:0:1"}
    wrong |= {"right": "nobody,", "wrong": ",", "answers": "maybe", "sort": "?", "rows": "7", "page": "-3"}
    wrong["sample"] = "nothing"
    app = opened(**PAIR, **wrong)
    assert chips(app) == []
    assert count(app) == SAMPLES
    assert {key for key in wrong if key in app.query_params} == {"sample"}
    app = opened(**PAIR, right="nobody,new", slice="kind=toy&no field=1")
    assert chips(app) == ["kind = toy", "right in new"]
    assert app.query_params["right"] == "new"


def test_all_filters_at_once_and_clear_all(samples: pd.DataFrame) -> None:
    app = opened(
        **PAIR, quadrant="Q4", slice="kind=toy", right="old,compat", wrong="new", answers="different", sort="surest"
    )
    wanted = samples[q4(samples) & (samples["meta.kind"] == "toy") & samples["compat_correct"]]
    surest = (-np.minimum(wanted["old_margin"], -wanted["new_margin"])).sort_values(kind="stable").index
    assert ids(app) == list(wanted.loc[surest, "sample_id"].iloc[: PAGE_SIZES[0]])
    assert set(app.dataframe[0].value["right"]) == {"old ✓ new ✗ compat ✓"}
    app.button(key="samples_clear").click().run()
    assert chips(app) == []
    assert count(app) == SAMPLES
    assert app.query_params["sort"] == ["surest"] or app.query_params["sort"] == "surest"


def test_what_the_adapter_does_is_a_filter(samples: pd.DataFrame) -> None:
    new_right = samples["new_correct"].astype(bool)
    expected = {
        "fixed": (q4(samples) & samples["compat_correct"], ["quadrant: Q4 negative flips", "right in compat"]),
        "still wrong": (q4(samples) & ~samples["compat_correct"], ["quadrant: Q4 negative flips", "wrong in compat"]),
        "newly broken": (new_right & ~samples["compat_correct"], ["right in new", "wrong in compat"]),
    }
    for start, (chosen, shown) in expected.items():
        app = opened(**PAIR)
        app.session_state["samples_add_filter"] = True  # as a click on "Add a filter" does
        app.run()
        box = app.selectbox(key="samples_add_adapter")
        option = next(option for option in box.options if option.startswith(start))
        assert option.endswith(f"({chosen.sum()})")
        box.select(option).run()
        assert not app.exception
        assert chips(app) == shown
        assert count(app) == chosen.sum()


def test_a_field_and_its_value_are_added_one_after_another(samples: pd.DataFrame) -> None:
    app = opened(**PAIR)
    app.session_state["samples_add_filter"] = True
    app.run()
    for field, value in (("kind", "toy"), ("level", "2"), ("kind", "tool")):
        app.selectbox(key="samples_add_field").select(field).run()
        option = next(o for o in app.selectbox(key="samples_add_value").options if o.startswith(f"{value} ("))
        app.selectbox(key="samples_add_value").select(option).run()
        assert not app.exception
    assert chips(app) == ["level = 2", "kind = tool"]  # one value a field: a sample has only one
    assert count(app) == int(((samples["meta.level"] == 2) & (samples["meta.kind"] == "tool")).sum())


def test_the_page_of_another_filter_means_nothing_and_rows_are_kept(samples: pd.DataFrame) -> None:
    app = opened(**PAIR, page="3", rows="50")
    assert ids(app) == list(samples["sample_id"].iloc[100:150])
    app.segmented_control(key="quadrant").set_value("Q1").run()
    assert ids(app) == list(samples["sample_id"][samples["quadrant"] == "Q1"].iloc[:50])
    assert "page" not in app.query_params


def test_a_sample_gone_to_from_another_brings_its_page(samples: pd.DataFrame) -> None:
    app = opened(**PAIR, sample="sample-0000003")
    assert ids(app)[3] == "sample-0000003"
    app.text_input(key="sample").set_value("sample-0000060").run()
    assert "sample-0000060" in ids(app)
    page = str(60 // PAGE_SIZES[0] + 1)
    assert app.query_params["page"] in (page, [page])


def test_a_change_of_score_is_a_range(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"id": f"d{i}", "dialogue": f"talk {i}", "summary": "a b c d e f g h i j"} for i in range(40)]
    add_dataset_rows(workspace, "talks", "summarization", {"test": [(row["id"], row) for row in rows]})
    for name in ("old", "new"):
        kept = [10 - (i % 10 if name == "new" else 0) for i in range(40)]
        texts = [" ".join(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"][:k] or ["x"]) for k in kept]
        file = tmp_path / f"{name}.jsonl"
        pd.DataFrame({"id": [row["id"] for row in rows], "output": texts}).to_json(file, orient="records", lines=True)
        import_predictions(workspace, name, "talks", file, ImportColumns(output="output"))
    frame = compare_versions(workspace, "old", "new", "talks").samples
    delta = frame["delta_rouge1"]
    app = opened(dataset="talks", old="old", new="new", change="rouge1:-0.5:-0.1", sort="loss:rouge1")
    chosen = frame[(delta >= -0.5) & (delta < -0.1)].sort_values("delta_rouge1", kind="stable")
    assert 0 < len(chosen) < 40
    assert ids(app) == list(chosen["sample_id"].iloc[: PAGE_SIZES[0]])
    assert chips(app) == ["change of ROUGE-1: -0.5 to below -0.1"]
    app.session_state["samples_add_filter"] = True
    app.run()
    app.number_input(key="samples_add_low").set_value(-0.2).run()
    app.button(key="samples_add_change").click().run()
    assert not app.exception
    assert chips(app) == ["change of ROUGE-1: -0.2 or more"]
    assert count(app) == int((delta >= -0.2).sum())
    assert (
        opened(dataset="talks", old="old", new="new", quadrant="Q4", cause="other").query_params.get("quadrant") is None
    )


def test_a_large_workspace_is_shown_filtered_and_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSCLE_HOME", str(tmp_path / "large"))
    make_workspace(tmp_path / "large", 200_000).close()
    app = opened(**PAIR)
    assert count(app) == 200_000
    app = opened(**PAIR, quadrant="Q4", search="anvil boat", slice="kind=toy", right="compat", sort="longest", page="2")
    assert PAGE_SIZES[0] < count(app) < 20_000
    assert len(app.dataframe[0].value) == PAGE_SIZES[0]
