"""The Review page by AppTest: what it says without anything, and what it saves, keeps and refuses."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from furnished import furnish
from streamlit.testing.v1 import AppTest

from muscle_core.actions.reviews.findings import assign, list_causes, list_reviews, save_review
from muscle_core.store import Workspace

ROOT = Path(__file__).resolve().parents[2]
PAIR = ("old", "new", "choice")
LINK = {"dataset": "choice", "old": "old", "new": "new"}


def opened(**parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in {**LINK, **parameters}.items():
        app.query_params[name] = value
    return clean(clean(app.run()).switch_page("pages/review.py").run())


def clean(app: AppTest) -> AppTest:
    assert not app.exception, app.exception
    return app


def button(app: AppTest, label: str):
    return next(one for one in app.button if one.label == label)


def press(app: AppTest, *labels: str) -> AppTest:
    for label in labels:
        app = clean(button(app, label).click().run())
    return app


def sample(app: AppTest) -> str:
    value = app.query_params["review_sample"]
    return value[0] if isinstance(value, list) else value


def texts(app: AppTest, kind: str) -> str:
    return " ".join(str(element.value) for element in getattr(app, kind))


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    import streamlit as st

    st.cache_resource.clear()


@pytest.fixture
def full(workspace: Workspace, tmp_path: Path) -> Workspace:
    furnish(workspace, tmp_path)
    return workspace


def test_an_empty_workspace_offers_the_demo(workspace: Workspace) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    app = clean(app.switch_page("pages/review.py").run())
    assert [one.label for one in app.button] == ["Load the demo", "Import your own"]


def test_without_a_name_it_shows_the_first_flip_and_asks_for_one(full: Workspace) -> None:
    app = opened()
    assert sample(app) == "c1"
    assert "Save and next" not in [one.label for one in app.button]
    here = next(one for one in app.text_input if one.label.startswith("Your name"))
    app = clean(here.set_value("Ada").run())
    assert app.text_input(key="reviewer").value == "Ada"
    assert app.query_params["reviewer"] == "Ada"
    assert "Save and next" in [one.label for one in app.button]


def test_saving_goes_to_the_next_and_a_reload_shows_what_was_saved(full: Workspace) -> None:
    app = press(opened(reviewer="Ada"), "real regression", "refusal", "high")
    app.text_area[0].set_value("says *nothing*")
    app = press(app, "Save and next")
    assert sample(app) == "c6"
    [saved] = list_reviews(full, *PAIR).to_dict("records")
    assert {name: saved[name] for name in ("sample_id", "reviewer", "verdict", "cause", "severity", "note")} == {
        "sample_id": "c1",
        "reviewer": "Ada",
        "verdict": "real regression",
        "cause": "refusal",
        "severity": "high",
        "note": "says *nothing*",
    }
    again = opened(reviewer="Ada", review_sample="c1")
    assert sample(again) == "c1"
    assert again.text_area[0].value == "says *nothing*"
    assert "Saved " in texts(again, "caption")
    chosen = [one.label for one in again.button if one.proto.type == "primary"]
    assert chosen == ["real regression", "refusal", "high", "Save and next"]
    assert sample(opened(reviewer="Ada")) == "c6"  # the first that is not reviewed


def test_what_is_chosen_and_not_saved_waits_and_can_be_dropped(full: Workspace) -> None:
    app = press(opened(reviewer="Ada"), "acceptable", "Next", "Previous")
    assert sample(app) == "c1"
    assert "Not saved yet" in texts(app, "caption")
    app = press(app, "Discard")
    assert "Not saved yet" not in texts(app, "caption")
    assert list_reviews(full, *PAIR).empty
    app = press(app, "acceptable", "acceptable")  # a second press takes it back
    assert "Not saved yet" not in texts(app, "caption")


def test_a_review_without_verdict_or_cause_is_refused_with_words(full: Workspace) -> None:
    app = press(opened(reviewer="Ada"), "Save and next")
    assert "the verdict must be one of" in texts(app, "error").replace("\\", "")
    app = press(app, "real regression", "Save and next")
    assert "needs a cause" in texts(app, "error").replace("\\", "")
    assert list_reviews(full, *PAIR).empty


def test_another_tab_of_the_same_reviewer_is_not_overwritten(full: Workspace) -> None:
    app = press(opened(reviewer="Ada"), "acceptable")
    save_review(full, *PAIR, "c1", "Ada", verdict="cannot tell")
    app = press(app, "Save and next")
    assert "saved a review of this sample since it was shown" in texts(app, "error").replace("\\", "")
    assert list_reviews(full, *PAIR)["verdict"].tolist() == ["cannot tell"]
    app = clean(app.run())
    app = press(app, "Discard")
    chosen = [one.label for one in app.button if one.proto.type == "primary"]
    assert chosen == ["cannot tell", "Save and next"]


def test_the_last_one_saved_says_that_nothing_is_left(full: Workspace) -> None:
    for one in ("c1", "c6", "c11", "c16", "c21"):
        save_review(full, *PAIR, one, "Ada", verdict="acceptable")
    app = opened(reviewer="Ada")
    assert sample(app) == "c26"
    app = press(app, "acceptable", "Save")
    assert "Nothing else in this list is left" in texts(app, "success")
    app = press(app, "Withdraw")
    assert len(list_reviews(full, *PAIR)) == 5


def test_what_others_said_is_hidden_until_ones_own_is_saved(full: Workspace) -> None:
    save_review(full, *PAIR, "c1", "Ben", verdict="real regression", cause="truncated", note="[x](y)")
    app = opened(reviewer="Ada", review_sample="c1")
    assert "Another reviewer has reviewed this sample" in texts(app, "caption")
    assert "truncated" not in texts(app, "caption")
    save_review(full, *PAIR, "c1", "Ada", verdict="acceptable")
    app = opened(reviewer="Ada", review_sample="c1")
    assert "truncated" in texts(app, "caption")
    assert r"\[x\]\(y\)" in texts(app, "caption")


def test_assignment_state_and_cause_filter_the_queue(full: Workspace) -> None:
    assign(full, *PAIR, ["Ada", "Ben"])
    save_review(full, *PAIR, "c1", "Ada", verdict="real regression", cause="refusal")
    app = opened(reviewer="Ada")
    assert list(app.dataframe[0].value["sample_id"]) == ["c1", "c11", "c21"]
    app = clean(app.selectbox(key="review_state").select("unreviewed").run())
    assert list(app.dataframe[0].value["sample_id"]) == ["c11", "c21"]
    assert sample(app) == "c11"
    app = press(app, "Next")
    app = clean(app.selectbox(key="review_state").select("reviewed").run())
    assert sample(app) == "c1"  # not the one before, which this filter leaves out
    app = clean(app.selectbox(key="review_state").select("stale").run())
    assert "No sample is left" in texts(app, "info")
    app = clean(app.selectbox(key="review_state").select("all").run())
    assert sample(app) == "c11"
    app = opened(reviewer="Ada", review_for="Ben", review_sample="c1")
    assert sample(app) == "c1"  # a link is followed to the sample it names
    assert "not among the 3 shown" in texts(app, "caption")
    app = opened(reviewer="Ada", review_for="Ben")
    assert list(app.dataframe[0].value["sample_id"]) == ["c6", "c16", "c26"]
    app = opened(reviewer="Ada", review_cause="refusal", review_for="*everybody")
    assert list(app.dataframe[0].value["sample_id"]) == ["c1"]
    app = opened(reviewer="Ada", review_state="stale")
    assert "No sample is left" in texts(app, "info")
    app = opened(reviewer="Ada", review_of="Q3")
    assert "There are no both wrong" in texts(app, "success")


def test_a_link_to_a_sample_that_is_not_there_says_so(full: Workspace) -> None:
    app = opened(reviewer="Ada", review_sample="zz")
    assert "names the sample" in texts(app, "warning")
    assert sample(app) == "c1"
    app = opened(reviewer="x\ny" * 40)
    assert "reviewer" in texts(app, "error")


@pytest.mark.parametrize("panel", ["Queue", "Findings", "Agreement", "Assign", "Causes", "Export"])
@pytest.mark.parametrize("reviewed", [False, True])
def test_every_panel_without_and_with_reviews(full: Workspace, panel: str, reviewed: bool) -> None:
    if reviewed:
        for name in ("Ada", "Ben"):
            for one in ("c1", "c6", "c11"):
                save_review(full, *PAIR, one, name, verdict="real regression", cause="refusal", severity="low")
    app = opened(reviewer="Ada")
    app.session_state["review_panel"] = panel
    app = clean(app.run())
    assert not app.error
    if panel == "Findings" and reviewed:
        verdicts = app.table[0].value
        assert verdicts["samples"].tolist() == ["3"]
        assert isinstance(verdicts, pd.DataFrame)
    if panel == "Agreement":
        assert ("not defined" in str(app.table[0].value)) if reviewed else "No sample has been" in texts(app, "info")


def test_the_assign_panel_deals_and_refuses(full: Workspace) -> None:
    app = opened(reviewer="Ada")
    app.session_state["review_panel"] = "Assign"
    app = clean(app.run())
    app = press(app, "Assign")
    assert "at least one reviewer" in texts(app, "error").replace("\\", "")
    next(one for one in app.text_input if one.label == "Reviewers").set_value("Ada, Ben")
    app = press(app, "Assign")
    assert "Ada 4, Ben 4 samples" in texts(app, "success")
    assert any("0 of 4 assigned to Ada" in str(bar.proto.text) for bar in app.get("progress"))


def test_the_library_names_causes_of_its_own_in_the_form(full: Workspace) -> None:
    from muscle_core.actions.reviews.findings import save_causes

    causes = list_causes(full)
    save_causes(full, [causes[0]._replace(name="*bold* cause"), *causes[1:8], causes[8]._replace(retired=True)])
    app = opened(reviewer="Ada")
    labels = [one.label for one in app.button]
    assert r"\*bold\* cause" in labels
    assert "other" not in labels


def test_a_continuous_task_offers_what_lost_score(workspace: Workspace, tmp_path: Path) -> None:
    import json

    from muscle_core.actions.imports.outputs import import_predictions
    from muscle_core.actions.library.datasets import add_dataset_rows
    from muscle_core.interchange import ImportColumns

    rows = [(str(n), {"id": f"t{n}", "instruction": f"say {n}", "output": f"{n}"}) for n in range(5)]
    add_dataset_rows(workspace, "free", "instruction", {"test": rows})
    for name, scores in (("old", [0.5] * 5), ("new", [0.5, 0.4, 0.9, 0.1, 0.6])):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps([{"id": f"t{n}", "out": f"{name} {n}", "s": s} for n, s in enumerate(scores)]))
        import_predictions(workspace, name, "free", file, ImportColumns(output="out", score="s"))
    app = opened(dataset="free", reviewer="Ada")
    assert list(app.dataframe[0].value["sample_id"]) == ["t3", "t1"]
    assert sample(app) == "t3"
