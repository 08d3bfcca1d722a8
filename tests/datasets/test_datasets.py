import dataclasses
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.datasets import build_samples, dataset_fingerprint, read_rows, read_samples, write_samples
from muscle_core.errors import DataError
from muscle_core.tasks import task_of

MATH, CHOICE = task_of("math"), task_of("multiple_choice")
ROWS = [{"question": f"q{i}", "answer": str(i), "topic": "t"} for i in range(4)]


def placed(rows):
    return [(f"f.jsonl:{n}", row) for n, row in enumerate(rows, start=1)]


def samples_of(rows, task=MATH, split="test"):
    return build_samples(task, {split: placed(rows)}, name="d")


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- reading files ---


def test_every_file_type_gives_the_same_rows(tmp_path):
    rows = [{"question": "a, “b”", "answer": "1"}, {"question": "two\nlines", "answer": "2"}]
    write(tmp_path, "d.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n\n")
    write(tmp_path, "d.json", json.dumps(rows))
    write(tmp_path, "d.csv", 'question,answer\n"a, “b”",1\n"two\nlines",2\n')
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d.parquet")
    for suffix in ("jsonl", "json", "csv", "parquet"):
        assert [row for _, row in read_rows(tmp_path / f"d.{suffix}")] == rows, suffix


@pytest.mark.parametrize("name", ["d.jsonl", "d.JSON", "d.csv"])
def test_a_byte_order_mark_is_not_part_of_the_first_field_name(tmp_path, name):
    text = {"d.jsonl": '{"a": "1"}', "d.JSON": '[{"a": "1"}]', "d.csv": "a\n1\n"}[name]
    assert [row for _, row in read_rows(write(tmp_path, name, b"\xef\xbb\xbf" + text.encode()))] == [{"a": "1"}]


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv"])
def test_text_that_is_not_utf8_is_refused_with_its_place(tmp_path, suffix):
    path = write(tmp_path, f"d.{suffix}", "question\nnaïve".encode("latin-1"))
    with pytest.raises(DataError, match=r"d\.\w+ is not UTF-8 text \(byte 11"):
        read_rows(path)


@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "parquet"])
def test_an_empty_file_is_refused(tmp_path, suffix):
    with pytest.raises(DataError, match="empty"):
        read_rows(write(tmp_path, f"d.{suffix}", ""))


@pytest.mark.parametrize(
    ("name", "text"), [("d.jsonl", "\n \n"), ("d.json", "[]"), ("d.csv", "a,b\n"), ("e.csv", "\n")]
)
def test_a_file_without_rows_is_refused(tmp_path, name, text):
    with pytest.raises(DataError, match="holds no rows"):
        read_rows(write(tmp_path, name, text))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "no.jsonl", tmp_path):
        with pytest.raises(DataError, match="no such file"):
            read_rows(path)


def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(DataError, match=r"'\.txt'; use one of \.jsonl, \.json, \.csv, \.parquet"):
        read_rows(write(tmp_path, "d.txt", "x"))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("d.jsonl", '{"a": 1}\n\n{"a": \n', r"d\.jsonl:3: not a JSON object"),
        ("d.jsonl", '{"a": 1}\n[1]\n', r"d\.jsonl:2: a row must be a JSON object, got list"),
        ("d.json", '[{"a": 1},\n oops]', r"d\.json:2: not JSON"),
        ("d.json", '{"a": 1}', "must hold a JSON list of objects, got dict"),
        ("d.json", '[{"a": 1}, 5]', r"d\.json:item 2: a row must be a JSON object, got int"),
        ("d.csv", "a,b\n1,2\n\n1,2,3\n", r"d\.csv:4: the row has 3 cells, but the header has 2"),
        ("d.csv", 'a,b\n"x\ny",2\n1\n', r"d\.csv:4: the row has 1 cells"),
        ("d.csv", "a,b,a\n1,2,3\n", "header names 'a' more than once"),
        ("d.csv", 'a,b\n1,"2\n', "cannot be read as CSV"),
        ("d.csv", "q,choices\nx,[a b]\n", r"d\.csv:2: choices is not a JSON list or object"),
        ("d.csv", "q,labels\nx,{a\n", r"d\.csv:2: labels is not a JSON list or object"),
        ("d.parquet", "not parquet", "cannot be read as Parquet"),
        ("d.jsonl", f'{{"a": {"9" * 5000}}}', r"d\.jsonl:1: not a JSON object \(it holds a number of too many digits"),
        ("d.json", f'[{{"a": {"9" * 5000}}}]', "too many digits"),
        ("d.jsonl", '{"a": ' + "[" * 100_000, r"d\.jsonl:1: .*nested too deeply"),
        ("d.json", "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_broken_file_is_refused_with_the_line(tmp_path, name, text, words):
    with pytest.raises(DataError, match=words):
        read_rows(write(tmp_path, name, text))


def test_a_csv_whose_rows_are_all_longer_than_the_header_is_not_shifted_silently(tmp_path):
    with pytest.raises(DataError, match="cells"):
        read_rows(write(tmp_path, "d.csv", "question,answer\nq,1,x\nr,2,y\n"))


def test_csv_cells_stay_text_and_list_cells_are_read_as_json(tmp_path):
    path = write(tmp_path, "d.csv", 'question,choices,answer,n\nq,"[""x"", ""y""]",1,NA\n')
    [(place, row)] = read_rows(path)
    assert row == {"question": "q", "choices": ["x", "y"], "answer": "1", "n": "NA"}
    assert place == "d.csv:2"
    assert CHOICE.parse_row(row).gold == "1"


def test_a_csv_cell_may_be_longer_than_the_csv_modules_default_limit(tmp_path):
    [(_, row)] = read_rows(write(tmp_path, "d.csv", f"a\n{'x' * 200_000}\n"))
    assert len(row["a"]) == 200_000


def test_places_count_lines_also_after_a_cell_with_line_breaks(tmp_path):
    csv_path = write(tmp_path, "d.csv", 'a,b\n"x\ny",1\nz,2\n')
    assert [place for place, _ in read_rows(csv_path)] == ["d.csv:2", "d.csv:4"]
    jsonl = write(tmp_path, "d.jsonl", '{"a": 1}\n\n{"a": 2}\r\n')
    assert [place for place, _ in read_rows(jsonl)] == ["d.jsonl:1", "d.jsonl:3"]


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\x0b"])
def test_unicode_line_separators_inside_a_json_string_do_not_cut_the_line(tmp_path, sign):
    rows = [{"a": f"one{sign}two"}, {"a": "x"}]
    lines = [json.dumps(row, ensure_ascii=sign == "\x0b") for row in rows]
    assert [row for _, row in read_rows(write(tmp_path, "d.jsonl", "\n".join(lines)))] == rows


def test_a_list_column_of_parquet_is_read_as_choices(tmp_path):
    pq.write_table(pa.Table.from_pylist([{"question": "q", "choices": ["x", "y"], "label": 1}]), tmp_path / "d.parquet")
    assert build_samples(CHOICE, {"test": read_rows(tmp_path / "d.parquet")})[0].choices == ("x", "y")


# --- building samples ---


def test_a_row_without_gold_names_file_and_line(tmp_path):
    path = write(tmp_path, "d.jsonl", '{"question": "q", "answer": "1"}\n{"question": "r"}\n')
    with pytest.raises(DataError, match=r"d\.jsonl:2: no gold answer"):
        build_samples(MATH, {"test": read_rows(path)}, name="d")


def test_all_problems_are_reported_at_once():
    rows = [{"question": "q"}, {"answer": "1"}, *ROWS, {"question": "q", "answer": "many"}]
    with pytest.raises(DataError) as caught:
        samples_of(rows)
    message = str(caught.value)
    assert "3 problems" in message
    for words in ("f.jsonl:1: no gold", "f.jsonl:2: no question", "f.jsonl:7: no number"):
        assert words in message


def test_more_problems_than_shown_are_counted():
    with pytest.raises(DataError, match=r"25 problems(.|\n)*and 5 more"):
        samples_of([{"question": "q"}] * 25)


def test_a_doubled_id_is_refused_with_both_places():
    rows = [{**ROWS[0], "id": "a"}, {**ROWS[1], "id": "b"}, {**ROWS[2], "id": "a"}]
    with pytest.raises(DataError, match=r"f\.jsonl:3: the id 'a' was already used at f\.jsonl:1"):
        samples_of(rows)


def test_the_same_id_in_two_splits_is_fine():
    rows = placed([{**ROWS[0], "id": "a"}])
    assert [(s.split, s.id) for s in build_samples(MATH, {"train": rows, "test": rows})] == [
        ("train", "a"),
        ("test", "a"),
    ]


def test_zero_is_an_id():
    assert samples_of([{**ROWS[0], "id": 0}])[0].id == "0"


@given(st.permutations(ROWS))
def test_ids_without_an_id_field_do_not_depend_on_row_order(rows):
    assert {s.input: s.id for s in samples_of(rows)} == {s.input: s.id for s in samples_of(ROWS)}


def test_every_part_of_the_content_enters_the_id_but_metadata_does_not():
    base = {"question": "q", "choices": ["x", "y"], "answer": 0}
    changed = [{**base, "question": "p"}, {**base, "choices": ["x", "z"]}, {**base, "answer": 1}]
    ids = {samples_of([row], CHOICE)[0].id for row in [base, *changed]}
    assert len(ids) == 4
    assert samples_of([{**base, "topic": "new"}], CHOICE)[0].id in ids


def test_identical_rows_without_id_are_all_kept_under_different_ids():
    ids = [s.id for s in samples_of([ROWS[0]] * 3)]
    assert ids == [ids[0], f"{ids[0]}-2", f"{ids[0]}-3"]


def test_no_row_at_all_is_refused():
    with pytest.raises(DataError, match="has no rows"):
        build_samples(MATH, {"test": []}, name="d")


@pytest.mark.parametrize("field", ["question", "id", "topic"])
def test_half_characters_are_refused_with_the_line(tmp_path, field):
    row = {"question": "q", "answer": "1", field: "\ud800"}
    path = write(tmp_path, "d.jsonl", json.dumps(row))
    with pytest.raises(DataError, match=r"d\.jsonl:1: .*surrogates not allowed"):
        build_samples(MATH, {"test": read_rows(path)}, name="d")


# --- fingerprint and storage ---


@given(st.permutations(ROWS))
def test_the_fingerprint_does_not_depend_on_row_order(rows):
    assert dataset_fingerprint("math", samples_of(rows)) == dataset_fingerprint("math", samples_of(ROWS))


def test_the_fingerprint_ignores_metadata_and_changes_with_every_content_field():
    samples = samples_of([{"question": "q", "choices": ["x", "y"], "answer": 0}], CHOICE)
    first = dataset_fingerprint("multiple_choice", samples)

    def changed(**values):
        return dataset_fingerprint("multiple_choice", [dataclasses.replace(samples[0], **values)])

    assert changed(metadata={"a": 1}) == first
    others = [
        changed(input="p"),
        changed(gold="1"),
        changed(target="y"),
        changed(choices=("x", "z")),
        changed(split="train"),
        changed(id="other"),
        dataset_fingerprint("math", samples),
        dataset_fingerprint("multiple_choice", samples * 2),
    ]
    assert len({first, *others}) == len(others) + 1


def test_samples_survive_parquet_whole_and_by_split(tmp_path):
    odd = {
        "question": "a\u2028“b”\n\t{x}",
        "choices": ["x ", "ü🙂"],
        "answer": "B",
        "nested": {"k": [1, None]},
        "f": 0.1,
    }
    samples = build_samples(CHOICE, {"train": placed([odd]), "test": placed([{**odd, "question": "r"}])})
    samples += samples_of(ROWS, split="extra")
    path = tmp_path / "deep" / "samples.parquet"
    write_samples(samples, path)
    assert read_samples(path) == samples
    assert read_samples(path, "test") == [s for s in samples if s.split == "test"]
    assert read_samples(path, "none") == []
    assert [p.name for p in path.parent.iterdir()] == ["samples.parquet"]


@pytest.mark.parametrize("name", ["x" * 300 + ".jsonl", "~nobody-of-that-name/x.jsonl", "a\0b.jsonl"])
def test_a_path_that_the_system_refuses_is_refused_with_a_message(name):
    with pytest.raises(DataError, match="cannot be used"):
        read_rows(name)


def test_damaged_stored_samples_are_refused(tmp_path):
    path = tmp_path / "samples.parquet"
    with pytest.raises(DataError, match="missing or damaged"):
        read_samples(path)
    write_samples(samples_of(ROWS), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="Add the dataset again"):
        read_samples(path, "test")
    pq.write_table(pa.Table.from_pylist([{"split": "test"}]), path)
    with pytest.raises(DataError, match="Add the dataset again"):
        read_samples(path)
