"""Figures of the Flips page: their numbers, what a click on them carries, and text that can be read."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from muscle_core.comparison import compare, history
from muscle_core.comparison.causes import cause_table
from muscle_core.comparison.slices import slice_table
from muscle_core.errors import ConfigError, DataError
from muscle_core.figures import (
    Cell,
    cause_bars,
    cell_map,
    drawn_points,
    flow_chart,
    score_change_histogram,
    score_scatter,
    slice_chart,
)
from muscle_core.figures.cells import contrast

HOSTILE = '<a href="javascript:x">v&1</a>'


def scored(old: list[float], new: list[float], tau: float = 0.0):
    ids = [f"s{i}" for i in range(len(old))]
    tables = [pd.DataFrame({"sample_id": ids, "prediction": "x", "rouge1": values}) for values in (old, new)]
    return compare(*tables, task_kind="summarization", old_name="v1", new_name="v2", tau=tau)


def three_versions():
    answers = {"v1": [1, 1, 1, 0, 0, 1], HOSTILE: [1, 0, 0, 1, 0, 1], "v3": [1, 1, 0, 1, 1, None]}
    return history(
        {
            name: pd.DataFrame({"sample_id": list("abcdef"), "correct": pd.Series(flags, dtype="boolean")})
            for name, flags in answers.items()
        }
    )


def area(trace) -> float:
    """Height of a band at its left end."""
    return float(trace.y[0] - trace.y[-1])


@pytest.mark.parametrize("dark", [False, True])
def test_bands_are_as_high_as_their_samples_and_carry_what_they_are(dark: bool) -> None:
    found = three_versions()
    streams = found.transitions()
    figure = flow_chart(found.names, streams, dark=dark)
    bands = [trace for trace in figure.data if trace.type == "scatter" and trace.fill == "toself"]
    assert sorted(area(band) for band in bands) == sorted(map(float, streams["samples"]))
    clicks = figure.data[-1]
    counted = {tuple(key): text for key, text in zip(clicks.customdata, clicks.text, strict=True) if text}
    columns = ["old", "new", "old_state", "new_state"]
    assert counted == {
        tuple(row[name] for name in columns): f"{row['samples']:,}" for row in streams.to_dict("records")
    }
    nodes = next(trace for trace in figure.data if trace.type == "bar")
    assert list(nodes.y) == [4, 2, 3, 3, 4, 1, 1]
    # What is not judged is part of no share.
    assert "80.0 % right" in figure.layout.xaxis.ticktext[2]
    assert "<a" not in json.dumps(figure.to_plotly_json()["layout"]["xaxis"]["ticktext"])


def test_every_click_point_lies_within_its_band() -> None:
    found = three_versions()
    figure = flow_chart(found.names, found.transitions())
    bands = [trace for trace in figure.data if trace.type == "scatter" and trace.fill == "toself"]
    clicks = figure.data[-1]
    each = len(clicks.x) // len(bands)
    for number, band in enumerate(bands):
        half = len(band.x) // 2
        xs, upper, lower = band.x[:half], band.y[:half], band.y[half:][::-1]
        for at in range(number * each, (number + 1) * each):
            x, y = clicks.x[at], clicks.y[at]
            assert np.interp(x, xs, lower) <= y <= np.interp(x, xs, upper)


def test_a_flow_needs_two_versions() -> None:
    with pytest.raises(DataError, match="two versions or more"):
        flow_chart(["v1"], pd.DataFrame())


@pytest.mark.parametrize("scale", ["worse", "better", "change"])
@pytest.mark.parametrize("dark", [False, True])
def test_the_number_in_every_cell_can_be_read_on_its_colour(scale, dark: bool) -> None:
    values = np.linspace(-0.4 if scale == "change" else 0.0, 0.4, 41)
    cells = [Cell(0, place, value, f"{value:.2f}", "", ["x"]) for place, value in enumerate(values)]
    trace = cell_map(["row"], [str(v) for v in values], cells, scale=scale, dark=dark).data[0]
    steps = [color for _, color in trace.marker.colorscale]
    for value, ink in zip(trace.marker.color, trace.textfont.color, strict=True):
        share = (value - trace.marker.cmin) / (trace.marker.cmax - trace.marker.cmin) * (len(steps) - 1)
        first = min(int(share), len(steps) - 2)
        channels = [[int(color[at : at + 2], 16) for at in (1, 3, 5)] for color in (steps[first], steps[first + 1])]
        mixed = [round(a + (b - a) * (share - first)) for a, b in zip(*channels, strict=True)]
        ground = "#" + "".join(f"{channel:02X}" for channel in mixed)
        assert contrast(ground, ink) >= 4.5, (value, ground, ink)


@pytest.mark.parametrize("dark", [False, True])
def test_a_scale_goes_from_the_page_to_what_stands_out_step_by_step(dark: bool) -> None:
    cells = [Cell(0, 0, 0.5, "", "", None)]
    steps = [c for _, c in cell_map(["r"], ["c"], cells, scale="worse", dark=dark).data[0].marker.colorscale]
    page = "#11161D" if dark else "#FFFFFF"
    distances = [contrast(page, color) for color in steps]
    assert all(low < high for low, high in pairwise(distances))


def test_cells_without_a_value_are_hatched_and_say_why() -> None:
    cells = [Cell(0, 0, 0.1, "10.0 %", "a", ["d", "o", "n"]), Cell(0, 1, None, "not evaluated", "b", None)]
    known, missing = cell_map(["r"], [HOSTILE, "two"], cells, scale="worse").data
    assert known.customdata[0] == ["d", "o", "n"]
    assert missing.marker.pattern.shape == "/"
    assert (missing.text[0], missing.customdata[0]) == ("not evaluated", None)
    with pytest.raises(DataError, match="no pair"):
        cell_map([], [], [], scale="worse")


def test_causes_stand_with_their_counts_and_intervals() -> None:
    flips = pd.DataFrame({"cause": ["near tie"] * 3 + ["truncated"], "cause_rule": ["<b>rule</b>"] * 4})
    table = cause_table(flips)
    bars, texts = cause_bars(table).data
    assert [key[0] for key in bars.customdata] == ["near tie", "truncated"]
    assert list(bars.x) == [0.75, 0.25]
    assert list(texts.x) == list(table["high"])
    assert texts.text[0].strip() == "3 of 4 (75.0 %)"
    assert "<b>rule" not in bars.hovertext[0]
    with pytest.raises(DataError, match="no negative flip"):
        cause_bars(table.iloc[:0])


def test_slices_are_marked_by_what_the_corrected_test_says() -> None:
    quadrants = ["Q4"] * 30 + ["Q1"] * 10 + ["Q4"] * 3 + ["Q1"] * 77
    frame = pd.DataFrame({"quadrant": quadrants, "part": ["a"] * 40 + ["b"] * 40 + ["c"] * 40})
    table = slice_table(frame, ["part"], minimum=10)
    table = table.sort_values("p_adjusted").reset_index(drop=True)
    figure = slice_chart(table, [[f"part={value}"] for value in table["value"]])
    differ, chance, rest = figure.data
    assert [key[0] for key in differ.customdata] == ["part=a"]
    assert differ.marker.symbol != chance.marker.symbol
    assert differ.x[0] == 0.75
    assert differ.x[0] + differ.error_x.array[0] == pytest.approx(table["nfr_high"][0])
    assert list(rest.x) == list(table["rest_nfr"])
    assert "30 of 40, p &lt; 0.001" in figure.layout.yaxis.ticktext[0]
    with pytest.raises(DataError, match="no slice"):
        slice_chart(table.iloc[:0], [])


def test_slices_of_a_score_show_the_mean_loss() -> None:
    frame = pd.DataFrame({"delta_rouge1": np.r_[np.full(30, -0.5), np.full(60, 0.1)], "part": ["a"] * 30 + ["b"] * 60})
    table = slice_table(frame, ["part"], minimum=10)
    figure = slice_chart(table, [["part=a"], ["part=b"]])
    assert figure.layout.xaxis.title.text == "mean loss of the score"
    assert figure.data[0].x[0] == pytest.approx(0.5)


@pytest.mark.parametrize("tau", [0.0, 0.1, 0.25])
def test_the_ranges_of_the_bars_hold_exactly_their_samples(tau: float) -> None:
    generator = np.random.default_rng(3)
    old = generator.random(200).round(2)
    new = np.where(generator.random(200) < 0.3, old, generator.random(200).round(2))
    result = scored(list(old), list(new))
    change = result.samples["delta_rouge1"].to_numpy()
    total = 0
    for trace in score_change_histogram(result, "rouge1", tau).data:
        for height, [key] in zip(trace.y, trace.customdata, strict=True):
            if not height:
                continue
            score, low, high = key.split(":")
            inside = (change >= float(low or "-inf")) & (change < float(high or "inf"))
            assert (score, np.count_nonzero(inside)) == ("rouge1", height)
            total += height
    assert total == 200


def test_points_are_grouped_by_tau_and_carry_their_sample() -> None:
    old, new = [0.1, 0.5, 0.5, 0.9], [0.1, 0.55, 0.9, 0.2]
    figure = score_scatter(old, new, ["a", "b", HOSTILE, "d"], tau=0.1, old_name=HOSTILE)
    band, _, unchanged, better, worse = figure.data
    assert [key[0] for key in unchanged.customdata] == ["a", "b"]
    assert ([key[0] for key in better.customdata], [key[0] for key in worse.customdata]) == ([HOSTILE], ["d"])
    assert worse.name == "worse: 1 of 4 (25.0 %)"
    assert len({trace.marker.symbol for trace in (unchanged, better, worse)}) == 3
    # The band's edges lie tau above and below the diagonal.
    assert {round(y - x, 9) for x, y in zip(band.x, band.y, strict=True)} == {0.1, -0.1}
    assert "<a" not in better.text[0]
    assert "<a" not in figure.layout.xaxis.title.text


def test_of_many_points_some_are_drawn_and_all_are_counted() -> None:
    generator = np.random.default_rng(0)
    old, new = generator.random(20_001), generator.random(20_001)
    ids = np.array([f"s{i}" for i in range(20_001)])
    figure = score_scatter(old, new, ids)
    drawn = {key[0] for trace in figure.data if trace.customdata is not None for key in trace.customdata}
    change = new - old
    assert len(drawn) == len(drawn_points(change)) == 5_000
    assert {f"s{np.argmin(change)}", f"s{np.argmax(change)}"} <= drawn
    assert np.array_equal(drawn_points(change), drawn_points(change))
    counts = [
        int(t.name.split(": ")[1].split(" of")[0].replace(",", "")) for t in figure.data if t.customdata is not None
    ]
    assert sum(counts) == 20_001
    # The drawn ones are spread as all are.
    for share in (0.1, 0.5, 0.9):
        assert np.quantile(change[drawn_points(change)], share) == pytest.approx(np.quantile(change, share), abs=0.01)


def test_scores_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(ConfigError, match="tau, the change of score that is ignored"):
        score_scatter([0.1], [0.2], ["a"], tau=-1.0)
    with pytest.raises(ConfigError, match="tau, the change of score that is ignored"):
        score_change_histogram(scored([0.1], [0.2]), "rouge1", float("nan"))
    with pytest.raises(DataError, match="missing or infinite"):
        score_scatter([float("nan")], [0.2], ["a"])
    with pytest.raises(DataError, match="no score to show"):
        score_scatter([], [], [])
