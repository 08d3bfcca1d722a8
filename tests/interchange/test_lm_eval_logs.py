"""Logs of lm-eval: real ones against their results files, and each trap of the format."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
from logs import choice_line, lines_of, lm_eval_file, lm_eval_results, text_line, write_lines

from muscle_core.errors import ConfigError, DataError
from muscle_core.interchange.lm_eval import read_lm_eval
from muscle_core.interchange.log import LogOptions, sha256


def one_run(file: Path, **options):
    [run] = read_lm_eval(file).runs(LogOptions(**options))
    return run


def accuracy(run) -> float:
    return sum(row.correct for row in run.rows) / len(run.rows)


@pytest.mark.parametrize("side", ["old", "new"])
@pytest.mark.parametrize(
    ("task", "options", "key"),
    [
        ("animals", {}, "acc,none"),
        ("animals", {"metric": "acc_norm"}, "acc_norm,none"),
        ("sums", {"filter": "first-letter"}, "exact_match,first-letter"),
        ("sums", {"filter": "last-letter"}, "exact_match,last-letter"),
    ],
)
def test_the_accuracy_of_a_real_log_is_that_of_its_results_file(side, task, options, key) -> None:
    run = one_run(lm_eval_file(side, task), **options)
    assert len(run.rows) == 16
    assert accuracy(run) == lm_eval_results(side)["results"][task][key]


@pytest.mark.parametrize("metric", ["acc", "acc_norm"])
@pytest.mark.parametrize("side", ["old", "new"])
def test_the_choice_of_a_real_log_is_what_its_metric_counted(side, metric) -> None:
    run = one_run(lm_eval_file(side, "animals"), metric=metric)
    assert run.notes == ()
    for row in run.rows:
        assert (row.choice == row.gold) == row.correct
        assert row.choices[row.gold] == row.source["choices"][row.source["answer"]]  # without the delimiter
        assert (row.margin > 0) == row.correct
        assert row.gold_loglikelihood == row.choice_loglikelihoods[row.gold]


def test_a_real_log_tells_its_hashes_and_they_are_those_we_compute() -> None:
    for task in ("animals", "sums"):
        file = lm_eval_file("old", task)
        for line in lines_of(file):
            assert line["doc_hash"] == sha256(json.dumps(line["doc"], indent=2, ensure_ascii=False))
            assert line["prompt_hash"] == sha256(line["arguments"]["gen_args_0"]["arg_0"])
            assert line["target_hash"] == sha256(line["target"])


def test_what_a_real_log_holds_is_known_before_anything_is_chosen() -> None:
    facts = read_lm_eval(lm_eval_file("old", "sums")).facts
    assert (facts.rows, facts.filters, facts.metrics) == (32, ("first-letter", "last-letter"), ("exact_match",))
    assert (facts.task, facts.kind, facts.models) == ("sums", "instruction", ("/work/old",))
    assert facts.made_by["lm_eval_version"] == "0.4.13"
    assert facts.made_by["task_version"] == 2.0
    assert read_lm_eval(lm_eval_file("old", "animals")).facts.kind == "multiple_choice"


def test_an_answer_that_a_filter_does_not_find_is_none() -> None:
    run = one_run(lm_eval_file("new", "sums"), filter="first-letter")
    empty = [row for row in run.rows if row.prediction is None]
    assert empty
    assert all(row.output is not None and not row.correct for row in empty)


def test_several_filters_are_refused_with_their_names() -> None:
    log = read_lm_eval(lm_eval_file("old", "sums"))
    with pytest.raises(ConfigError, match=r"2 filters: 'first-letter', 'last-letter'. Choose one \(--filter NAME\)"):
        log.runs(LogOptions())
    with pytest.raises(ConfigError, match="no filter 'strict'"):
        log.runs(LogOptions(filter="strict"))


def test_lines_of_several_processes_are_sorted(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "s.jsonl", [text_line(n, str(n), 1) for n in (0, 2, 4, 1, 3)])
    assert [row.order for row in one_run(file).rows] == [0, 1, 2, 3, 4]


def test_a_line_that_occurs_twice_counts_once(tmp_path: Path) -> None:
    rows = [text_line(n, str(n), 1) for n in range(3)]
    run = one_run(write_lines(tmp_path / "s.jsonl", [*rows, *rows]))
    assert len(run.rows) == 3
    assert "3 lines are exact copies" in run.notes[0]


def test_two_runs_in_one_file_are_refused_or_chosen(tmp_path: Path) -> None:
    first = [text_line(n, str(n), 1) for n in range(3)]
    second = [text_line(n, "7", 0) for n in range(3)]
    file = write_lines(tmp_path / "s.jsonl", [*first, *second])
    with pytest.raises(ConfigError, match=r"document 0 at s\.jsonl:1 and s\.jsonl:4.*--epoch 1 to 2"):
        one_run(file)
    assert [accuracy(one_run(file, epoch=n)) for n in (1, "2")] == [1, 0]
    both = read_lm_eval(file).runs(LogOptions(epoch="all"))
    assert [(run.suffix, accuracy(run)) for run in both] == [("-epoch1", 1), ("-epoch2", 0)]
    with pytest.raises(ConfigError, match="no epoch 3"):
        one_run(file, epoch=3)


def test_lines_of_older_versions_lack_filter_metrics_and_hashes(tmp_path: Path) -> None:
    old = [
        text_line(n, str(n), 1, filter=None, metrics=None, doc_hash=None, prompt_hash=None, target_hash=None)
        for n in range(2)
    ]
    for line in old:
        line["arguments"] = [[line["arguments"]["gen_args_0"]["arg_0"], {}]]
    new = [text_line(n, str(n), 1) for n in range(2)]
    rows = [one_run(write_lines(tmp_path / f"{k}.jsonl", lines)).rows for k, lines in (("o", old), ("n", new))]
    for one, other in zip(*rows, strict=True):
        assert (one.hashes, one.prompt_hash, one.correct) == (other.hashes, other.prompt_hash, other.correct)
    with pytest.raises(ConfigError, match="no filter 'x'; it has none"):
        one_run(tmp_path / "o.jsonl", filter="x")


@pytest.mark.parametrize(
    ("value", "correct"),
    [(1.0, True), (0, False), (True, True), (False, False), ("1.0", True), ("True", True), ("0", False),
     (math.nan, None), ("nan", None)],
)  # fmt: skip
def test_a_metric_may_be_a_number_a_flag_or_text(tmp_path: Path, value, correct) -> None:
    file = write_lines(tmp_path / "s.jsonl", [text_line(0, "0", value)])
    run = one_run(file)
    assert run.rows[0].correct is correct
    assert any("count as not judged" in note for note in run.notes) == (correct is None)


@pytest.mark.parametrize("value", [0.5, [0.0, 1], "high", {"a": 1}, -3])
def test_a_metric_that_is_neither_right_nor_wrong_is_refused_with_its_line(tmp_path: Path, value) -> None:
    file = write_lines(tmp_path / "s.jsonl", [text_line(0, "0", 1), text_line(1, "1", value)])
    with pytest.raises(DataError, match=r"s\.jsonl:2: exact_match: the value"):
        one_run(file)


def test_a_threshold_turns_numbers_into_right_and_wrong(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "s.jsonl", [text_line(n, "x", value) for n, value in enumerate((0.2, 0.5, 0.9))])
    run = one_run(file, threshold=0.5)
    assert [row.correct for row in run.rows] == [False, True, True]
    assert run.chosen["threshold"] == 0.5


def test_where_lower_is_better_the_other_side_of_the_threshold_is_right(tmp_path: Path) -> None:
    date = "2026-01-02T03-04-05.678901"
    rows = [text_line(n, "x", None, metrics=["ter"], ter=value) for n, value in enumerate((0.2, 0.9))]
    file = write_lines(tmp_path / f"samples_t_{date}.jsonl", rows)
    results = {"results": {"t": {}}, "configs": {"t": {}}, "higher_is_better": {"t": {"ter": False}}}
    (tmp_path / f"results_{date}.json").write_text(json.dumps(results))
    assert [row.correct for row in one_run(file, threshold=0.5).rows] == [True, False]


def test_perplexity_is_refused_whatever_its_values(tmp_path: Path) -> None:
    rows = [text_line(n, "x", None, metrics=["perplexity"], perplexity=n) for n in range(2)]
    file = write_lines(tmp_path / "s.jsonl", rows)
    with pytest.raises(ConfigError, match="'perplexity' is neither right nor wrong"):
        one_run(file)


def test_without_a_usual_metric_one_must_be_chosen(tmp_path: Path) -> None:
    lines = [text_line(0, "x", None, metrics=["a", "b"], a=1, b=0)]
    file = write_lines(tmp_path / "s.jsonl", lines)
    with pytest.raises(ConfigError, match=r"2 metrics: 'a', 'b'. Choose one \(--metric NAME\)"):
        one_run(file)
    assert one_run(file, metric="b").rows[0].correct is False
    lines = [text_line(0, "x", None, metrics=["a", "b"], a=1, b=0.5)]
    assert one_run(write_lines(file, lines)).chosen["metric"] == "a"  # the only one that says right or wrong


def test_acc_norm_counts_by_length_and_acc_by_sum(tmp_path: Path) -> None:
    line = choice_line(0, [-6.0, -7.0], 1, texts=["cat", "elephant"])
    file = write_lines(tmp_path / "s.jsonl", [line])
    by_sum, by_length = one_run(file).rows[0], one_run(file, metric="acc_norm").rows[0]
    assert (by_sum.choice, by_sum.correct, by_sum.margin) == (0, False, -1.0)
    assert (by_length.choice, by_length.correct) == (1, True)
    assert by_length.margin == pytest.approx(-7 / 8 + 6 / 3)
    assert by_length.choice_loglikelihoods_per_byte == [-2.0, -0.875]


def test_the_delimiter_is_found_where_no_results_file_tells_it(tmp_path: Path) -> None:
    # Choices that bring their own space: by 4 and 3 letters the second wins, without the spaces the first would.
    sums = [-4.0, -2.9]
    line = choice_line(0, sums, 1, texts=["abc", "ab"], acc=0.0, acc_norm=1.0)
    line["acc"], line["target"] = 1.0, "1"
    assert max((-4 / 4, 0), (-2.9 / 3, 1))[1] == 1  # with the space
    assert max((-4 / 3, 0), (-2.9 / 2, 1))[1] == 0  # without
    file = write_lines(tmp_path / "s.jsonl", [line])
    row = one_run(file, metric="acc_norm").rows[0]
    assert (row.choice, row.choices, row.correct) == (1, (" abc", " ab"), True)


def test_mutual_information_is_counted_against_the_empty_prompt(tmp_path: Path) -> None:
    line = choice_line(0, [-3.0, -4.0], 1)
    line["metrics"].append("acc_mutual_info")
    line["acc_mutual_info"] = 1.0
    for n, (text, value) in enumerate((("cat", -1.0), ("dog", -9.0)), start=2):
        line["arguments"][f"gen_args_{n}"] = {"arg_0": "", "arg_1": f" {text}"}
        line["filtered_resps"].append([str(value), "False"])
    row = one_run(write_lines(tmp_path / "s.jsonl", [line]), metric="acc_mutual_info").rows[0]
    assert (row.choice, row.choices, row.correct, row.choice_loglikelihoods) == (1, ("cat", "dog"), True, [-3.0, -4.0])


@pytest.mark.parametrize(
    ("texts", "target", "sums", "acc", "gold"),
    [
        (["cat", "dog"], "1", [-2, -1], 1, 1),  # an index
        (["cat", "dog"], "dog", [-2, -1], 1, 1),  # a text
        (["2", "1"], "1", [-2, -1], 1, 1),  # both; the log says which
        (["2", "1"], "1", [-1, -2], 0, 1),
        (["1", "2"], "1", [-1, -2], 1, 0),  # both, and they differ: the log's right answer decides
        (["1", "2"], "1", [-2, -1], 0, 0),
        (["cat", "dog"], "?", [-2, -1], 0, 0),  # neither: the other one of two
        (["cat", "dog"], "?", [-2, -1], 1, 1),
        (["cat", "dog", "bird"], "?", [-2, -1, -3], 0, "?"),  # nobody knows
        (["cat", "dog", "bird"], "[0, 1]", [-2, -1, -3], 1, "[0, 1]"),  # two are right
    ],
)
def test_the_right_choice_is_read_from_the_target(tmp_path: Path, texts, target, sums, acc, gold) -> None:
    line = choice_line(0, [float(s) for s in sums], 0, texts=texts, target=target, acc=float(acc), metrics=["acc"])
    assert one_run(write_lines(tmp_path / "s.jsonl", [line])).rows[0].gold == gold


def test_a_choice_that_disagrees_with_the_metric_is_told_and_the_metric_kept(tmp_path: Path) -> None:
    lines = [choice_line(0, [-1.0, -2.0], 0), choice_line(1, [-1.0, -2.0], 0, acc=0.0)]
    run = one_run(write_lines(tmp_path / "s.jsonl", lines))
    assert [row.correct for row in run.rows] == [True, False]
    assert "in 1 of 2 rows the choice with the highest log-likelihood" in run.notes[0]


def test_the_likelihood_of_one_text_says_whether_it_was_the_answer(tmp_path: Path) -> None:
    rows = [
        text_line(n, "", None, metrics=["perplexity", "acc"], acc=n, perplexity=-2.5,
                  arguments={"gen_args_0": {"arg_0": f"the {n}", "arg_1": " cat"}}, target=" cat",
                  filtered_resps=[["-2.5", str(bool(n))]])
        for n in range(2)
    ]  # fmt: skip
    run = one_run(write_lines(tmp_path / "s.jsonl", rows))
    assert run.chosen["metric"] == "acc"
    assert [(row.prediction, row.correct, row.gold_loglikelihood) for row in run.rows] == [
        (None, False, -2.5),
        (" cat", True, -2.5),
    ]
    assert "two wrong answers look the same" in run.notes[0]


def test_infinite_log_likelihoods_are_kept_and_nan_is_refused(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "s.jsonl", [choice_line(0, [float("-inf"), -1.0], 1)])
    row = one_run(file).rows[0]
    assert (row.choice, row.margin, row.choice_loglikelihoods) == (1, None, [float("-inf"), -1.0])
    write_lines(file, [choice_line(0, [math.nan, -1.0], 1)])
    with pytest.raises(DataError, match=r"s\.jsonl:1: a log-likelihood is not a number"):
        one_run(file)


def test_all_problems_are_listed_with_their_lines(tmp_path: Path) -> None:
    rows = [
        text_line(0, "0", 1),
        text_line(1, "1", 1, doc_id="one"),
        text_line(2, "2", 1, filtered_resps=[]),
        text_line(3, "3", 1, filter=3),
        text_line(4, "4", 1, arguments={}),
        text_line(5, "5", 1, doc=None),
        text_line(6, "6", 1, metrics=[1]),
        text_line(7, "7", 1, doc_hash=7),
        choice_line(8, [-1.0, -2.0], 0),
    ]
    with pytest.raises(DataError) as refusal:
        read_lm_eval(write_lines(tmp_path / "s.jsonl", rows))
    assert len(refusal.value.problems) == 8
    for number in range(2, 10):
        assert f"s.jsonl:{number}: " in str(refusal.value)


def _copied(tmp_path: Path, side: str = "old") -> Path:
    for file in lm_eval_file(side, "sums").parent.iterdir():
        shutil.copy(file, tmp_path / file.name)
    return tmp_path / lm_eval_file(side, "sums").name


def test_a_cut_log_does_not_agree_with_its_results_file(tmp_path: Path) -> None:
    file = _copied(tmp_path)
    write_lines(file, lines_of(file)[:-1])
    with pytest.raises(DataError, match="the results file counts 16 documents, the log has 15"):
        one_run(file, filter="last-letter")
    run = one_run(file, filter="last-letter", allow_partial=True)
    assert (len(run.rows), "16 documents" in run.notes[0]) == (15, True)


def test_changed_metrics_do_not_agree_with_the_results_file(tmp_path: Path) -> None:
    file = _copied(tmp_path)
    lines = lines_of(file)
    lines[0]["exact_match"] = 1 - lines[0]["exact_match"]
    write_lines(file, lines)
    with pytest.raises(DataError, match="the results file says exact_match"):
        one_run(file, filter="first-letter")


def test_a_results_file_may_be_named_and_must_be_one(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "x.jsonl", lines_of(lm_eval_file("old", "animals")))
    assert read_lm_eval(file).facts.models == ()
    [results] = lm_eval_file("old", "animals").parent.glob("results_*")
    with pytest.raises(DataError, match="holds the results of 'animals', 'sums'; none has the name"):
        read_lm_eval(file, results=results)
    with pytest.raises(DataError, match="no such results file"):
        read_lm_eval(file, results=tmp_path / "gone.json")
    with pytest.raises(DataError, match="is not a results file of lm-eval"):
        read_lm_eval(file, results=write_lines(tmp_path / "r.json", [{"a": 1}]))
    with pytest.raises(DataError, match="is not JSON"):
        read_lm_eval(file, results=file)
