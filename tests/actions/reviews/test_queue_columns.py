"""Queues as columns, and the answers that reviews are about, against a plain look at one sample after another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muscle_core.actions.reviews.answers import PairAnswers
from muscle_core.actions.reviews.findings import summary_of
from muscle_core.actions.reviews.queue import QUEUES, default_queue, progress_of, queue_samples
from muscle_core.actions.reviews.queue_columns import DISAGREE, Queue, build_queue
from muscle_core.actions.reviews.records import SEVERITIES, VERDICTS
from muscle_core.actions.updates.compare import compared_columns_of
from muscle_core.comparison import compare
from muscle_core.errors import ConfigError, DataError
from muscle_core.metrics.rates import rate
from muscle_core.store import EvaluationRun, Workspace
from muscle_core.store.predictions import PredictionWriter
from muscle_core.ui.review.queue import _neighbours, _next_open

IDS = [f"s{number}" for number in range(9)]
PEOPLE = ["Ada", "Ben", "Chris"]
CAUSES = ["refusal", "other"]
_texts = st.sampled_from([None, "", "a", "ä b", 'c"\n'])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = Workspace.open(tmp_path_factory.mktemp("queues"))
    yield workspace
    workspace.close()


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A version's predictions: in any order, some samples missing or twice, with or without flags, scores, outputs."""
    flags, scores, outputs = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    rows = []
    for identity in draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=12)):
        row: dict[str, Any] = {"sample_id": identity, "prediction": draw(_texts), "gold": "a"}
        row["correct"] = draw(st.sampled_from([True, False, None])) if flags else None
        if scores:
            row["rouge1"] = draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]))
        row["output"] = draw(_texts) if outputs else None
        rows.append(row)
    return rows


@st.composite
def said(draw: st.DrawFn) -> pd.DataFrame:
    """Reviews as `list_reviews` returns them; also of samples that nobody answered."""
    pairs = draw(st.lists(st.tuples(st.sampled_from([*IDS, "gone"]), st.sampled_from(PEOPLE)), unique=True))
    rows = [
        (
            *pair,
            draw(st.sampled_from(list(VERDICTS))),
            draw(st.sampled_from([*CAUSES, None])),
            draw(st.sampled_from([*SEVERITIES, None])),
            draw(st.booleans()),
        )
        for pair in pairs
    ]
    frame = pd.DataFrame(rows, columns=["sample_id", "reviewer", "verdict", "cause", "severity", "stale"], dtype=object)
    return frame.astype({"stale": bool})


asked = st.lists(st.tuples(st.sampled_from([*IDS, "gone"]), st.sampled_from(PEOPLE)), unique=True).map(
    lambda pairs: pd.DataFrame(pairs, columns=["sample_id", "reviewer"], dtype=object)
)


def answers_of(workspace: Workspace, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> PairAnswers | None:
    """Both versions as the workspace stores them, each in two parts; None where they cannot be compared."""
    runs = []
    for rows in (old, new):
        run = EvaluationRun(id=uuid4().hex, path=f"predictions/{uuid4().hex}")
        writer = PredictionWriter(workspace.path(run.path))
        for part in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
            if part:
                writer.write(part)
        writer.finish()
        runs.append(run)
    columns = [compared_columns_of(workspace, run) for run in runs]
    try:
        compared = compare(*columns, task_kind="math", old_name="old", new_name="new")
    except DataError:
        return None
    return PairAnswers(workspace, runs, compared)


class Plain:
    """The slow reading: dictionaries, one sample after another."""

    def __init__(self, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
        once = [{row["sample_id"]: row for row in rows} for rows in (old, new)]
        times = [[row["sample_id"] for row in rows] for rows in (old, new)]
        self.pairs = {
            one: (once[0][one], once[1][one])
            for one in times[0]
            if times[0].count(one) == 1 and times[1].count(one) == 1
        }

    def hash(self, identity: str) -> str:
        sides = [[row["prediction"], row["output"]] for row in self.pairs[identity]]
        return hashlib.sha256(json.dumps(sides).encode()).hexdigest()

    def quadrant(self, identity: str) -> str | None:
        flags = tuple(row["correct"] for row in self.pairs[identity])
        if None in flags:
            return None
        return {(True, True): "Q1", (False, True): "Q2", (False, False): "Q3", (True, False): "Q4"}[flags]

    def queue(self, what: str) -> list[str]:
        if what == "all":
            return list(self.pairs)
        if what != "loss":
            return [one for one in self.pairs if self.quadrant(one) == what]
        change = {one: new["rouge1"] - old["rouge1"] for one, (old, new) in self.pairs.items()}
        return sorted((one for one in change if change[one] < 0), key=change.__getitem__)


def shared(labels: list[str | None]) -> str | None:
    return labels[0] if len(set(labels)) == 1 else DISAGREE


def plain_row(identity: str, reviews: pd.DataFrame, dealt: pd.DataFrame, reviewer: str | None) -> dict[str, Any]:
    every = [row for row in reviews.to_dict("records") if row["sample_id"] == identity]
    own = [row for row in every if reviewer in (None, row["reviewer"])]
    speaking = [row for row in own if not row["stale"]] or own
    state = "unreviewed" if not own else "stale" if speaking[0]["stale"] else "reviewed"
    names = [row["reviewer"] for row in dealt.to_dict("records") if row["sample_id"] == identity]
    return {
        "state": state,
        "assigned": ", ".join(names),
        "reviewers": ", ".join(row["reviewer"] for row in every),
        **{
            label: shared([row[label] for row in speaking]) if speaking else None
            for label in ("verdict", "cause", "severity")
        },
    }


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(tables(), tables(), said(), asked, st.sampled_from([None, *PEOPLE]))
def test_every_queue_is_that_of_a_slow_look_at_each_sample(
    home: Workspace,
    old: list[dict[str, Any]],
    new: list[dict[str, Any]],
    reviews: pd.DataFrame,
    dealt: pd.DataFrame,
    reviewer: str | None,
) -> None:
    answers = answers_of(home, old, new)
    if answers is None:
        return
    plain = Plain(old, new)
    wanted = [*IDS, "gone", IDS[0]]
    assert answers.hashes(wanted[:3]) == {one: plain.hash(one) for one in wanted[:3] if one in plain.pairs}
    assert answers.hashes(wanted) == {one: plain.hash(one) for one in IDS if one in plain.pairs}
    judged = any(plain.quadrant(one) for one in plain.pairs)
    assert default_queue(answers) == ("Q4" if answers.score is None or judged else "loss")
    for what in QUEUES:
        if what == "loss" and answers.score is None:
            with pytest.raises(ConfigError, match="no continuous score"):
                queue_samples(answers, what)
            continue
        samples, ids = queue_samples(answers, what), plain.queue(what)
        queue = build_queue(samples, reviews, dealt, reviewer)
        rows = {one: plain_row(one, reviews, dealt, reviewer) for one in ids}
        frame = queue.frame()
        assert frame["sample_id"].tolist() == samples.ids_at(np.arange(len(ids))) == ids
        assert [None if pd.isna(one) else one for one in frame["quadrant"]] == [plain.quadrant(one) for one in ids]
        assert frame[list(next(iter(rows.values()), {}))].to_dict("records") == list(rows.values())
        for label in ("verdict", "cause", "severity"):  # missing is None, which is false, and not a NaN
            assert [one is None for one in frame[label]] == [row[label] is None for row in rows.values()]
        assert samples.positions(wanted).tolist() == [ids.index(one) if one in ids else -1 for one in wanted]
        assert queue.unassigned().tolist() == [not row["assigned"] for row in rows.values()]
        assert queue.causes() == list(dict.fromkeys(row["cause"] for row in rows.values() if row["cause"]))
        for cause in CAUSES:
            assert [ids[at] for at in queue.with_cause(cause)] == [one for one in ids if rows[one]["cause"] == cause]
        check_figures(samples, ids, reviews, dealt)
        check_moves(queue, ids, rows)


def check_figures(samples: Any, ids: list[str], reviews: pd.DataFrame, dealt: pd.DataFrame) -> None:
    """Progress and summary."""
    inside = [row for row in reviews.to_dict("records") if row["sample_id"] in ids]
    fresh = {row["sample_id"] for row in inside if not row["stale"]}
    stale = {row["sample_id"] for row in inside} - fresh
    done = progress_of(samples, reviews, dealt)
    assert (done.queue, done.reviewed, done.stale) == (len(ids), rate(len(fresh), len(ids)), len(stale))
    for person in done.by_reviewer.to_dict("records"):
        name = person["reviewer"]
        own = [row["sample_id"] for row in dealt.to_dict("records") if row["reviewer"] == name]
        own = [one for one in own if one in ids]
        mine = {row["sample_id"]: row["stale"] for row in inside if row["reviewer"] == name}
        assert person["assigned"] == len(own)
        assert person["done"] == sum(mine.get(one) is False for one in own)
        assert person["stale"] == sum(mine.get(one) is True for one in own)
        assert person["reviewed"] == sum(not is_stale for is_stale in mine.values())
    assert set(done.by_reviewer["reviewer"]) == (
        {row["reviewer"] for row in inside} | set(dealt.loc[dealt["sample_id"].isin(ids), "reviewer"])
    )
    found = summary_of(samples, reviews, CAUSES)
    assert (found.what, found.reviewed, found.stale) == (samples.what, rate(len(fresh), len(ids)), len(stale))
    for label in ("verdict", "cause", "severity"):
        counts: dict[str, int] = {}
        for one in fresh:
            labels = [row[label] for row in inside if row["sample_id"] == one and not row["stale"]]
            name = shared(labels) or "not given"
            counts[name] = counts.get(name, 0) + 1
        assert {name: share.numerator for name, share in getattr(found, f"by_{label}").items()} == counts


def check_moves(queue: Queue, ids: list[str], rows: dict[str, dict[str, Any]]) -> None:
    """Before, after and next of each sample, among all and among those that are not reviewed."""
    for keep in (lambda one: True, lambda one: rows[one]["state"] != "reviewed", lambda one: rows[one]["assigned"]):
        shown = [one for one in ids if keep(one)]
        positions = np.array([ids.index(one) for one in shown], dtype=np.int64)
        for own, identity in [*enumerate(ids), (None, "elsewhere")]:
            place, before, after = _neighbours(queue, positions, own)
            at = -1 if own is None else own
            assert place == (shown.index(identity) if identity in shown else None)
            earlier = [one for one in shown if ids.index(one) < at]
            later = [one for one in shown if ids.index(one) > at]
            assert (before, after) == ((earlier or [None])[-1], (later or [None])[0])
            waiting = [one for one in later + earlier if rows[one]["state"] != "reviewed"]
            later = [one for one in waiting if ids.index(one) > at]
            assert _next_open(queue, positions, own) == next(iter([*later, *waiting]), None)


def test_the_frame_of_some_matched_rows_is_that_part_of_the_frame_of_all() -> None:
    ids = [f"s{number}" for number in range(50)]
    table = {"sample_id": ids, "prediction": ["x"] * 50}
    old, new = pa.table({**table, "correct": [True] * 50}), pa.table({**table, "correct": [False] * 50})
    matched = compare(old, new, task_kind="math", old_name="old", new_name="new").rows
    chosen = np.array([7, 3, 40])
    part, whole = matched.frame(chosen), matched.frame()
    pd.testing.assert_frame_equal(part, whole.iloc[chosen].reset_index(drop=True))
    assert list(matched.frame(chosen, ("quadrant",)).columns) == ["quadrant"]
