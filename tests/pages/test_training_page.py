"""The Training page by AppTest: the form as a command, the preflight, time left, and two trainings compared."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path

import sqlalchemy as sa
from helpers import FAST
from streamlit.testing.v1 import AppTest

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.training.presets import compat_preset
from muscle_core.actions.training.train import train_compat
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
    kinds = (*app.number_input, *app.checkbox, *app.selectbox, *app.radio)
    return next(element for element in kinds if element.label == label)


def said(elements: object) -> str:
    return "\n".join(str(element.value) for element in elements).replace("\\", "")  # type: ignore[attr-defined]


def command(app: AppTest) -> str:
    return next(element.value for element in app.code if element.value.startswith("python -m muscle_core"))


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
    assert "A training with exactly these options is under way (job " in said(app.markdown)
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
    assert "Time: **not known**" in said(app.markdown)
    assert "the time is not known before the first steps" in said(app.caption)
    assert "24 training samples, each is seen 333.3 times; 30 test samples." in said(app.markdown)
    train_compat(pair, "task-old", "task-new", "choice", compat_preset("paper", {"steps": 20}))
    app = opened()
    assert "Time: **about " in said(app.markdown)
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
    assert "Once two trainings are done" not in said(opened().info)  # the two task adapters
    for options in ({}, {"strategy": "always_old", "seed": 3}):
        version = train_compat(pair, "task-old", "task-new", "choice", CompatConfig(**FAST, **options))
        evaluate(pair, version.name, "choice")
    second, first = (run.id[:8] for run in list_training_runs(pair)[:2])
    app = opened(first=first, second=second)
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


def test_a_workspace_whose_samples_are_gone_says_so(pair: Workspace) -> None:
    for file in pair.path("datasets").iterdir():
        file.unlink()
    app = opened()
    assert "is gone" in said(app.error)
    assert any(element.value == "Background work" for element in app.subheader)
