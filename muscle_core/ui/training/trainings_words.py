"""Texts of the finished trainings, one by one and two side by side. Texts from data come in safe."""

from __future__ import annotations

from collections.abc import Sequence

# The list, and one of it.
FINISHED = "Trainings of this update"
FINISHED_ALT = "Finished compatibility trainings of this update, newest first, with what came of them"
STRATEGY, SEED, STEPS, START_FROM, DONE, TOOK = "strategy", "seed", "steps", "start from", "done (UTC)", "steps took"
TOOK_HELP = "Time of the steps; asking the teachers, loading and evaluating are not in it."
NFR, ACCURACY, SAMPLES, VERSION = "NFR", "accuracy", "samples", "model version"
SAMPLES_HELP = "Samples that NFR and accuracy are of."
UNDER_A_SECOND = "less than 1 s"
ITS_SETTINGS, ITS_LOG, VALUE = "Settings", "Last lines of the log", "value"
ITS_SETTINGS_ALT = "All that this training was told and made with"
NO_LOG = "No log of this training is in this workspace."
NO_CURVES = "No curves of this training are in this workspace."
_LOSS_OF, _CHANGE_OF = "mean loss of ", "mean change of "


def none_finished(old: str, new: str, dataset: str) -> str:
    """That nothing was trained yet; names are safe."""
    return (
        f"No compatibility training of {old} → {new} on {dataset} is finished yet. Start one above; it is listed here "
        "when it is done."
    )


def no_training(key: str) -> str:
    """That a link leads nowhere; the key is safe."""
    return f"There is no training {key} of this update."


def finished_note(count: int, split: str, old: str) -> str:
    """What the list shows; names are safe."""
    return (
        f"{count:,} training{'s' if count != 1 else ''}, newest first. NFR is against {old}, both figures on split "
        f"{split}, with 95 % intervals. Click a row for its curves, settings and log."
    )


def interval_of(title: str) -> str:
    """Title of a column of intervals."""
    return f"95 % of {title}"


def loss_of(score: str) -> str:
    """Title of a column."""
    return f"{_LOSS_OF}{score}"


def change_of(score: str) -> str:
    """Title of a column."""
    return f"{_CHANGE_OF}{score}"


def is_score(title: str) -> bool:
    """Whether a column holds differences of a score."""
    return title.startswith((_LOSS_OF, _CHANGE_OF))


def about(
    strategy: str,
    seed: int,
    steps: int | None,
    samples: int,
    start: str,
    done: str,
    took: str | None,
    teachers: str | None,
    facts: Sequence[str],
) -> str:
    """What a training is; texts as they are."""
    parts = [f"{strategy}, seed {seed}, started from {start}"]
    parts += [] if steps is None else [f"{steps:,} steps of {samples:,} samples"]
    parts += [] if took is None else [f"steps took {took}"]
    parts += [] if teachers is None else [f"asking the teachers {teachers}"]
    return "; ".join([", ".join(parts), f"done {done}", *facts]) + "."


def on_split(split: str, figures: Sequence[str]) -> str:
    """What came of a training."""
    return f"On split {split}, with 95 % intervals: {'; '.join(figures)}."


def not_evaluated(split: str) -> str:
    """That there are no results; the name of the split is safe."""
    return f"What it made has not been evaluated on split {split}. The Masking page has a button for that."


# Two trainings.
DIFFERENCES = "Compare two trainings"
OTHERS = "Offer trainings of other updates and mixes too"
OTHERS_HELP = (
    "Otherwise only the compatibility trainings of the update in the sidebar are offered. A mix of two adapters takes "
    "no training, so that it has no curves."
)
COMPARING = "Comparing the trainings …"
FIRST, SECOND = "First training", "Second training"
SHOW = "Settings shown"
ONLY_DIFFERENT, ALL_SETTINGS = "differences only", "all settings"
SAME_TRAINING = "Both are the same training; choose two."
NO_DIFFERENCE = "All settings are the same."
SETTINGS_ALT = "Settings of both trainings side by side"
RESULTS_ALT = "Results of both trainings side by side, with 95 % intervals"
RESULTS = "**Results**"
CURVES = "**How they went**"
SETTINGS = "**Settings**"
GROUP, SETTING = "group", "setting"
RESULT = "result"
_FIGURES = {
    "accuracy": "accuracy",
    "nfr": "NFR",
    "nfr_mc": "NFR_mc",
    "mean_change": "mean change of the score",
    "regression": "mean regression",
}
_SUMMARY = {
    "steps": "steps done",
    "seconds": "time of the steps",
    "teacher_seconds": "time of asking the teachers",
    "loss": "loss of the last step",
    "token_accuracy": "token accuracy of the last step",
    "old_share": "tokens aligned to old, all steps",
    "best_step": "step that early stopping chose",
    "peak_memory_mb": "peak memory",
}


CURVE_NAMES = {"loss": "Loss", "old_share": "Tokens aligned to old", "token_accuracy": "Token accuracy"}
OTHER_LOSSES = "Different strategies have different losses: compare how they fall, not how high they are."
_KINDS = {"compat": "another update", "task": "task adapter", "interpolation": "mix"}


def need_two(own: int) -> str:
    """That there are too few trainings to compare."""
    there = "none is" if own == 0 else "one is"
    return (
        f"Two compatibility trainings of this update are needed; {there} finished. Start one above: settings, curves "
        "and results of both stand here when it is done."
    )


def option(name: str, key: str, kind: str | None) -> str:
    """A training to choose; what it is where it is no compatibility training of this update."""
    return f"{name} · {key}" + ("" if kind is None else f" · {_KINDS.get(kind, kind)}")


def without_curves(names: Sequence[str]) -> str:
    """Which trainings have no step records; names are safe."""
    return f"No step records of {' and '.join(names)} are in this workspace."


def curve_says(column: str, window: int, first: str | None, second: str | None) -> str:
    """Where the lines of a chart end."""
    steps = f"mean of the last {window:,} steps" if window > 1 else "last step"
    ends = [f"{which} {end}" for which, end in (("first", first), ("second", second)) if end is not None]
    return f"{CURVE_NAMES[column]}, {steps}: {', '.join(ends)}."


def curve_alt(column: str) -> str:
    """What a chart shows."""
    return f"{CURVE_NAMES[column]} of both trainings over their steps: running means, and single steps faintly"


def figure_name(name: str) -> str:
    """A result, for a row of the table."""
    return _FIGURES.get(name) or _SUMMARY.get(name, name)


def counted(shown: int, count: int) -> str:
    """How many settings differ."""
    return f"{shown:,} of {count:,} settings differ."


def gap(measure: str, value: str, low: str, high: str, n: int, *, apart: bool) -> str:
    """The difference of the results of two trainings."""
    verdict = (
        "The interval leaves out 0."
        if apart
        else "The interval includes 0: the two cannot be told apart by this figure."
    )
    return (
        f"{_FIGURES[measure]}, second minus first on the same {n:,} samples: {value}, 95 % interval {low} to {high} "
        f"(paired bootstrap). {verdict}"
    )


def not_paired() -> str:
    """Why there is no difference of results."""
    return "Results are subtracted only where both have the same old version and dataset and were evaluated."


def results_note(split: str) -> str:
    """What the results are of; the name of the split is safe."""
    return (
        f"Accuracy and flips are those on split {split}, against the training's old version; brackets hold 95 % "
        "intervals."
    )
