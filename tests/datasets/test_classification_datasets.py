"""Where the labels of a classification dataset come from, and datasets of free texts without right answers."""

import json

import pytest
from typer.testing import CliRunner

from muscle_core.actions.library.datasets import add_dataset, add_dataset_rows, load_samples
from muscle_core.cli import app
from muscle_core.datasets import build_samples, dataset_fingerprint, read_rows, read_samples, write_samples
from muscle_core.errors import ConfigError, DataError
from muscle_core.store import get_dataset, list_datasets
from muscle_core.tasks import task_of

CLASSES, FREE = task_of("classification"), task_of("instruction")
NUMBERED = [{"text": f"t{n}", "label": n % 2} for n in range(4)]
NAMED = [{"text": f"t{n}", "label": ("neutral", "bad", "good")[n % 3]} for n in range(6)]


def placed(rows):
    return [(f"f.jsonl:{n}", row) for n, row in enumerate(rows, start=1)]


def test_without_a_list_the_labels_are_the_distinct_ones_of_all_splits_sorted():
    samples = build_samples(CLASSES, {"train": placed(NAMED[:2]), "test": placed(NAMED[2:])})
    assert {s.choices for s in samples} == {("bad", "good", "neutral")}
    assert [s.gold for s in samples] == ["2", "0", "1", "2", "0", "1"]


def test_given_labels_name_numbers_in_their_order():
    samples = build_samples(CLASSES, {"test": placed(NUMBERED)}, labels=("negative", "positive"))
    assert [(s.gold, s.target) for s in samples] == [("0", "negative"), ("1", "positive")] * 2


def test_numbers_without_names_are_refused_row_by_row():
    with pytest.raises(DataError, match=r"(?s)4 problems.*f\.jsonl:1: the label 0 is a number"):
        build_samples(CLASSES, {"test": placed(NUMBERED)}, name="d")


def test_one_label_alone_is_refused():
    with pytest.raises(DataError, match="at least 2 labels, got 'bad'"):
        build_samples(CLASSES, {"test": placed(NAMED[1:2])}, name="d")


def test_labels_of_rows_of_every_file_type_are_read(tmp_path):
    row = {"text": "t", "label": "1", "labels": ["no", "yes"]}
    (tmp_path / "d.jsonl").write_text(json.dumps(row))
    (tmp_path / "d.csv").write_text('text,label,labels\nt,1,"[""no"", ""yes""]"\n')
    for name in ("d.jsonl", "d.csv"):
        [sample] = build_samples(CLASSES, {"test": read_rows(tmp_path / name)})
        assert (sample.gold, sample.choices, sample.metadata) == ("1", ("no", "yes"), {})


def test_the_order_of_labels_enters_the_fingerprint():
    one, other = (
        dataset_fingerprint("classification", build_samples(CLASSES, {"test": placed(NUMBERED)}, labels=labels))
        for labels in (("a", "b"), ("b", "a"))
    )
    assert one != other


@pytest.mark.parametrize(
    ("kind", "labels", "words"),
    [
        ("math", ["a", "b"], "labels are of classification only, not of math"),
        ("classification", ["a"], "at least 2 labels"),
        ("classification", [], "at least 2 labels"),
        ("classification", ["a", "a"], "named twice"),
    ],
)
def test_unusable_labels_are_refused_before_rows_are_read(workspace, kind, labels, words):
    with pytest.raises(ConfigError, match=words):
        add_dataset_rows(workspace, "d", kind, {"test": placed([{}])}, labels=labels)
    assert list_datasets(workspace) == []


def test_labels_are_named_on_the_command_line(workspace, tmp_path):
    file = tmp_path / "d.csv"
    file.write_text("sentence,label\nbad one,0\ngood one,1\n")
    command = ["datasets", "add", "d", f"test={file}", "--task", "classification", "--labels", "negative, positive"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    samples = load_samples(workspace, get_dataset(workspace, "d"), "test")
    assert [(s.target, s.choices) for s in samples] == [
        ("negative", ("negative", "positive")),
        ("positive", ("negative", "positive")),
    ]


def test_a_file_of_labels_as_texts_is_added_without_further_options(workspace, tmp_path):
    file = tmp_path / "d.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in NAMED))
    dataset = add_dataset(workspace, "d", "classification", {"test": file})
    assert dataset.template == "Text: {input}\nLabel:"
    assert load_samples(workspace, dataset, "test", 1)[0].choices == ("bad", "good", "neutral")


def test_free_texts_without_reference_are_samples_like_others(tmp_path):
    rows = [{"instruction": "Sing."}, {"instruction": "Sing."}, {"instruction": "Sing.", "output": "La."}]
    samples = build_samples(FREE, {"test": placed(rows)})
    assert [s.gold for s in samples] == ["", "", "La."]
    assert len({s.id for s in samples}) == 3
    write_samples(samples, tmp_path / "s.parquet")
    assert read_samples(tmp_path / "s.parquet") == samples
