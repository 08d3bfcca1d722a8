"""The Training page by AppTest: the form as a command, the preflight, time left, and two trainings compared."""

from __future__ import annotations

import json
import re
import shlex
import time
from pathlib import Path

import sqlalchemy as sa
from helpers import FAST
from streamlit.testing.v1 import AppTest

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.strategies.interpolate import interpolate_versions
from muscle_core.actions.training.presets import compat_preset
from muscle_core.actions.training.train import train_compat
from muscle_core.actions.updates.compare import compare_versions
from muscle_core.cli.shared import options_of
from muscle_core.compat.config import CompatConfig
from muscle_core.jobs import list_jobs
from muscle_core.store import Job, Workspace, list_training_runs

ROOT = Path(__file__).resolve().parents[2]


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for key, value in {"old": "task-old", "new": "task-new", **query}.items():
        app.query_params[key] = value
    app = app.run().switch_page("pages/training.py").run()
    assert not app.exception, app.exception
    return app


def field(app: AppTest, label: str):
    kinds = (*app.number_input, *app.checkbox, *app.selectbox, *app.radio, *app.button_group, *app.toggle)
    return next(element for element in kinds if element.label == label)


def said(elements: object) -> str:
    return "\n".join(str(element.value) for element in elements).replace("\\", "")  # type: ignore[attr-defined]


def command(app: AppTest) -> str:
    return next(element.value for element in app.code if element.value.startswith("python -m muscle_core"))


def mixed(workspace: Workspace, first: str, second: str) -> None:
    made = interpolate_versions(workspace, "task-old", "task-new", "choice", first, second, 0.5)
    evaluate(workspace, made.name, "choice")


def recipe(app: AppTest) -> str:
    return next(element.value for element in app.code if element.value.startswith("about:"))


def test_the_command_follows_the_form_and_means_what_is_queued(pair: Workspace) -> None:
    app = opened()
    assert command(app) == "python -m muscle_core train compat task-old task-new --dataset choice --background"
    field(app, "Preset").set_value("quick").run()
    field(app, "Strategy").set_value("old_correct").run()
    field(app, "Steps").set_value(7).run()
    field(app, "Learning rate").set_value(2e-4).run()
    field(app, "Seed").set_value(5).run()
    words = shlex.split(command(app))
    assert words[words.index("--preset") + 1] == "quick"
    sets = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
    meant = compat_preset("quick", {**options_of(sets), "strategy": "old_correct", "seed": 5})
    assert "steps: 7" in recipe(app)
    next(button for button in app.button if button.label == "Start training").click().run()
    [job] = [job for job in list_jobs(pair) if job.kind == "train_compat"]
    assert CompatConfig.from_dict(job.payload["options"]) == meant
    assert "A training with exactly these options is under way (job " in said(app.caption)
    next(button for button in app.button if button.label == "Start training").click().run()
    assert len([job for job in list_jobs(pair) if job.kind == "train_compat"]) == 1


def test_presets_are_three_and_say_what_they_mean(pair: Workspace) -> None:
    app = opened()
    preset = field(app, "Preset")
    assert preset.options == ["quick", "paper", "thorough"]
    assert preset.value == "paper"
    preset.set_value("thorough").run()
    assert not app.exception
    assert "which this dataset lacks" in said(app.caption)  # no validation split
    assert field(app, "Steps").value == 2000


def test_before_it_starts_time_is_unknown_then_measured(pair: Workspace) -> None:
    app = opened()
    assert "Time]  \n**not known**" in said(app.markdown)
    assert "the time is not known before the first steps" in said(app.caption)
    assert "24 training samples, each is seen 333.3 times; 30 test samples." in said(app.caption)
    train_compat(pair, "task-old", "task-new", "choice", compat_preset("paper", {"steps": 20}))
    app = opened()
    assert "Time]  \n**about " in said(app.markdown)
    assert "by 1 earlier training of this update with this strategy and batch size" in said(app.caption)
    assert "What the teachers say is kept already." in said(app.caption)


def test_what_speaks_against_a_training_is_said_before(pair: Workspace, tiny_bases: dict[str, Path]) -> None:
    app = opened()
    field(app, "Train on split").set_value("test").run()
    assert "This training cannot start:" in said(app.error)
    assert "Train on another split" in said(app.error)
    next(button for button in app.button if button.label == "Start training").click().run()
    assert not app.exception
    assert list_jobs(pair) == []
    from muscle_core.actions.library.models import add_model_version

    add_model_version(pair, "foreign", str(tiny_bases["foreign"]), role="new")
    evaluate(pair, "foreign", "choice")
    app = opened()
    field(app, "New version").set_value("foreign").run()
    assert "the tokenizers of 'task-old' and 'foreign' differ" in said(app.error)


def test_the_time_left_comes_from_the_jobs_own_speed(pair: Workspace) -> None:
    app = opened()
    next(button for button in app.button if button.label == "Start training").click().run()
    job = next(job for job in list_jobs(pair) if job.kind == "train_compat")
    now = time.time()
    lines = [{"at": now - 30, "what": "begin"}]
    for second in range(31):
        fact = {"stage": "training", "done": second * 4, "total": 500}
        lines.append({"at": now - 30 + second, "what": "progress", **fact})
    folder = pair.job_folder(job.id)
    (folder / "progress.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "log.txt").write_text("12:00:00 step 120 of 500: loss 0.1234\n")
    with pair.writing() as session:
        session.execute(
            sa.update(Job)
            .where(Job.id == job.id)
            .values(state="running", lease_until=now + 100, progress={"stage": "training", "done": 120, "total": 500})
        )
    app = opened(job=job.id[:8])
    [bar] = app.get("progress")
    text = bar.proto.text.replace("\\", "")
    assert text.startswith(("training: 120 of 500 · about 1 min 3", "training: 120 of 500 · about 9"))
    assert any("step 120 of 500" in element.value for element in app.code)


def test_two_trainings_side_by_side_in_the_url(pair: Workspace) -> None:
    app = opened()
    assert "Two compatibility trainings of this update are needed; none is finished." in said(app.info)
    field(app, "Offer trainings of other updates and mixes too").set_value(True).run()
    assert [option.split(" · ")[2] for option in field(app, "First training").options] == ["task adapter"] * 2
    for options in ({}, {"strategy": "always_old", "seed": 3}):
        version = train_compat(pair, "task-old", "task-new", "choice", CompatConfig(**FAST, **options))
        evaluate(pair, version.name, "choice")
    mixed(pair, "task-new-token_correctness-s0", "task-new-always_old-s3")
    second, first = (run.id[:8] for run in list_training_runs(pair) if run.kind == "compat")
    app = opened()
    assert (app.query_params["first"], app.query_params["second"]) == (first, second)  # not the mix, which is newest
    assert len(field(app, "First training").options) == 2
    assert "Different strategies have different losses" in said(app.caption)
    [losses] = [value for value in said(app.caption).split("\n") if value.startswith("Loss,")]
    assert re.fullmatch(r"Loss, last step: first \d\.\d{4}, second \d\.\d{4}\.", losses)
    settings = next(table.value for table in app.table if "setting" in table.value.columns)
    assert [name.replace("\\", "") for name in settings["setting"]] == ["seed", "strategy", "result"]
    assert settings.shape[1] == 4
    results = next(table.value for table in app.table if "result" in table.value.columns)
    assert {"accuracy", "NFR", "steps done"} <= {name.replace("\\", "") for name in results["result"]}
    assert "[" in results.iloc[0, 1]
    assert "second minus first on the same 30 samples" in said(app.markdown)
    field(app, "Settings shown").set_value("all").run()
    assert app.query_params["settings"] == "all"
    settings = next(table.value for table in app.table if "setting" in table.value.columns)
    assert len(settings) > 30
    assert any("torch" in name for name in settings["setting"])
    field(app, "First training").set_value(second).run()
    assert "choose two" in said(app.info)
    mix = next(run.id[:8] for run in list_training_runs(pair) if run.kind == "interpolation")
    app = opened(first=mix, second=second)
    assert field(app, "First training").options[-3].endswith("task adapter")
    assert field(app, "First training").options[-1].endswith("mix")
    assert field(app, "First training").value == mix
    assert "No step records of" in said(app.caption)


def test_values_of_the_form_live_in_the_url(pair: Workspace) -> None:
    app = opened(preset="quick", strategy="always_old", seed="5", learning_rate="0.0002", truncate="yes")
    assert (field(app, "Preset").value, field(app, "Strategy").value, field(app, "Seed").value) == (
        "quick",
        "always_old",
        5,
    )
    assert shlex.split(command(app))[9:] == [
        *("--preset", "quick", "--strategy", "always_old", "--seed", "5"),
        *("--set", "learning_rate=0.0002", "--set", "truncate=true", "--background"),
    ]
    labels = [expander.label for expander in app.expander]
    assert "More options · 1 differs from the preset" in labels
    assert "Advanced · 1 differs from the preset" in labels
    assert dict(app.query_params.items())["steps"] == "50"
    # Another preset sets its options anew; strategy and seed are none of them.
    field(app, "Preset").set_value("thorough").run()
    assert (field(app, "Steps").value, field(app, "Seed").value) == (2000, 5)
    assert "learning_rate" not in app.query_params
    assert "truncate" not in app.query_params
    assert "More options" in [expander.label for expander in app.expander]
    # The back button: the URL says it all.
    for key, value in {"preset": "quick", "steps": "50", "seed": "4", "learning_rate": "0.0002"}.items():
        app.query_params[key] = value
    app.run()
    assert field(app, "Preset").value == "quick"
    assert (field(app, "Batch size").value, field(app, "Warm-up steps").value) == (8, 5)
    assert "More options · 1 differs from the preset" in [expander.label for expander in app.expander]
    assert (field(app, "Steps").value, field(app, "Seed").value, field(app, "Learning rate").value) == (50, 4, 2e-4)
    app = opened(preset="quick", steps="50", seed="4", learning_rate="0.0002")
    del app.query_params["learning_rate"]
    app.run()
    assert field(app, "Learning rate").value == 3e-4


def test_values_of_a_link_that_cannot_be_used_are_told_and_ignored(pair: Workspace) -> None:
    app = opened(preset="none", steps="-4", seed="x", truncate="maybe", temperature="nan", train_split="nowhere")
    told = said(app.warning)
    for text in ("Preset “none”", "Steps “-4”", "Seed “x”", "longer samples “maybe”", "Temperature “nan”"):
        assert text in told
    assert "Train on split “nowhere”" in told
    assert command(app) == "python -m muscle_core train compat task-old task-new --dataset choice --background"
    assert app.query_params["steps"] == "500"
    app.run()
    assert "Steps “-4”" in said(app.warning)  # until the form is changed
    field(app, "Seed").set_value(1).run()
    assert not any("Steps" in warning.value for warning in app.warning)


def test_finished_trainings_are_listed_and_opened(pair: Workspace) -> None:
    app = opened()
    assert "No compatibility training of task-old → task-new on choice is finished yet." in said(app.caption)
    for seed in (0, 1):
        version = train_compat(pair, "task-old", "task-new", "choice", CompatConfig(**FAST, seed=seed))
        evaluate(pair, version.name, "choice")
    mixed(pair, "task-new-token_correctness-s0", "task-new-token_correctness-s1")
    app = opened()
    assert "No job has been started in this workspace: nothing is queued or running." in said(app.caption)
    assert "The 2 finished trainings are listed below." in said(app.caption)
    table = next(frame.value for frame in app.dataframe if "start from" in frame.value.columns)
    assert list(table["seed"]) == [1, 0]  # newest first, no mix
    newest = next(run for run in list_training_runs(pair) if run.kind == "compat")
    reached = compare_versions(pair, "task-old", "task-new-token_correctness-s1", "choice")
    assert table["NFR"].iloc[0] == reached.nfr.value * 100
    assert table["95 % of NFR"].iloc[0] == f"{reached.nfr.low * 100:.1f}–{reached.nfr.high * 100:.1f} %"
    assert table["accuracy"].iloc[0] == reached.accuracy_new.value * 100
    assert table["samples"].iloc[0] == 30
    app = opened(training=newest.id)
    assert app.query_params["training"] == newest.id[:8]
    assert "task-new-token_correctness-s1" in said(app.markdown)
    assert f"NFR {reached.nfr.value * 100:.1f} % [" in said(app.markdown)
    assert "No log of this training is in this workspace." in said(app.caption)
    settings = next(frame.value for frame in app.table if "value" in frame.value.columns)
    assert {"learning_rate", "fingerprint", "torch"} <= {name.replace("\\", "") for name in settings["setting"]}
    next(button for button in app.button if button.label == "Read its samples").click().run()
    assert app.query_params["compat"] == "task-new-token_correctness-s1"
    assert "steps" not in app.query_params
    assert "There is no training deadbeef of this update." in said(opened(training="deadbeef").warning)


def test_a_workspace_whose_samples_are_gone_says_so(pair: Workspace) -> None:
    for file in pair.path("datasets").iterdir():
        file.unlink()
    app = opened()
    assert "is gone" in said(app.error)
    assert any(element.value == "Background work" for element in app.subheader)
