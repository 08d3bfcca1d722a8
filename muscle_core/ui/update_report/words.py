"""Texts of the Update report page."""

from __future__ import annotations

QUADRANTS = (
    ("Q1", "both right", "consistent and right"),
    ("Q2", "positive flips", "wrong before, right now: the gain of the update"),
    ("Q3", "both wrong", "an unchanged wrong answer is easier on users than a new one"),
    ("Q4", "negative flips", "right before, wrong now: what the update broke"),
)

# Below the verdict.
NOISE_RUNS = "The noise floor, run by run"
NOISE_ALT = "One row for each ordered pair of runs of one version, with its flips and interval"
FIRST_RUN, SECOND_RUN, RIGHT_THEN_WRONG, SHARE = "first run", "second run", "right, then wrong", "share"
INTERVAL = "95 % interval"

# Key figures.
ACCURACY_OLD, ACCURACY_NEW = "Accuracy, old version", "Accuracy, new version"
NFR, PFR = "Negative flip rate (NFR)", "Positive flip rate (PFR)"
ACCURACY_OLD_HELP = "Share of samples that the old version gets right."
ACCURACY_NEW_HELP = "Share of samples that the new version gets right, and its change, which is PFR minus NFR."
NFR_HELP = "Right before and wrong now, as a share of all samples (not only of those that were right)."
PFR_HELP = "Wrong before and right now, as a share of all samples."

# Quadrants and rates.
QUADRANTS_TITLE = "Quadrants"
MATRIX_ALT = "Matrix of the four quadrants with counts: " + ", ".join(f"{key} {what}" for key, what, _ in QUADRANTS)
MATRIX_SAYS = (
    "Each sample lies in one of four quadrants: rows say whether the old version was right, columns whether the new "
    "one is. Click a quadrant to read its samples."
)
ALL_RATES = "All rates with intervals"
RATES_ALT = "Accuracy of both versions and flip rates with 95 % intervals"
RATES_SAYS = (
    "Each mark is a share of all samples, its bar the 95 % interval. Click a mark to read the samples it counts."
)
RATE_COLUMNS = ("rate", "value", "counts", "meaning")
RATES = (
    ("NFR_mc", "nfr_mc", "wrong now with another answer than before, of all samples"),
    ("BTC", "btc", "still right, of those that were right before"),
    ("BEC", "bec", "wrong before too, of those that are wrong now"),
    ("Inconsistency", "inconsistency", "another wrong answer than before, of those wrong in both"),
)
RELATIVE_NFR = "Relative NFR"
RELATIVE_NFR_MEANING = "1 means as many flips as two unrelated models of these accuracies"
MCNEMAR, MCNEMAR_COUNTS, MCNEMAR_MEANING = "McNemar p", "exact, two-sided", "test of equal accuracy"

# Scores.
OLD_VERSION, NEW_VERSION, REGRESSION, GAIN = "Old version", "New version", "Regression", "Gain"
REGRESSION_HELP = "Mean over all samples of how much a sample became worse (0 where it did not)."
GAIN_HELP = "Mean over all samples of how much a sample became better (0 where it did not)."

# What changed, in short.
SHORT_TITLE = "What broke, in short"
CAUSES = "Why, by rule"
NO_FLIPS = "No input that worked before fails now."
CAUSE_HELP = "Read these samples. A cause is found by a rule over both answers; it does not look into the model."
NO_CAUSES = "No cause could be told: there are no negative flips that a rule reads."
FIND_CAUSES = "Find the causes"
WHERE = "Where more than elsewhere"
LOOK_FOR_SLICES = "Look for the part that breaks most"
NO_SLICES = "The samples have no properties to divide them by."
OPEN_SLICE = "Read its negative flips"
OPEN_SLICE_SAMPLES = "Read its samples"
ADAPTER = "What an adapter repairs"
NO_ADAPTER = (
    "No compatibility adapter has been trained for this update. It learns from the old version where that was right."
)
ADAPTER_NOT_EVALUATED = "A compatibility adapter was trained for this update, but not evaluated on this split."
TRAIN = "Train a compatibility adapter"
SEE_MASKING = "See them in Masking"

# Next steps and downloads.
NEXT_STEPS = "Next steps"
READ_SAMPLES = "Read the samples"
REVIEW_FLIPS = "Review what broke"
ALL_FIGURES = "All figures (JSON)"
ALL_SAMPLES = "All samples (CSV)"
REPORT = "Report (HTML)"
REPORT_HELP = "One file for people without this workbench, with its reviews: opens without a network and prints."


def dataset_line(dataset: str, split: str, samples: int, kind: str) -> str:
    """What is compared."""
    return f"Dataset {dataset} ({split}), {samples:,} samples answered by both versions; task kind {kind}."


def not_in_figures(what: str) -> str:
    """Samples that could not be paired."""
    return f"Not in the figures: {what}."


def graded_differently(samples: int) -> str:
    """Two runs were graded by different rules."""
    return (
        f"{samples:,} samples have the same answer in two runs, right in one and wrong in the other: the runs were not "
        "graded by the same rule, and the floor holds that too."
    )


def floor_basis(pairs: int, samples: int) -> str:
    """What the noise floor is the mean of."""
    return (
        f"The floor is the mean of these {pairs:,} ordered pairs on the {samples:,} samples that all runs answered; "
        "its interval counts every sample once, since the pairs share their samples."
    )


def mean_loss(score: str) -> str:
    """Column of the noise floor of a score."""
    return f"mean loss of {score}"


def quadrant_button(key: str, samples: int, what: str) -> str:
    """Button that opens a quadrant."""
    return f"{key} · {samples:,} {what}"


def both_wrong(changed: int, same: int) -> str:
    """How the both-wrong samples divide."""
    return f"Of the both-wrong, {changed:,} changed their answer and {same:,} kept it."


def mean_of(samples: int) -> str:
    """Denominator of a mean."""
    return f"mean of {samples:,}"


def mean_with_change(samples: int, low: float, high: float) -> str:
    """Denominator of a mean, and the interval of its change."""
    return f"mean of {samples:,}; 95 % interval of the change {low:+.4f} to {high:+.4f}"


def mean_score_help(score: str, version: str) -> str:
    """What a mean score is."""
    return f"Mean {score} F1, {version} version."


def became_worse(share: str, counts: str) -> str:
    """How many samples lost score."""
    return f"{share} became worse: {counts}"


def became_better(share: str, counts: str) -> str:
    """How many samples gained score."""
    return f"{share} became better: {counts}"


def score_title(score: str) -> str:
    """Panel of one score."""
    return f"Change of {score} sample by sample"


def score_alt(score: str) -> str:
    """Histogram, for those who do not see it."""
    return f"Histogram of the change of {score} from old to new version"


def score_says(score: str) -> str:
    """What the histogram shows."""
    return (
        f"Each bar counts the samples whose {score} changed by so much from the old to the new version; left of 0 they "
        "became worse. Click a bar to read its samples."
    )


def cause_button(cause: str, samples: int, flips: int) -> str:
    """Button that opens the flips of one cause."""
    return f"{cause} · {samples:,} of {flips:,}"


def more_causes(causes: int, samples: int, flips: int) -> str:
    """Causes that are not named."""
    return f"and {causes:,} more cause{'s' if causes > 1 else ''} with {samples:,} of {flips:,}"


def slice_breaks(name: str, rate: str, rest: str, p: str, tested: int) -> str:
    """The slice that breaks most clearly."""
    return f"**{name}**: NFR {rate}; all other samples {rest}. Corrected for the {tested:,} parts tested, {p}."


def slice_loses(name: str, score: str, loss: str, rest: str, p: str, tested: int) -> str:
    """The slice that loses most clearly."""
    return (
        f"**{name}**: mean loss of {score} {loss}; all other samples {rest}. Corrected for the {tested:,} parts "
        f"tested, {p}."
    )


def no_slice(tested: int, minimum: int) -> str:
    """No slice is clearly worse."""
    return (
        f"No part breaks clearly more than the rest: {tested:,} parts of at least {minimum:,} samples were tested, "
        "none with a corrected p below 0.05."
    )


def many_flips(flips: int) -> str:
    """Why causes are not looked for at once."""
    return f"The rules read both answers of each of {flips:,} negative flips, which takes some seconds."


def many_samples(samples: int) -> str:
    """Why slices are not looked for at once."""
    return f"With {samples:,} samples this takes some seconds."


def adapter_line(name: str, repaired: str, broken: str) -> str:
    """What one adapter repairs and breaks."""
    return (
        f"**{name}** fixes {repaired} negative flips, and newly breaks {broken} samples that both versions have right."
    )


def adapter_of(trained: int) -> str:
    """How many others there are."""
    if trained == 1:
        return "The only adapter trained for this update."
    return (
        f"One of {trained:,} trained for this update: the first by the usual strategy. Masking sets all side by side."
    )


def open_repaired(samples: int) -> str:
    """Button that opens what the adapter fixes."""
    return f"Read the {samples:,} that it fixes"


def open_broken(samples: int) -> str:
    """Button that opens what the adapter breaks."""
    return f"Read the {samples:,} that it breaks"


def adapters_trained(trained: int) -> str:
    """For tasks without right and wrong."""
    return f"{trained:,} compatibility adapter{'s' if trained > 1 else ''} trained for this update."
