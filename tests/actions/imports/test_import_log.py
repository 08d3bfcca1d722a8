"""Import of logs: datasets made from them, matched to those that exist, all or nothing, once, and shown before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from logs import LOGS, choice_line, comparator, lines_of, lm_eval_file, lm_eval_results, text_line, write_lines
from typer.testing import CliRunner

from muscle_core.actions.imports import outputs
from muscle_core.actions.imports.outputs import import_log
from muscle_core.actions.imports.preview import preview_import
from muscle_core.actions.library.datasets import add_dataset, add_dataset_rows, load_samples
from muscle_core.actions.updates.compare import compare_versions, predictions_of
from muscle_core.cli import app
from muscle_core.errors import ConfigError, DataError, StoreError
from muscle_core.interchange import ImportColumns, LogOptions
from muscle_core.store import Workspace, get_dataset, list_datasets, list_runs, list_versions

INSPECT = LOGS / "inspect"


def everything(workspace: Workspace) -> tuple:
    """Names of all that is in a workspace: what must not change where an import is refused."""
    files = sorted(
        p.relative_to(workspace.home).as_posix()
        for p in workspace.home.rglob("*")
        if not p.name.startswith("muscle.db")
    )
    return (
        sorted(v.name for v in list_versions(workspace)),
        sorted(d.name for d in list_datasets(workspace)),
        sorted(r.key for r in list_runs(workspace)),
        files,
    )


def text_log(tmp_path: Path, answers: list[int], name: str = "log.jsonl", **fields) -> Path:
    return write_lines(tmp_path / name, [text_line(n, str(a), int(a == n), **fields) for n, a in enumerate(answers)])


# Datasets made from logs


@pytest.mark.parametrize("metric", ["acc", "acc_norm"])
def test_two_real_choice_logs_make_a_dataset_and_a_comparison(workspace: Workspace, metric: str) -> None:
    for side in ("old", "new"):
        options = LogOptions(metric=metric)
        done = import_log(workspace, lm_eval_file(side, "animals"), version=side, dataset="animals", options=options)
        assert done.made_dataset == (side == "old")
        assert done.runs[0].run.summary["accuracy"] == lm_eval_results(side)["results"]["animals"][f"{metric},none"]
    dataset = get_dataset(workspace, "animals")
    assert (dataset.task_kind, dataset.splits) == ("multiple_choice", {"test": 16})
    samples = load_samples(workspace, dataset, "test")
    assert samples[0].input == "who runs 0 ?"  # the source's own question, not the prompt
    assert samples[0].metadata["place"] in ("house", "tree")
    found = compare_versions(workspace, "old", "new", "animals")
    assert (found.n, found.join.left_out, found.graded_differently) == (16, 0, 0)
    assert {"old_margin", "new_margin"} <= set(found.samples)
    frame = predictions_of(workspace, list_runs(workspace)[0])
    assert all(len(values) == 3 for values in frame["choice_loglikelihoods"])


@pytest.mark.parametrize("name", ["first-letter", "last-letter"])
def test_two_real_text_logs_keep_right_and_wrong_of_the_filter(workspace: Workspace, name: str) -> None:
    for side in ("old", "new"):
        options = LogOptions(filter=name)
        done = import_log(workspace, lm_eval_file(side, "sums"), version=side, dataset="sums", options=options)
        assert done.dataset.task_kind == "instruction"
        assert done.runs[0].run.summary["accuracy"] == lm_eval_results(side)["results"]["sums"][f"exact_match,{name}"]
    found = compare_versions(workspace, "old", "new", "sums")
    assert found.counts is not None
    assert (found.n, found.counts.n, found.unjudged) == (16, 16, 0)


def test_two_real_inspect_logs_of_both_formats_are_compared(workspace: Workspace) -> None:
    for version, name in (("old", "animals-old.eval"), ("new", "animals-new.json")):
        done = import_log(workspace, INSPECT / name, version=version, dataset="animals")
    assert done.dataset.task_kind == "multiple_choice"
    found = compare_versions(workspace, "old", "new", "animals")
    assert (found.n, found.join.left_out) == (6, 0)


def test_an_lm_eval_log_and_an_inspect_log_of_one_source_fit_together(workspace: Workspace) -> None:
    """Both asked the same questions: the rows meet by content, though neither knows the other's ids."""
    import_log(workspace, lm_eval_file("old", "animals"), version="by-lm-eval", dataset="animals")
    file = INSPECT / "animals-new.json"
    log = json.loads(file.read_text())
    log["samples"][0]["input"] = "who runs 0 ?"
    copy = workspace.home.parent / "copy.json"
    copy.write_text(json.dumps(log))
    done = import_log(workspace, copy, version="by-inspect", dataset="animals")
    assert compare_versions(workspace, "by-lm-eval", "by-inspect", "animals").n == 6
    assert any("graded by another rule (format lm-eval, filter none, metric acc)" in note for note in done.notes)
    assert any("not all 16 samples" in note for note in done.notes)


def test_epochs_become_versions_of_their_own(workspace: Workspace) -> None:
    file = INSPECT / "sums-epochs.json"
    done = import_log(workspace, file, version="m", dataset="sums", options=LogOptions(epoch="all"))
    assert [run.version for run in done.runs] == ["m-epoch1", "m-epoch2"]
    assert compare_versions(workspace, "m-epoch1", "m-epoch2", "sums").n == 6


def test_a_comparator_file_becomes_two_versions(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps(comparator()))
    done = import_log(workspace, file, version="-", dataset="chat")
    assert [run.version for run in done.runs] == ["new-model", "old-model"]
    assert any("'new model' is called 'new-model' here" in note for note in done.notes)
    change = compare_versions(workspace, "old-model", "new-model", "chat").continuous["score"]
    assert change.mean_change.value == pytest.approx(sum(0.5 * n - 1 for n in range(4)) / 4)
    with pytest.raises(ConfigError, match="1 names for 2 models"):
        import_log(workspace, file, version="one", dataset="chat2")


def test_a_table_makes_a_dataset_of_its_columns(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("key,q,right,said,topic\na,one and one,2,2,sums\nb,two and two,4,5,sums\n")
    columns = ImportColumns(id="key", prediction="said", input="q", gold="right")
    done = import_log(workspace, file, version="m", dataset="t", task="math", columns=columns)
    assert done.runs[0].run.summary["accuracy"] == 0.5
    samples = load_samples(workspace, done.dataset, "test")
    first = samples[0]
    assert (first.id, first.input, first.gold, first.metadata) == ("a", "one and one", "2", {"topic": "sums"})
    again = import_log(workspace, file, version="m", dataset="t", columns=columns)
    assert not again.runs[0].is_new
    file.write_text("key,q,right,said\na,one and one,3,2\n")
    with pytest.raises(DataError, match="the right answer is '3' in the log, but '2' in the dataset"):
        import_log(workspace, file, version="m", dataset="t", columns=columns)


def test_a_table_without_ids_is_known_by_what_was_asked(workspace: Workspace, tmp_path: Path) -> None:
    """As LLaMA-Factory's generated_predictions.jsonl."""
    columns = ImportColumns(prediction="predict", correct="ok", input="prompt", gold="label")

    def log(name: str, order: list[int]) -> Path:
        rows = [{"prompt": f"say {n}", "predict": f"{name} {n}", "label": str(n), "ok": n % 2} for n in order]
        return write_lines(tmp_path / name, rows)

    first = import_log(workspace, log("a", [0, 1, 2]), version="a", dataset="t", columns=columns)
    import_log(workspace, log("b", [2, 0, 1]), version="b", dataset="t", columns=columns)
    found = compare_versions(workspace, "a", "b", "t")
    assert list(found.samples["old_prediction"]) == ["a 0", "a 1", "a 2"]
    assert list(found.samples["new_prediction"]) == ["b 0", "b 1", "b 2"]
    assert first.dataset.task_kind == "instruction"
    with pytest.raises(DataError, match=r"(?s)not in the dataset: 'say 3'"):
        import_log(workspace, log("c", [0, 3]), version="c", dataset="t", columns=columns)


def test_an_id_of_another_sample_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    columns = ImportColumns(prediction="said", correct="ok", input="q")
    rows = [{"id": n, "q": f"what is {n}?", "said": "x", "ok": 1} for n in range(2)]
    import_log(workspace, write_lines(tmp_path / "a.jsonl", rows), version="a", dataset="t", columns=columns)
    rows[0]["id"], rows[1]["id"] = 1, 0
    with pytest.raises(DataError, match=r"(?s)2 problems.*the id '1' is that of another sample; its content is .*'0'"):
        import_log(workspace, write_lines(tmp_path / "b.jsonl", rows), version="b", dataset="t", columns=columns)


def test_a_table_for_no_dataset_says_what_is_needed(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("id,said\na,2\n")
    with pytest.raises(ConfigError, match=r"no dataset 't' yet.*--input.*--gold"):
        import_log(workspace, file, version="m", dataset="t", columns=ImportColumns(prediction="said"))
    with pytest.raises(ConfigError, match=r"table with the columns id, said.*--prediction"):
        import_log(workspace, file, version="m", dataset="t")


def test_a_math_log_makes_a_math_dataset_and_keeps_the_logs_verdict(workspace: Workspace, tmp_path: Path) -> None:
    rows = [text_line(n, f"{n}.0", 0) for n in range(3)]  # right by our own judge, wrong by the log
    done = import_log(workspace, write_lines(tmp_path / "s.jsonl", rows), version="m", dataset="d", task="math")
    frame = predictions_of(workspace, done.runs[0].run)
    assert list(frame["correct"]) == [False] * 3
    assert list(frame["prediction"]) == list(frame["gold"]) == ["0", "1", "2"]
    assert load_samples(workspace, done.dataset, "test")[0].input == "what is 0?"


def test_copies_in_a_log_are_samples_of_their_own(workspace: Workspace, tmp_path: Path) -> None:
    def log(name: str, answers: list[str]) -> Path:
        same = text_line(5, "5", 1)
        lines = [
            {**same, "doc_id": n, "filtered_resps": [a], "exact_match": int(a == "5")} for n, a in enumerate(answers)
        ]
        return write_lines(tmp_path / name, lines)

    import_log(workspace, log("a", ["5", "6", "5"]), version="a", dataset="d")
    import_log(workspace, log("b", ["6", "5", "5"]), version="b", dataset="d")
    found = compare_versions(workspace, "a", "b", "d")
    assert (found.n, found.counts.q4, found.counts.q2) == (3, 1, 1)


# Matching to datasets that exist


def test_a_dataset_of_its_own_file_is_matched_by_the_sources_rows(workspace: Workspace, tmp_path: Path) -> None:
    rows = [(str(n), {"question": f"what is {n}?", "answer": f"it is #### {n}"}) for n in reversed(range(4))]
    add_dataset_rows(workspace, "sums", "math", {"test": rows})
    lines = [text_line(n, str(n), 1) for n in range(3)]
    for n, line in enumerate(lines):
        line["doc"]["answer"] = line["target"] = f"it is #### {n}"
    done = import_log(workspace, write_lines(tmp_path / "s.jsonl", lines), version="m", dataset="sums")
    assert not done.made_dataset
    frame = predictions_of(workspace, done.runs[0].run)
    assert list(frame["gold"]) == ["0", "1", "2"]
    assert any("not all 4 samples" in note for note in done.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": "9", "target_hash": None}, "right answer is '9' in the log, but '1' in the dataset"),
        ({"arguments": {"g": {"a": "another prompt"}}, "doc": {"q": 1}, "doc_hash": None}, "not in the data"),
        ({"doc_id": 0, "filtered_resps": ["7"]}, "--epoch 1 to 2"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_are_refused_and_nothing_is_written(workspace, tmp_path, change, words) -> None:
    import_log(workspace, text_log(tmp_path, [0, 1, 2]), version="m", dataset="d")
    before = everything(workspace)
    lines = lines_of(tmp_path / "log.jsonl")
    lines[1].update(change)
    lines[1] = {name: value for name, value in lines[1].items() if value is not None}
    with pytest.raises((DataError, ConfigError), match=words):
        import_log(workspace, write_lines(tmp_path / "x.jsonl", lines), version="n", dataset="d")
    assert everything(workspace) == before


def test_another_prompt_is_told(workspace: Workspace, tmp_path: Path) -> None:
    import_log(workspace, text_log(tmp_path, [0, 1, 2]), version="old", dataset="d")
    assert import_log(workspace, text_log(tmp_path, [0, 1, 0]), version="same", dataset="d").notes == []
    lines = lines_of(tmp_path / "log.jsonl")
    for line in lines[:2]:
        line["arguments"]["gen_args_0"]["arg_0"] = "Example: 1\n" + line["arguments"]["gen_args_0"]["arg_0"]
        del line["prompt_hash"]
    done = import_log(workspace, write_lines(tmp_path / "x.jsonl", lines), version="new", dataset="d")
    assert done.notes == [
        f"2 of 3 samples were asked with another prompt than for {name}: flips may come from the prompt, not from the "
        "model"
        for name in ("same", "old")
    ]


def test_another_filter_is_told_and_the_newest_run_counts(workspace: Workspace) -> None:
    file = lm_eval_file("old", "sums")
    for name in ("first-letter", "last-letter"):
        done = import_log(workspace, file, version="old", dataset="sums", options=LogOptions(filter=name))
    assert len(list_runs(workspace)) == 2
    assert any("already has an imported run" in note for note in done.notes)
    other = lm_eval_file("new", "sums")
    done = import_log(workspace, other, version="new", dataset="sums", options=LogOptions(filter="last-letter"))
    assert any("graded by another rule (format lm-eval, filter first-letter" in note for note in done.notes)


@pytest.mark.parametrize("where", ["doc", "doc_hash", "filtered_resps", "resps"])
def test_half_a_character_is_refused_with_its_line(workspace: Workspace, tmp_path: Path, where: str) -> None:
    """Found by damaged files: half a character (a lone surrogate) passed as a hash and broke the Parquet writer."""
    half = {"doc": {"q": "\ud800"}, "doc_hash": "\ud800", "filtered_resps": ["\ud800"], "resps": [["\ud800"]]}
    lines = [text_line(0, "0", 1), text_line(1, "1", 1, **{where: half[where]})]
    file = tmp_path / "s.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = everything(workspace)
    with pytest.raises(DataError, match=r"s\.jsonl:2: a text holds half a character \(U\+D800\)"):
        import_log(workspace, file, version="m", dataset="d")
    assert everything(workspace) == before


def test_another_kind_than_the_datasets_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    import_log(workspace, text_log(tmp_path, [0, 1]), version="m", dataset="d")
    with pytest.raises(ConfigError, match="of the kind instruction, not math"):
        import_log(workspace, tmp_path / "log.jsonl", version="m", dataset="d", task="math")
    with pytest.raises(StoreError, match="no split 'train'"):
        import_log(workspace, tmp_path / "log.jsonl", version="m", dataset="d", split="train")


def test_choices_without_a_right_one_make_an_instruction_dataset_only(workspace: Workspace, tmp_path: Path) -> None:
    lines = [choice_line(n, [-1.0, -2.0, -3.0], 0, target="[0, 1]", doc={"q": n}) for n in range(2)]
    file = write_lines(tmp_path / "s.jsonl", lines)
    with pytest.raises(DataError, match=r"no choice is named as the right one.*--task instruction"):
        import_log(workspace, file, version="m", dataset="d")
    done = import_log(workspace, file, version="m", dataset="d", task="instruction")
    assert list(predictions_of(workspace, done.runs[0].run)["prediction"]) == ["cat", "cat"]


def test_options_that_a_format_does_not_have_are_refused(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--prediction, --scorer: not used by a file of the format lm-eval"):
        import_log(
            workspace,
            text_log(tmp_path, [0]),
            version="m",
            dataset="d",
            columns=ImportColumns(prediction="x"),
            options=LogOptions(scorer="y"),
        )
    (tmp_path / "m.csv").write_text("id,a,b\nx,1,0\n")
    with pytest.raises(ConfigError, match="--allow-partial, --filter: not used by a file of the format wide"):
        options = LogOptions(filter="x", allow_partial=True)
        import_log(workspace, tmp_path / "m.csv", version="-", dataset="d", options=options)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"version": "a b"}, "not usable"),
        ({"dataset": "a/b"}, "not usable"),
        ({"split": ""}, "not usable"),
        ({"format": "xml"}, "unknown format 'xml'"),
        ({"task": "poem"}, "unknown task kind"),
        ({"version": "-"}, "does not name its model"),
        ({"version": "a,b"}, "2 names for 1 models"),
        ({"options": LogOptions(threshold=float("nan"))}, "threshold must be a finite number"),
    ],
)
def test_options_that_cannot_be_used_are_refused(workspace: Workspace, tmp_path: Path, arguments, words) -> None:
    with pytest.raises(ConfigError, match=words):
        import_log(workspace, text_log(tmp_path, [0]), **{"version": "m", "dataset": "d", **arguments})
    assert list_versions(workspace) == list_datasets(workspace) == []


# Once, all or nothing


@pytest.mark.parametrize(
    ("file", "arguments"),
    [
        (lm_eval_file("old", "animals"), {}),
        (lm_eval_file("old", "sums"), {"options": LogOptions(filter="last-letter")}),
        (INSPECT / "animals-old.eval", {}),
        (INSPECT / "sums-epochs.json", {"options": LogOptions(epoch="all")}),
    ],
)
def test_the_same_file_again_is_the_same_run(workspace: Workspace, file, arguments) -> None:
    first = import_log(workspace, file, version="m", dataset="d", **arguments)
    before = everything(workspace)
    again = import_log(workspace, file, version="m", dataset="d", **arguments)
    assert [run.run.id for run in again.runs] == [run.run.id for run in first.runs]
    assert [run.is_new for run in again.runs] == [False] * len(first.runs)
    assert everything(workspace) == before


@pytest.mark.parametrize("fails_at", [1, 2])
def test_an_import_that_fails_half_way_leaves_nothing(workspace, tmp_path, monkeypatch, fails_at) -> None:
    file = tmp_path / "m.csv"
    file.write_text("id,m1,m2\na,1,0\nb,0,1\n")
    before = everything(workspace)
    calls = []

    def failing(rows):
        calls.append(rows)
        return 1 / 0 if len(calls) == fails_at else {}

    monkeypatch.setattr("muscle_core.actions.evaluation.runs.summarise", failing)
    with pytest.raises(ZeroDivisionError):
        import_log(workspace, file, version="-", dataset="d")
    names, datasets, runs, files = everything(workspace)
    assert (names, datasets, runs) == before[:3]
    assert [name for name in files if name not in ("datasets", "predictions")] == before[3]


def test_two_imports_at_once_are_one(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = text_log(tmp_path, [0, 1, 5])
    winners = []

    def write_late(ours, run, chunks):
        monkeypatch.undo()
        winners.append(import_log(Workspace.open(ours.home), file, version="m", dataset="d"))
        return outputs.write_run(ours, run, chunks)

    monkeypatch.setattr(outputs, "write_run", write_late)
    done = import_log(workspace, file, version="m", dataset="d")
    assert [done.runs[0].run.id] == [winners[0].runs[0].run.id] == [run.id for run in list_runs(workspace)]
    assert (len(list_versions(workspace)), len(list_datasets(workspace))) == (1, 1)
    kept = [path.name for path in workspace.path("predictions").iterdir()]
    assert kept == [done.runs[0].run.id]
    assert len(list(workspace.path("datasets").iterdir())) == 1


def test_a_version_that_exists_gets_the_run(workspace: Workspace, tmp_path: Path) -> None:
    import_log(workspace, text_log(tmp_path, [0, 1]), version="m", dataset="one")
    import_log(workspace, text_log(tmp_path, [0, 1]), version="m", dataset="two")
    assert len(list_versions(workspace)) == 1
    assert len(list_runs(workspace)) == 2


# Preview


def test_a_preview_shows_what_would_be_written_and_writes_nothing(workspace: Workspace) -> None:
    before = everything(workspace)
    file = lm_eval_file("old", "sums")
    found = preview_import(workspace, file, options=LogOptions(filter="last-letter"))
    assert everything(workspace) == before
    assert (found.facts.format, found.facts.filters) == ("lm-eval", ("first-letter", "last-letter"))
    assert (found.task, found.makes_dataset, found.problems) == ("instruction", True, ())
    [run] = found.runs
    assert (run.version, run.rows, run.judged, run.known) == ("work-old", 16, 16, False)
    assert run.accuracy == lm_eval_results("old")["results"]["sums"]["exact_match,last-letter"]
    assert [set(row) for row in found.first] == [
        {"sample_id", "input", "gold", "prediction", "correct", "output"}
    ] * 5  # fmt: skip
    done = import_log(workspace, file, version="m", dataset="d", options=LogOptions(filter="last-letter"))
    again = preview_import(workspace, file, version="m", dataset="d", options=LogOptions(filter="last-letter"))
    assert (again.makes_dataset, again.runs[0].known) == (False, True)
    assert again.runs[0].right == done.runs[0].run.summary["right"]


def test_a_preview_without_a_choice_shows_what_there_is_to_choose(workspace: Workspace) -> None:
    found = preview_import(workspace, lm_eval_file("old", "sums"))
    assert found.facts.filters == ("first-letter", "last-letter")
    assert (found.runs, found.first) == ((), ())
    assert found.problems == ("the log has 2 filters: 'first-letter', 'last-letter'. Choose one (--filter NAME).",)


def test_a_preview_lists_all_problems_with_their_lines(workspace: Workspace, tmp_path: Path) -> None:
    lines = [text_line(n, str(n), "maybe") for n in range(50)]
    found = preview_import(workspace, write_lines(tmp_path / "s.jsonl", lines))
    assert len(found.problems) == 50
    assert found.problems[49].startswith("s.jsonl:50: exact_match: the value 'maybe'")
    (tmp_path / "s.jsonl").write_text('{"doc_id": 0, "filtered_resps": 1}\n{\n[]\n{"a": 1, "a": 2}\n')
    found = preview_import(workspace, tmp_path / "s.jsonl")
    assert [problem.rpartition("s.jsonl:")[2].partition(":")[0] for problem in found.problems] == ["2", "3", "4"]
    assert found.facts is None


def test_the_commands_preview_and_import(workspace: Workspace) -> None:
    file = str(lm_eval_file("old", "sums"))

    def run(*arguments: str):
        return CliRunner().invoke(app, ["runs", *arguments])

    shown = run("preview", file)
    assert isinstance(shown.exception, ConfigError)
    assert "filters: first-letter, last-letter" in shown.output
    for command in (("preview", file), ("import", "m", file, "-d", "d", "--preview")):
        shown = run(*command, "--filter", "last-letter")
        assert shown.exit_code == 0, shown.output
        assert "% right (" in shown.output
        assert "nothing was written" in shown.output
    assert list_runs(workspace) == []
    done = run("import", "m", file, "--dataset", "d", "--filter", "last-letter")
    assert "made the dataset d (instruction) from the file: test 16 rows" in done.output
    again = run("import", "m", file, "--dataset", "d", "--filter", "last-letter")
    assert f"imported before: same run {list_runs(workspace)[0].id[:8]}" in again.output


# Matrices


def test_a_matrix_becomes_one_run_a_column(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("id,gold,model a,b\nx,7,1,0\ny,8,0,\nz,9,1,1\n")
    (tmp_path / "a.csv").write_text("id,model a,b\nx,7,6\ny,1,\nz,9.0,9\n")
    done = import_log(
        workspace, tmp_path / "m.csv", version="-", dataset="d", task="math", answers_file=tmp_path / "a.csv"
    )
    assert (done.format, [run.version for run in done.runs]) == ("wide", ["model-a", "b"])
    frame = predictions_of(workspace, done.runs[0].run)
    assert list(frame["prediction"]) == ["7", "1", "9"]
    assert list(frame["correct"]) == [True, False, True]
    assert len(predictions_of(workspace, done.runs[1].run)) == 2
    assert any("empty cells are left out: 'b' 1" in note for note in done.notes)
    assert any("no inputs" in note for note in done.notes)


def test_a_matrix_must_fit_the_dataset(workspace: Workspace, tmp_path: Path) -> None:
    rows = [(i, {"id": i, "question": "q", "answer": a}) for i, a in (("x", "7"), ("y", "8"))]
    add_dataset_rows(workspace, "d", "math", {"test": rows})
    before = everything(workspace)
    (tmp_path / "m.csv").write_text("id,gold,a,b\nx,7,1,0\ny,9,0,0\n")
    with pytest.raises(DataError, match=r"m\.csv:3: the right answer of 'y' is '9' here, but '8' in the dataset"):
        import_log(workspace, tmp_path / "m.csv", version="-", dataset="d")
    (tmp_path / "m.csv").write_text("id,a,b\nx,1,0\nz,0,0\n")
    with pytest.raises(DataError, match=r"m\.csv:3: the id 'z' is not in the dataset"):
        import_log(workspace, tmp_path / "m.csv", version="-", dataset="d")
    (tmp_path / "m.csv").write_text("id,a b,a-b\nx,1,0\n")
    with pytest.raises(ConfigError, match="two models would have the same name: a-b"):
        import_log(workspace, tmp_path / "m.csv", version="-", dataset="d")
    assert everything(workspace) == before


@pytest.mark.real
def test_the_matrix_joins_the_dataset_of_the_questions_and_the_llama_update(
    workspace: Workspace, real_data: Path
) -> None:
    folder = real_data / "gsm8k_llama3_8b_to_3.1_8b"
    add_dataset(workspace, "gsm8k", "math", {"test": folder / "questions.jsonl"})
    for side in ("old", "new"):
        columns = ImportColumns(prediction=f"{side}_answer", correct=f"{side}_correct")
        done = import_log(workspace, folder / "scores.csv", version=f"llama-{side}", dataset="gsm8k", columns=columns)
        accuracy = {"old": 78.47, "new": 84.00}[side]
        assert round(100 * done.runs[0].run.summary["accuracy"], 2) == accuracy
    matrix = real_data / "gsm8k_zeroeval_matrix"
    import_log(workspace, matrix / "correct.csv", version="-", dataset="gsm8k", answers_file=matrix / "answers.csv")
    for new in ("llama-new", "Meta-Llama-3.1-8B-Instruct"):
        found = compare_versions(workspace, "llama-old", new, "gsm8k")
        assert (found.n, found.counts.q4, found.counts.q2) == (1319, 87, 160)


@pytest.mark.real
def test_the_matrix_of_43_models_is_imported_at_once(workspace: Workspace, real_data: Path) -> None:
    folder = real_data / "gsm8k_zeroeval_matrix"
    arguments = {"version": "-", "dataset": "gsm8k", "task": "math", "answers_file": folder / "answers.csv"}
    done = import_log(workspace, folder / "correct.csv", **arguments)
    assert len(done.runs) == 43
    import csv

    with (folder / "models.csv").open(encoding="utf-8") as stream:
        published = {row["model"]: float(row["accuracy_here"]) for row in csv.DictReader(stream)}
    for (name, run, _), model in zip(done.runs, published, strict=True):
        assert round(100 * run.summary["accuracy"], 2) == published[model], name
    counts = compare_versions(workspace, "Meta-Llama-3-8B-Instruct", "Meta-Llama-3.1-8B-Instruct", "gsm8k").counts
    assert (counts.q4, counts.q2) == (87, 160)
    again = import_log(workspace, folder / "correct.csv", **arguments)
    assert not any(run.is_new for run in again.runs)
