"""The Library page: import with a preview, adding datasets and model versions, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers import choice_rows
from logs import lm_eval_file, text_line
from streamlit.testing.v1 import AppTest

from muscle_core.actions.updates.compare import compare_versions
from muscle_core.store import Workspace, get_dataset, get_version, list_datasets, list_runs, list_versions
from muscle_core.ui.library.upload import safe_name

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _fresh_caches() -> None:
    import streamlit as st

    st.cache_resource.clear()


def library(tab: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run().switch_page("pages/library.py").run()
    app.segmented_control(key="tab").set_value(tab).run()
    assert not app.exception, app.exception
    return app


def said(app: AppTest) -> str:
    elements = (*app.markdown, *app.success, *app.info, *app.warning, *app.error, *app.caption)
    return "\n".join(str(element.value) for element in elements).replace("\\", "")


def upload(app: AppTest, name: str, content: str | bytes, place: int = 0) -> AppTest:
    data = content.encode() if isinstance(content, str) else content
    app.file_uploader[place].set_value((name, data, "application/octet-stream")).run()
    assert not app.exception, app.exception
    return app


def click(app: AppTest, label: str) -> AppTest:
    [button] = [button for button in app.button if button.label == label]
    assert not button.disabled
    app = button.click().run()
    assert not app.exception, app.exception
    return app


def answers(right: int, of: int = 40) -> str:
    rows = [
        {
            "id": f"q{n}",
            "question": f"What is {n} plus 1?",
            "gold": str(n + 1),
            "answer_text": str(n + 1 + (n >= right)),
        }
        for n in range(of)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def by_label(app: AppTest, label: str):
    [box] = [box for box in (*app.selectbox, *app.text_input) if box.label == label]
    return box


def test_two_tables_become_a_comparison(workspace: Workspace) -> None:
    app = upload(library("import"), "before.jsonl", answers(30))
    assert "This is a table with one row a sample: 40 rows" in said(app).replace("**", "")
    # The column of the answers has a name that says nothing: so far the file is refused, and nothing can be pressed.
    assert "Say which of them holds the answer" in said(app)
    assert next(b for b in app.button if b.label == "Import").disabled
    assert by_label(app, "Question").value == "question"
    by_label(app, "Answer").set_value("answer_text").run()
    by_label(app, "Task kind").set_value("math").run()
    by_label(app, "Name of the dataset").set_value("sums").run()
    assert not app.error
    runs, first = (frame.value for frame in app.dataframe[-2:])
    assert list(runs["right"]) == ["30 of 40 (75.0 %)"]
    assert list(runs["state"]) == ["new"]
    assert list(first["sample_id"]) == ["q0", "q1", "q2", "q3", "q4"]
    assert list_versions(workspace) == []  # a preview writes nothing
    app = click(app, "Import")
    assert "Imported before on sums (test), 40 samples: 75.0 % right (30 of 40)" in said(app)
    assert "Import what a second version answered on sums" in said(app)
    assert get_dataset(workspace, "sums").made_by["file"] == "before.jsonl"

    app = upload(app, "after.jsonl", answers(20))
    by_label(app, "Answer").set_value("answer_text").run()
    assert by_label(app, "Dataset").value == "sums"  # the last one is suggested, and the version before
    assert by_label(app, "It follows").value == "before"
    app = click(app, "Import")
    assert get_version(workspace, "after").parent_id == get_version(workspace, "before").id
    app = click(app, "Compare before with after")
    assert app.title[0].value == "Update report"
    values = {metric.label: metric.value for metric in app.metric}
    nfr = compare_versions(workspace, "before", "after", "sums").nfr
    assert (nfr.numerator, nfr.denominator) == (10, 40)
    assert values["Negative flip rate (NFR)"] == "25.0 %"
    # The sidebar suggests the two as old and new, by what follows what.
    assert app.selectbox(key="old").value == "before"
    assert app.selectbox(key="new").value == "after"


def test_the_same_file_again_is_known(workspace: Workspace) -> None:
    for state in ("new", "is here already"):
        app = upload(library("import"), "before.jsonl", answers(30).replace("answer_text", "prediction"))
        if state != "new":
            by_label(app, "Dataset").set_value("before").run()
        assert list(app.dataframe[-2].value["state"]) == [state]
        app = click(app, "Import")
    assert "Was here already" in said(app)
    assert len(list_runs(workspace)) == 1


def test_problems_are_told_with_file_and_line_and_nothing_is_written(workspace: Workspace) -> None:
    bad = answers(3, of=4).replace("answer_text", "prediction") + '{"id": "q1", "question": "x", "gold": "1"}\n'
    app = upload(library("import"), "broken rows.jsonl", bad)
    assert "broken-rows.jsonl:5: the id 'q1' was already used at broken-rows.jsonl:2" in said(app)
    assert "muscle-upload" not in said(app)
    assert next(b for b in app.button if b.label == "Import").disabled
    assert (list_versions(workspace), list_datasets(workspace)) == ([], [])


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02\xff\xfe", b'{"doc_id": 1', b"PAR1 and then nothing"])
def test_a_file_that_is_nothing_is_refused_without_a_traceback(workspace: Workspace, content: bytes) -> None:
    app = upload(library("import"), "what.jsonl", content)
    assert app.error
    assert "It cannot be imported so" in said(app)
    assert list_versions(workspace) == []


def test_a_matrix_of_models_takes_their_names_from_the_file(workspace: Workspace) -> None:
    rows = "".join(f"q{n},{int(n < 12)},{int(n < 8)},{int(n < 16)}\n" for n in range(20))
    app = upload(library("import"), "matrix.csv", "id,model-a,model-b,model-c\n" + rows)
    assert "a table with one column a model: 20 rows, models model-a, model-b, model-c" in said(app).replace("**", "")
    assert list(app.dataframe[-2].value["version"]) == ["model-a", "model-b", "model-c"]
    assert "there are no answers" in said(app).lower()
    app = click(app, "Import")
    assert [version.name for version in list_versions(workspace)] == ["model-a", "model-b", "model-c"]
    assert "Compare model-a with model-b" in [button.label for button in app.button]


def test_a_samples_file_of_lm_eval_asks_for_its_filter(workspace: Workspace) -> None:
    lines = [
        json.dumps(text_line(n, str(n if n < 4 else 0), float(n < 4), filter=name))
        for n in range(6)
        for name in ("strict-match", "flexible-extract")
    ]
    app = upload(library("import"), "samples_gsm8k_2026.jsonl", "\n".join(lines) + "\n")
    assert "a samples file of lm-eval" in said(app)
    assert "Choose one" in said(app)
    by_label(app, "Filter").set_value("strict-match").run()
    assert not app.error, said(app)
    assert list(app.dataframe[-2].value["right"]) == ["4 of 6 (66.7 %)"]


def test_a_real_log_of_lm_eval_is_read_as_it_is(workspace: Workspace) -> None:
    for side in ("old", "new"):
        file = lm_eval_file(side, "animals")
        app = upload(library("import"), file.name, file.read_bytes())
        if side == "new":
            by_label(app, "Dataset").set_value("animals").run()
        else:
            by_label(app, "Name of the dataset").set_value("animals").run()
        by_label(app, "Name of the version").set_value(side).run()
        assert not app.error, said(app)
        app = click(app, "Import")
    assert "Compare old with new" in [button.label for button in app.button]
    assert get_dataset(workspace, "animals").task_kind == "multiple_choice"


def test_a_version_cannot_follow_itself(workspace: Workspace) -> None:
    app = upload(library("import"), "a.jsonl", answers(30).replace("answer_text", "prediction"))
    app = click(app, "Import")
    app = upload(app, "a.jsonl", answers(20).replace("answer_text", "prediction"))
    assert by_label(app, "It follows").options == ["no other version"]


def test_a_dataset_is_added_from_uploaded_files(workspace: Workspace) -> None:
    app = library("datasets")
    rows = {"train": choice_rows(8, 100), "test": choice_rows(12)}
    files = [
        (f"{split}.jsonl", "".join(json.dumps(row) + "\n" for row in group).encode(), "application/json")
        for split, group in rows.items()
    ]
    app.file_uploader[0].set_value(files).run()
    assert not app.exception, app.exception
    assert by_label(app, "Task kind").value == "multiple_choice"  # told by the rows
    assert "train 8, test 12 samples" in said(app)
    by_label(app, "Name of the dataset").set_value("quiz").run()
    app = click(app, "Add the dataset")
    assert "Added the dataset quiz with 20 samples" in said(app)
    dataset = get_dataset(workspace, "quiz")
    assert dataset.splits == {"train": 8, "test": 12}
    assert dataset.made_by["files"] == {"train": "train.jsonl", "test": "test.jsonl"}


def test_a_bad_row_refuses_the_dataset_with_its_line(workspace: Workspace) -> None:
    rows = choice_rows(3)
    del rows[1]["answer"]
    app = library("datasets")
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    app.file_uploader[0].set_value([("test.jsonl", content, "application/json")]).run()
    by_label(app, "Task kind").set_value("multiple_choice").run()
    assert "test.jsonl:2" in said(app)
    assert next(b for b in app.button if b.label == "Add the dataset").disabled
    assert list_datasets(workspace) == []


def test_a_model_version_is_added_by_its_path(workspace: Workspace, tiny_bases: dict[str, Path]) -> None:
    app = library("versions")
    app = click(app, "Add the version")
    assert "Give it a name and a base first" in said(app)
    by_label(app, "Name of the version").set_value("mine")
    by_label(app, "Base").set_value(str(tiny_bases["old"]))
    app = click(app, "Add the version")
    assert "Added the model version mine" in said(app)
    assert get_version(workspace, "mine").base == str(tiny_bases["old"])


def test_a_folder_that_is_no_model_is_refused_in_words(workspace: Workspace, tmp_path: Path) -> None:
    app = library("versions")
    by_label(app, "Name of the version").set_value("mine")
    by_label(app, "Base").set_value(str(tmp_path / "nowhere"))
    app = click(app, "Add the version")
    assert "nowhere" in said(app)
    assert app.error
    assert list_versions(workspace) == []


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\logs\\a b.jsonl", "a-b.jsonl"),
        (".hidden", "hidden"),
        ("", "upload"),
        ("ä" * 300 + ".csv", "csv"),
        ("a" * 300 + ".csv", "a" * 116 + ".csv"),
    ],
)
def test_names_of_uploads_never_lead_out_of_their_folder(name: str, kept: str) -> None:
    assert safe_name(name) == kept
