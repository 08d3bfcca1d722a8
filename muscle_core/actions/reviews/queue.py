"""Which samples of a comparison are to be reviewed, by whom, and how far that is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import sqlalchemy as sa

from muscle_core.actions.reviews.records import (
    PairAnswers,
    check_reviewer,
    of_pair,
    read_reviewed,
)
from muscle_core.actions.updates.compare import VersionPair
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
STATES = ("unreviewed", "stale", "reviewed")


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


def queue_samples(answers: PairAnswers, what: str | None = None) -> pd.DataFrame:
    """The samples of a queue with their quadrants, in the order of the dataset; by loss, the largest first.

    Args:
        answers: of the pair.
        what: one of `QUEUES`; by default the negative flips, or the losses where answers are neither right nor wrong.

    Returns:
        Columns sample_id and quadrant (missing where a sample is in none), and position from 0.

    Raises:
        ConfigError: there is no such queue.
    """
    samples = answers.samples
    what = what or default_queue(answers)
    if what not in QUEUES:
        raise ConfigError(f"there is no queue {what!r}; known: {', '.join(QUEUES)}.")
    if what == LOSS:
        if answers.score is None:
            raise ConfigError("these answers have no continuous score, so none lost score; choose another queue.")
        change = samples[f"delta_{answers.score}"]
        samples = samples[change < 0].loc[change[change < 0].sort_values(kind="stable").index]
    elif what != "all":
        samples = samples[(samples["quadrant"] == what).fillna(False).astype(bool)]
    found = samples[["sample_id", "quadrant"]].reset_index(drop=True)
    return found.assign(position=np.arange(len(found)))


def default_queue(answers: PairAnswers) -> str:
    """The queue that is meant where none is named."""
    return "Q4" if answers.score is None or answers.samples["quadrant"].notna().any() else LOSS


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
        One row a sample with sample_id, quadrant, position (in the order of `queue_samples`), state (one of `STATES`),
        assigned and reviewers (names, joined by ", "), and verdict, cause and severity: the reviewer's, or the one
        that all reviews share, else "reviewers disagree"; missing where there is no review.

    Raises:
        StoreError: something is missing; the message says how to make it.
        ConfigError: there is no such queue.
    """
    pair, answers, reviews = read_reviewed(workspace, old_name, new_name, dataset_name, split, answers)
    return build_queue(queue_samples(answers, what), reviews, list_assignments(workspace, pair), reviewer)


def build_queue(
    samples: pd.DataFrame, reviews: pd.DataFrame, assignments: pd.DataFrame, reviewer: str | None = None
) -> pd.DataFrame:
    """What `queue_of` returns, from `queue_samples`, `list_reviews` and `list_assignments`."""
    own = reviews if reviewer is None else reviews[reviews["reviewer"] == reviewer]
    fresh, stale = own[~own["stale"]], own[own["stale"]]
    # Fresh reviews speak for a sample where there are any.
    speaking = pd.concat([fresh, stale[~stale["sample_id"].isin(fresh["sample_id"])]])
    index = pd.Index(samples["sample_id"].to_numpy(dtype=object))
    state = np.zeros(len(index), dtype=np.int8)
    for code, frame in ((1, stale), (2, fresh)):
        state[_places(index, frame["sample_id"])] = code
    queue = samples.assign(state=np.array(STATES, dtype=object)[state])
    for column, frame in (("assigned", assignments), ("reviewers", reviews)):
        queue[column] = _spread(index, _joined(frame), "")
    for column in ("verdict", "cause", "severity"):
        queue[column] = pd.Series(_spread(index, shared_labels(speaking, column), None), dtype=object)
    return queue.iloc[np.argsort(state, kind="stable")].reset_index(drop=True)


def are_among(sample_ids: pd.Series, others: pd.Series) -> np.ndarray:
    """Which ids are among others; pandas' own `isin` takes seconds for hundreds of thousands of texts."""
    index = pd.Index(others.to_numpy(dtype=object)).unique()
    return index.get_indexer(sample_ids.to_numpy(dtype=object)) >= 0


def _places(index: pd.Index, sample_ids: Iterable[str]) -> np.ndarray:
    """Where those of the ids stand that are in an index."""
    found = index.get_indexer(np.array(list(sample_ids), dtype=object))
    return found[found >= 0]


def _spread(index: pd.Index, values: dict[str, str | None], gap: str | None) -> np.ndarray:
    """One value an id of the index, the gap where it has none."""
    spread = np.full(len(index), gap, dtype=object)
    places = index.get_indexer(np.array(list(values), dtype=object))
    spread[places[places >= 0]] = np.array(list(values.values()), dtype=object)[places >= 0]
    return spread


def _joined(frame: pd.DataFrame) -> dict[str, str | None]:
    """The names at each sample, in their order."""
    names: dict[str, str | None] = {}
    for identity, name in zip(frame["sample_id"], frame["reviewer"], strict=True):
        names[identity] = f"{names[identity]}, {name}" if identity in names else name
    return names


DISAGREE = "reviewers disagree"


def shared_labels(reviews: pd.DataFrame, column: str) -> dict[str, str | None]:
    """The label that all reviews of a sample share, by sample id; `DISAGREE` where they do not."""
    labels: dict[str, str | None] = {}
    for identity, label in zip(reviews["sample_id"], reviews[column], strict=True):
        labels[identity] = label if labels.setdefault(identity, label) == label else DISAGREE
    return labels


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
                inside = set(samples["sample_id"])
                back = [row for row in rows if row.sample_id in inside and (row.sample_id, row.reviewer) not in done]
                for row in back:
                    session.delete(row)
                session.flush()
                kept = {id(row) for row in back}
                rows = [row for row in rows if id(row) not in kept]
            taken = {row.sample_id for row in rows} | set(reviews.loc[~reviews["stale"], "sample_id"])
            free = [one for one in samples["sample_id"] if one not in taken][:limit]
            dealt = deal(free, names, two_for_every)
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


def progress_of(samples: pd.DataFrame, reviews: pd.DataFrame, assignments: pd.DataFrame) -> Progress:
    """What `progress` returns, from `queue_samples`, `list_reviews` and `list_assignments`."""
    reviews = reviews[are_among(reviews["sample_id"], samples["sample_id"])]
    assignments = assignments[are_among(assignments["sample_id"], samples["sample_id"])]
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
