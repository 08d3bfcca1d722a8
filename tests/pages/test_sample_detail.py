"""One sample in detail by AppTest: every task kind, what is missing, texts that try to be HTML, and its token strip."""

from __future__ import annotations

import html
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from helpers import save_random_adapter
from hypothesis import given
from hypothesis import strategies as st
from reports import add_answers, add_update, parsed
from streamlit.testing.v1 import AppTest

from muscle_core.actions.evaluation.evaluate import evaluate
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.actions.library.models import add_model_version
from muscle_core.actions.reviews.findings import save_review
from muscle_core.actions.strategies.token_view import keep_token_views
from muscle_core.compat.config import CompatConfig
from muscle_core.interchange import ImportColumns
from muscle_core.jobs import list_jobs, request_cancel
from muscle_core.store import TrainingRun, Workspace, get_dataset, get_version
from muscle_core.tasks.summarization import Summarization
from muscle_core.ui.samples.detail_text import MOST_WORDS, box, is_long, marked_text, word_difference
from muscle_core.ui.token_strip import visible

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = "<script>alert(1)</script><b>x</b> & [a](b) $y$"


@pytest.fixture(autouse=True)
def _fresh_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit

    streamlit.cache_resource.clear()
    streamlit.cache_data.clear()
    for place in ("muscle_core.actions.background.submit.ensure_worker", "muscle_core.ui.worker.ensure_worker"):
        monkeypatch.setattr(place, lambda workspace: None)


def opened(dataset: str, sample: str, page: str = "samples", **parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    app = app.switch_page(f"pages/{page}.py")
    key = "sample" if page == "samples" else "review_sample"
    for name, value in {"dataset": dataset, key: sample, **parameters}.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    assert not app.error
    return app


def blocks(app: AppTest) -> list[str]:
    """HTML that was drawn, without what is only style."""
    found = [element.proto.body for element in app.get("html")]
    return [body for body in found if not body.startswith("<style>")]


def answer_blocks(app: AppTest) -> list[str]:
    """Gold answer and those of the versions, as HTML."""
    return [body for body in blocks(app) if body.startswith('<div class="muscle-text')][1:-1]


def texts(app: AppTest) -> str:
    shown = [str(element.value) for element in [*app.markdown, *app.caption, *app.info, *app.warning]]
    return " ".join(shown).replace("\\", "")


def without_marks(body: str) -> str:
    """Text of a block as it is, without what was left out and what only a screen reader says."""
    body = re.sub(r"<del>.*?</del> ", "", body, flags=re.DOTALL)
    body = re.sub(r'<span class="muscle-hidden">.*?</span>', "", body)
    return html.unescape(re.sub(r"<[^>]*>", "", body))


def add_others(workspace: Workspace, folder: Path) -> None:
    """A classification and an instruction dataset with outputs of two versions."""
    rows = [{"id": f"k{n}", "text": f"text {n}", "label": ("good", "bad")[n % 2]} for n in range(6)]
    add_dataset_rows(workspace, "labels", "classification", {"test": [(row["id"], row) for row in rows]})
    free = [{"id": f"f{n}", "prompt": f"say {n}", "response": f"the number {n}" if n else ""} for n in range(4)]
    add_dataset_rows(workspace, "free", "instruction", {"test": [(row["id"], row) for row in free]})
    for name, shift in (("first", 0), ("second", 1)):
        answers = [
            {"id": row["id"], "answer": ("good", "bad")[(n + (n < 2) * shift) % 2]} for n, row in enumerate(rows)
        ]
        add_answers(workspace, folder, name, "labels", answers, ImportColumns(prediction="answer"))
        said = [{"id": f"f{n}", "answer": f"the number is {n + shift}", "score": n - shift} for n in range(4)]
        add_answers(workspace, folder, name + "-free", "free", said, ImportColumns(output="answer", score="score"))


# --- the marks, without a page ---

TEXT = st.one_of(
    st.text(max_size=30), st.lists(st.sampled_from(["a", "b", "the", "<i>", "&", "日本", "\n"])).map(" ".join)
)


@given(TEXT, TEXT)
def test_a_word_diff_shows_all_of_the_text_and_nothing_else(base: str, text: str) -> None:
    difference = word_difference(base, text)
    assert difference is not None
    shown = marked_text(text, difference=difference)
    assert without_marks(shown) == text
    assert re.sub(r"</?(ins|del|span)( class=\"muscle-hidden\")?>", "", shown).count("<") == 0
    kept = text
    for start, end in reversed(difference.added):
        kept = kept[:start] + kept[end:]
    left = " ".join(kept.split()).split()
    removed = [word for _, words in difference.left_out for word in words.split()]
    joined = lambda words: sorted("".join(words))  # noqa: E731  signs, since some scripts have no spaces
    assert joined([*left, *removed]) == joined(base.split())
    assert word_difference(text, text) == ([], [])


def test_marks_of_several_kinds_are_inside_one_another() -> None:
    shown = marked_text(
        "so 5 cats", difference=word_difference("so 4 cats", "so 5 cats"), number=(3, 4), shared=[(5, 9)]
    )
    assert parsed(shown)[0] == "so [left out: 4 ] [added: [taken as the answer: 5 ] ] cats"
    assert shown.endswith("<mark>cats</mark>")
    assert marked_text("", difference=word_difference("a b", "")).count("<del>") == 1
    assert word_difference("a " * (MOST_WORDS + 1), "a") is None


def test_a_long_text_can_be_scrolled_by_keyboard() -> None:
    assert not is_long("short")
    assert is_long("x" * 800)
    assert is_long("\n" * 20)
    _, tags = parsed(box("…", name='an "answer"', long=True))
    assert tags == [
        (
            "div",
            {
                "class": "muscle-text muscle-long",
                "dir": "auto",
                "tabindex": "0",
                "role": "group",
                "aria-label": 'an "answer"',
            },
        )
    ]


@pytest.mark.parametrize(
    ("token", "shown"), [(" cat", "·cat"), ("\n", "⏎"), ("", "∅"), ("  ", "··"), ("a ", "a·"), ("<eos>", "<eos>")]
)
def test_every_token_can_be_seen(token: str, shown: str) -> None:
    assert visible(token) == shown


# --- the page ---


@pytest.mark.parametrize(
    ("kind", "sample"),
    [("choice", "s4"), ("math", "s4"), ("summary", "s4"), ("labels", "k0"), ("free", "f1"), ("free", "f0")],
)
@pytest.mark.parametrize("page", ["samples", "review"])
def test_every_task_kind_is_shown_on_both_pages(
    kind: str, sample: str, page: str, workspace: Workspace, tmp_path: Path
) -> None:
    if kind in ("choice", "math", "summary"):
        add_update(workspace, tmp_path, kind, rows=8)
    else:
        add_others(workspace, tmp_path)
    app = opened(kind, sample, page)
    names = [element.value.split("  \n")[0] for element in app.markdown]
    assert "**Old version**" in names, texts(app)
    assert "**New version**" in names
    said = texts(app)
    if kind in ("choice", "math"):
        assert "Q4 · negative flip: right before, wrong now" in said
        assert "**✓ right**" in said
        assert "**✗ wrong**" in said
    if page == "samples":
        # Imported outputs: there is nothing to load, and the page says so.
        assert "imported outputs only" in said or "no reference answer" in said
        assert all(button.key != "strip_look" for button in app.button)


def test_the_new_answer_is_marked_against_the_version_that_is_chosen(workspace: Workspace, tmp_path: Path) -> None:
    add_update(workspace, tmp_path, "math", rows=8)
    app = opened("math", "s4")
    gold, old, new = answer_blocks(app)
    assert "<ins>" not in gold + old
    assert 'class="muscle-number"' in old
    # The old answer "… 4 + 2 = 6. #### 6", the new one "… 4 + 2 = 7. #### 7".
    assert parsed(new)[0].count("[left out:") == 2
    assert without_marks(new) == "So 4 + 2 = 7. #### 7"
    app.segmented_control(key="compare_with").set_value("gold").run()
    assert app.query_params["compare_with"] == "gold"
    gold, old, new = answer_blocks(app)
    assert "<del>" in old
    assert "against the gold answer" in blocks(app)[-3] + "".join(blocks(app))
    app.segmented_control(key="compare_with").set_value("old").run()
    assert "compare_with" not in app.query_params


@pytest.mark.parametrize("score", ["rouge1", "rouge2", "rougeL"])
def test_shared_words_are_marked_as_the_score_of_the_run_counts_them(
    score: str, workspace: Workspace, tmp_path: Path
) -> None:
    add_update(workspace, tmp_path, "summary", rows=8)
    app = opened("summary", "s4", mark=score)
    gold, old, new = answer_blocks(app)
    assert "<ins>" not in old + new
    assert without_marks(gold) == "Ann and Bob will meet at 4."
    f1 = Summarization().judge(without_marks(new), "Ann and Bob will meet at 4.").scores[score]
    assert f"F1 {f1:.3f}" in texts(app)
    assert ("<mark>" in new) == (f1 > 0)
    assert "It was computed elsewhere" not in texts(app)


def test_texts_from_data_are_never_interpreted(workspace: Workspace, tmp_path: Path) -> None:
    for kind in ("choice", "math", "summary"):
        add_update(workspace, tmp_path, kind, rows=8, extra=SCRIPT)
        for mark in ("differences", "rouge1"):
            drawn = "".join(blocks(opened(kind, "s4", mark=mark)))
            assert "<script>" not in drawn
            assert "<b>x</b>" not in drawn
            assert "&lt;script&gt;" in drawn


def test_long_and_right_to_left_texts_keep_their_place(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"id": "s0", "question": "مرحبا " * 400, "answer": "#### 7"}, {"id": "s1", "question": "?", "answer": "1"}]
    add_dataset_rows(workspace, "math", "math", {"test": [(row["id"], row) for row in rows]})
    for name, text in (("old", "word " * (MOST_WORDS + 1) + "7"), ("new", "8 " * 100)):
        answers = [{"id": "s0", "answer": text}, {"id": "s1", "answer": ""}]
        add_answers(workspace, tmp_path, name, "math", answers, ImportColumns(output="answer"))
    app = opened("math", "s0")
    question, _, old, new, _ = [body for body in blocks(app) if body.startswith('<div class="muscle-text')]
    for body in (question, old):
        assert 'dir="auto"' in body
        assert 'tabindex="0"' in body
    assert "too long to be marked" in texts(app)
    assert "<ins>" not in new
    app = opened("math", "s1")
    assert "the run holds no answer to this sample" in texts(app)


def test_what_people_said_is_shown_and_a_review_can_be_begun(workspace: Workspace, tmp_path: Path) -> None:
    add_update(workspace, tmp_path, "choice", rows=8)
    names = ("choice-old", "choice-new", "choice")
    assert "Reviews of this sample" not in texts(opened("choice", "s4"))
    save_review(workspace, *names, "s4", "Ada", verdict="acceptable", note="<b>fine</b> *really*")
    app = opened("choice", "s4")
    assert "**Ada**: acceptable · <b>fine</b> *really*" in texts(app)
    [said] = [element.value for element in app.markdown if "Ada" in element.value]
    assert "\\<b\\>" in said
    assert "Ada" not in texts(opened("choice", "s5"))
    app.button(key="sample_review").click().run()
    assert not app.exception
    assert app.query_params["review_sample"] == "s4"
    assert app.query_params["review_of"] == "Q4"
    # Nobody is told there what others found before.
    assert "Ada" not in texts(app)


def test_next_and_previous_follow_the_view_and_the_link_names_the_sample(workspace: Workspace, tmp_path: Path) -> None:
    add_update(workspace, tmp_path, "choice", rows=40)
    app = opened("choice", "s4", quadrant="Q4")
    assert "1 of " in texts(app)
    assert app.button(key="sample_previous").disabled
    app.button(key="sample_next").click().run()
    assert app.query_params["sample"] == "s8"
    assert app.text_input(key="sample").value == "s8"
    app.button(key="sample_previous").click().run()
    assert app.query_params["sample"] == "s4"
    [link] = [code.value for code in app.code if "sample=s4" in code.value]
    named = {key: value[0] for key, value in parse_qs(urlsplit(link).query).items()}
    assert named == {"dataset": "choice", "split": "test", "old": "choice-old", "new": "choice-new", "sample": "s4"}
    app = opened("choice", "s1", quadrant="Q4")
    assert "not among the" in texts(app)
    app.button(key="sample_next").click().run()
    assert app.query_params["sample"] == "s4"


# --- tokens ---


@pytest.fixture
def tuned(filled: Workspace, tiny_bases: dict[str, Path], tmp_path: Path) -> Workspace:
    """Two evaluated versions and an evaluated adapter that was trained for them, all with weights."""
    for seed, (name, base) in enumerate((("task-old", "old"), ("task-new", "new"), ("compat", "new"))):
        folder = save_random_adapter(tmp_path / name, tiny_bases[base], seed, r=2 + seed)
        add_model_version(filled, name, str(tiny_bases[base]), adapter=str(folder), role=base)
        evaluate(filled, name, "choice")
    versions = {name: get_version(filled, name).id for name in ("task-old", "task-new", "compat")}
    with filled.writing() as session:
        session.add(
            TrainingRun(
                kind="compat",
                strategy="token_correctness",
                seed=0,
                options=CompatConfig().as_dict(),
                dataset_id=get_dataset(filled, "choice").id,
                split="train",
                old_version_id=versions["task-old"],
                new_version_id=versions["task-new"],
                result_version_id=versions["compat"],
                metrics_path="jobs/none/metrics.jsonl",
                summary={"seconds": 1.0, "steps": 1, "loss": 0.5, "old_share": 0.5},
            )
        )
    return filled


PAIR = {"old": "task-old", "new": "task-new"}


def test_a_double_click_queues_one_look_and_shows_how_far_it_is(tuned: Workspace) -> None:
    app = opened("choice", "c3", **PAIR)
    assert "this sample and" in texts(app)
    for _ in range(2):
        app.button(key="strip_look").click()
        app.run()
        assert not app.exception
        if not [button for button in app.button if button.key == "strip_look"]:
            break
    [job] = list_jobs(tuned)
    assert (job.kind, job.payload["samples"][0]) == ("view_tokens", "c3")
    assert len(job.payload["samples"]) > 5
    assert [element.proto.text for element in app.get("progress")] == ["Waiting for the worker …"]
    # The next sample is in the same job.
    app.text_input(key="sample").set_value("c4").run()
    assert [element.proto.text for element in app.get("progress")] == ["Waiting for the worker …"]
    request_cancel(tuned, job.id)
    app.run()
    assert "was cancelled" in texts(app)
    assert app.button(key="strip_look").label == "Look again"


def test_the_strip_says_what_each_token_follows_under_every_strategy(tuned: Workspace) -> None:
    from muscle_core.actions.strategies.token_view import view_tokens
    from muscle_core.compat.config import STRATEGIES

    keep_token_views(tuned, "task-old", "task-new", "choice", ["c3"])
    [view] = view_tokens(tuned, "task-old", "task-new", "choice", ["c3"])
    letters = {"old": "O", "new": "N", "gold": "G", "old+gold": "O+G"}
    for strategy in STRATEGIES:
        app = opened("choice", "c3", **PAIR, tokens_by=strategy)
        [strip] = [body for body in blocks(app) if "muscle-strip" in body]
        assert re.findall(r"<b>([^<]+)</b>", strip) == [letters[follows] for follows in view.follows[strategy]]
        [table] = [body for body in blocks(app) if "muscle-table" in body and "Tokens of" in body]
        cells = re.findall(r"<tr><th[^>]*>[^<]*</th><td>([^<]+)</td>", table)
        assert cells == [letters[follows] for follows in view.follows[strategy]]
        assert f"Under {strategy}, {len(view.text)} tokens would be learned" in texts(app)


def test_a_picked_adapter_can_stand_for_the_student(tuned: Workspace) -> None:
    for name in (None, "compat"):
        keep_token_views(tuned, "task-old", "task-new", "choice", ["c3"], compat_name=name)
    app = opened("choice", "c3", **PAIR, compat="compat")
    assert any(sentence in texts(app) for sentence in ("The compatibility adapter", "the compatibility adapter"))
    table = next(body for body in blocks(app) if "muscle-table" in body and "Tokens of" in body)
    assert "most likely, student" not in table
    app.segmented_control(key="tokens_student").set_value("compat").run()
    assert app.query_params["tokens_student"] == "compat"
    table = next(body for body in blocks(app) if "muscle-table" in body and "Tokens of" in body)
    assert "most likely, student" in table


def test_masking_stacks_all_strategies_of_a_flip(tuned: Workspace) -> None:
    from muscle_core.actions.updates.compare import compare_versions
    from muscle_core.compat.config import STRATEGIES

    samples = compare_versions(tuned, "task-old", "task-new", "choice").samples
    flips = list(samples.loc[samples["quadrant"] == "Q4", "sample_id"])
    assert flips
    keep_token_views(tuned, "task-old", "task-new", "choice", flips[:1])
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for name, value in {"dataset": "choice", **PAIR}.items():
        app.query_params[name] = value
    app = app.run().switch_page("pages/masking.py").run()
    assert not app.exception
    [grid] = [body for body in blocks(app) if "muscle-grid" in body]
    rows = re.findall(r'<tr><th scope="row"[^>]*>([a-z_]+)</th><td>(\d+) of (\d+)</td>(.*?)</tr>', grid)
    assert [row[0] for row in rows] == list(STRATEGIES)
    for _, share, total, cells in rows:
        letters = re.findall(r"<td[^>]*>([^<]+)</td>", cells)
        assert len(letters) == int(total)
        assert sum("O" in letter for letter in letters) == int(share)
    assert app.selectbox(key="tokens_of").value == flips[0]
