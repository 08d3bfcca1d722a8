"""Texts of the background work. Texts from data come in safe, unless a function says otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from muscle_core.actions.background.time_left import TimeLeft
from muscle_core.ui.numbers import duration

WORK = "Background work"
JOB = "Job"
STATES = {
    "queued": "○ queued",
    "running": "▶ running",
    "cancelling": "◼ cancelling",
    "succeeded": "✓ succeeded",
    "failed": "✗ failed",
    "cancelled": "◼ cancelled",
    "lost": "✗ lost",
}
KINDS = {
    "evaluate": "evaluation",
    "compare_ablation": "table",
    "train_compat": "training",
    "interpolate": "mixing",
    "ensemble": "ensemble",
}
ALL_JOBS = "All jobs"
NEXT_JOB = "next job"
THIS_JOB = "this job"
CANCEL_HELP = "It stops at its next step and keeps what it has."
RESUME_HELP = "A training goes on from its last checkpoint, an evaluation from the answers it has."
SHOW_NEEDED = "Show the job it needs"
STARTING = "Starting …"
SILENT = "Its process does not answer any more. A worker takes the job over and goes on from what it saved."
STOPPING_SOON = CANCEL_HELP
BEFORE_START = "before it started."
KEPT_SO_FAR = "what it saved is kept, and resuming it goes on from there."
LOG_TELLS = "its log tells more."
WHOLE_MESSAGE = "The whole message"
SEE_MASKING, READ_SAMPLES = "See it in Masking", "Read its samples"
LOG_NOW = "Last lines of the log"
LOG_EMPTY = "Nothing is in the log yet."
LOG, LAST_LINES, TRACEBACK, HISTORY = "Log", "Last lines of the log", "Traceback", "History"
JOB_COLUMNS = ("job", "state", "what", "waits for", "submitted", "time", "tries")
HISTORY_COLUMNS = ("when", "what", "more", "worker")
HISTORY_ALT = "What happened to this job, oldest first"
ALL_JOBS_ALT = "Background jobs, newest first"
ALL_JOBS_NOTE = (
    "Time is from the first start to the end, or until now. Tries is how often a job was started; its history says why "
    "more than once."
)
FIGURE_LOSS, FIGURE_LOSS_HELP = "Loss", "Mean divergence from the chosen teachers, in nats a token."
FIGURE_OLD, FIGURE_OLD_HELP = "Tokens aligned to old", "In the last step."
FIGURE_ACCURACY, FIGURE_ACCURACY_HELP = "Token accuracy", "On the last step's training tokens."
FIGURE_SPEED, FIGURE_SPEED_HELP = "Tokens a second", "Answer tokens; median of the last 20 steps."
CURVES_ALT = "Loss, share of tokens aligned to old, divergence and accuracy over the training steps"
TIME_UNKNOWN = "time left not known yet"


def no_jobs(trained: int) -> str:
    """That no job was ever started here, though trainings may be there."""
    text = "No job has been started in this workspace: nothing is queued or running."
    if not trained:
        return text
    they = "The finished training is" if trained == 1 else f"The {trained:,} finished trainings are"
    return f"{text} {they} listed below."


def newest_jobs(count: int) -> str:
    """Title of the list where it does not hold all."""
    return f"The newest {count} jobs"


def job_option(state: str, title: str, key: str) -> str:
    """An entry of the list of jobs."""
    return f"{STATES[state]} · {title} · {key}"


def no_job(key: str) -> str:
    """That a link leads nowhere; the key is safe."""
    return f"There is no job {key} in this workspace."


def the_kind(kind: str) -> str:
    """A job that follows another one."""
    return f"the {KINDS.get(kind, NEXT_JOB)}"


def cancel(name: str) -> str:
    """Label of a button."""
    return f"Cancel {name}"


def resume(name: str) -> str:
    """Label of a button."""
    return f"Resume {name}"


def job_facts(key: str, submitted: str, taken: str | None, *, over: bool, again: bool) -> str:
    """When a job was submitted and started."""
    facts = [f"Job {key}", f"submitted {submitted}"]
    if taken is not None:
        facts.append(f"ended after {taken}" if over else f"{'first ' * again}started {taken} ago")
    return " · ".join(facts)


def progress(stage: str, done: int, total: int) -> str:
    """How far a job is."""
    return f"{stage}: {done:,} of {total:,}"


def left(found: TimeLeft) -> str:
    """How long it still takes, and how sure that is."""
    low, middle, high = (duration(value) for value in (found.low, found.seconds, found.high))
    return f"about {middle} left" + ("" if low == high else f" ({low} to {high} by its recent speed)")


def cancelled(text: str) -> str:
    """Why a job was cancelled; the text is safe."""
    return f"Cancelled: {text}"


def ended(state: str, text: str) -> str:
    """Why a job did not succeed; the text is safe."""
    return f"{STATES[state].split()[1].capitalize()}: {text}"


def more_lines(count: int) -> str:
    """That a message is cut."""
    return f"… and {count:,} more line{'s' if count > 1 else ''}"


def what_follows(kinds: Sequence[str]) -> str:
    """What was cancelled with a job."""
    if len(kinds) == 1:
        return f"{the_kind(kinds[0]).capitalize()} was cancelled with this job. Resuming this job brings it back."
    return f"{len(kinds):,} jobs that need it were cancelled with this job. Resuming this job brings them back."


def trained(version: str) -> str:
    """That a training and its evaluation are done; the name is safe."""
    return f"Trained and evaluated: {version}"


def evaluated(versions: Sequence[str]) -> str:
    """That an evaluation is done; names are safe."""
    return f"Evaluated: {', '.join(versions)}"


def curves_say(steps: int, total: int, every: int) -> str:
    """What the curves show."""
    points = "each point is one step" if every == 1 else f"one step in {every:,} is drawn"
    which = f"All {total:,} steps" if steps == total else f"The first {steps:,} of {total:,} steps"
    return (
        f"{which}, as they were on the training samples of each step; {points}. They say how the training went, not "
        "how good the adapter is."
    )


def of_the(label: str, kind: str | None, usual: str) -> str:
    """A folded text of another job than the one that was picked."""
    return label if kind is None else f"{label} of the {KINDS.get(kind, usual)}"
