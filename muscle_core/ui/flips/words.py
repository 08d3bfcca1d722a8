"""Texts of the Flips page."""

from __future__ import annotations

TABS = {
    "update": "This update",
    "pairs": "All pairs",
    "slices": "Slices",
    "versions": "Over versions",
    "scores": "Scores",
}

READING_VERSIONS = "Reading the versions …"

NO_RIGHT_OR_WRONG = (
    "This dataset has scores and no right or wrong, so that nothing flips here. The tab Scores shows how the scores "
    "moved."
)

# ---------------------------------------------------------------------------------------------------- this update

RATES = "Rates"
RATES_ALT = "Accuracy of both versions and flip rates, each with its 95 % interval"
CAUSES = "Why samples broke"
CAUSES_ALT = "Share of the negative flips that each rule explains, with 95 % intervals"
FLOW = "From old to new"
FLOW_ALT = "Flow of the samples from right and wrong in the old version to right and wrong in the new one"
NO_FLIPS = "No sample is right in the old version and wrong in the new one: there is no cause to look for."
FIND_CAUSES = "Find the causes"


def rates_says(old: str, new: str, nfr: str, pfr: str) -> str:
    """What the chart of rates shows."""
    return (
        f"From {old} to {new}, {nfr} of all samples were right and are wrong now, {pfr} were wrong and are right now. "
        "Lines are 95 % intervals."
    )


def causes_says(cause: str, rate: str) -> str:
    """What the chart of causes shows."""
    return (
        f"The most frequent finding on the negative flips is “{cause}”: {rate}. The rules tell what can be seen in the "
        "two outputs, not why the model does it. Click a bar to read its samples."
    )


def causes_many(flips: str) -> str:
    """Why the causes are not looked for at once."""
    return f"The rules read both outputs of {flips} negative flips, which takes a while."


def flow_says(kept: str, broken: str, fixed: str, wrong: str, n: str) -> str:
    """What the flow of one update shows."""
    return (
        f"Of {n} samples, {kept} stayed right, {broken} broke, {fixed} were fixed, and {wrong} stayed wrong. Click a "
        "band to read its samples."
    )


# ------------------------------------------------------------------------------------------------------ all pairs

VIEWS = {"datasets": "All datasets", "versions": "This dataset"}
VIEW = "Look at"
MEASURE = "Measure"
MEASURES = {"nfr": "NFR", "pfr": "PFR", "nfr_mc": "NFR_mc", "accuracy_change": "Accuracy change"}
MEASURE_HELP = (
    "NFR: right in the old version and wrong in the new one. PFR: wrong before and right now. NFR_mc: wrong now with "
    "another answer than before. Accuracy change: PFR minus NFR. All as a share of the samples judged in both."
)
SEARCH_PAIRS = "Search versions"
SEARCH_PAIRS_HELP = "All words must occur in the names of the two versions; upper and lower case are alike."
SEARCH_VERSIONS_HELP = "Any of the words must occur in the name of a version; upper and lower case are alike."
SEARCH_PLACEHOLDER = "words in the names"
NO_PAIR = "No version matches. Change the search."
NOT_EVALUATED = "not evaluated"
SCORES_ONLY = "scores only"
ONE_VERSION = "same"
NO_SHARED = "no sample in both"
OLD_VERSION = "old version"
NEW_VERSION = "new version"
CELL_ALT = "Table of cells: the measure of each pair of versions, by colour and number"


def pairs_says(shown: str, total: str, worst: str, measure: str) -> str:
    """What the map of pairs and datasets shows."""
    some = f"{shown} of {total} pairs are shown; search to see others. " if shown != total else ""
    return (
        f"{some}{worst} Each cell holds {measure} and its counts; hatched cells have none, and say why. "
        "Click a cell to read its negative flips."
    )


def largest_says(measure: str, old: str, new: str, place: str, figure: str) -> str:
    """The largest cell of a map."""
    return f"The largest {measure} is that of {old} → {new} on {place}: {figure}."


def matrix_says(measure: str, shown: str, total: str, place: str, n: str, largest: str) -> str:
    """What the map of versions shows."""
    some = f"{shown} of {total} versions" if shown != total else f"All {total} versions"
    return (
        f"{some} on {place}, the most accurate first: {measure} from the version of the row to that of the column, of "
        f"{n} samples judged in both. {largest} Click a cell to read its negative flips."
    )


def unjudged(names: str) -> str:
    """Versions that are left out."""
    return f"Without a right or wrong, and therefore left out: {names}."


# --------------------------------------------------------------------------------------------------------- slices

MINIMUM = "Smallest slice"
MINIMUM_HELP = "Slices with fewer samples are not tested: little can be said of them, and each test costs certainty."
CONDITIONS = "Conditions"
CONDITION_NAMES = {1: "one", 2: "up to two"}
CONDITIONS_HELP = (
    "With one condition every slice is listed. With two, the worst combinations are searched; what a search finds is a "
    "lead, to be checked on other samples."
)
TOPICS = "Topics of the inputs"
TOPICS_HELP = "Groups the inputs by their words and slices by these groups too. Takes a while on many samples."
CORRECTION = (
    "Many slices are tested at once, so that some look bad by chance alone. The p-values are corrected for that "
    "(Benjamini and Hochberg): of the slices with a corrected p below 0.05, at most 5 % are expected to be chance."
)
SLICES_ALT = "The worst slices: rate of each with its 95 % interval, beside the rate of all other samples"
SLICE_TABLE_ALT = "One row a slice with its samples, its rate with interval, the rate of the rest, and the corrected p"
SLICE_PICK = "Click a row to read the negative flips of its slice."
NO_SLICE = "No slice holds enough samples to be tested. Lower the smallest slice, or add fields to the dataset."
LEFT_OUT = "Not in a slice"
SLICE_COLUMNS = {
    "slice": "slice",
    "n": "samples",
    "negative_flips": "negative flips",
    "rate": "rate",
    "interval": "95 % interval",
    "rest": "all others",
    "p_adjusted": "corrected p",
    "verdict": "verdict",
}
DIFFERS = "worse than the rest"
MAY_NOT_DIFFER = "may be chance"


def slices_says(differ: int, tested: str, worst: str) -> str:
    """What the chart of slices shows."""
    if differ == 0:
        return (
            f"No slice differs: of {tested} slices tested, none has more negative flips than the rest beyond chance. "
            "The worst are shown all the same."
        )
    verb = "slice has" if differ == 1 else "slices have"
    return f"{differ:,} of {tested} {verb} more negative flips than the rest beyond chance. The worst: {worst}."


def slices_says_scores(differ: int, tested: str, worst: str) -> str:
    """The same of a score."""
    if differ == 0:
        return (
            f"No slice differs: of {tested} slices tested, none lost more of the score than the rest beyond chance. "
            "The worst are shown all the same."
        )
    verb = "slice lost" if differ == 1 else "slices lost"
    return f"{differ:,} of {tested} {verb} more of the score than the rest beyond chance. The worst: {worst}."


def slice_worst(name: str, rate: str, rest: str) -> str:
    """The worst slice against the rest."""
    return f"{name} with {rate}, against {rest}"


def slice_rest(rate: str, n: str) -> str:
    """All samples outside a slice."""
    return f"{rate} of the other {n}"


# -------------------------------------------------------------------------------------------------- over versions

VERSIONS = "Versions"
VERSIONS_HELP = "In the order in which they are chosen. Take one out and choose it again to move it to the end."
ORDER = "Order"
ORDERS = {"chosen": "as chosen", "added": "as added", "accuracy": "by accuracy"}
TOO_FEW_VERSIONS = "Choose two versions or more that were evaluated on this dataset."
VERSIONS_ALT = "Flow of the samples between right and wrong from each version to the next"
HISTORY = "What became of the samples"
HISTORY_ALT = "One row a kind of history with its rule, its samples, its share and the interval"
PATTERNS = "Patterns"
PATTERNS_ALT = "One row a sequence of right and wrong over the versions with its samples, its share and the interval"
PATTERN_PICK = "R is right, W is wrong, – is not judged, in the order of the versions. Click a row to read its samples."
STREAMS = "The numbers of the flow"
STREAMS_ALT = "One row a band of the flow: both versions, right or wrong in each, and the number of samples"
STREAM_PICK = "Click a row to read the samples of a band."
CATEGORY_COLUMNS = {
    "category": "history",
    "rule": "rule",
    "samples": "samples",
    "share": "share",
    "interval": "95 % interval",
}
PATTERN_COLUMNS = {
    "trajectory": "pattern",
    "category": "history",
    "samples": "samples",
    "share": "share",
    "interval": "95 % interval",
}
STREAM_COLUMNS = {"old": "from", "old_state": "was", "new": "to", "new_state": "is", "samples": "samples"}
CATEGORY_NAMES = {
    "always right": "stayed right",
    "always wrong": "stayed wrong",
    "fixed and kept": "fixed and kept",
    "broken and fixed again": "broken and fixed again",
    "broken and still broken": "broken and still broken",
    "flip-flop": "flickering",
    "judged less than twice": "judged less than twice",
}


def versions_says(versions: str, n: str, broken: str, flickering: str) -> str:
    """What the flow over versions shows."""
    return (
        f"Over {versions} versions, {broken} are broken and still broken, {flickering} flicker (three flips or "
        f"more), of {n} samples. Click a band to read its samples."
    )


def patterns_shown(shown: str, total: str) -> str:
    """How many patterns are listed."""
    return f"The {shown} most frequent of {total} patterns are listed."


# --------------------------------------------------------------------------------------------------------- scores

NO_SCORES = "Both versions share no score on this dataset. The other tabs show right and wrong."
SCORE = "Score"
TAU = "Smallest change that counts (tau)"
TAU_HELP = "A sample whose score moved by at most tau counts as unchanged. It does not touch the mean gain and loss."
SCORE_FIGURES = {
    "change": ("Mean change", "Mean of new score minus old score over all samples; gain minus regression."),
    "gain": ("Mean gain", "Mean over all samples of how much a sample became better, 0 where it did not."),
    "regression": ("Mean regression", "Mean over all samples of how much a sample became worse, 0 where it did not."),
    "better": ("Became better", "Share of all samples whose score rose by more than tau."),
    "worse": ("Became worse", "Share of all samples whose score fell by more than tau."),
}
HISTOGRAM = "Change of the score"
HISTOGRAM_ALT = "Histogram of new score minus old score, split into worse, unchanged and better"
SCATTER = "Old against new"
SCATTER_ALT = "Scatter of the new score against the old one; the band holds the samples that count as unchanged"


def mean_of(n: str, low: str, high: str) -> str:
    """Below a mean."""
    return f"mean of {n} · 95 % interval {low} to {high}"


def histogram_says(score: str, worse: str, better: str, tau: str) -> str:
    """What the histogram shows."""
    return (
        f"{score} fell by more than {tau} in {worse} and rose by more than {tau} in {better}. Click a bar to read its "
        "samples."
    )


def scatter_says(n: str, drawn: str) -> str:
    """What the scatter shows."""
    some = (
        ""
        if drawn == n
        else f" {drawn} of {n} samples are drawn, evenly over the changes, the largest gain and loss among them."
    )
    return (
        f"One mark a sample, {n} in all; below the dashed line it became worse, above it better.{some} Click a mark to "
        "open the sample."
    )
