"""The page of a report: the comparison's figures, no text of the data acts, the same data gives the same page."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.io as pio
import pytest
from plotly.offline import get_plotlyjs
from reports import MOMENT, WORDS, add_answers, add_update, parsed

from muscle_core.actions.updates.report import gather_report, report_html
from muscle_core.comparison import compare, verdict
from muscle_core.errors import ConfigError
from muscle_core.interchange import ImportColumns
from muscle_core.report import ReportData, render_report
from muscle_core.store import Workspace

HOSTILE = (
    ' </script><script>window.hit = 1</script><img src="https://evil.test/x" onerror="window.hit = 2">'
    "{{ 7 * 7 }}{% raw %}<style>body { display: none }</style>\u2028\u202eevil\x00&amp;<!--\"' onload=hit"
)


def gathered(workspace: Workspace, folder: Path, kind: str, **options: Any) -> ReportData:
    add_update(workspace, folder, kind, **options)
    return gather_report(workspace, f"{kind}-old", f"{kind}-new", kind, moment=MOMENT)


def percent(value: float) -> str:
    return f"{value * 100:.1f} %"


@pytest.mark.parametrize("kind", ["choice", "math"])
def test_every_rate_is_that_of_the_comparison_with_counts_and_interval(
    workspace: Workspace, tmp_path: Path, kind: str
) -> None:
    data = gathered(workspace, tmp_path, kind)
    text, _ = parsed(render_report(data))
    comparison = data.comparison
    assert verdict(comparison) in text
    assert (comparison.counts.q2, comparison.counts.q4) == (18, 24)
    for name, rate in comparison.rates.items():
        assert math.isfinite(rate.value), name
        interval = f"{rate.low * 100:.1f}–{rate.high * 100:.1f} %"
        assert f"{percent(rate.value)} {interval} {rate.numerator:,} of {rate.denominator:,}" in text, name
    assert f"{comparison.relative_nfr:.2f}" in text
    for quadrant in ("q1", "q2", "q3", "q4"):
        count = getattr(comparison.counts, quadrant)
        assert f"{count:,} of {comparison.n:,} · {percent(count / comparison.n)}" in text
    assert f"same answer {comparison.counts.q3_same}, another answer {comparison.counts.q3_changed}" in text


def test_scores_are_those_of_the_comparison(workspace: Workspace, tmp_path: Path) -> None:
    data = gathered(workspace, tmp_path, "summary")
    page = render_report(data)
    text, _ = parsed(page)
    assert data.comparison.counts is None
    assert set(data.comparison.continuous) == {"rouge1", "rouge2", "rougeL"}
    for change in data.comparison.continuous.values():
        for interval, digits in ((change.mean_change, "+.4f"), (change.gain, ".4f"), (change.regression, ".4f")):
            assert f"{interval.value:{digits}} [{interval.low:{digits}}, {interval.high:{digits}}]" in text
        worse = change.regression_rate
        assert f"{percent(worse.value)} {worse.numerator} of {worse.denominator}" in text
    assert charted(page).keys() == {"score"}
    assert "20 of 24 samples whose ROUGE-1 fell" in text
    assert "NFR_mc" not in text


def charted(page: str) -> dict[str, dict]:
    found = re.findall(r'<script type="application/json" id="data-(\w+)">(.*?)</script>', page, re.DOTALL)
    return {name: json.loads(content) for name, content in found}


def test_the_rates_chart_holds_the_rates(workspace: Workspace, tmp_path: Path) -> None:
    data = gathered(workspace, tmp_path, "choice")
    chart = charted(render_report(data))["rates"]
    values = [trace["x"][0] for trace in chart["data"]]
    comparison = data.comparison
    expected = [comparison.accuracy_old, comparison.accuracy_new, comparison.nfr, comparison.pfr, comparison.nfr_mc]
    assert values == pytest.approx([rate.value for rate in expected])
    assert [t["x"][0] + t["error_x"]["array"][0] for t in chart["data"]] == pytest.approx([r.high for r in expected])


def test_slices_and_causes_are_those_of_their_tables(workspace: Workspace, tmp_path: Path) -> None:
    data = gathered(workspace, tmp_path, "math")
    text, _ = parsed(render_report(data))
    for row in data.slices.by_value.sort_values("p_adjusted").head(5).to_dict("records"):
        assert row["column"] == "part" or not row["column"].startswith("meta.")
        assert f"{row['slice']} {row['negative_flips']} of {row['n']} {percent(row['nfr'])}" in text
    flips = data.samples[data.samples["quadrant"] == "Q4"]
    for cause, count in flips["cause"].value_counts().items():
        rule = flips.loc[flips["cause"] == cause, "cause_rule"].iloc[0]
        assert f"{cause} {rule} {count} of {len(flips)} {percent(count / len(flips))}" in text


def test_examples_show_input_answers_and_cause(workspace: Workspace, tmp_path: Path) -> None:
    data = gathered(workspace, tmp_path, "math")
    page = render_report(dataclasses.replace(data, flips=3))
    text, tags = parsed(page)
    assert sum(tag == "article" for tag, _ in tags) == 3
    assert "3 of 24 negative flips." in text
    assert "wrong calculation An equation in the new output does not hold." in text
    assert 'So 104 + 2 = <mark class="new">107.</mark> #### <mark class="new">107</mark>' in page
    assert "Input What is 104 + 2?" in text
    assert "Right answer 106" in text
    assert "answer read: 107" in text


def test_an_adapter_is_set_beside_the_new_version(workspace: Workspace, tmp_path: Path) -> None:
    add_update(workspace, tmp_path, "choice")
    answers = [{"id": f"s{n}", "answer": WORDS[(n + (n % 8 == 0 or n == 1)) % 4]} for n in range(120)]
    add_answers(workspace, tmp_path, "fixed", "choice", answers, ImportColumns(prediction="answer"))
    data = gather_report(workspace, "choice-old", "choice-new", "choice", compat="fixed", moment=MOMENT)
    old, new, compat = (
        {n for n in range(120) if wrong(n)}
        for wrong in (lambda n: n % 5 == 0, lambda n: n % 4 == 0, lambda n: n % 8 == 0 or n == 1)
    )
    assert data.compat.flips == len(new - old) == 24
    assert data.compat.repaired == len(new - old - compat)
    assert data.compat.added == len(compat - old - new) == 1
    text, tags = parsed(render_report(data))
    assert f"fixed repairs {data.compat.repaired} of 24 negative flips of choice-new" in text
    assert "With the adapter, ✓ right" in text
    row = data.variants.iloc[1]
    assert f"{row['nfr_change'] * 100:+.1f} points" in text
    assert ("figure", {"data-chart": "strategies"}) in tags


def test_the_noise_floor_is_shown_run_by_run(workspace: Workspace, tmp_path: Path) -> None:
    from muscle_core.actions.updates.replicas import declare_replica

    add_update(workspace, tmp_path, "choice")
    answers = [{"id": f"s{n}", "answer": WORDS[(n + (n % 5 == 0) + (n == 7)) % 4]} for n in range(120)]
    add_answers(workspace, tmp_path, "again", "choice", answers, ImportColumns(prediction="answer"))
    without, _ = parsed(report_html(workspace, "choice-old", "choice-new", "choice", moment=MOMENT))
    assert "Neither version was run twice" in without
    declare_replica(workspace, "again", "choice-old")
    data = gather_report(workspace, "choice-old", "choice-new", "choice", moment=MOMENT)
    text, _ = parsed(render_report(data))
    assert f"Verdict: {data.judgement.word}" in text
    assert data.judgement.word != "no noise floor"
    assert "choice-old → again 1 of 120 0.83 %" in text
    assert "Neither version was run twice" not in text


def test_no_negative_flip_is_a_report_too(workspace: Workspace, tmp_path: Path) -> None:
    add_update(workspace, tmp_path, "choice")
    answers = [{"id": f"s{n}", "answer": WORDS[n % 4]} for n in range(120)]
    add_answers(workspace, tmp_path, "best", "choice", answers, ImportColumns(prediction="answer"))
    data = gather_report(workspace, "choice-old", "best", "choice", moment=MOMENT)
    text, tags = parsed(render_report(data))
    assert data.comparison.counts.q4 == 0
    assert "There are no negative flips to show." in text
    assert "no input that worked before fails now" in text
    assert "not defined" in text  # BEC: the new version has no error
    assert all(tag != "article" for tag, _ in tags)
    assert re.search(r"\bnan\b", text, re.IGNORECASE) is None


@pytest.mark.parametrize("kind", ["choice", "math", "summary"])
def test_no_text_of_the_data_becomes_a_tag_a_script_or_a_template(
    workspace: Workspace, tmp_path: Path, kind: str
) -> None:
    data = gathered(workspace, tmp_path, kind, extra=HOSTILE)
    page = render_report(data)
    text, tags = parsed(page)
    scripts = [attributes for tag, attributes in tags if tag == "script"]
    assert [a.get("type") for a in scripts].count(None) == 2
    assert page.count("</script") == len(scripts)
    assert [tag for tag, _ in tags].count("style") == 1
    assert not any(name.startswith("on") or name in ("src", "srcset") for _, a in tags for name in a)
    assert not any((a.get("href") or "#").startswith("#") is False for _, a in tags)
    assert "{{ 7 * 7 }}" in text
    assert "window.hit = 1" in text
    for acting in ("\u202e", "\u2028", "\x00"):
        assert acting not in page.replace(get_plotlyjs(), "")
    assert "[U+202E]" in text


def test_version_names_and_metadata_reach_charts_escaped(workspace: Workspace, tmp_path: Path) -> None:
    data = gathered(workspace, tmp_path, "choice")
    old = pd.DataFrame({"sample_id": ["a", "b"], "prediction": ["1", "2"], "correct": [True, False]})
    name = "</script><b>x</b>"
    comparison = compare(old, old.assign(correct=[False, True]), task_kind="math", old_name=name, new_name="n")
    page = render_report(dataclasses.replace(data, comparison=comparison, samples=comparison.samples, slices=None))
    assert page.count("</script") == 3  # Plotly, our own, the chart
    assert "<b>x" not in page
    assert name in parsed(page)[0]


def test_long_texts_are_cut_with_a_count(workspace: Workspace, tmp_path: Path) -> None:
    data = gathered(workspace, tmp_path, "math", extra=" word" * 20_000)
    page = render_report(data)
    text, _ = parsed(page)
    assert re.search(r"… [\d,]+ characters left out …", text)
    assert len(page) - len(get_plotlyjs()) < 600_000


@pytest.mark.parametrize("kind", ["choice", "math", "summary"])
def test_there_is_one_plotly_and_the_page_is_small_enough_to_mail(
    workspace: Workspace, tmp_path: Path, kind: str
) -> None:
    page = render_report(gathered(workspace, tmp_path, kind))
    assert page.count(get_plotlyjs()) == 1
    assert len(re.findall(r"\* plotly\.js v\d", page)) == 1
    assert len(page.encode()) < 8_000_000
    assert "<noscript> The charts need JavaScript" in page


def test_the_same_data_gives_the_same_bytes_but_for_the_date(workspace: Workspace, tmp_path: Path) -> None:
    add_update(workspace, tmp_path, "choice")
    pages = [report_html(workspace, "choice-old", "choice-new", "choice", moment=MOMENT) for _ in range(2)]
    assert pages[0] == pages[1]
    later = report_html(workspace, "choice-old", "choice-new", "choice", moment=MOMENT.replace(year=2031))
    assert later.replace("25 November 2031", "25 November 2026") == pages[0]
    assert later != pages[0]
    before = pio.templates.default
    pio.templates.default = "plotly_dark"  # as Streamlit does with a template of its own
    try:
        assert report_html(workspace, "choice-old", "choice-new", "choice", moment=MOMENT) == pages[0]
    finally:
        pio.templates.default = before


def test_provenance_names_what_it_was_made_from(workspace: Workspace, tmp_path: Path) -> None:
    from muscle_core import __version__
    from muscle_core.store import get_dataset, list_runs

    data = gathered(workspace, tmp_path, "choice")
    text, _ = parsed(render_report(data))
    assert get_dataset(workspace, "choice").fingerprint in text
    for run in list_runs(workspace):
        assert f"{run.origin} " in text
        assert run.id in text
    assert f"muscle_core {__version__}" in text
    assert "python -m muscle_core report choice-old choice-new --dataset choice --split test" in text
    assert "25 November 2026, 12:00 UTC" in text
    assert str(tmp_path) not in text


def test_themes_and_numbers_of_flips_that_cannot_be_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    data = gathered(workspace, tmp_path, "choice")
    with pytest.raises(ConfigError, match="no theme 'blue'"):
        render_report(data, theme="blue")
    for flips in (-1, 501):
        with pytest.raises(ConfigError, match="0 to 500 flips"):
            render_report(dataclasses.replace(data, flips=flips))
    text, tags = parsed(render_report(dataclasses.replace(data, flips=0), theme="dark"))
    assert ("html", {"lang": "en", "data-theme": "dark"}) in tags
    assert "there are 24 negative flips" in text
