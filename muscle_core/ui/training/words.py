"""Texts of the Training page. Texts from data come in as they are and are made safe here or by the caller."""

from __future__ import annotations

from collections.abc import Sequence

from muscle_core.actions.background.time_left import TimeLeft
from muscle_core.actions.training import estimate as basis
from muscle_core.actions.training.estimate import Part
from muscle_core.actions.training.preflight import NOTE, OK, Check
from muscle_core.compat.config import CompatConfig
from muscle_core.store.disk import size_text
from muscle_core.ui.numbers import duration

# The form.
PRESET = "Preset"
PRESET_HELP = "Fills the options below; every option can still be changed."
STRATEGY = "Strategy"
STRATEGY_HELP = "Which teacher each answer token follows."
START_FROM = "Start from"
START_FROM_HELP = "Weights that the adapter starts with."
STEPS, STEPS_HELP = "Steps", "Optimizer steps."
SEED, SEED_HELP = "Seed", "Same seed, same result on this machine."
MORE = "More options"
ADVANCED = "Advanced"
RATE, RATE_HELP = "Learning rate", "Peak rate of AdamW."
BATCH, BATCH_HELP = "Batch size", "Samples a pass."
ACCUMULATION, ACCUMULATION_HELP = "Gradient accumulation", "Passes an optimizer step."
WARMUP = "Warm-up steps"
SCHEDULE = "Schedule"
TEMPERATURE, TEMPERATURE_HELP = "Temperature", "Divides all logits."
LOSS = "**Loss**"
STOPPING = "**Early stopping**"
LENGTH = "**Length and memory**"
KEPT = "**Kept on disk**"
GOLD_WEIGHT = "Cross-entropy weight"
GOLD_WEIGHT_HELP = (
    "Weight of the cross-entropy on the gold tokens, added to the divergence from the teachers; 0 for none. The "
    "strategies cross_entropy and focal_distillation have a term of their own."
)
FOCAL_ALPHA = "Focal alpha"
FOCAL_ALPHA_HELP = "Only focal_distillation: weight of the old teacher for every token."
FOCAL_BETA = "Focal beta"
FOCAL_BETA_HELP = "Only focal_distillation: added to alpha where the old version's most likely token is the gold one."
LONGEST, LONGEST_HELP = (
    "Longest sample, tokens",
    "Prompt and answer together. A longer sample is refused, or cut.",
)
CUT = "Cut longer samples"
CUT_HELP = (
    "The prompt from its beginning, and if need be the answer from its end. Otherwise the training is refused where "
    "one is longer."
)
CHECKPOINTING = "Gradient checkpointing"
CHECKPOINTING_HELP = "Computes activations twice instead of keeping them: less memory, more time, same result."
STORE = "Ask the teachers once"
STORE_HELP = (
    "Keeps what the teachers say about the training samples in the workspace (folder teachers), shared by all "
    "trainings on these samples. Otherwise both teachers are loaded and asked in every step."
)
STORE_SIZE, STORE_SIZE_HELP = "Most disk a teacher, GiB", "A training whose teacher would need more is refused."
CHECKPOINTS = "Steps between checkpoints"
CHECKPOINTS_HELP = "A cancelled or killed training is resumed from the last one; 0 for none but that of a cancellation."
LOOKS = "Steps between looks"
LOOKS_HELP = (
    "Steps between two looks at the validation split; 0 for no early stopping. Of all looks the adapter with the "
    "lowest NFR is kept, among those that are accurate enough."
)
MARGIN = "Accuracy margin, points"
MARGIN_HELP = (
    "Accurate enough is what lies at most so many percentage points below the new version on the validation split "
    "(mean score times 100 where answers are neither right nor wrong)."
)
PATIENCE, PATIENCE_HELP = "Patience, looks", "Training ends after so many looks without a better adapter."
TRAIN_SPLIT = "Train on split"
START = "Start training"
QUEUED = "Training queued."
UNDER_WAY = "This training is already under way."
FROM_SCRATCH = "The version that this preset starts from has no adapter, so that it starts from a fresh one."
NO_VALIDATION = "This preset stops early by a split named validation, which this dataset lacks: it runs on."

_PRESETS = {
    "quick": "To see that everything works. Do not judge the method by it.",
    "paper": "Starts from the old version's adapter, as the paper has it.",
    "thorough": "Four times as many steps as paper; looks at the validation split and keeps the best adapter.",
    "scratch": "Starts from a fresh adapter.",
    "demo": "Tuned on the demo's data; starts from the new version's adapter, which did better there.",
}


def intro(old: str, new: str, dataset: str) -> str:
    """What the page is for; names are safe."""
    return (
        f"Train a compatibility adapter for the update {old} → {new} on {dataset}. It runs in the background; this "
        "page may be closed."
    )


def preset_meaning(name: str) -> str:
    """What a preset is for."""
    return _PRESETS.get(name, "")


def preset_caption(name: str, config: CompatConfig, seconds: Part | None) -> str:
    """What a preset is for, its size and its time."""
    size = f"{config.steps:,} steps of {config.batch_size * config.gradient_accumulation:,} samples"
    if seconds is None or seconds.value is None:
        return f"{size}. {preset_meaning(name)}"
    return f"{size}, about {duration(seconds.value)} without loading. {preset_meaning(name)}"


def strategy_meaning(strategy: str, meaning: str) -> str:
    """What a strategy does; texts are safe."""
    return f"{strategy}: {meaning}."


def start_option(name: str, meaning: str) -> str:
    """An entry of the list of beginnings."""
    return f"{name}: {meaning}"


def split_option(name: str, rows: int) -> str:
    """An entry of the list of splits."""
    return f"{name} ({rows:,} samples)"


def no_weights(name: str) -> str:
    """Why nothing can be trained; the name is safe."""
    return (
        f"{name} has no weights of its own, so nothing can be trained for this pair. Choose two versions with weights "
        "in the sidebar."
    )


def lacks_validation(split: str, dataset: str) -> str:
    """Why early stopping is off; names are safe."""
    return f"Needs a split named {split}, which {dataset} does not have."


# Before it starts.
PREFLIGHT = "Before it starts"
CANNOT_START = "This training cannot start:"
TIME, MEMORY, DISK = "Time", "Memory", "Disk"
NOT_KNOWN = "not known"
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
        return f"{what}: {size_text(float(free or 0))} are free."
    return f"{what}: about {size_text(needed)} are needed and {size_text(float(free or 0))} are free."


def time_value(part: Part) -> str:
    """How long it takes, for a figure."""
    return NOT_KNOWN if part.value is None else f"about {duration(part.value)}"


def size_value(part: Part) -> str:
    """How much it takes, for a figure."""
    if part.value is None:
        return NOT_KNOWN
    return f"{'at least' if part.basis == basis.FORMULA else 'about'} {size_text(part.value)}"


def disk_value(part: Part) -> str:
    """How much disk it takes at its peak, for a figure."""
    return NOT_KNOWN if part.value is None else f"about {size_text(part.value)}"


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
    return f"{parts} Loading the models comes on top; a busy machine takes longer."


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
    text = f"{size_text(adapter.value)} stay as the adapter"
    if checkpoints.value:
        text += f", {size_text(checkpoints.value)} are checkpoints that go at its end"
    if store.value is None:
        return f"{text}; what the teachers say comes on top, how much is not known."
    if store.value:
        text += (
            f", and what the teachers say takes about {size_text(store.value)} (at most {size_text(store.high or 0)}), "
            "by the length of the answers, and is shared by all trainings on these samples"
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

# Background work.
WORK = "Background work"
NOTHING_YET = "Nothing has been started yet."
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
    points = "each point is one step" if every == 1 else f"every {every:,}th step is drawn"
    return (
        f"The first {steps:,} of {total:,} steps, as they were on the training samples of each step; {points}. They "
        "say how the training went, not how good the adapter is."
    )


def of_the(label: str, kind: str | None, usual: str) -> str:
    """A folded text of another job than the one that was picked."""
    return label if kind is None else f"{label} of the {KINDS.get(kind, usual)}"


# Two trainings.
DIFFERENCES = "Compare two trainings"
NEED_TWO = "Once two trainings are done, their settings and results can be compared here."
FIRST, SECOND = "First training", "Second training"
SHOW = "Settings shown"
ONLY_DIFFERENT, ALL_SETTINGS = "differences only", "all settings"
SAME_TRAINING = "Both are the same training; choose two."
NO_DIFFERENCE = "All settings are the same."
SETTINGS_ALT = "Settings of both trainings side by side"
RESULTS_ALT = "Results of both trainings side by side, with 95 % intervals"
RESULTS = "**Results**"
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
