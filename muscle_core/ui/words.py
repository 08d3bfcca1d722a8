"""Texts of what several pages share. Every page has a `words.py` of its own in its folder, for a translation to follow.

A text is a constant, or a function where it holds values; what comes from data is made safe by the caller with `plain`.
"""

from __future__ import annotations

from muscle_core.actions.library.first_steps import (
    ADD_DATASET,
    ADD_VERSIONS,
    EMPTY,
    EVALUATE,
    IMPORT_OUTPUTS,
    SECOND_VERSION,
)

APP = "MUSCLE workbench"
UPDATE_REPORT = "Update report"  # the titles of the other pages are single words
NUMBERS_CSV = "Numbers (CSV)"
DOWNLOAD = "Download"
IMAGE_PNG = "Image (PNG)"
IMAGE_SVG = "Image (SVG)"

# What each page is for, shown where it has nothing to show yet; by key of the page.
PURPOSES = {
    "update_report": (
        "This page says in one sentence whether an update of a model is one, and shows what it gained and what "
        "it broke: "
        "figures with intervals, and the four quadrants of right and wrong before and after."
    ),
    "samples": (
        "This page lists the inputs one by one, filtered and sorted: what was asked, the right answer, and "
        "what the old "
        "and the new version said, side by side."
    ),
    "flips": (
        "This page shows where and why an update broke inputs: the flip rates of all datasets and pairs of "
        "versions, the "
        "slices that break more often, and the causes that rules find."
    ),
    "review": (
        "On this page people read the inputs that an update broke, one after the other, and say why and how "
        "bad each one "
        "is. Their verdicts enter the report and the gate."
    ),
    "masking": (
        "This page sets compatibility adapters beside the plain new version: how many of the broken inputs "
        "each masking "
        "strategy repairs, and what that costs in accuracy."
    ),
    "training": (
        "This page trains compatibility adapters in the background: small adapters on the new version that learn from "
        "the old one where it was right, so that fewer inputs break."
    ),
    "library": (
        "This page holds all that the workspace knows: model versions, datasets, evaluation runs and "
        "trainings. New ones "
        "are added and imported here, and old ones deleted."
    ),
}

# First steps.
LOAD_DEMO = "Load the demo"
IMPORT_OWN = "Import your own"
ADD_VERSION = "Add a model version"
ADD_DATASET_BUTTON = "Add a dataset"
BY_COMMAND = "By command"
DEMO_BESIDE = "Or load the demo: a small, complete update with all its figures (about one minute)."
DEMO_CANCELLED = "Loading the demo was cancelled. What is loaded stays."
WAITING_FOR_WORKER = "Waiting for the worker …"
STARTING = "Starting …"


def demo_failed(why: str) -> str:
    """The demo could not be loaded."""
    return f"Loading the demo has failed: {why}"


ITS_LOG = "its log tells more."


def job_failed(title: str, why: str) -> str:
    """The newest job ended with an error."""
    return f"The last job, {title}, has failed: {why}"


def evaluate_now(count: int) -> str:
    """Button that evaluates what is missing."""
    return "Evaluate it" if count == 1 else "Evaluate them"


def first_step(
    kind: str, dataset: str | None, split: str | None, evaluated: tuple[str, ...], versions: tuple[str, ...]
) -> str:
    """What a workspace lacks and what to do next, by the kind of `muscle_core.actions.library.first_steps`."""
    there, missing = ", ".join(evaluated), ", ".join(versions)
    where = f"{dataset} ({split})"
    return {
        EMPTY: (
            "This workspace is empty. Load the demo to see a small, complete update of a model (about one minute), or "
            "import what your own two versions answered."
        ),
        ADD_VERSIONS: (
            f"The dataset {dataset} is here, but no model version has answered it. Import what two versions answered, "
            "or add the versions and let them answer here."
        ),
        ADD_DATASET: (
            f"There is no dataset yet that {missing} could be asked. Add one with right answers, or import a log that "
            "holds questions and answers."
        ),
        EVALUATE: (
            f"{there} has answered {where}; {missing} has not. Evaluate it there, and the two can be compared."
            if evaluated
            else f"{missing} have not answered {where} yet. Evaluate them there, and they can be compared."
        ),
        SECOND_VERSION: (
            f"{there} has answered {where}, and there is no second version. Import what another version answered "
            "there, or add that version and evaluate it."
            if evaluated
            else f"{missing} is the only model version, and a comparison needs two. Add the one before or after it, "
            f"then evaluate both on {where}."
        ),
        IMPORT_OUTPUTS: (
            f"{there} has answered {where}, but {missing} has only answered other datasets, so no two can be compared. "
            f"Without weights it cannot be asked here: import what it answered on {where}."
            if evaluated
            else f"{missing} came without weights and without answers. Import what two versions answered on {where}."
        ),
    }[kind]


# The sidebar.
DATASET = "Dataset"
SPLIT = "Split"
OLD_VERSION = "Old version"
NEW_VERSION = "New version"
COMPAT_VERSION = "Compatibility version"
LOADING_DEMO = "Loading the demo"

# The worker.
NO_WORKER = "No worker runs on this machine, so the job still waits. Start one: python -m muscle\\_core worker"
WORKER_LOG = "Last lines of the log of the worker"

# Numbers.
NOT_DEFINED = "not defined: 0 samples"


def rate_counts(numerator: int, denominator: int, low: float, high: float) -> str:
    """Numerator, denominator and interval of a rate; low and high in percent."""
    return f"{numerator:,} of {denominator:,} · 95 % interval {low:.1f}–{high:.1f}\u00a0%"


def points(percentage_points: float) -> str:
    """A difference of two shares, with its sign."""
    return f"{percentage_points:+.1f} points"


# What the reader waits for.
COMPARING = "Comparing …"
MEASURING_NOISE = "Measuring the noise floor …"
READING_SAMPLES = "Reading samples …"
LOOKING_FOR_CAUSES = "Looking for causes …"
LOOKING_FOR_SAMPLES = "Looking for samples …"
READING_SLICES = "Reading what the samples can be sliced by …"
READING_ADAPTER = "Reading the adapter's answers …"
