"""Two trainings side by side: every setting that differs and no other, and results as compared by hand."""

from __future__ import annotations

import numpy as np
import pytest
from built import FilledAnd

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.training.differences import (
    compare_settings,
    difference,
    get_training,
    known_trainings,
    outcome,
)
from muscle_core.actions.training.train import train_compat, train_task
from muscle_core.actions.updates.compare import compare_versions
from muscle_core.compat.config import CompatConfig, TaskConfig
from muscle_core.errors import StoreError
from muscle_core.store import Workspace

FAST = {"steps": 2, "batch_size": 4, "warmup_steps": 0, "lora_rank": 2, "lora_alpha": 4}


def _trained(workspace: Workspace) -> None:
    for role in ("old", "new"):
        train_task(workspace, f"task-{role}", role, "choice", TaskConfig(**FAST), role=role)
        evaluate(workspace, f"task-{role}", "choice")
    for options in ({"learning_rate": 0.5, "steps": 6}, {"strategy": "always_old", "seed": 3}):
        version = train_compat(workspace, "task-old", "task-new", "choice", CompatConfig(**{**FAST, **options}))
        evaluate(workspace, version.name, "choice")


@pytest.fixture
def trained(filled_and: FilledAnd) -> Workspace:
    return filled_and(_trained)


def test_what_differs_is_named_and_nothing_else(trained: Workspace) -> None:
    names = known_trainings(trained)
    assert list(names.values()) == [
        "task-new-always_old-s3",
        "task-new-token_correctness-s0",
        "task-new",
        "task-old",
    ]
    second, first = (get_training(trained, run_id[:12]) for run_id in list(names)[:2])
    settings = compare_settings(trained, first, second)
    differing = {(s.group, s.name): (s.first, s.second) for s in settings if s.differs}
    assert differing == {
        ("options", "learning_rate"): (0.5, 1e-3),
        ("options", "steps"): (6, 2),
        ("options", "strategy"): ("token_correctness", "always_old"),
        ("options", "seed"): (0, 3),
        ("versions", "result"): ("task-new-token_correctness-s0", "task-new-always_old-s3"),
    }
    told = {(s.group, s.name) for s in settings}
    assert {("made by", "torch"), ("data", "fingerprint"), ("versions", "old, fingerprint")} <= told
    assert {("options", name) for name in CompatConfig().as_dict()} <= told
    assert [s.group for s in settings] == sorted((s.group for s in settings), key=[s.group for s in settings].index)
    assert not any(s.differs for s in compare_settings(trained, first, first))


def test_an_option_that_only_one_kind_has_differs(trained: Workspace) -> None:
    compat, _, task, _ = (get_training(trained, run_id) for run_id in known_trainings(trained))
    settings = {(s.group, s.name): s for s in compare_settings(trained, task, compat)}
    assert settings["training", "kind"][2:] == ("task", "compat")
    assert settings["options", "strategy"].first is None
    assert settings["options", "strategy"].differs


def test_an_option_unknown_at_its_time_had_its_default(trained: Workspace) -> None:
    first = get_training(trained, next(iter(known_trainings(trained))))
    second = get_training(trained, first.id)
    second.options = {name: value for name, value in first.options.items() if name != "patience"}
    assert not any(s.differs for s in compare_settings(trained, first, second))


def test_results_are_those_of_the_comparison(trained: Workspace) -> None:
    second, first = (get_training(trained, run_id) for run_id in list(known_trainings(trained))[:2])
    compared = compare_versions(trained, "task-old", "task-new-token_correctness-s0", "choice")
    found = outcome(trained, first, "test")
    assert tuple(found.figures["nfr"]) == (compared.nfr.value, compared.nfr.low, compared.nfr.high)
    assert found.figures["accuracy"].value == compared.accuracy_new.value
    assert (found.n, found.summary["steps"]) == (30, 6)
    other = compare_versions(trained, "task-old", "task-new-always_old-s3", "choice")
    flips = [(c.samples.set_index("sample_id")["quadrant"] == "Q4").astype(float) for c in (compared, other)]
    gap = difference(trained, first, second, "test")
    assert gap.change.value == pytest.approx(float(np.mean(flips[1] - flips[0])))
    assert gap.change.low <= gap.change.value <= gap.change.high
    assert (gap.measure, gap.n) == ("nfr", 30)
    back = difference(trained, second, first, "test")
    assert back.change.value == pytest.approx(-gap.change.value)


def test_what_cannot_be_compared_has_no_difference(trained: Workspace) -> None:
    compat, other, task, _ = (get_training(trained, run_id) for run_id in known_trainings(trained))
    assert difference(trained, compat, compat, "test") is None
    assert difference(trained, compat, task, "test") is None
    assert difference(trained, compat, other, "nothing") is None
    assert outcome(trained, compat, "train").figures == {}
    for wrong in ("", "no such"):
        with pytest.raises(StoreError, match=r"trainings? begins? with"):
            get_training(trained, wrong)
