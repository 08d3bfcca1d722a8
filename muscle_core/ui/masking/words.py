"""Texts of the Masking page. Texts from data come in safe, unless a function says otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from muscle_core.actions.training.earlier import Part
from muscle_core.ui.numbers import duration

NOTHING_TRAINED = (
    "No compatibility adapter has been trained for this pair on this dataset yet. Train one; it takes about two "
    "minutes on the demo."
)
TRAIN = "Train a compatibility adapter"
MEANINGS = "What the strategies do"
MEANINGS_HEAD = (
    "While the compatibility adapter is trained, each token of the answer follows one of two teachers: the old or the "
    "new version. The strategy decides which."
)
EVALUATE_THEM = "Evaluate them"
READING = "Comparing the strategies …"


def intro(old: str, new: str, dataset: str, split: str) -> str:
    """What the page shows."""
    return f"What each masking strategy makes of the update {old} → {new} on {dataset} ({split})."


def not_evaluated(names: str) -> str:
    """Which versions have no figures."""
    return f"Trained but not evaluated on this split: {names}."


def leaked(names: str) -> str:
    """Which versions were trained on what they are judged by."""
    return f"Trained on the split that is compared here, so their figures are too good: {names}."


# Which one to take.
ANSWER = "Which strategy keeps the gain and breaks least"
_HARM = {"nfr": "NFR", "regression": "mean regression"}
_QUALITY = {"accuracy": "accuracy", "mean_score": "mean score"}


def none_keeps(measure: str, count: int) -> str:
    """That every strategy costs what the update gained."""
    return (
        f"None of the {count:,} strategies: the {_QUALITY[measure]} of each is clearly lower than that of the plain "
        "new version (95 % intervals of the change lie below 0)."
    )


def best(name: str, harm: str, harm_text: str, before: str, quality: str, quality_text: str, n: int, seeds: int) -> str:
    """The strategy with the least harm, in figures."""
    of = f", mean of {seeds:,} seeds" if seeds > 1 else ", one seed"
    return (
        f"**{name}**: {_HARM[harm]} {harm_text} (plain new version {before}), {_QUALITY[quality]} {quality_text} "
        f"against the plain new version; n = {n:,}{of}."
    )


def alike(names: Sequence[str], others: int, *, helps: bool) -> str:
    """How sure that is."""
    parts = []
    if not helps:
        parts.append("It cannot be told apart from the plain new version, which may break as little.")
    if names:
        parts.append(f"It cannot be told apart from {', '.join(names)} (paired on the same samples).")
    elif others:
        rest = "the other strategy that keeps the gain" if others == 1 else f"the {others:,} others that keep the gain"
        parts.append(f"It breaks clearly less than {rest} (paired on the same samples).")
    return " ".join(parts)


KEEPS_MEANS = (
    "Keeps the gain: the 95 % interval of its change against the plain new version does not lie below 0. That is no "
    "proof that nothing is lost; the interval says how much may be. Other seeds may give another order."
)

# Chart.
CHART = "Gain kept against what breaks"
CHART_ALT = (
    "Negative flips, or regression, against accuracy, or score, of each strategy with 95 % intervals; the plain new "
    "version is a star, mixes of two adapters are connected, points that no other point beats are ringed"
)


SHOW_ALL = "Show all points"
SHOW_ALL_HELP = "Otherwise the axes end where the strategies and their intervals do."


def chart_says(optimal: Sequence[str], unclear: Sequence[str], count: int) -> str:
    """What the chart shows, and what may be claimed of it."""
    text = (
        "Down and to the right is better; bars are 95 % intervals, the star is the plain new version. "
        f"Ringed (Pareto-optimal), since by the estimates no other of the {count:,} points is better in both figures: "
        f"{', '.join(optimal)}. "
    )
    if not unclear:
        return f"{text}The intervals of every other point are apart from those of a ringed one in at least one figure."
    names = ", ".join(unclear[:6]) + (f" and {len(unclear) - 6:,} more" if len(unclear) > 6 else "")
    return f"{text}Not told apart from these, since their intervals overlap in both figures: {names}."


def mix_line(letter: str) -> str:
    """Name of a line of mixes in the legend."""
    return f"mixes {letter}"


def mix_point(letter: str, alpha: float) -> str:
    """Name of a mix in a sentence; as it is, not safe."""
    return f"mix {letter} at α {alpha:g}"


def mix_says(letter: str, first: str, second: str, *, foreign: bool) -> str:
    """Between what a line of mixes runs."""
    note = "; one of both adapters is for another base, where the line has no end" if foreign else ""
    return f" Mixes {letter}: from the adapter of {first} (α 0) to that of {second} (α 1){note}."


ENSEMBLE = "ensemble (two models)"


def outside(count: int) -> str:
    """That the axes leave something out."""
    return f" {count:,} point{'s lie' if count != 1 else ' lies'} outside of what is shown."


# Table.
TABLE = "Strategies side by side"
ROWS = "Rows"
COLUMNS = "Columns"
ROW_NAMES = {"over seeds": "over seeds", "one by one": "one by one"}
COLUMN_NAMES = {"main": "main", "all": "all"}
COMPACT_ALT = "One row for the plain new version and for each strategy: flips, accuracy, and their change"
ONE_BY_ONE_ALT = "One row for the plain new version and for each trained adapter with accuracy and flip rates"
OVER_SEEDS_ALT = "One row for the plain new version and for each strategy, as the mean over its seeds"


def compact_note(least: int, most: int) -> str:
    """How to read the compact table."""
    n = f"n = {least:,}" if least == most else f"n = {least:,} to {most:,} (all columns say which)"
    return (
        f"Below each figure stands its 95 % interval; all are shares or means of the samples, {n}. Change is that of "
        "the figure left of it against the plain new version on the same samples, in percentage points for shares."
    )


ONE_BY_ONE_NOTE = (
    "All rates are shares of the samples in column n; brackets hold 95 % intervals. Changes are against the plain new "
    "version on the same samples (paired bootstrap; p from the exact McNemar test; adjusted: corrected by Benjamini "
    "and Hochberg for comparing several variants)."
)
OVER_SEEDS_NOTE = (
    "Each figure is the mean over the seeds of one strategy with otherwise equal options, on the samples in column n. "
    "Intervals are over these samples; changes are against the plain new version, paired sample by sample (bootstrap; "
    "p by sign flips of each sample's change). An interval does not tell what other seeds would give: see the range by "
    "seed. Mixes of adapters and ensembles have no seed and stand in the other view."
)
READ_WITH = "Read the samples with"
OPEN_SAMPLES = "Open samples"

# Tokens aligned to the old version.
ALIGNMENT = "Tokens aligned to the old version during training"
ALIGNMENT_ALT = "Share of answer tokens that follow the old version over the steps of training, one line a strategy"
READING_LOGS = "Reading training logs …"


def alignment_says(window: int) -> str:
    """What the curve shows."""
    smoothed = f"a running mean over {window:,} steps, fewer at both ends" if window > 1 else "not smoothed"
    return (
        f"Share of the answer tokens of each step that follow the old version: {smoothed}; several seeds of a strategy "
        "are averaged. A strategy without teachers (cross\\_entropy) has no line."
    )


# Training what is missing.
MISSING = "Train the missing strategies"
MISSING_NOTE = (
    "Every strategy is trained with every seed and otherwise the options of the preset, one after another in the "
    "background, and then evaluated. An adapter counts as trained only where all its options are these."
)
PRESET = "Preset"
TRAIN_SPLIT = "Train on split"
SEEDS, SEEDS_HELP = "Seeds", "Of data order and dropout."
STRATEGIES = "Strategies"
CHOOSE_ONE = "Choose at least one strategy and one seed."
ABLATION_ALT = "What there is of each strategy with each seed"
LOOK_AT_FAILED = "Look at what failed"
WATCH = "Watch the training"
LOG_TELLS = "its log tells more"


def split_option(name: str, rows: int) -> str:
    """An entry of the list of splits."""
    return f"{name} ({rows:,} samples)"


def preset_says(name: str, steps: int, samples: int, rate: float, start: str, meaning: str) -> str:
    """What a preset trains with; as it is, not safe."""
    return f"{name}: {steps:,} steps of {samples:,} samples, learning rate {rate:g}, from {start}. {meaning}"


def failed(cells: Sequence[str], more: int, why: str) -> str:
    """Which trainings failed for one reason; as it is, not safe."""
    rest = f"; and {more:,} more" if more > 0 else ""
    return f"{'; '.join(cells)}{rest} failed: {why}"


def queue_missing(count: int) -> str:
    """Label of the button."""
    return f"Queue what is missing ({count:,})"


def queued(count: int) -> str:
    """What a press has done."""
    return f"{count:,} jobs queued." if count else "All of it was under way already."


def cancel_these(count: int) -> str:
    """Label of the button."""
    return f"Cancel these jobs ({count:,})"


def counted(count: int, there: int, under_way: int, missing: int) -> str:
    """How much of an ablation there is."""
    return (
        f"{count:,} training{'s' if count != 1 else ''}: {there:,} there, {under_way:,} under way, {missing:,} missing."
    )


def would_start(labels: Sequence[str], evaluations: int, most: int = 4) -> str:
    """What a press of the button starts; as it is, not safe."""
    if not labels and not evaluations:
        return ""
    named = "; ".join(labels[:most]) + (f"; and {len(labels) - most:,} more" if len(labels) > most else "")
    parts = [f"{len(labels):,} training{'s' if len(labels) != 1 else ''} ({named})"] if labels else []
    parts += [f"{evaluations:,} evaluation{'s' if evaluations != 1 else ''}"] if evaluations else []
    return f" The button starts {' and '.join(parts)}, once, however often it is pressed."


def takes(seconds: float, measured: int) -> str:
    """How long the missing trainings take."""
    return (
        f" The steps of the missing ones take roughly {duration(seconds)}, by the time of {measured:,} earlier "
        f"training{'s' if measured != 1 else ''} of this update; asking the teachers and evaluating come on top."
    )


TAKES_UNKNOWN = " How long they take is not known before the first one was trained."
CELL_DONE = "✓ trained and evaluated"
CELL_EVALUATING = "evaluating"
CELL_QUEUED, CELL_STARTING = "○ queued", "▶ starting"
CELL_FAILED = "failed, to be done again"
CELL_TRAINED = "trained, to be evaluated"
CELL_MISSING = "to be trained"


def cell_running(stage: str, share: float) -> str:
    """A cell of the table whose job runs."""
    return f"▶ {stage} {share * 100:.0f} %"


def cell_ended(state: str, *, trained: bool) -> str:
    """A cell of the table whose job ended without success."""
    before = "trained; evaluation " if trained else ""
    if state == "failed":
        return f"✗ {before}{CELL_FAILED}"
    return f"{'◼' if state == 'cancelled' else '✗'} {before}{state}, to be resumed"


# References without training.
REFERENCES = "References without training"
REFERENCES_NOTE = (
    "Mixes of two adapters, in steps of their weight α, show what averaging alone would do. The ensemble answers with "
    "the mean probabilities of both versions and so costs two models: an upper reference."
)
MIX_WITH = "Mix the new version's adapter with that of"
MIX_HELP = "α is the weight of the new version's adapter: at 0 the mix is the other version, at 1 the new one."
ALPHAS = "α"
CHOOSE_ALPHA = "Choose at least one α."
NO_ADAPTER = "The new version has no adapter of its own, so that there is nothing to mix."
NO_PARTNER = "No other version has an adapter that could be mixed with that of the new version."
EVALUATE_ENSEMBLE = "Evaluate the ensemble"
ENSEMBLE_THERE = "The ensemble has been evaluated."
WATCH_JOB = "Watch the job"
OTHER_BASE = "old version, another base"


def make_mixes(count: int) -> str:
    """Label of the button."""
    return f"Make and evaluate the missing mixes ({count:,})"


def mixes_there(there: Sequence[float], missing: Sequence[float], time: Part) -> str:
    """Which mixes there are, and how long the others take."""
    have = f"There: α {', '.join(f'{share:g}' for share in there)}. " if there else "None of them is there. "
    if not missing:
        return f"{have}Nothing is missing."
    return f"{have}Missing: α {', '.join(f'{share:g}' for share in missing)}; {_time(time)}"


def ensemble_missing(time: Part) -> str:
    """How long the ensemble takes."""
    return f"The ensemble has not been evaluated; {_time(time)}"


def job_under_way(job: str) -> str:
    """That the work is being done."""
    return f"Under way (job {job}); it starts once, however often the button is pressed."


def _time(part: Part) -> str:
    if part.value is None:
        return "how long that takes is not known."
    return f"evaluating takes about {duration(part.value)}, by the evaluations of both versions, without loading."


# Published figures.
PUBLISHED = "Published figures (paper)"
PUBLISHED_ALT = "Figures of the paper, with the table that each one is from"


def published_note(paper: str) -> str:
    """What these figures are not."""
    return (
        f"Published in {paper}, on other models and data. They are not comparable with the figures above; nothing here "
        "was measured by this workbench."
    )


PUBLISHED_COLUMNS = ("update", "measure", "plain new version", "compatibility adapter", "relative change", "source")


def finding(text: str, source: str) -> str:
    """One statement of the paper."""
    return f"- {text} ({source})."
