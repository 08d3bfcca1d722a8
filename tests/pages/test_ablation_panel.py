"""The Masking page over seeds, and its panel that trains what is missing; the Training form's advanced options."""

from __future__ import annotations

from pathlib import Path

from helpers import FAST
from streamlit.testing.v1 import AppTest

from muscle_core.actions.strategies.ablation import run_ablation
from muscle_core.actions.strategies.ablation_plan import AblationRequest
from muscle_core.compat.config import CompatConfig
from muscle_core.jobs import list_jobs, request_cancel
from muscle_core.store import Job, Workspace

ROOT = Path(__file__).resolve().parents[2]
PAIR = ("task-old", "task-new", "choice")


def opened(page: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    app = app.run().switch_page(f"pages/{page}.py").run()
    assert not app.exception, app.exception
    return app


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label.startswith(label)).click().run()
    assert not app.exception, app.exception
    return app


def trainings(workspace: Workspace) -> list[Job]:
    return [job for job in list_jobs(workspace) if job.kind == "train_compat"]


def captions(app: AppTest) -> str:
    return "\n".join(str(element.value) for element in app.caption).replace("\\", "")


def test_what_is_missing_is_queued_once_and_its_state_shown(pair: Workspace) -> None:
    app = opened("masking")
    app.multiselect(key="ablation_strategies").set_value(["token_correctness", "always_old"]).run()
    app.multiselect(key="ablation_seeds").set_value([0, 1]).run()
    table = app.dataframe[-1].value
    assert list(table.columns) == ["strategy", "seed 0", "seed 1"]
    assert set(table["seed 1"]) == {"to be trained"}
    assert "4 trainings: 0 there, 0 under way, 4 missing." in captions(app)
    press(app, "Queue what is missing (4)")
    assert [job.kind for job in list_jobs(pair)].count("evaluate") == 4
    assert [job.state for job in trainings(pair)] == ["queued"] * 4
    assert {job.payload["options"]["strategy"] for job in trainings(pair)} == {"token_correctness", "always_old"}
    assert set(app.dataframe[-1].value["seed 0"]) == {"○ queued"}
    assert "0 there, 4 under way, 0 missing" in captions(app)
    assert next(b for b in app.button if b.label.startswith("Queue what")).disabled
    request_cancel(pair, trainings(pair)[0].id)
    app.run()
    assert "◼ cancelled, to be resumed" in app.dataframe[-1].value["seed 1"].tolist()
    press(app, "Cancel these jobs (3)")
    assert {job.state for job in list_jobs(pair)} == {"cancelled"}


def test_no_choice_and_a_choice_that_cannot_work_are_explained(pair: Workspace) -> None:
    app = opened("masking")
    app.multiselect(key="ablation_strategies").set_value([]).run()
    assert any("Choose at least one strategy" in str(element.value) for element in app.info)
    app.multiselect(key="ablation_strategies").set_value(["always_old"]).run()
    next(box for box in app.selectbox if box.label == "Train on split").set_value("test").run()
    assert any("Train on another split" in str(element.value).replace("\\", "") for element in app.warning)
    assert list_jobs(pair) == []


def test_the_view_over_seeds_appears_with_a_second_seed(pair: Workspace) -> None:
    config = CompatConfig(**FAST)
    run_ablation(pair, AblationRequest(*PAIR, config, strategies=["token_correctness"], seeds=[0]))
    app = opened("masking")
    assert not any(group.label == "Rows" for group in app.button_group)
    run_ablation(pair, AblationRequest(*PAIR, config, strategies=["token_correctness", "cross_entropy"], seeds=[0, 1]))
    app = opened("masking", rows="over seeds", columns="all")
    table = app.dataframe[0].value
    assert list(table["seeds"]) == ["–", "0, 1", "0, 1"]
    assert table["NFR"].str.endswith("]").all()
    assert table["NFR by seed"].iloc[1].endswith(" %")
    assert (table["n"] == "30").all()
    text = captions(app)
    assert "does not tell what other seeds would give" in text
    assert "not smoothed" in text  # two steps
    next(group for group in app.button_group if group.label == "Rows").set_value("one by one").run()
    assert not app.exception
    assert "version" in app.dataframe[0].value.columns


def test_the_form_hands_on_its_advanced_options(pair: Workspace) -> None:
    app = opened("training")

    def field(label: str):
        return next(e for e in (*app.number_input, *app.checkbox, *app.selectbox) if e.label == label)

    assert field("Steps between looks").disabled  # the dataset has no validation split
    assert field("Focal alpha").disabled
    field("Cross-entropy weight").set_value(0.5)
    field("Steps between checkpoints").set_value(7)
    field("Cut longer samples").set_value(True)
    field("Gradient checkpointing").set_value(True)
    field("Ask the teachers once").set_value(False)
    press(app, "Start training")
    options = trainings(pair)[0].payload["options"]
    changed = {"cross_entropy_weight": 0.5, "checkpoint_every": 7, "truncate": True, "gradient_checkpointing": True}
    from muscle_core.actions.training.presets import compat_preset

    assert options == compat_preset("default").as_dict() | changed | {"teacher_store": False}
    field("Strategy").set_value("focal_distillation").run()
    assert field("Cross-entropy weight").disabled
    assert not field("Focal beta").disabled


def test_a_cancelled_job_can_be_resumed_on_the_page(pair: Workspace) -> None:
    app = press(opened("training"), "Start training")
    request_cancel(pair, trainings(pair)[0].id)
    app.run()
    assert {job.state for job in list_jobs(pair)} == {"cancelled"}
    press(app, "Resume this job")
    assert [job.state for job in list_jobs(pair)] == ["queued", "queued"]
