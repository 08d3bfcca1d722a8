"""The numbers in every figure are those of the comparison, and its text is safe to show."""

import html
import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.comparison import compare, compare_strategies
from muscle_core.compat.config import STRATEGIES
from muscle_core.errors import ConfigError, DataError
from muscle_core.figures import (
    alignment_chart,
    choice_bars,
    quadrant_matrix,
    rates_chart,
    score_change_histogram,
    smoothing_window,
    strategy_chart,
    training_curves,
)
from muscle_core.figures.palette import SEQUENCE, strategy_color, tint
from muscle_core.figures.text import safe, wrapped

HOSTILE = '<a href="javascript:x">v&1</a>'


def predictions(answers, **columns):
    ids = [f"s{i}" for i in range(len(answers))]
    frame = pd.DataFrame({"sample_id": ids, "prediction": pd.Series(answers, dtype="str")})
    return frame.assign(correct=[answer == "0" for answer in answers], **columns)


def comparison(old_name="v1", new_name="v2", tau=0.0):
    old = predictions(["0", "0", "1", "1", "2", "0"], rouge1=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    new = predictions(["0", "1", "0", "1", "1", "0"], rouge1=[0.1, 0.1, 0.5, 0.4, 0.8, 0.6])
    return compare(old, new, task_kind="multiple_choice", old_name=old_name, new_name=new_name, tau=tau)


def scores_only():
    table = predictions(["x", "y"], rouge1=[0.1, 0.5]).assign(correct=None)
    return compare(table, table, task_kind="summarization", old_name="v1", new_name="v2")


def all_figures():
    result = comparison(old_name=HOSTILE, new_name=HOSTILE + "2")
    table = predictions(["0", "1"])
    names = {"task_kind": "math", "old_name": "v1", "new_name": HOSTILE}
    return [
        quadrant_matrix(result),
        rates_chart(result),
        score_change_histogram(result, "rouge1"),
        strategy_chart(compare_strategies(table, table, {HOSTILE + "c": table}, **names)),
        training_curves(pd.DataFrame({"step": [1, 2], "loss": [2.0, 1.0]})),
        alignment_chart(
            pd.DataFrame(
                {"label": HOSTILE, "strategy": "always_old", "seed": 0, "step": [1, 2], "old_share": [0.5, 1.0]}
            ),
            1,
        ),
        choice_bars([HOSTILE, "b"], [-1.0, -2.0], [-3.0, -1.0], 0, old_name=HOSTILE, new_name=HOSTILE),
    ]


def test_matrix_holds_the_counts_and_the_keys_for_clicks():
    result = comparison()
    trace = quadrant_matrix(result).data[0]
    cells = {
        key[0]: (x, base, text)
        for key, x, base, text in zip(trace.customdata, trace.x, trace.base, trace.text, strict=True)
    }
    # Columns: new right, new wrong. Rows from below: old wrong, old right.
    assert {key: place[:2] for key, place in cells.items()} == {
        "Q1": (0, 1),
        "Q4": (1, 1),
        "Q2": (0, 0),
        "Q3": (1, 0),
    }
    assert cells["Q1"][2] == "Q1 · both right<br><b>2</b> of 6 · 33.3 %"
    assert cells["Q4"][2] == "Q4 · negative flip<br><b>1</b> of 6 · 16.7 %"
    assert cells["Q3"][2].endswith("<b>2</b> of 6 · 33.3 %<br>same answer 1<br>changed 1")


def test_rates_and_their_intervals():
    result = comparison()
    figure = rates_chart(result)
    rates = [result.accuracy_old, result.accuracy_new, result.nfr, result.pfr, result.nfr_mc]
    assert [trace.x[0] for trace in figure.data] == [rate.value for rate in rates]
    for trace, rate in zip(figure.data, rates, strict=True):
        assert trace.x[0] + trace.error_x.array[0] == pytest.approx(rate.high)
        assert trace.x[0] - trace.error_x.arrayminus[0] == pytest.approx(rate.low)
        assert f"{rate.numerator} of {rate.denominator}" in trace.text[0]
    assert len({trace.y[0] for trace in figure.data}) == 5
    assert len({trace.marker.symbol for trace in figure.data}) == 5


def test_one_version_run_twice_keeps_two_lines():
    assert len({trace.y[0] for trace in rates_chart(comparison("v1", "v1")).data}) == 5


@pytest.mark.parametrize("tau", [0.0, 0.15])
def test_histogram_counts_every_sample_once(tau):
    result = comparison(tau=tau)
    change = result.samples["delta_rouge1"].to_numpy()
    worse, same, better = score_change_histogram(result, "rouge1").data
    assert sum(worse.y) == np.count_nonzero(change < -tau) == result.continuous["rouge1"].regression_rate.numerator
    assert sum(better.y) == result.continuous["rouge1"].gain_rate.numerator
    assert sum(worse.y) + sum(same.y) + sum(better.y) == result.n
    assert f"{sum(worse.y)} of 6" in worse.name
    for trace, sign in ((worse, -1), (better, 1)):
        assert all(sign * x > 0 for x, y in zip(trace.x, trace.y, strict=True) if y)


def test_histogram_of_scores_that_did_not_move():
    worse, same, better = score_change_histogram(scores_only(), "rouge1").data
    assert (sum(worse.y), sum(same.y), sum(better.y)) == (0, 2, 0)
    centre = int(np.argmax(same.y))
    assert same.x[centre] == pytest.approx(0)


def test_comparisons_without_the_needed_figures_are_refused():
    for figure in (quadrant_matrix, rates_chart):
        with pytest.raises(DataError, match="no right and wrong"):
            figure(scores_only())
    with pytest.raises(ConfigError, match="'bleu'; the scores in it are: rouge1"):
        score_change_histogram(comparison(), "bleu")


def test_strategies_stand_at_their_accuracy_and_flip_rate():
    old, new = predictions(["0", "0", "1", "0"]), predictions(["1", "0", "0", "1"])
    frame = compare_strategies(
        old, new, {"muscle": predictions(["0", "0", "0", "1"])}, task_kind="math", old_name="v1", new_name="v2"
    )
    figure = strategy_chart(frame)
    assert [(trace.x[0], trace.y[0]) for trace in figure.data] == list(
        zip(frame["accuracy"], frame["nfr"], strict=True)
    )
    assert figure.data[0].name == "v2 (plain new version)"
    assert figure.data[0].marker.symbol == "star"
    assert figure.data[1].customdata[0][0] == "muscle"
    assert figure.data[1].y[0] + figure.data[1].error_y.array[0] == pytest.approx(frame.loc[1, "nfr_high"])
    assert "n = 4" in figure.layout.xaxis.title.text


def test_strategies_with_scores_only():
    table = predictions(["x", "y", "z"], rouge1=[0.1, 0.5, 0.3]).assign(correct=None)
    frame = compare_strategies(
        table, table.assign(rouge1=[0.2, 0.3, 0.3]), {}, task_kind="summarization", old_name="a", new_name="b"
    )
    trace = strategy_chart(frame).data[0]
    assert (trace.x[0], trace.y[0]) == (frame.loc[0, "mean_score"], frame.loc[0, "regression"])


def test_many_strategies_stay_apart():
    frame = pd.DataFrame(
        {
            "strategy": [f"s{i}" for i in range(13)],
            "is_plain_new": [True] + [False] * 12,
            "n": 10,
            "accuracy": 0.5,
            "nfr": 0.1,
        }
    )
    figure = strategy_chart(frame)
    looks = {(trace.marker.symbol, trace.marker.color) for trace in figure.data}
    assert len(looks) == 13


def test_no_strategy_is_refused():
    with pytest.raises(DataError, match="no strategy"):
        strategy_chart(pd.DataFrame())
    with pytest.raises(DataError, match="compare them again"):
        strategy_chart(pd.DataFrame({"strategy": ["a"], "n": [1]}))


def test_training_curves_draw_what_is_logged_in_order_of_steps():
    log = pd.DataFrame(
        {
            "step": [2, 1, 3],
            "loss": [1.5, 2.0, 1.0],
            "old_share": [0.4, 0.5, math.nan],
            "kl_old": [1, 2, 3],
            "kl_new": [4, 5, 6],
            "token_accuracy": [None, None, None],
            "learning_rate": [1e-3, 1e-3, 1e-4],
        }
    )
    traces = {trace.name: trace for trace in training_curves(log).data}
    assert set(traces) == {"loss", "share", "to the old version", "to the new version", "learning rate"}
    assert traces["loss"].x.tolist() == [1, 2, 3]
    assert traces["loss"].y.tolist() == [2.0, 1.5, 1.0]
    assert traces["share"].x.tolist() == [1, 2]
    assert traces["to the old version"].line.dash != traces["to the new version"].line.dash


def test_one_logged_step_is_visible():
    assert training_curves(pd.DataFrame({"step": [1], "loss": [2.0]})).data[0].mode == "markers"


@pytest.mark.parametrize("log", [pd.DataFrame(), pd.DataFrame({"step": []}), pd.DataFrame({"step": [1], "speed": [3]})])
def test_a_log_without_curves_is_refused(log):
    with pytest.raises(DataError, match="training run"):
        training_curves(log)


def test_choices_show_every_likelihood_the_picks_and_the_right_answer():
    figure = choice_bars(["yes", "no", "yes"], [-1.0, -2.0, -1.0], [-3.0, -0.5, math.nan], 1, compat_ll=[-1, -2, -3])
    assert [list(trace.x)[:2] for trace in figure.data] == [[-1.0, -2.0], [-3.0, -0.5], [-1, -2]]
    assert [trace.name for trace in figure.data] == ["old", "new", "compat"]
    assert figure.data[0].text == ("-1.00 ← pick", "-2.00", "-1.00")
    assert figure.data[1].text == ("-3.00", "-0.50 ← pick", "–")
    labels = figure.layout.yaxis.ticktext
    assert labels == ("1. yes", "2. no <b>✓ right answer</b>", "3. yes")
    assert len({trace.marker.pattern.shape for trace in figure.data}) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], [], [], None), "no choices"),
        ((["a"], [-1.0, -2.0], [-1.0], 0), "old has 2 log-likelihoods for 1 choices"),
        ((["a"], [-1.0], [-1.0], 1), "right answer is choice 1"),
    ],
)
def test_numbers_that_do_not_fit_the_choices_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        choice_bars(*arguments)


def test_text_from_data_is_never_markup():
    assert safe("<b>&$x$\n</b>") == "&lt;b&gt;&amp;&#36;x&#36; &lt;/b&gt;"
    assert safe("x" * 100, longest=10) == "x" * 9 + "…"
    for figure in all_figures():
        text = json.dumps(json.loads(figure.to_json()), ensure_ascii=False)
        assert "<a href" not in text
        assert "</a>" not in text


def test_figures_fit_a_light_and_a_dark_page():
    for figure in all_figures():
        layout = figure.layout
        assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0, 0, 0, 0)"
        assert layout.font.color is None
        assert layout.title.text is None
        assert 200 <= layout.height <= 900


def test_tints_keep_dark_text_readable():
    assert tint("#000000", 0.5) == "#808080"
    assert tint("#0072B2", 0) == "#FFFFFF"
    assert len(set(SEQUENCE)) == 8


def shares(**by_label):
    """Shares by label: a list of runs, each a list of shares by step."""
    return pd.DataFrame(
        [
            {"label": label, "strategy": label.split(",")[0], "seed": seed, "step": step, "old_share": share}
            for label, runs in by_label.items()
            for seed, run in enumerate(runs)
            for step, share in enumerate(run, start=1)
        ]
    )


def test_alignment_is_the_running_mean_of_the_mean_over_seeds():
    figure = alignment_chart(shares(always_old=[[1.0] * 4], old_correct=[[0.2, 0.4, 0.6, 0.8], [0.4, 0.4, 0.8]]), 3)
    # In the order of their ends, highest first.
    assert [trace.name for trace in figure.data] == ["always_old: 100.0 % at its end", "old_correct: 55.0 % at its end"]
    assert list(figure.data[0].y) == [1.0] * 4
    means = [0.3, 0.4, 0.7]  # as far as both seeds go
    expected = [(means[0] + means[1]) / 2, sum(means) / 3, (means[1] + means[2]) / 2]
    assert list(figure.data[1].x) == [1, 2, 3]
    assert list(figure.data[1].y) == pytest.approx(expected)


def test_lines_of_one_strategy_share_a_colour_and_differ_in_dash():
    names = ["token_correctness, steps 1", "token_correctness, steps 2", *list(STRATEGIES)[1:]]
    figure = alignment_chart(shares(**{name: [[0.1, 0.2]] for name in names}), 1)
    assert figure.data[0].line.color == figure.data[1].line.color
    looks = {(trace.line.color, trace.line.dash) for trace in figure.data}
    assert len(looks) == len(names)


def test_smoothing_window_is_odd_and_grows_with_the_training():
    assert [smoothing_window(shares(always_old=[[1.0] * steps])) for steps in (1, 30, 500)] == [1, 3, 25]


def test_no_share_to_draw_is_said():
    with pytest.raises(DataError, match="no step"):
        alignment_chart(pd.DataFrame(columns=["label", "strategy", "seed", "step", "old_share"]), 1)


def test_the_family_of_a_row_decides_its_colour():
    table = predictions(["0", "1"])
    frame = compare_strategies(table, table, {"a": table, "b": table}, task_kind="math", old_name="v1", new_name="v2")
    figure = strategy_chart(frame.assign(family=[None, "always_old", "always_old"]))
    assert figure.data[1].marker.color == figure.data[2].marker.color == strategy_color("always_old")
    assert figure.data[1].marker.symbol != figure.data[2].marker.symbol


def test_with_many_rows_the_legend_names_each_family_once():
    table = predictions(["0", "1"])
    variants = {f"seed{n}": table for n in range(12)}
    frame = compare_strategies(table, table, variants, task_kind="math", old_name="v1", new_name="v2")
    families = ["always_old", "old_correct", "always_new"] * 4
    figure = strategy_chart(frame.assign(family=[None, *families]))
    shown = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert shown == [figure.data[0].name, "always_old", "old_correct", "always_new"]
    symbols = {trace.legendgroup: set() for trace in figure.data[1:]}
    for trace in figure.data[1:]:
        symbols[trace.legendgroup].add(trace.marker.symbol)
    assert all(len(found) == 1 for found in symbols.values())
    assert len(set.union(*symbols.values())) == 3
    assert len({trace.text[0] for trace in figure.data}) == 13  # the hover text names every row


@given(
    text=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=90).map(
        lambda s: s.replace("<", "")
    ),
    width=st.integers(6, 40),
    lines=st.integers(1, 4),
)
def test_a_wrapped_label_keeps_its_characters_until_it_is_cut(text: str, width: int, lines: int) -> None:
    shown = [html.unescape(line) for line in wrapped(text, width, lines).split("<br>")]
    assert len(shown) <= lines
    assert all(len(line) <= width for line in shown)
    if not shown[-1].endswith("…"):
        assert "".join(shown) == text
    else:
        assert text.startswith("".join(shown)[:-1])


def test_a_wrapped_label_breaks_where_people_would() -> None:
    assert wrapped("demo-choice-v2-token_correctness-s0", 20) == "demo-choice-v2-<br>token_correctness-s0"
    assert wrapped("old → a-much-longer-name-of-a-version", 20, 3) == "old → a-much-longer-<br>name-of-a-version"
    assert wrapped(HOSTILE, 60) == safe(HOSTILE)
