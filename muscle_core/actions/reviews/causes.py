"""The words by which reviewers say why an answer is wrong: a list that each workspace may edit.

A workspace that never edited or used it has the defaults below, without rows of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from muscle_core.errors import ConfigError, StoreError, raise_all
from muscle_core.store import Review, ReviewCause, Workspace
from muscle_core.store.tables import new_id

MOST_CAUSES = 40
_NAME_LENGTH = 80


class Cause(NamedTuple):
    """One word of the taxonomy.

    Attributes:
        id: what reviews refer to; it stays when the name changes. "" for one that is new.
        name: as reviewers read it.
        description: when to use it.
        retired: no longer offered; reviews that name it keep it.
    """

    id: str
    name: str
    description: str = ""
    retired: bool = False


DEFAULT_CAUSES = (
    Cause("reasoning", "wrong reasoning", "The steps or the conclusion do not follow from the question."),
    Cause("arithmetic", "arithmetic slip", "The way is right, a calculation in it is wrong."),
    Cause("misread", "misread question", "It answers another question, or overlooks a condition."),
    Cause("format", "format or extraction", "The right answer is there, but not where or how it was looked for."),
    Cause("refusal", "refusal", "It declines to answer."),
    Cause("truncated", "truncated", "It ends before the answer, for example at the token limit."),
    Cause("gold", "gold answer wrong", "The model is right and the dataset is not."),
    Cause("ambiguous", "ambiguous question", "More than one answer can be defended."),
    Cause("other", "other", "None of these; say more in the note."),
)


def list_causes(workspace: Workspace, *, with_retired: bool = True) -> list[Cause]:
    """The taxonomy in its order."""
    with workspace.reading() as session:
        found = causes_in(session)
    return [cause for cause in found if with_retired or not cause.retired]


def causes_in(session: Session) -> list[Cause]:
    """The taxonomy in its order, within a transaction."""
    query = sa.select(ReviewCause).order_by(ReviewCause.position, ReviewCause.name)
    rows = [Cause(row.id, row.name, row.description, row.retired) for row in session.scalars(query)]
    return rows or list(DEFAULT_CAUSES)


def write_defaults(session: Session) -> None:
    """Give a workspace without causes of its own the defaults as rows, so that reviews can refer to them."""
    if session.scalar(sa.select(sa.func.count()).select_from(ReviewCause)):
        return
    session.add_all(
        ReviewCause(id=cause.id, name=cause.name, description=cause.description, position=place)
        for place, cause in enumerate(DEFAULT_CAUSES)
    )
    session.flush()


def save_causes(workspace: Workspace, causes: Sequence[Cause]) -> list[Cause]:
    """Replace the whole taxonomy, in the order given; one transaction.

    Args:
        workspace: whose.
        causes: all of them. One with the id of a cause that is there changes it; one without an id is new; a cause
            that is left out is removed.

    Raises:
        ConfigError: no cause is left to choose, or a name is empty, too long or twice; all problems at once.
        StoreError: a cause that reviews name is left out (retire it instead), or an id is unknown.
    """
    given = [cause._replace(name=cause.name.strip(), description=cause.description.strip()) for cause in causes]
    raise_all(_problems(given), ConfigError, "the causes cannot be saved")
    try:
        with workspace.writing() as session:
            write_defaults(session)
            rows = {row.id: row for row in session.scalars(sa.select(ReviewCause))}
            _check_ids(session, rows, given)
            for row_id in rows.keys() - {cause.id for cause in given}:
                session.delete(rows.pop(row_id))
            for row in rows.values():  # two may swap their names, which are unique at every moment
                row.name = f"… {row.id}"
            session.flush()
            for place, cause in enumerate(given):
                known = rows.get(cause.id)
                if known is None:
                    known = ReviewCause(id=new_id())
                    session.add(known)
                known.name, known.description = cause.name, cause.description
                known.position, known.retired = place, cause.retired
            session.flush()
            return causes_in(session)
    except sa.exc.IntegrityError as error:
        raise StoreError("someone else changed the causes at the same time; nothing was saved. Try again.") from error


def find_cause(causes: Sequence[Cause], name: str) -> Cause:
    """A cause by its name or id.

    Raises:
        ConfigError: there is none; the message lists those there are.
    """
    for cause in causes:
        if name in (cause.name, cause.id):
            return cause
    known = ", ".join(repr(cause.name) for cause in causes if not cause.retired)
    raise ConfigError(f"there is no cause {name!r}; known: {known}.")


def _problems(causes: Sequence[Cause]) -> list[str]:
    problems = []
    if not any(not cause.retired for cause in causes):
        problems.append("no cause is left to choose; keep at least one that is not retired")
    if len(causes) > MOST_CAUSES:
        problems.append(f"there are {len(causes)} causes; at most {MOST_CAUSES} can be told apart in a list")
    seen: set[str] = set()
    for place, cause in enumerate(causes, 1):
        if not cause.name:
            problems.append(f"cause {place} has no name")
        elif len(cause.name) > _NAME_LENGTH or not cause.name.isprintable():
            problems.append(f"cause {place}: the name {cause.name!r} must be one line of at most {_NAME_LENGTH} signs")
        elif cause.name.lower() in seen:
            problems.append(f"cause {place}: the name {cause.name!r} is there twice")
        if "\0" in cause.description:
            problems.append(f"cause {place}: the description holds a null character")
        seen.add(cause.name.lower())
    return problems


def _check_ids(session: Session, rows: dict[str, ReviewCause], given: Sequence[Cause]) -> None:
    ids = [cause.id for cause in given if cause.id]
    problems = [f"{cause.name!r} was removed meanwhile" for cause in given if cause.id and cause.id not in rows]
    problems += [f"the id {one!r} is there twice" for one in sorted({one for one in ids if ids.count(one) > 1})]
    for row_id in rows.keys() - set(ids):
        count = session.scalar(sa.select(sa.func.count()).select_from(Review).where(Review.cause_id == row_id))
        if count:
            named = f"{count:,} review{'s' if count > 1 else ''}"
            problems.append(f"{rows[row_id].name!r} is named by {named}; retire it instead of removing it")
    raise_all(sorted(problems), StoreError, "the causes cannot be saved")
