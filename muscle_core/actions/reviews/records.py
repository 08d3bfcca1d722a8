"""A person's verdict on one sample of one comparison: save, list and withdraw it.

A review belongs to two versions, a split, a sample and a reviewer, and remembers by a hash the two answers that were
read. Where one of the versions answers otherwise now, the review is stale: it no longer counts until it is looked at
again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
import sqlalchemy as sa

from muscle_core.actions.reviews.answers import PairAnswers, answer_hashes, hash_of, newest_answers, pair_answers
from muscle_core.actions.reviews.causes import Cause, causes_in, find_cause, write_defaults
from muscle_core.actions.updates.compare import VersionPair, version_pair
from muscle_core.errors import ConfigError, StoreError, raise_all
from muscle_core.store import (
    Review,
    ReviewAssignment,
    ReviewCause,
    Workspace,
)
from muscle_core.store.tables import now

REGRESSION, ACCEPTABLE = "real regression", "acceptable"
VERDICTS = {
    REGRESSION: "The new answer is worse for the user; the update broke this.",
    ACCEPTABLE: "The new answer can be shipped, although it counts as wrong.",
    "gold is wrong": "The dataset's answer is not right; the sample says nothing about the update.",
    "cannot tell": "The sample alone does not decide it.",
}
SEVERITIES = ("low", "medium", "high")
COLUMNS = (
    *("sample_id", "reviewer", "verdict", "cause", "severity", "note"),
    *("stale", "revision", "answers", "created_at", "updated_at"),
)
_NAME_LENGTH, _NOTE_LENGTH = 80, 10_000


def check_reviewer(name: str) -> str:
    """A reviewer's name without spaces around it.

    Raises:
        ConfigError: it is empty, too long or not one line.
    """
    name = name.strip()
    if not name or len(name) > _NAME_LENGTH or not name.isprintable():
        raise ConfigError(f"a reviewer's name must be one line of 1 to {_NAME_LENGTH} signs, got {name!r}.")
    return name


def save_review(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    sample_id: str,
    reviewer: str,
    *,
    verdict: str,
    cause: str | None = None,
    severity: str | None = None,
    note: str = "",
    split: str = "test",
    shown_answers: str | None = None,
    shown_revision: int | None = None,
    answers: PairAnswers | None = None,
) -> Review:
    """Save one reviewer's verdict on one sample, in one transaction; a second save by the same reviewer changes it.

    Args:
        workspace: where to save it.
        old_name: old version.
        new_name: new version.
        dataset_name: dataset.
        sample_id: a sample that both versions answered.
        reviewer: who says so. Others' reviews of the sample stay as they are.
        verdict: one of `VERDICTS`.
        cause: name or id of a cause; needed for a real regression.
        severity: one of `SEVERITIES`, or None for not said.
        note: free text.
        split: split of the dataset.
        shown_answers: hash (`answer_hashes`) of the answers that the reviewer read; refused if others are there now.
        shown_revision: `revision` of the reviewer's own review as it was shown, 0 for none; refused if it was saved
            again since, in another tab.
        answers: the answers, where they are read already; read again where a version was evaluated since.

    Raises:
        ConfigError: a field cannot be saved; all problems at once.
        StoreError: no such sample, or what was shown is no longer what is there; nothing is saved.
    """
    pair = version_pair(workspace, old_name, new_name, dataset_name, split)
    reviewer = check_reviewer(reviewer)
    note = note.strip()
    raise_all(_problems(verdict, cause, severity, note), ConfigError, "the review cannot be saved")
    hashes = answer_hashes(newest_answers(workspace, pair, answers), [sample_id])
    if sample_id not in hashes:
        raise StoreError(
            f"no sample {sample_id!r} was answered by both {old_name!r} and {new_name!r} on {dataset_name!r} ({split})."
        )
    if shown_answers is not None and shown_answers != hashes[sample_id]:
        raise StoreError(
            "the answers to this sample changed since they were shown, because a version was evaluated again; nothing "
            "was saved. Read them anew."
        )
    fields = {"verdict": verdict, "severity": severity, "note": note, "answers": hashes[sample_id]}
    try:
        return _save(workspace, pair, sample_id, reviewer, cause, shown_revision, fields)
    except sa.exc.IntegrityError:  # on PostgreSQL another process wrote the first review or the causes meanwhile
        return _save(workspace, pair, sample_id, reviewer, cause, shown_revision, fields)


def _save(
    workspace: Workspace,
    pair: VersionPair,
    sample_id: str,
    reviewer: str,
    cause: str | None,
    shown_revision: int | None,
    fields: dict[str, Any],
) -> Review:
    with workspace.writing() as session:
        own = of_pair(Review, pair) & (Review.sample_id == sample_id) & (Review.reviewer == reviewer)
        review = session.scalar(sa.select(Review).where(own).with_for_update())
        revision = 0 if review is None else review.revision
        if shown_revision is not None and shown_revision != revision:
            raise StoreError(
                f"{reviewer} saved a review of this sample since it was shown, perhaps in another tab; nothing was "
                "saved. Look at it first."
            )
        cause_id = None
        if cause is not None:
            write_defaults(session)
            cause_id = _cause_for(causes_in(session), cause, review).id
        if review is None:
            review = Review(
                old_version_id=pair.old.id,
                new_version_id=pair.new.id,
                dataset_id=pair.dataset.id,
                split=pair.split,
                sample_id=sample_id,
                reviewer=reviewer,
                revision=0,
            )
            session.add(review)
        for name, value in fields.items():
            setattr(review, name, value)
        review.cause_id, review.revision, review.updated_at = cause_id, revision + 1, now()
    return review


def _cause_for(causes: list[Cause], name: str, review: Review | None) -> Cause:
    found = find_cause(causes, name)
    if found.retired and (review is None or review.cause_id != found.id):
        raise ConfigError(f"the cause {found.name!r} is retired; choose another one.")
    return found


def _problems(verdict: str, cause: str | None, severity: str | None, note: str) -> list[str]:
    problems = []
    if verdict not in VERDICTS:
        problems.append(f"the verdict must be one of {', '.join(VERDICTS)}; got {verdict!r}")
    if verdict == REGRESSION and cause is None:
        problems.append("a real regression needs a cause")
    if severity is not None and severity not in SEVERITIES:
        problems.append(f"the severity must be one of {', '.join(SEVERITIES)}; got {severity!r}")
    if len(note) > _NOTE_LENGTH:
        problems.append(f"the note has {len(note):,} characters; at most {_NOTE_LENGTH:,} are kept")
    if "\0" in note:
        problems.append("the note holds a null character")
    return problems


def withdraw_review(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    sample_id: str,
    reviewer: str,
    *,
    split: str = "test",
) -> None:
    """Take back one reviewer's review of one sample.

    Raises:
        StoreError: there is none.
    """
    pair = version_pair(workspace, old_name, new_name, dataset_name, split)
    own = of_pair(Review, pair) & (Review.sample_id == sample_id) & (Review.reviewer == reviewer)
    with workspace.writing() as session:
        review = session.scalar(sa.select(Review).where(own))
        if review is None:
            raise StoreError(f"{reviewer!r} has no review of sample {sample_id!r} here.")
        session.delete(review)


def list_reviews(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    *,
    split: str = "test",
    answers: PairAnswers | None = None,
) -> pd.DataFrame:
    """All reviews of a pair, in the order in which they were made.

    Args:
        workspace: where they are.
        old_name: old version.
        new_name: new version.
        dataset_name: dataset.
        split: split of the dataset.
        answers: the answers, where they are read already.

    Returns:
        One row a review with `COLUMNS`. `cause` is its name now, None where none was given; `stale` says that one of
        the two answers, or the sample, is no longer the one reviewed.

    Raises:
        StoreError: something is missing; the message says how to make it.
    """
    return reviews_of(workspace, version_pair(workspace, old_name, new_name, dataset_name, split), answers)


def reviews_of(workspace: Workspace, pair: VersionPair, answers: PairAnswers | None = None) -> pd.DataFrame:
    """What `list_reviews` returns, where the pair is known already."""
    query = (
        sa.select(Review, ReviewCause.name)
        .outerjoin(ReviewCause, Review.cause_id == ReviewCause.id)
        .where(of_pair(Review, pair))
        .order_by(Review.created_at, Review.id)
    )
    with workspace.reading() as session:
        found = [(row[0], row[1]) for row in session.execute(query)]
    if not found:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in COLUMNS}).astype({"stale": bool})
    current = answer_hashes(answers or pair_answers(workspace, pair), [review.sample_id for review, _ in found])
    rows = [
        (
            *(review.sample_id, review.reviewer, review.verdict, cause, review.severity, review.note),
            *(current.get(review.sample_id) != review.answers, review.revision, review.answers),
            *(review.created_at, review.updated_at),
        )
        for review, cause in found
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    for column in ("cause", "severity"):  # keep None; pandas would turn it into a NaN, which counts as true
        frame[column] = pd.Series([row[COLUMNS.index(column)] for row in rows], dtype=object)
    return frame


def reviews_of_sample(
    workspace: Workspace, pair: VersionPair, sample_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """All reviews of one sample of a pair, oldest first, without reading the other samples.

    Args:
        workspace: where they are.
        pair: the pair.
        sample_id: the sample.
        old: the old version's prediction row of it, with `prediction` and `output` where it has them.
        new: likewise of the new version.

    Returns:
        reviewer, verdict, cause (its name, or None), severity, note, and whether it is of other answers (`stale`).
    """
    query = (
        sa.select(Review, ReviewCause.name)
        .outerjoin(ReviewCause, Review.cause_id == ReviewCause.id)
        .where(of_pair(Review, pair), Review.sample_id == sample_id)
        .order_by(Review.created_at, Review.id)
    )
    with workspace.reading() as session:
        found = [(row[0], row[1]) for row in session.execute(query)]
    sides = [(row.get("prediction"), row.get("output")) for row in (old, new)]
    current = hash_of(*sides)
    return [
        {
            "reviewer": review.reviewer,
            "verdict": review.verdict,
            "cause": cause,
            "severity": review.severity,
            "note": review.note,
            "stale": review.answers != current,
        }
        for review, cause in found
    ]


class ReviewedPair(NamedTuple):
    """A pair, its answers, and the reviews of them as `list_reviews` returns them."""

    pair: VersionPair
    answers: PairAnswers
    reviews: pd.DataFrame


def read_reviewed(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    split: str,
    answers: PairAnswers | None = None,
) -> ReviewedPair:
    """Read all that figures about the reviews of a pair need; arguments and errors as of `list_reviews`."""
    pair = version_pair(workspace, old_name, new_name, dataset_name, split)
    answers = answers or pair_answers(workspace, pair)
    return ReviewedPair(pair, answers, reviews_of(workspace, pair, answers))


def of_pair(table: type[Review] | type[ReviewAssignment], pair: VersionPair) -> sa.ColumnElement[bool]:
    """Which rows of a table belong to a pair."""
    return sa.and_(
        table.old_version_id == pair.old.id,
        table.new_version_id == pair.new.id,
        table.dataset_id == pair.dataset.id,
        table.split == pair.split,
    )
