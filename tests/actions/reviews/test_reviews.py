"""Reviews on SQLite and PostgreSQL: queue, dealing, saving at the same time, staleness, agreement, and what follows."""

from __future__ import annotations

import csv
import io
import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from furnished import furnish
from helpers import choice_rows
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.actions.imports.outputs import import_predictions
from muscle_core.actions.reviews.answers import answer_hashes, pair_answers
from muscle_core.actions.reviews.causes import DEFAULT_CAUSES, Cause, find_cause, list_causes, save_causes
from muscle_core.actions.reviews.findings import (
    VERDICTS,
    agreement,
    allow_list,
    assign,
    export_reviews,
    list_reviews,
    progress,
    queue_of,
    review_summary,
    save_review,
    withdraw_review,
)
from muscle_core.actions.reviews.queue import deal, list_assignments
from muscle_core.actions.updates.compare import version_pair
from muscle_core.actions.upkeep.deletion import delete, plan_deletion
from muscle_core.errors import ConfigError, MuscleError, StoreError
from muscle_core.interchange import ImportColumns
from muscle_core.metrics.rates import rate
from muscle_core.store import Review, ReviewCause, Workspace
from muscle_core.store.backup import restore_backup, write_backup

PAIR = ("old", "new", "choice")
FLIPS = ["c1", "c6", "c11", "c16", "c21", "c26"]  # right in old, wrong in new: see furnish


@pytest.fixture
def both(furnished_workspace: Workspace) -> Workspace:
    return furnished_workspace


@pytest.fixture
def full(workspace: Workspace, tmp_path: Path) -> Workspace:
    furnish(workspace, tmp_path)
    return workspace


def save(workspace: Workspace, sample: str, reviewer: str = "Ada", **fields) -> Review:
    defaults = {"verdict": "acceptable"}
    return save_review(workspace, *PAIR, sample, reviewer, **{**defaults, **fields})


def answer_anew(workspace: Workspace, folder: Path, changed: set[str]) -> None:
    """Evaluate the new version again: it answers some samples otherwise, and stays as wrong or right as it was."""
    rows = []
    for n, row in enumerate(choice_rows(30)):
        shift = (n % 5 == 1) + (row["id"] in changed and n % 5 == 1)
        rows.append({"id": row["id"], "answer": row["choices"][(row["answer"] + shift) % 3]})
    file = folder / "again.json"
    file.write_text(json.dumps(rows))
    import_predictions(workspace, "new", "choice", file, ImportColumns(prediction="answer"))


def test_a_queue_has_the_flips_the_unreviewed_first_and_otherwise_in_the_order_of_the_dataset(both: Workspace) -> None:
    queue = queue_of(both, *PAIR)
    assert list(queue["sample_id"]) == FLIPS
    assert set(queue["state"]) == {"unreviewed"}
    save(both, "c1", verdict="real regression", cause="refusal", severity="high")
    save(both, "c11", "Ben")
    queue = queue_of(both, *PAIR)
    assert list(queue["sample_id"]) == ["c6", "c16", "c21", "c26", "c1", "c11"]
    assert list(queue["state"]) == ["unreviewed"] * 4 + ["reviewed"] * 2
    assert list(queue_of(both, *PAIR, reviewer="Ben")["sample_id"])[-1] == "c11"
    first = queue.set_index("sample_id").loc["c1"]
    assert (first["verdict"], first["cause"], first["severity"], first["reviewers"]) == (
        *("real regression", "refusal", "high", "Ada"),
    )
    assert queue.set_index("sample_id").loc["c6", "verdict"] is None
    assert list(queue_of(both, *PAIR, what="Q2")["sample_id"]) == [f"c{n}" for n in range(0, 30, 5)]
    assert len(queue_of(both, *PAIR, what="all")) == 30
    assert len(queue_of(both, *PAIR, what="Q3")) == 0
    with pytest.raises(ConfigError, match="no queue 'Q9'; known: Q4, Q2"):
        queue_of(both, *PAIR, what="Q9")
    with pytest.raises(ConfigError, match="no continuous score"):
        queue_of(both, *PAIR, what="loss")


def test_a_second_save_by_the_same_reviewer_changes_the_review(both: Workspace) -> None:
    first = save(both, "c1", note=" look ")
    assert (first.revision, first.note) == (1, "look")
    second = save(both, "c1", verdict="real regression", cause="gold answer wrong", shown_revision=1)
    assert (second.id, second.revision) == (first.id, 2)
    [row] = list_reviews(both, *PAIR).to_dict("records")
    assert (row["verdict"], row["cause"], row["note"], row["stale"]) == (
        *("real regression", "gold answer wrong", "", False),
    )
    with pytest.raises(StoreError, match="saved a review of this sample since"):
        save(both, "c1", shown_revision=1)
    with pytest.raises(StoreError, match="saved a review of this sample since"):
        save(both, "c1", shown_revision=0)
    assert list_reviews(both, *PAIR)["revision"].tolist() == [2]
    withdraw_review(both, *PAIR, "c1", "Ada")
    assert list_reviews(both, *PAIR).empty
    with pytest.raises(StoreError, match="'Ada' has no review"):
        withdraw_review(both, *PAIR, "c1", "Ada")


def test_reviewers_at_the_same_time_keep_all_they_said(both: Workspace) -> None:
    people = ["Ada", "Ben", "Chris", "Dora"]

    def work(name: str) -> None:
        own = Workspace.open()
        for sample in FLIPS:
            save(own, sample, name, verdict="real regression", cause="other", note=f"{name} on {sample}")
        own.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, people))
    reviews = list_reviews(both, *PAIR)
    assert len(reviews) == 24
    assert all(row.note == f"{row.reviewer} on {row.sample_id}" for row in reviews.itertuples())
    with both.reading() as session:  # the defaults were written by one of them
        assert session.scalar(sa.select(sa.func.count()).select_from(ReviewCause)) == len(DEFAULT_CAUSES)


def test_of_two_saves_at_the_same_time_in_two_tabs_one_is_told(both: Workspace) -> None:
    def work(verdict: str) -> str:
        own = Workspace.open()
        try:
            return save(own, "c1", verdict=verdict, shown_revision=0).verdict
        except StoreError:
            return "refused"
        finally:
            own.close()

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(work, list(VERDICTS)[1:] * 2))
    assert said.count("refused") == len(said) - 1
    [kept] = list_reviews(both, *PAIR)["verdict"]
    assert kept in said


def test_other_answers_make_a_review_stale_and_the_same_ones_do_not(both: Workspace, tmp_path: Path) -> None:
    shown = answer_hashes(pair_answers(both, version_pair(both, *PAIR)), FLIPS)
    assert len(set(shown.values())) > 1
    for sample in ("c1", "c6"):
        save(both, sample, shown_answers=shown[sample])
    assert allow_list(both, *PAIR) == ["c1", "c6"]
    answer_anew(both, tmp_path, {"c6"})
    reviews = list_reviews(both, *PAIR).set_index("sample_id")
    assert dict(reviews["stale"]) == {"c1": False, "c6": True}
    queue = queue_of(both, *PAIR)
    assert list(queue["sample_id"]) == ["c11", "c16", "c21", "c26", "c6", "c1"]
    assert list(queue["state"]) == ["unreviewed"] * 4 + ["stale", "reviewed"]
    assert allow_list(both, *PAIR) == ["c1"]
    done = progress(both, *PAIR)
    assert (done.reviewed, done.stale) == (rate(1, 6), 1)
    summary = review_summary(both, *PAIR)
    assert (summary.stale, summary.by_verdict) == (1, {"acceptable": rate(1, 1)})
    with pytest.raises(StoreError, match="answers to this sample changed since they were shown"):
        save(both, "c6", shown_answers=shown["c6"])
    old_view = pair_answers(both, version_pair(both, *PAIR))
    save(both, "c6", shown_answers=answer_hashes(old_view, ["c6"])["c6"], answers=old_view)
    assert allow_list(both, *PAIR) == ["c1", "c6"]


def test_answers_read_before_an_evaluation_are_not_taken_for_the_newest(full: Workspace, tmp_path: Path) -> None:
    before = pair_answers(full, version_pair(full, *PAIR))
    answer_anew(full, tmp_path, {"c6"})
    with pytest.raises(StoreError, match="changed since they were shown"):
        save(full, "c6", shown_answers=answer_hashes(before, ["c6"])["c6"], answers=before)
    assert list_reviews(full, *PAIR).empty


def test_what_cannot_be_saved_is_refused_with_all_problems_and_nothing_is_written(full: Workspace) -> None:
    with pytest.raises(ConfigError) as refused:
        save(full, "c1", verdict="good", severity="huge", note="x" * 10_001)
    for words in ("verdict must be one of", "severity must be one of", "note has 10,001 characters"):
        assert words in str(refused.value)
    for words, fields in (
        ("real regression needs a cause", {"verdict": "real regression"}),
        ("no cause 'weather'; known: 'wrong reasoning'", {"cause": "weather"}),
        ("null character", {"note": "a\0b"}),
    ):
        with pytest.raises(ConfigError, match=words):
            save(full, "c1", **fields)
    for name in ("", "  ", "x" * 81, "a\nb"):
        with pytest.raises(ConfigError, match="reviewer's name must be one line"):
            save(full, "c1", name)
    with pytest.raises(StoreError, match="no sample 'zz' was answered by both"):
        save(full, "zz")
    with pytest.raises(StoreError, match="Did you mean 'new'"):
        save_review(full, "old", "nw", "choice", "c1", "Ada", verdict="acceptable")
    with pytest.raises(ConfigError, match="same version"):
        queue_of(full, "old", "old", "choice")
    assert list_reviews(full, *PAIR).empty
    with full.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ReviewCause)) == 0


@given(
    st.integers(0, 60),
    st.lists(st.sampled_from("ABCDEFG"), min_size=1, max_size=6, unique=True),
    st.none() | st.integers(1, 9),
)
def test_dealing_is_even_and_every_kth_sample_has_two_people(count: int, people: list[str], every: int | None) -> None:
    every = every if len(people) > 1 else None
    ids = [f"s{n}" for n in range(count)]
    dealt = deal(ids, people, every)
    shares = [sum(name == one for _, name in dealt) for one in people]
    assert max(shares) - min(shares) <= 1
    by_sample = {one: [name for sample, name in dealt if sample == one] for one in ids}
    for place, one in enumerate(ids):
        assert len(set(by_sample[one])) == len(by_sample[one]) == (2 if every and place % every == 0 else 1)
    assert list(dict.fromkeys(sample for sample, _ in dealt)) == ids


def test_a_queue_is_dealt_once_and_what_is_reviewed_stays_where_it_is(both: Workspace) -> None:
    save(both, "c26", "Chris")
    assert assign(both, *PAIR, ["Ada", " Ben "], two_for_every=2, limit=4) == {"Ada": 3, "Ben": 3}
    pair = version_pair(both, *PAIR)
    dealt = list_assignments(both, pair)
    assert set(zip(dealt["sample_id"], dealt["reviewer"], strict=True)) == {
        *(("c1", "Ada"), ("c1", "Ben"), ("c6", "Ada"), ("c11", "Ben"), ("c11", "Ada"), ("c16", "Ben")),
    }
    assert assign(both, *PAIR, ["Ada"]) == {"Ada": 1}  # c21; c26 has a review
    assert assign(both, *PAIR, ["Ada"]) == {"Ada": 0}
    save(both, "c1", "Ada")
    found = progress(both, *PAIR).by_reviewer.set_index("reviewer")
    assert found.loc["Ada"].to_dict() == {"assigned": 4, "done": 1, "stale": 0, "left": 3, "reviewed": 1}
    assert found.loc["Chris"].to_dict() == {"assigned": 0, "done": 0, "stale": 0, "left": 0, "reviewed": 1}
    assert assign(both, *PAIR, ["Dora"], replace=True) == {"Dora": 4}
    dealt = list_assignments(both, pair)
    assert set(zip(dealt["sample_id"], dealt["reviewer"], strict=True)) == {
        ("c1", "Ada"),
        *((one, "Dora") for one in ("c6", "c11", "c16", "c21")),
    }
    assert queue_of(both, *PAIR).set_index("sample_id").loc["c6", "assigned"] == "Dora"


def test_a_queue_cannot_be_dealt_with_numbers_and_names_that_make_no_sense(full: Workspace) -> None:
    with pytest.raises(ConfigError) as refused:
        assign(full, *PAIR, ["Ada", "Ada"], two_for_every=0, limit=0)
    for words in ("named twice: Ada", "must be 1 or more, got 0", "need two names", "limit must be at least 1"):
        assert words in str(refused.value)
    with pytest.raises(ConfigError, match="at least one reviewer"):
        assign(full, *PAIR, [])
    assert list_assignments(full, version_pair(full, *PAIR)).empty


def test_agreement_is_of_what_two_read_alike(both: Workspace, tmp_path: Path) -> None:
    assert agreement(both, *PAIR) == []
    ours = ["acceptable", "acceptable", "gold is wrong", "cannot tell"]
    theirs = ["acceptable", "cannot tell", "gold is wrong", "cannot tell"]
    for sample, mine, other in zip(FLIPS, ours, theirs, strict=False):
        save(both, sample, "Ada", verdict=mine)
        save(both, sample, "Ben", verdict=other)
    save(both, "c26", "Chris")
    [found] = agreement(both, *PAIR)
    assert (found.first, found.second, found.agreement.n, found.left_out) == ("Ada", "Ben", 4, 0)
    assert found.agreement.exact == rate(3, 4)
    assert found.agreement.kappa == pytest.approx((3 / 4 - 5 / 16) / (1 - 5 / 16))
    [on_cause] = agreement(both, *PAIR, label="cause")
    assert math.isnan(on_cause.agreement.kappa)  # nobody named one
    answer_anew(both, tmp_path, {"c6"})
    save(both, "c6", "Ben", verdict="acceptable")
    [found] = agreement(both, *PAIR)
    assert (found.agreement.n, found.left_out) == (3, 1)
    with pytest.raises(ConfigError, match="no label 'mood'"):
        agreement(both, *PAIR, label="mood")


def test_the_allow_list_needs_all_reviewers_of_a_sample(full: Workspace) -> None:
    save(full, "c1", "Ada")
    save(full, "c1", "Ben")
    save(full, "c6", "Ada")
    save(full, "c6", "Ben", verdict="cannot tell")
    save(full, "c11", "Ada", verdict="gold is wrong")
    assert allow_list(full, *PAIR) == ["c1"]
    assert allow_list(full, "old", "compat", "choice") == []


def test_the_summary_counts_samples_and_says_where_reviewers_disagree(full: Workspace) -> None:
    save(full, "c1", "Ada", verdict="real regression", cause="refusal", severity="high")
    save(full, "c1", "Ben", verdict="real regression", cause="truncated", severity="high")
    save(full, "c6", "Ada", verdict="real regression", cause="refusal")
    save(full, "c0", "Ada")  # a positive flip: not in this queue
    found = review_summary(full, *PAIR)
    assert (found.what, found.reviewed, found.reviewers) == ("Q4", rate(2, 6), ("Ada", "Ben"))
    assert found.by_verdict == {"real regression": rate(2, 2)}
    assert found.by_cause == {"refusal": rate(1, 2), "reviewers disagree": rate(1, 2)}
    assert found.by_severity == {"high": rate(1, 2), "not given": rate(1, 2)}
    for shares in (found.by_verdict, found.by_cause, found.by_severity):
        assert sum(share.numerator for share in shares.values()) == found.reviewed.numerator
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["by_cause"]["refusal"]["denominator"] == 2
    assert review_summary(full, *PAIR, what="Q1").by_verdict == {}


def test_exports_hold_every_review_and_no_formula(full: Workspace) -> None:
    assert export_reviews(full, *PAIR).count("\n") == 1
    note = '=HYPERLINK("http://x")'
    save(full, "c1", "@Ada", note=note)
    save(full, "c6", "Ben", verdict="real regression", cause="refusal", note='a, "b"\nzweite Zeile ü')
    rows = list(csv.DictReader(io.StringIO(export_reviews(full, *PAIR), newline="")))
    assert [row["note"] for row in rows] == [f"'{note}", 'a, "b"\nzweite Zeile ü']
    assert rows[0]["reviewer"] == "'@Ada"
    assert (rows[1]["cause"], rows[1]["quadrant"], rows[1]["old_version"]) == ("refusal", "Q4", "old")
    lines = [json.loads(line) for line in export_reviews(full, *PAIR, form="jsonl").splitlines()]
    assert [line["note"] for line in lines] == [note, 'a, "b"\nzweite Zeile ü']
    assert lines[0]["cause"] is None
    assert lines[0]["old_prediction"] != lines[0]["new_prediction"]
    with pytest.raises(ConfigError, match="cannot be written as 'xlsx'; known: csv, jsonl"):
        export_reviews(full, *PAIR, form="xlsx")


def test_causes_are_renamed_ordered_added_and_retired(both: Workspace) -> None:
    assert tuple(list_causes(both)) == DEFAULT_CAUSES
    save(both, "c1", verdict="real regression", cause="refusal")
    causes = list_causes(both)
    changed = [cause._replace(name="will not answer") if cause.id == "refusal" else cause for cause in reversed(causes)]
    saved = save_causes(both, [Cause("", "hallucination", "It makes something up."), *changed])
    assert [cause.name for cause in saved][:2] == ["hallucination", "other"]
    assert saved == list_causes(both)
    assert list_reviews(both, *PAIR)["cause"].tolist() == ["will not answer"]
    used = find_cause(saved, "will not answer")
    with pytest.raises(StoreError, match="'will not answer' is named by 1 review; retire it"):
        save_causes(both, [cause for cause in saved if cause != used])
    with pytest.raises(StoreError, match="removed meanwhile"):
        save_causes(both, [*saved, Cause("gone", "something")])
    names = {saved[0].id: saved[1].name, saved[1].id: saved[0].name}
    swapped = save_causes(both, [cause._replace(name=names.get(cause.id, cause.name)) for cause in saved])
    assert [cause.name for cause in swapped][:2] == ["other", "hallucination"]
    save_causes(both, [cause._replace(retired=cause.id == used.id) for cause in swapped[2:]])
    assert used.name not in [cause.name for cause in list_causes(both, with_retired=False)]
    with pytest.raises(ConfigError, match="is retired"):
        save(both, "c6", verdict="real regression", cause="will not answer")
    save(both, "c1", verdict="real regression", cause="will not answer", note="as before")
    with pytest.raises(ConfigError) as refused:
        save_causes(both, [Cause("", " "), Cause("", "A", retired=True), Cause("", "a" * 81)])
    assert "cause 1 has no name" in str(refused.value)
    assert "at most 80 signs" in str(refused.value)
    with pytest.raises(ConfigError, match="no cause is left"):
        save_causes(both, [Cause("", "A", retired=True)])
    with pytest.raises(ConfigError, match="is there twice"):
        save_causes(both, [Cause("", "A"), Cause("", "a")])


def test_deletion_tells_of_reviews_before_and_takes_them_along(both: Workspace) -> None:
    save(both, "c1", "Ada")
    save(both, "c6", "Ben")
    assign(both, *PAIR, ["Ada"])
    for kind, name in (("version", "new"), ("version", "old"), ("dataset", "choice")):
        plan = plan_deletion(both, kind, name)
        assert "2 reviews by Ada, Ben" in plan.dependents
        assert "4 requests to review" in plan.along
        with pytest.raises(StoreError, match="2 reviews by Ada, Ben"):
            delete(both, kind, name)
    assert not any("review" in text for text in plan_deletion(both, "version", "compat").dependents)
    delete(both, "version", "new", with_dependents=True)
    with both.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Review)) == 0


def test_a_backup_carries_reviews_causes_and_requests(full: Workspace, tmp_path: Path) -> None:
    save(full, "c1", verdict="real regression", cause="refusal", note="kept")
    assign(full, *PAIR, ["Ada", "Ben"])
    counts = write_backup(full, tmp_path / "w.tar.zst").counts
    assert (counts["reviews"], counts["review_causes"], counts["review_assignments"]) == (1, len(DEFAULT_CAUSES), 5)
    restore_backup(tmp_path / "w.tar.zst", tmp_path / "restored")
    restored = Workspace.open(tmp_path / "restored")
    pd.testing.assert_frame_equal(list_reviews(restored, *PAIR), list_reviews(full, *PAIR))
    pair = version_pair(restored, *PAIR)
    assert list_assignments(restored, pair).equals(list_assignments(full, pair))
    restored.close()


@pytest.mark.postgres
def test_a_copy_between_databases_carries_them_both_ways(full: Workspace, postgres_url: str, tmp_path: Path) -> None:
    from muscle_core.store.copying import copy_database
    from muscle_core.store.database import engine_of, sqlite_url

    save(full, "c1", verdict="real regression", cause="refusal", note="kept")
    assign(full, *PAIR, ["Ada", "Ben"])
    there, back = engine_of(postgres_url), engine_of(sqlite_url(tmp_path / "back.db"))
    first, second = copy_database(full.engine, there), copy_database(there, back)
    assert first == second
    assert first["review_assignments"] == 5
    there.dispose()
    back.dispose()


def test_every_refusal_is_a_message_for_the_user(full: Workspace) -> None:
    for call in (
        lambda: queue_of(full, "x", "new", "choice"),
        lambda: queue_of(full, "old", "new", "choice", split="dev"),
        lambda: queue_of(full, "old", "new", "unused"),
        lambda: export_reviews(full, "old", "new", "nothing"),
        lambda: allow_list(full, "old", "old", "choice"),
    ):
        with pytest.raises(MuscleError):
            call()
