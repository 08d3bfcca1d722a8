import pytest
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.errors import ConfigError
from muscle_core.tasks import TASK_KINDS, render_prompt, task_of, template_problem


def test_every_kind_is_found_by_its_name_and_has_a_usable_default_template():
    assert set(TASK_KINDS) == {"multiple_choice", "math", "summarization", "classification", "instruction"}
    for kind in TASK_KINDS:
        assert task_of(kind).kind == kind
        assert template_problem(task_of(kind).default_template) is None


@pytest.mark.parametrize("kind", TASK_KINDS)
def test_every_kind_has_a_usual_scoring_and_says_whether_it_tells_right_from_wrong(kind):
    task = task_of(kind)
    assert task.judge("1", "1") == task.judge("1", "1", task.scorings[0])
    assert (task.judge("1", "1").correct is not None) is task.right_or_wrong


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=rf"'poetry'; known: {', '.join(TASK_KINDS)}"):
        task_of("poetry")


@pytest.mark.parametrize("text", ["{", "}", "{0}", "{input}", "{x!r}", "%s {{}}", "\\1"])
def test_braces_in_the_data_stay_as_they_are(text):
    assert render_prompt("Q: {input} {other}\nA:", text) == "Q: " + text + " {other}\nA:"


@given(st.text())
def test_rendering_puts_the_text_between_the_parts_of_the_template(text):
    assert render_prompt("<{input}>", text) == "<" + text + ">"


@pytest.mark.parametrize(
    ("template", "words"),
    [("no place", "exactly once"), ("{input} {input}", "exactly once"), ("{input}: ", "must not end in a space")],
)
def test_template_problems_are_named(template, words):
    assert words in template_problem(template)


def test_a_template_may_end_in_a_line_break():
    assert template_problem("{input}\n") is None
