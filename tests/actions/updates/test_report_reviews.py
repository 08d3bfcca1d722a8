"""Reviews enter the report: counts with denominators and intervals, agreement, notes, and nothing of stale ones."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from reports import MOMENT, WORDS, add_answers, add_update, parsed

from muscle_core.actions.reviews.findings import agreement, review_summary, save_review
from muscle_core.actions.updates.report import gather_report, report_html
from muscle_core.interchange import ImportColumns
from muscle_core.metrics import rate
from muscle_core.report import render_report
from muscle_core.store import Workspace

PAIR = ("choice-old", "choice-new", "choice")
FLIPS = [f"s{n}" for n in range(120) if n % 4 == 0 and n % 5]  # right before, wrong now
HOSTILE = ' </script><script>window.hit = 1</script><img src="x" onerror="y">{{ 7 * 7 }}\u202eevil'


@pytest.fixture
def update(workspace: Workspace, tmp_path: Path) -> Workspace:
    add_update(workspace, tmp_path, "choice")
    return workspace


def page(workspace: Workspace, **options) -> str:
    return report_html(workspace, *PAIR, moment=MOMENT, **options)


def text(workspace: Workspace, **options) -> str:
    return parsed(page(workspace, **options))[0]


def test_without_reviews_there_is_no_section(update: Workspace) -> None:
    assert gather_report(update, *PAIR, moment=MOMENT).reviews is None
    assert "What people said" not in text(update)


def test_counts_shares_and_intervals_are_those_of_the_summary(update: Workspace) -> None:
    assert len(FLIPS) == 24
    for n, sample in enumerate(FLIPS[:10]):
        bad = n < 6
        save_review(
            update,
            *PAIR,
            sample,
            "Ada",
            verdict="real regression" if bad else "acceptable",
            cause=("refusal" if n < 4 else "truncated") if bad else None,
            severity="high" if n < 2 else None,
            note=f"seen {sample}" if n < 3 else "",
        )
    save_review(update, *PAIR, "s1", "Ada", verdict="acceptable")  # no flip
    summary = review_summary(update, *PAIR)
    found = text(update)
    assert "10 of 24 negative flips were reviewed by 1 person" in found
    for label in ("verdict", "cause", "severity"):
        shares = getattr(summary, f"by_{label}")
        assert sum(one.numerator for one in shares.values()) == 10
        for name, one in shares.items():
            assert one == rate(one.numerator, 10)
            figures = f"{one.numerator} of 10 {one.value * 100:.1f} % [{one.low * 100:.1f}–{one.high * 100:.1f} %]"
            assert f"{name} {figures}" in found
    assert "refusal 4 of 10" in found
    assert "Unless the samples reviewed were drawn at random" in found
    assert f"{FLIPS[0]} seen {FLIPS[0]} real regression, refusal, high Ada" in found
    assert f"Review: Ada: real regression, refusal, high. seen {FLIPS[0]}" in found  # at the example
    assert "Cohen" not in found


def test_agreement_is_shown_with_its_interval(update: Workspace) -> None:
    for n, sample in enumerate(FLIPS[:12]):
        for name, verdict in (("Ada", n % 2), ("Ben", n % 2 if n < 9 else 0)):
            save_review(update, *PAIR, sample, name, verdict=("acceptable", "cannot tell")[verdict])
    [one] = agreement(update, *PAIR)
    assert one.agreement.n == 12
    assert 0 < one.agreement.kappa < 1
    exact = one.agreement.exact
    found = text(update)
    assert "12 of 24 negative flips were reviewed by 2 people" in found
    assert (
        f"Ada and Ben verdict 12 {exact.value * 100:.1f} % {exact.numerator} of 12 "
        f"[{exact.low * 100:.1f}–{exact.high * 100:.1f} %] {one.agreement.kappa:.2f} "
        f"[{one.agreement.low:.2f}, {one.agreement.high:.2f}]"
    ) in found
    assert "reviewers disagree 2 of 12" in found
    assert "Ada and Ben, severity: both gave every sample one and the same label" in found


def test_reviews_of_earlier_answers_are_counted_and_in_no_figure(update: Workspace, tmp_path: Path) -> None:
    for sample in FLIPS[:3]:
        save_review(update, *PAIR, sample, "Ada", verdict="acceptable", note="of earlier answers")
    again = [{"id": f"s{n}", "answer": WORDS[(n + 2 * (n % 4 == 0)) % 4]} for n in range(120)]
    add_answers(update, tmp_path, "choice-new", "choice", again, ImportColumns(prediction="answer"))
    found = text(update)
    assert "None of the 24 negative flips has been reviewed with the answers as they are now." in found
    assert "3 more had been reviewed with earlier answers" in found
    assert "of earlier answers" not in found.replace("3 more had been reviewed with earlier answers", "")


def test_a_task_with_scores_only_has_reviews_of_its_losses(workspace: Workspace, tmp_path: Path) -> None:
    add_update(workspace, tmp_path, "summary")
    pair = ("summary-old", "summary-new", "summary")
    for sample in ("s4", "s8"):
        save_review(workspace, *pair, sample, "Ada", verdict="real regression", cause="wrong reasoning")
    found, _ = parsed(report_html(workspace, *pair, moment=MOMENT))
    assert "What people said of the losses" in found
    assert "2 of 24 samples whose ROUGE-1 fell were reviewed by 1 person" in found


def test_no_word_of_a_reviewer_becomes_a_tag_or_acts(update: Workspace) -> None:
    name = "<b>A</b> {{ 7 * 7 }}"
    save_review(update, *PAIR, FLIPS[0], name, verdict="acceptable", note=HOSTILE)
    save_review(update, *PAIR, FLIPS[0], "Ben", verdict="acceptable", note="x" * 9_000)
    made = page(update)
    found, tags = parsed(made)
    assert sum(tag == "script" for tag, _ in tags) == made.count("</script")
    assert not any(attribute.startswith("on") for _, attributes in tags for attribute in attributes)
    assert all(tag not in ("b", "img") or set(attributes) == {"alt"} for tag, attributes in tags)
    assert name in found
    assert "window.hit = 1" in found
    assert "[U+202E]evil" in found
    assert re.search(r"x{500} … \(8,500 more characters\)", found)


def test_many_notes_are_cut_with_a_count_and_the_same_data_gives_the_same_page(update: Workspace) -> None:
    for sample in FLIPS:
        for name in ("Ada", "Ben", "Cleo"):
            save_review(update, *PAIR, sample, name, verdict="acceptable", note=f"{name} on {sample}")
    data = gather_report(update, *PAIR, moment=MOMENT)
    found, _ = parsed(render_report(dataclasses.replace(data, flips=0)))
    assert "Notes, the first 50 of 72" in found
    assert len(re.findall(r"(?:Ada|Ben|Cleo) on s\d+", found)) == 50
    assert page(update) == page(update)
