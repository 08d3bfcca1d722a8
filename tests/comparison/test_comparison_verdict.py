import numpy as np
import pandas as pd
import pytest

from muscle_core.comparison import compare, verdict
from muscle_core.metrics.text import p_text


def compared(q1, q2, q3, q4, ids=None):
    old = np.repeat([True, False, False, True], [q1, q2, q3, q4])
    new = np.repeat([True, True, False, False], [q1, q2, q3, q4])
    base = pd.DataFrame({"sample_id": [str(i) for i in range(len(old))], "prediction": "x"})
    extra = pd.DataFrame({"sample_id": ids or [], "prediction": "x", "correct": True})
    new_table = pd.concat([base.assign(correct=new), extra]) if ids else base.assign(correct=new)
    return compare(base.assign(correct=old), new_table, task_kind="multiple_choice", old_name="v1", new_name="v2")


def scored(old, new, tau=0.0):
    ids = [str(i) for i in range(len(old))]
    base = pd.DataFrame({"sample_id": ids, "prediction": "x"})
    return compare(
        base.assign(rouge1=old),
        base.assign(rouge1=new),
        task_kind="summarization",
        old_name="v1",
        new_name="v2",
        tau=tau,
    )


def test_gain_with_flips():
    assert verdict(compared(475, 146, 285, 94)) == (
        "v2 is right on 62.1 % (621 of 1,000), 5.2 points more than v1 (exact McNemar p < 0.001), yet 94 inputs "
        "that worked before now fail: NFR 9.4 % (95 % interval 7.7–11.4 %)."
    )


def test_too_few_samples():
    assert verdict(compared(20, 6, 20, 4)) == (
        "v2 is right on 52.0 % (26 of 50), 4.0 points more than v1 (exact McNemar p = 0.75: too few samples to tell "
        "from chance), yet 4 inputs that worked before now fail: NFR 8.0 % (95 % interval 3.2–18.8 %)."
    )


def test_loss():
    text = verdict(compared(400, 20, 400, 180))
    assert "16.0 points fewer than v1 (exact McNemar p < 0.001), and 180 inputs that worked" in text


def test_no_change_and_no_flip():
    assert verdict(compared(5, 0, 5, 0)) == (
        "v2 is right on 50.0 % (5 of 10), exactly as many as v1 (exact McNemar p = 1.00; no change in accuracy seen), "
        "and no input that worked before fails now: NFR 0.0 % (95 % interval 0.0–27.8 %)."
    )


def test_one_flip_is_singular():
    assert "yet 1 input that worked before now fails" in verdict(compared(5, 5, 5, 1))


def test_left_out_samples_are_mentioned():
    assert verdict(compared(5, 0, 5, 0, ids=["x", "y"])).endswith(
        "(2 sample ids could not be paired and are left out.)"
    )


def test_score_gain_and_regression():
    old = np.full(40, 0.5)
    new = np.where(np.arange(40) < 10, 0.45, 0.6)
    text = verdict(scored(old, new))
    assert text.startswith("v2 reaches a mean rouge1 of 0.5625 on 40 samples, 0.0625 more than v1 (95 % interval +0.0")
    assert "yet 25.0 % of the samples (10 of 40; 95 % interval 14.2–40.2 %) score lower than before" in text
    assert text.endswith("mean gain 0.0750, mean regression 0.0125.")
    assert "no sample scores lower than before by more than 0.1" in verdict(scored(old, new, tau=0.1))


def test_score_change_that_may_be_chance():
    assert "too few samples to tell from chance" in verdict(scored([0.1, 0.5, 0.3], [0.4, 0.1, 0.35]))
    assert "exactly as much as v1" in verdict(scored([0.1, 0.5], [0.1, 0.5]))


@pytest.mark.parametrize(
    ("p", "text"),
    [(1e-9, "p < 0.001"), (0.0012, "p = 0.001"), (0.0496, "p = 0.0496"), (0.0504, "p = 0.0504"), (0.31, "p = 0.31")],
)
def test_p_values_never_round_to_zero_or_across_the_level(p, text):
    assert p_text(p) == text
