"""Which samples of a comparison are to be reviewed, by whom, and how far that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import sqlalchemy as sa

from muscle_core.actions.reviews.answers import PairAnswers
from muscle_core.actions.reviews.queue_columns import QueuedSamples, build_queue
from muscle_core.actions.reviews.records import check_reviewer, of_pair, read_reviewed
from muscle_core.actions.updates.compare import VersionPair
from muscle_core.comparison.sample_filter import in_quadrant
from muscle_core.errors import ConfigError, StoreError, raise_all
from muscle_core.metrics.rates import Rate, rate
from muscle_core.store import ReviewAssignment, Workspace

LOSS = "loss"
QUEUES = {
    "Q4": "negative flips",
    "Q2": "positive flips",
    "Q3": "both wrong",
    "Q1": "both right",
    LOSS: "samples that lost score",
    "all": "all samples",
}


class Progress(NamedTuple):
    """How far a queue is.

    Attributes:
        queue: samples in it.
        reviewed: samples with a review of the answers as they are now, as a share of the queue.
        stale: samples whose reviews are all of earlier answers.
        by_reviewer: one row a reviewer with assigned, done (of these), stale (of these), left, and reviewed (samples
            of the queue that they reviewed, assigned or not).
    """

    queue: int
    reviewed: Rate
    stale: int
    by_reviewer: pd.DataFrame


def queue_samples(answers: PairAnswers, what: str | None = None) -> QueuedSamples:
    """The samples of a queue, in the order of the dataset; by loss, the largest first.

    Args:
        answers: of the pair.
        what: one of `QUEUES`; by default the negative flips, or the losses where answers are neither right nor wrong.

    Raises:
        ConfigError: there is no such queue.
    """
    matched = answers.matched
    what = what or default_queue(answers)
    if what not in QUEUES:
        raise ConfigError(f"there is no queue {what!r}; known: {', '.join(QUEUES)}.")
    if what == LOSS:
        if answers.score is None:
            raise ConfigError("these answers have no continuous score, so none lost score; choose another queue.")
        old, new = matched.scores[answers.score]
        change = new - old
        lost = np.flatnonzero(change < 0)
        rows = lost[np.argsort(change[lost], kind="stable")]
    elif what == "all":
        rows = np.arange(len(matched.ids))
    else:
        rows = np.flatnonzero(in_quadrant(matched, what))
    return QueuedSamples(what, matched, rows)


def default_queue(answers: PairAnswers) -> str:
    """The queue that is meant where none is named."""
    return "Q4" if answers.score is None or answers.matched.judged.any() else LOSS


def queue_of(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    what: str | None = None,
    reviewer: str | None = None,
    answers: PairAnswers | None = None,
) -> pd.DataFrame:
    """The samples to review: those without a review first, then stale ones, then the reviewed, each in stable order.

    Args:
        workspace: where the reviews are.
        old_name: old version.
        new_name: new version.
        dataset_name: dataset.
        split: split of the dataset.
        what: as of `queue_samples`.
        reviewer: whose reviews decide the state of a sample; by default anybody's.
        answers: the answers, where they are read already.

    Returns:
        One row a sample with sample_id, quadrant (missing where a sample is in none), position (in the order of the
        dataset, or by loss), state (one of `STATES`),
        assigned and reviewers (names, joined by ", "), and verdict, cause and severity: the reviewer's, or the one
        that all reviews share, else "reviewers disagree"; missing where there is no review.

    Raises:
        StoreError: something is missing; the message says how to make it.
        ConfigError: there is no such queue.
    """
    pair, answers, reviews = read_reviewed(workspace, old_name, new_name, dataset_name, split, answers)
    queue = build_queue(queue_samples(answers, what), reviews, list_assignments(workspace, pair), reviewer)
    return queue.frame(np.argsort(queue.state, kind="stable"))


def list_assignments(workspace: Workspace, pair: VersionPair) -> pd.DataFrame:
    """Who is asked to review what: columns sample_id and reviewer, in the order in which it was dealt."""
    query = (
        sa.select(ReviewAssignment.sample_id, ReviewAssignment.reviewer)
        .where(of_pair(ReviewAssignment, pair))
        .order_by(ReviewAssignment.created_at, ReviewAssignment.sample_id, ReviewAssignment.reviewer)
    )
    with workspace.reading() as session:
        rows = [tuple(row) for row in session.execute(query)]
    return pd.DataFrame(rows, columns=["sample_id", "reviewer"], dtype=object)


def assign(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    reviewers: Sequence[str],
    *,
    split: str = "test",
    what: str | None = None,
    two_for_every: int | None = None,
    limit: int | None = None,
    replace: bool = False,
    answers: PairAnswers | None = None,
) -> dict[str, int]:
    """Deal the samples of a queue that nobody reviewed or was asked to review, in its order, like cards.

    Places are dealt to the reviewers in turn, so that their numbers differ by at most one. A sample for two takes two
    places in a row, so that every two neighbours in the list of reviewers share some.

    Args:
        workspace: where the queue is.
        old_name: old version.
        new_name: new version.
        dataset_name: dataset.
        reviewers: who reviews; one name gives all to that person.
        split: split of the dataset.
        what: as of `queue_samples`.
        two_for_every: every k-th sample, from the first, goes to two reviewers, to measure how far they agree.
        limit: at most so many samples.
        replace: first take back what was dealt of this queue and is not reviewed by whom it was dealt to.
        answers: the answers, where they are read already.

    Returns:
        Samples dealt to each reviewer by this call.

    Raises:
        ConfigError: names or numbers that cannot work, all problems at once; or no such queue.
        StoreError: something is missing, or somebody else deals at the same time; nothing is changed.
    """
    names = [check_reviewer(name) for name in reviewers]
    raise_all(_problems(names, two_for_every, limit), ConfigError, "the queue cannot be dealt")
    pair, answers, reviews = read_reviewed(workspace, old_name, new_name, dataset_name, split, answers)
    samples = queue_samples(answers, what)
    done = set(zip(reviews["sample_id"], reviews["reviewer"], strict=True))
    try:
        with workspace.writing() as session:
            rows = list(session.scalars(sa.select(ReviewAssignment).where(of_pair(ReviewAssignment, pair))))
            if replace:
                inside = samples.positions(row.sample_id for row in rows) >= 0
                back = [
                    row
                    for row, is_inside in zip(rows, inside, strict=True)
                    if is_inside and (row.sample_id, row.reviewer) not in done
                ]
                for row in back:
                    session.delete(row)
                session.flush()
                kept = {id(row) for row in back}
                rows = [row for row in rows if id(row) not in kept]
            taken = samples.positions([*(row.sample_id for row in rows), *reviews.loc[~reviews["stale"], "sample_id"]])
            free = np.ones(len(samples), dtype=np.bool_)
            free[taken[taken >= 0]] = False
            dealt = deal(samples.ids_at(np.flatnonzero(free)[:limit]), names, two_for_every)
            if dealt:
                common = {
                    "old_version_id": pair.old.id,
                    "new_version_id": pair.new.id,
                    "dataset_id": pair.dataset.id,
                    "split": split,
                }
                session.execute(
                    sa.insert(ReviewAssignment),
                    [{**common, "sample_id": identity, "reviewer": name} for identity, name in dealt],
                )
    except sa.exc.IntegrityError as error:
        raise StoreError(
            "somebody else dealt this queue at the same time; nothing was changed. Look at it again."
        ) from error
    return {name: sum(one == name for _, one in dealt) for name in names}


def deal(sample_ids: Sequence[str], reviewers: Sequence[str], two_for_every: int | None) -> list[tuple[str, str]]:
    """Sample and reviewer of each place dealt; see `assign`."""
    dealt: list[tuple[str, str]] = []
    for place, identity in enumerate(sample_ids):
        for _ in range(2 if two_for_every and place % two_for_every == 0 else 1):
            dealt.append((identity, reviewers[len(dealt) % len(reviewers)]))
    return dealt


def _problems(names: list[str], two_for_every: int | None, limit: int | None) -> list[str]:
    problems = []
    if not names:
        problems.append("name at least one reviewer")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        problems.append(f"named twice: {', '.join(twice)}")
    if two_for_every is not None:
        if two_for_every < 1:
            problems.append(f"every how many samples go to two reviewers must be 1 or more, got {two_for_every}")
        if len(set(names)) == 1:
            problems.append("samples for two reviewers need two names")
    if limit is not None and limit < 1:
        problems.append(f"the limit must be at least 1 sample, got {limit}")
    return problems


def progress(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    what: str | None = None,
    answers: PairAnswers | None = None,
) -> Progress:
    """How far the reviews of a queue are, in all and by reviewer; arguments and errors as of `queue_of`."""
    pair, answers, reviews = read_reviewed(workspace, old_name, new_name, dataset_name, split, answers)
    return progress_of(queue_samples(answers, what), reviews, list_assignments(workspace, pair))


def progress_of(samples: QueuedSamples, reviews: pd.DataFrame, assignments: pd.DataFrame) -> Progress:
    """What `progress` returns, from `queue_samples`, `list_reviews` and `list_assignments`."""
    reviews = reviews[samples.positions(reviews["sample_id"]) >= 0]
    assignments = assignments[samples.positions(assignments["sample_id"]) >= 0]
    fresh = reviews[~reviews["stale"]]
    by_pair = {(row.sample_id, row.reviewer): bool(row.stale) for row in reviews.itertuples()}
    pairs = zip(assignments["sample_id"], assignments["reviewer"], strict=True)
    said = pd.Series([by_pair.get(pair) for pair in pairs], dtype=object).to_numpy()
    rows = []
    for name in dict.fromkeys([*assignments["reviewer"].unique(), *reviews["reviewer"].unique()]):
        own = said[(assignments["reviewer"] == name).to_numpy(dtype=bool)]
        done, stale = int(np.count_nonzero(own == False)), int(np.count_nonzero(own == True))  # noqa: E712
        rows.append((name, len(own), done, stale, len(own) - done, int((fresh["reviewer"] == name).sum())))
    table = pd.DataFrame(rows, columns=["reviewer", "assigned", "done", "stale", "left", "reviewed"])
    reviewed = fresh["sample_id"].nunique()
    return Progress(len(samples), rate(reviewed, len(samples)), reviews["sample_id"].nunique() - reviewed, table)
