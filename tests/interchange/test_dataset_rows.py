"""Samples written as rows are read back as the same samples, whatever the task kind and the texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.datasets import build_samples, dataset_fingerprint, read_rows
from muscle_core.errors import DataError
from muscle_core.interchange.dataset_rows import dataset_rows
from muscle_core.tasks import TASK_KINDS, task_of

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
names = st.lists(words, min_size=2, max_size=4, unique_by=str.strip)
# Also field names that tasks read themselves.
metadata = st.dictionaries(st.sampled_from(["topic", "ctx_a", "query", "sol1", "gold", "premise"]), words, max_size=2)


@st.composite
def rows(draw: st.DrawFn, kind: str) -> dict:
    text = draw(words)
    if kind == "multiple_choice":
        choices = draw(names)
        row = {"question": text, "choices": choices, "answer": draw(st.integers(0, len(choices) - 1))}
    elif kind == "classification":
        row = {"text": text, "labels": ["1", "0", "sci fi"], "label": draw(st.sampled_from(["1", "0", "sci fi"]))}
    elif kind == "math":
        solution = draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
        row = {"question": text, "answer": f"{solution} #### {draw(st.integers(-99, 10**6)):,}"}
    elif kind == "summarization":
        row = {"dialogue": text, "summary": draw(words)}
    else:
        row = {"instruction": text, "input": draw(st.just("") | words), "output": draw(st.just("") | words)}
    return {**{key: value for key, value in draw(metadata).items() if key not in row}, **row}


@pytest.mark.parametrize("kind", TASK_KINDS)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_every_task_kind_reads_its_rows_back(kind: str, data: st.DataObject, tmp_path_factory) -> None:
    source = data.draw(st.lists(rows(kind), min_size=1, max_size=4))
    task = task_of(kind)
    try:
        samples = build_samples(task, {"train": [(f"r{n}", {"id": f"i{n}", **row}) for n, row in enumerate(source)]})
    except DataError:
        return  # what cannot be added cannot be exported
    file: Path = tmp_path_factory.getbasetemp() / f"{kind}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in dataset_rows(kind, samples)))
    read = build_samples(task, {"train": read_rows(file)})
    assert dataset_fingerprint(kind, read) == dataset_fingerprint(kind, samples)
    for sample, again in zip(samples, read, strict=True):
        assert again.metadata.get("topic") == sample.metadata.get("topic")
