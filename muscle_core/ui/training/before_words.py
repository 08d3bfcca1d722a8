"""Texts about a training that has not started: what speaks against it, what it takes, and the same elsewhere."""

from __future__ import annotations

from muscle_core.actions.training import earlier as basis
from muscle_core.actions.training.earlier import Part
from muscle_core.actions.training.preflight import NOTE, OK, Check
from muscle_core.ui.numbers import duration, rough_size

PREFLIGHT = "Before it starts"
CANNOT_START = "This training cannot start:"
TIME, MEMORY, DISK = "Time", "Memory", "Disk"
NOT_KNOWN = "not known"
START = "Start training"
QUEUED = "Training queued."
UNDER_WAY = "This training is already under way."
TIME_NOTE = "Loading the models comes on top; a busy machine takes longer."
SOURCES = "Where these figures come from"
ESTIMATING = "Looking at what this training takes …"
_NAMES = {
    "weights": "Weights of both versions are here, in a format that is read.",
    "tokenizer": "Both versions have one tokenizer.",
    "start": "The adapter that it starts from is there.",
    "splits": "Training and test use different splits.",
    "validation": "Early stopping has a split of its own.",
}


def check_line(check: Check) -> str:
    """One line about something that was looked at; figures only, no text from data."""
    numbers = check.numbers
    if check.name == "answers" and "train" in numbers:
        if numbers["bare"]:
            return f"{numbers['bare']:,} of {numbers['train']:,} training samples have no reference answer."
        passes = float(numbers["passes"] or 0)
        times = f"each is seen {passes:,.1f} times" if passes >= 1 else f"{passes * 100:.0f} % of them are seen"
        return (
            f"{numbers['train']:,} training samples, {times}; {numbers['test']:,} test samples. All training samples "
            "have a reference answer."
        )
    if check.name == "overlap":
        if check.state == OK:
            return "No test sample has the input of a training sample."
        return (
            f"{numbers['both']:,} of {numbers['test']:,} test samples have the input of a training sample, so that "
            "results on them look better than they are."
        )
    if check.name in ("memory", "disk"):
        return _room(check)
    return _NAMES.get(check.name, "")


def repeated(version: str | None, job: str | None) -> str:
    """That this very training is there or under way; names are safe."""
    if version is not None:
        return f"A training with exactly these options has been done: {version}. It would be done again."
    return f"A training with exactly these options is under way (job {job})."


def _room(check: Check) -> str:
    what = "Memory" if check.name == "memory" else "Disk"
    needed, free = check.numbers["needed"], check.numbers["free"]
    if check.state == NOTE and (needed is None or free is None):
        return f"{what}: it is not known whether there is enough."
    assert isinstance(needed, float)
    if check.state == OK:
        return f"{what}: {rough_size(float(free or 0))} are free."
    return f"{what}: about {rough_size(needed)} are needed and {rough_size(float(free or 0))} are free."


def time_value(part: Part) -> str:
    """How long it takes, for a figure."""
    return NOT_KNOWN if part.value is None else f"about {duration(part.value)}"


def size_value(part: Part) -> str:
    """How much it takes, for a figure."""
    if part.value is None:
        return NOT_KNOWN
    return f"{'at least' if part.basis == basis.FORMULA else 'about'} {rough_size(part.value)}"


def disk_value(part: Part) -> str:
    """How much disk it takes at its peak, for a figure."""
    return NOT_KNOWN if part.value is None else f"about {rough_size(part.value)}"


def time_source(steps: Part, teachers: Part, evaluation: Part) -> str:
    """Where the time comes from, and its parts."""
    if steps.value is None or steps.low is None or steps.high is None:
        return (
            "No earlier training of these models is in this workspace, so that the time is not known before the first "
            "steps; the job then says it."
        )
    trainings = f"{steps.measured:,} earlier training{'s' if steps.measured != 1 else ''}"
    whose = {
        basis.SAME: f"by {trainings} of this update with this strategy and batch size",
        basis.OTHER_STRATEGY: f"by {trainings} of this update with other strategies",
        basis.OTHER_BATCH: f"by {trainings} of this update with other batch sizes; small models do not get slower in "
        "proportion to the batch",
        basis.OTHER_DATASET: f"by {trainings} of this base on other data, adjusted for the length of the samples",
    }[steps.basis]
    spread = (
        f", {'half of them' if steps.measured >= 4 else 'they'} took {duration(steps.low)} to {duration(steps.high)}"
        if steps.measured > 1
        else ""
    )
    parts = f"Steps {duration(steps.value)}: {whose}{spread}."
    parts += (
        " Asking the teachers first: not known."
        if teachers.value is None
        else " What the teachers say is kept already."
        if teachers.basis == basis.KEPT and not teachers.value
        else f" Asking the teachers first {duration(teachers.value)}."
    )
    parts += " Evaluating: not known." if evaluation.value is None else f" Evaluating {duration(evaluation.value)}."
    return parts


def memory_source(part: Part) -> str:
    """Where the memory comes from."""
    if part.value is None:
        return "The files of the base are not here to be looked at."
    if part.basis == basis.FORMULA:
        return "The weights in 32 bits; activations and libraries come on top, how much is not known."
    of = "this update" if part.basis == basis.SAME else "this base on other data"
    return f"The peak of the process, by {part.measured:,} earlier training{'s' if part.measured != 1 else ''} of {of}."


def disk_source(adapter: Part, checkpoints: Part, store: Part) -> str:
    """What the disk is for."""
    if adapter.value is None:
        return "The size of the adapter is not known before the first one was made."
    text = f"{rough_size(adapter.value)} stay as the adapter"
    if checkpoints.value:
        text += f", {rough_size(checkpoints.value)} are checkpoints that go at its end"
    if store.value is None:
        return f"{text}; what the teachers say comes on top, how much is not known."
    if store.value:
        text += (
            f", and what the teachers say takes about {rough_size(store.value)} (at most "
            f"{rough_size(store.high or 0)}), by the length of the answers, and is shared by all trainings on these "
            "samples"
        )
    return f"{text}."


# The same elsewhere.
ELSEWHERE = "The same as a command or a recipe"
COMMAND_TAB, RECIPE_TAB = "Command", "Recipe (YAML)"
COMMAND_NOTE = (
    "Queues exactly what the form says. Options that are those of the preset are left out. Run it where the app runs, "
    "with the same MUSCLE_HOME:"
)
RECIPE_NOTE = "Save it as a file and run it with python -m muscle\\_core recipe FILE; the result is evaluated too."
RECIPE_DOWNLOAD = "Download the recipe"
