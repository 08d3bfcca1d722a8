"""Manual error review: what people found in the samples of a comparison, and what follows from it.

`queue_of`, `assign` and `progress` say what is to be done by whom; `save_review` keeps a verdict; `agreement`,
`review_summary`, `allow_list` and `export_reviews` use what was found. All are exported here.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from muscle_core.actions.reviews.answers import PairAnswers
from muscle_core.actions.reviews.causes import Cause, list_causes, save_causes
from muscle_core.actions.reviews.queue import QUEUES, Progress, assign, progress, queue_of, queue_samples
from muscle_core.actions.reviews.queue_columns import DISAGREE, LABELS, QueuedSamples, shared_labels
from muscle_core.actions.reviews.records import (
    ACCEPTABLE,
    SEVERITIES,
    VERDICTS,
    list_reviews,
    read_reviewed,
    save_review,
    withdraw_review,
)
from muscle_core.comparison.view import rows_of
from muscle_core.errors import ConfigError
from muscle_core.interchange.exports import csv_text, jsonl_text
from muscle_core.metrics.agreement import Agreement, cohen_kappa
from muscle_core.metrics.rates import Rate, rate
from muscle_core.store import Workspace

__all__ = [
    "QUEUES",
    "SEVERITIES",
    "VERDICTS",
    "Cause",
    "Progress",
    "ReviewSummary",
    "ReviewersAgreement",
    "agreement",
    "allow_list",
    "assign",
    "export_reviews",
    "list_causes",
    "list_reviews",
    "progress",
    "queue_of",
    "review_summary",
    "save_causes",
    "save_review",
    "withdraw_review",
]

FORMATS = ("csv", "jsonl")
NOT_GIVEN = "not given"


class ReviewersAgreement(NamedTuple):
    """How far two reviewers agree on one label.

    Attributes:
        first: one reviewer.
        second: the other one.
        label: one of `LABELS`.
        agreement: on the samples that both reviewed with the same answers before them.
        left_out: samples that both reviewed, but not with the same answers before them.
    """

    first: str
    second: str
    label: str
    agreement: Agreement
    left_out: int


@dataclass(frozen=True)
class ReviewSummary:
    """What the reviews of a queue found; every share is one of samples, whatever the number of their reviewers.

    The samples reviewed need not be a random part of the queue: then the shares tell of them alone.

    Attributes:
        what: the queue, one of `QUEUES`.
        reviewed: samples with a review of the answers as they are now, as a share of the queue.
        stale: samples whose reviews are all of earlier answers; in no other figure.
        reviewers: names, sorted.
        by_verdict: share of the reviewed samples by verdict, in the order of `VERDICTS`.
        by_cause: the same by cause, in the order of the taxonomy.
        by_severity: the same by severity, from low to high.

    Samples whose reviewers disagree count as "reviewers disagree", those without a label as "not given".
    """

    what: str
    reviewed: Rate
    stale: int
    reviewers: tuple[str, ...]
    by_verdict: dict[str, Rate]
    by_cause: dict[str, Rate]
    by_severity: dict[str, Rate]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        shares = {
            f"by_{label}": {name: share.as_dict() for name, share in getattr(self, f"by_{label}").items()}
            for label in LABELS
        }
        return {
            "what": self.what,
            "reviewed": self.reviewed.as_dict(),
            "stale": self.stale,
            "reviewers": list(self.reviewers),
            **shares,
        }


def agreement(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    label: str = "verdict",
    seed: int = 0,
) -> list[ReviewersAgreement]:
    """How far every two reviewers with a sample in common agree, by Cohen's kappa and as an exact share.

    Args:
        workspace: where the reviews are.
        old_name: old version.
        new_name: new version.
        dataset_name: dataset.
        split: split of the dataset.
        label: what is compared, one of `LABELS`; no cause and no severity count as labels of their own.
        seed: of the bootstrap interval.

    Raises:
        ConfigError: there is no such label.
        StoreError: something is missing; the message says how to make it.
    """
    reviews = list_reviews(workspace, old_name, new_name, dataset_name, split=split)
    return agreement_of(reviews, label, seed=seed)


def agreement_of(reviews: pd.DataFrame, label: str = "verdict", *, seed: int = 0) -> list[ReviewersAgreement]:
    """What `agreement` returns, from `list_reviews`."""
    if label not in LABELS:
        raise ConfigError(f"there is no label {label!r} to agree on; known: {', '.join(LABELS)}.")
    by_reviewer = {name: rows.set_index("sample_id") for name, rows in reviews.groupby("reviewer", sort=True)}
    found = []
    for first, second in itertools.combinations(by_reviewer, 2):
        mine, theirs = by_reviewer[first], by_reviewer[second]
        common = mine.index.intersection(theirs.index)
        if common.empty:
            continue
        same = common[(mine.loc[common, "answers"] == theirs.loc[common, "answers"]).to_numpy(dtype=bool)]
        labels = [[one or NOT_GIVEN for one in side.loc[same, label]] for side in (mine, theirs)]
        measured = cohen_kappa(labels[0], labels[1], seed=seed)
        found.append(ReviewersAgreement(str(first), str(second), label, measured, len(common) - len(same)))
    return found


def allow_list(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    answers: PairAnswers | None = None,
) -> list[str]:
    """Ids of the samples that all their reviewers call acceptable, with the answers as they are now; sorted.

    One review of another verdict, or of earlier answers, keeps a sample off the list.

    Raises:
        StoreError: something is missing; the message says how to make it.
    """
    reviews = list_reviews(workspace, old_name, new_name, dataset_name, split=split, answers=answers)
    if reviews.empty:
        return []
    accepted = (reviews["verdict"] == ACCEPTABLE) & ~reviews["stale"]
    by_all = accepted.groupby(reviews["sample_id"]).all()
    return sorted(by_all[by_all].index)


def review_summary(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    what: str | None = None,
    answers: PairAnswers | None = None,
) -> ReviewSummary:
    """What the reviews of a queue found, by verdict, cause and severity; arguments and errors as of `queue_of`."""
    _, answers, reviews = read_reviewed(workspace, old_name, new_name, dataset_name, split, answers)
    samples = queue_samples(answers, what)
    names = [cause.name for cause in list_causes(workspace)]
    return summary_of(samples, reviews, names)


def summary_of(samples: QueuedSamples, reviews: pd.DataFrame, causes: list[str]) -> ReviewSummary:
    """What `review_summary` returns, from `queue_samples`, `list_reviews` and the names of the causes."""
    reviews = reviews[samples.positions(reviews["sample_id"]) >= 0]
    fresh = reviews[~reviews["stale"]]
    n = fresh["sample_id"].nunique()
    shares = {}
    for label, order in (("verdict", list(VERDICTS)), ("cause", causes), ("severity", list(SEVERITIES))):
        counts = pd.Series([one or NOT_GIVEN for one in shared_labels(fresh["sample_id"], fresh[label]).values()])
        counts = counts.value_counts()
        shown = [name for name in [*order, DISAGREE, NOT_GIVEN] if counts.get(name)]
        shares[label] = {name: rate(int(counts[name]), n) for name in shown}
    return ReviewSummary(
        what=samples.what,
        reviewed=rate(n, len(samples)),
        stale=reviews["sample_id"].nunique() - n,
        reviewers=tuple(sorted(reviews["reviewer"].unique())),
        by_verdict=shares["verdict"],
        by_cause=shares["cause"],
        by_severity=shares["severity"],
    )


def export_reviews(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    form: str = "csv",
    answers: PairAnswers | None = None,
) -> str:
    """All reviews of a pair as text, with what was compared and the two answers as they are now.

    Args:
        workspace: where the reviews are.
        old_name: old version.
        new_name: new version.
        dataset_name: dataset.
        split: split of the dataset.
        form: "csv", in which texts that a spreadsheet would run as a formula get a leading apostrophe, or "jsonl", one
            JSON object a line.
        answers: the answers, where they are read already.

    Raises:
        ConfigError: there is no such form.
        StoreError: something is missing; the message says how to make it.
    """
    if form not in FORMATS:
        raise ConfigError(f"reviews cannot be written as {form!r}; known: {', '.join(FORMATS)}.")
    _, answers, reviews = read_reviewed(workspace, old_name, new_name, dataset_name, split, answers)
    rows = rows_of(answers.matched.ids, list(reviews["sample_id"]))
    known = answers.matched.frame(np.unique(rows[rows >= 0])).set_index("sample_id").reindex(reviews["sample_id"])
    table = pd.DataFrame(
        {
            "dataset": dataset_name,
            "split": split,
            "old_version": old_name,
            "new_version": new_name,
            **{name: reviews[name].to_numpy() for name in ("sample_id", "reviewer", *LABELS, "note", "stale")},
            **{
                name: known[name].to_numpy()
                for name in ("quadrant", "gold", "old_prediction", "new_prediction")
                if name in known
            },
            "created_at": [moment.isoformat() for moment in reviews["created_at"]],
            "updated_at": [moment.isoformat() for moment in reviews["updated_at"]],
        },
        index=range(len(reviews)),
    )
    return csv_text(table) if form == "csv" else jsonl_text(table)
