"""Logs of Inspect: real ones, made by Inspect itself, and what its reader is kept from."""

from __future__ import annotations

import json
import math
import sys
import zipfile
from pathlib import Path

import pytest
from logs import LOGS

from muscle_core.errors import ConfigError, DataError
from muscle_core.interchange import inspect_logs
from muscle_core.interchange.inspect_logs import read_inspect
from muscle_core.interchange.log import LogOptions

pytest.importorskip("inspect_ai")
FOLDER = LOGS / "inspect"


def one_run(name: str | Path, **options):
    [run] = read_inspect(FOLDER / name).runs(LogOptions(**options))
    return run


def changed(tmp_path: Path, name: str, change) -> Path:
    """A JSON log with a change to its object."""
    log = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    change(log)
    file = tmp_path / "log.json"
    file.write_text(json.dumps(log), encoding="utf-8")
    return file


@pytest.mark.parametrize("name", ["animals-old.eval", "animals-new.json"])
def test_the_accuracy_of_a_real_log_is_the_one_it_states(name) -> None:
    log = read_inspect(FOLDER / name)
    [run] = log.runs(LogOptions())
    stated = log.log.results.scores[0].metrics["accuracy"].value
    assert sum(row.correct for row in run.rows) / len(run.rows) == stated
    assert 0 < stated < 1


@pytest.mark.parametrize("name", ["animals-old.eval", "animals-new.json"])
def test_choices_and_answers_are_read(name) -> None:
    run = one_run(name)
    assert run.model == "mockllm/model"
    assert [row.id for row in run.rows] == [f"q{n}" for n in range(6)]
    for row in run.rows:
        assert len(row.choices) == 3
        assert (row.choice == row.gold) == row.correct
        assert row.metadata["place"] in ("house", "tree")
        assert row.finish_reason == "stop"
    assert run.rows[1].choice is None  # "I do not know"
    assert run.rows[1].output == "I do not know"


@pytest.mark.parametrize("scorer", ["match", "includes"])
def test_each_scorer_has_the_accuracy_it_states(scorer) -> None:
    log = read_inspect(FOLDER / "sums-scorers.eval")
    run = log.runs(LogOptions(scorer=scorer))[0]
    assert sum(row.correct for row in run.rows) / len(run.rows) == log.stated_accuracy(scorer)


def test_partly_right_is_not_right_and_no_answer_is_none() -> None:
    log = read_inspect(FOLDER / "sums-scorers.eval")
    run = log.runs(LogOptions(scorer="graded"))[0]
    values = [sample.scores["graded"].value for sample in log.samples]
    assert {"C", "P", "N"} <= set(values)
    assert [row.correct for row in run.rows] == [value == "C" for value in values]
    assert [row.prediction is None for row in run.rows] == [value == "N" for value in values]
    # P counts half in Inspect's own accuracy: the rows are set against that, not against ours.
    assert log.stated_accuracy("graded") == (values.count("C") + values.count("P") / 2) / len(values)
    assert "are partly right (P) and count as not right" in run.notes[0]
    half = log.runs(LogOptions(scorer="graded", threshold=0.5))[0]
    assert sum(row.correct for row in half.rows) == values.count("C") + values.count("P")


def test_several_scorers_are_refused_with_their_names() -> None:
    with pytest.raises(ConfigError, match=r"3 scorers: 'match', 'includes', 'graded'. Choose one \(--scorer NAME\)"):
        one_run("sums-scorers.eval")
    with pytest.raises(ConfigError, match="no scorer 'none'"):
        one_run("sums-scorers.eval", scorer="none")
    with pytest.raises(ConfigError, match="--metric x names nothing"):
        one_run("sums-scorers.eval", scorer="match", metric="x")


def test_several_epochs_are_refused_chosen_or_each_a_run() -> None:
    log = read_inspect(FOLDER / "sums-epochs.json")
    with pytest.raises(ConfigError, match="holds 2 epochs"):
        log.runs(LogOptions())
    both = log.runs(LogOptions(epoch="all"))
    assert [run.suffix for run in both] == ["-epoch1", "-epoch2"]
    assert [len(run.rows) for run in both] == [6, 6]
    [second] = log.runs(LogOptions(epoch=2))
    assert [row.correct for row in second.rows] == [row.correct for row in both[1].rows]
    flags = [[row.correct for row in run.rows] for run in both]
    mean = sum(sum(flag) for flag in flags) / 12
    assert mean == log.stated_accuracy("includes")


def test_a_log_that_failed_is_refused_unless_partial_ones_are_allowed() -> None:
    with pytest.raises(DataError, match=r"status is 'error', not 'success' \(.*ran out of values.*--allow-partial"):
        one_run("animals-failed.eval")
    run = one_run("animals-failed.eval", allow_partial=True)
    judged = [row for row in run.rows if row.correct is not None]
    assert 0 < len(judged) < 6
    assert any("have no score" in note and "ended with an error" in note for note in run.notes)


@pytest.mark.parametrize(
    ("value", "correct"),
    [("C", True), ("I", False), (1, True), (0.0, False), (True, True), ("yes", True), ("no", False), ("1", True)],
)
def test_values_are_right_or_wrong(tmp_path: Path, value, correct) -> None:
    def change(log):
        log["samples"][0]["scores"]["choice"]["value"] = value
        log["results"]["scores"] = []

    assert one_run(changed(tmp_path, "animals-new.json", change)).rows[0].correct is correct


def test_nan_was_not_scored_and_a_missing_score_neither(tmp_path: Path) -> None:
    def change(log):
        log["samples"][0]["scores"]["choice"]["value"] = math.nan
        log["samples"][1]["scores"] = None

    run = one_run(changed(tmp_path, "animals-new.json", change), allow_partial=True)
    assert [row.correct for row in run.rows[:2]] == [None, None]
    assert "2 of 6 samples have no score" in run.notes[0]


@pytest.mark.parametrize("value", [0.25, [1, 0], "maybe"])
def test_other_values_are_refused_with_their_sample(tmp_path: Path, value) -> None:
    def change(log):
        log["samples"][2]["scores"]["choice"]["value"] = value

    with pytest.raises(DataError, match="sample 'q2': choice: the value"):
        one_run(changed(tmp_path, "animals-new.json", change))


def test_of_a_score_with_several_values_one_is_chosen(tmp_path: Path) -> None:
    def change(log):
        for sample in log["samples"]:
            sample["scores"]["choice"]["value"] = {"right": 1, "polite": 0}

    file = changed(tmp_path, "animals-new.json", change)
    with pytest.raises(ConfigError, match="2 values: 'right', 'polite'"):
        one_run(file)
    run = one_run(file, metric="polite")
    assert (run.chosen, {row.correct for row in run.rows}) == ({"scorer": "choice", "metric": "polite"}, {False})


def test_changed_scores_do_not_agree_with_the_stated_accuracy(tmp_path: Path) -> None:
    def change(log):
        score = log["samples"][0]["scores"]["choice"]
        score["value"] = "I" if score["value"] == "C" else "C"

    with pytest.raises(DataError, match="states an accuracy of"):
        one_run(changed(tmp_path, "animals-new.json", change))


def test_missing_samples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it counts 6 samples, but holds 5"):
        one_run(changed(tmp_path, "animals-new.json", lambda log: log["samples"].pop()))
    with pytest.raises(DataError, match="holds no samples"):
        one_run(changed(tmp_path, "animals-new.json", lambda log: log.update(samples=[])))
    with pytest.raises(DataError, match="sample 'q0', epoch 1: 2 times"):
        one_run(changed(tmp_path, "animals-new.json", lambda log: log["samples"].append(log["samples"][0])))


def test_an_answer_that_was_cut_off_says_so(tmp_path: Path) -> None:
    def change(log):
        log["samples"][0]["output"]["choices"][0]["stop_reason"] = "max_tokens"
        log["samples"][1]["output"]["choices"][0]["stop_reason"] = "content_filter"

    rows = one_run(changed(tmp_path, "animals-new.json", change)).rows
    assert [row.finish_reason for row in rows[:3]] == ["length", "content_filter", "stop"]


def test_messages_become_one_text(tmp_path: Path) -> None:
    def change(log):
        log["samples"][0]["input"] = [{"role": "user", "content": "one"}]
        log["samples"][1]["input"] = [{"role": "system", "content": "be short"}, {"role": "user", "content": "two"}]

    rows = one_run(changed(tmp_path, "animals-new.json", change)).rows
    assert [row.input for row in rows[:2]] == ["one", "system: be short\nuser: two"]


@pytest.mark.parametrize("name", ["animals-old.eval", "animals-new.json"])
def test_long_inputs_are_read_whole(name) -> None:
    """Inspect moves texts of more than a hundred letters out of the sample."""
    assert one_run(name).rows[0].input == f"who runs 0 ? {'one two three four five ' * 20}"


def test_without_inspect_ai_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    with pytest.raises(ConfigError, match=r"pip install -r requirements-inspect\.txt"):
        read_inspect(FOLDER / "animals-old.eval")


@pytest.mark.parametrize("name", ["animals-old.eval", "animals-new.json"])
def test_a_cut_file_is_refused(tmp_path: Path, name) -> None:
    content = (FOLDER / name).read_bytes()
    file = tmp_path / name
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"damaged \.eval file|cannot be read as a log of Inspect"):
        read_inspect(file)


def test_a_zip_that_would_unpack_to_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "bomb.eval"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", "{}")
        archive.writestr("samples/1_epoch_1.json", b" " * 50_000_000)
    monkeypatch.setattr(inspect_logs, "_LARGEST", 40_000_000)
    assert file.stat().st_size < 100_000
    with pytest.raises(DataError, match=r"would unpack to 0\.0 GiB in 2 parts"):
        read_inspect(file)


def test_another_zip_and_a_running_log_are_told_apart(tmp_path: Path) -> None:
    for member, words in (("word/document.xml", "not a log of Inspect"), ("_journal/start.json", "still running")):
        file = tmp_path / "x.eval"
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(member, "{}")
        with pytest.raises(DataError, match=words):
            read_inspect(file)
