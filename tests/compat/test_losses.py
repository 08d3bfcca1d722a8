import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.compat.losses import forward_kl, gold_loss, muscle_loss, token_statistics
from muscle_core.compat.masks import MASKS

TOKENS, VOCABULARY = 7, 5


def softmax(logits, temperature=1.0):
    weights = [math.exp(value / temperature) for value in logits]
    return [weight / sum(weights) for weight in weights]


def kl(teacher, student, temperature=1.0):
    """KL(teacher || student) in plain Python floats."""
    p, q = softmax(teacher, temperature), softmax(student, temperature)
    return temperature**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def tokens_of(seed):
    torch.manual_seed(seed)
    student, old, new = (torch.randn(TOKENS, VOCABULARY) * 2 for _ in range(3))
    gold = torch.randint(VOCABULARY, (TOKENS,))
    return student.requires_grad_(), old, new, gold, torch.tensor([0, 0, 0, 1, 1, 2, 2])


def follows_old(strategy, student, old, gold, row):
    """The oracle's own choice of teacher a token."""
    chosen = []
    for t in range(TOKENS):
        same = [i for i in range(TOKENS) if row[i] == row[t]]
        likelihood = {
            name: sum(math.log(softmax(logits[i])[gold[i]]) for i in same)
            for name, logits in (("student", student), ("old", old))
        }
        rules = {
            "token_correctness": student[t].index(max(student[t])) != gold[t],
            "token_likelihood": softmax(student[t])[gold[t]] < softmax(old[t])[gold[t]],
            "sequence_likelihood": likelihood["student"] < likelihood["old"],
            "old_correct": old[t].index(max(old[t])) == gold[t],
            "always_old": True,
            "always_new": False,
        }
        chosen.append(rules[strategy])
    return chosen


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.5, 1.0, 2.0, 4.0]))
def test_forward_kl_equals_a_plain_python_sum(seed, temperature):
    student, old, *_ = tokens_of(seed)
    found = forward_kl(old, student.detach(), temperature).tolist()
    expected = [kl(a, b, temperature) for a, b in zip(old.tolist(), student.tolist(), strict=True)]
    assert found == pytest.approx(expected, abs=2e-5, rel=1e-4)
    assert min(found) > -1e-6


def test_the_direction_is_teacher_to_student():
    teacher, student = torch.tensor([[4.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0]])
    forward, backward = kl(teacher[0].tolist(), student[0].tolist()), kl(student[0].tolist(), teacher[0].tolist())
    assert abs(forward - backward) > 0.5
    assert float(forward_kl(teacher, student)) == pytest.approx(forward, rel=1e-5)


def test_the_divergence_is_zero_at_equality_also_shifted():
    logits = torch.randn(4, 9)
    assert forward_kl(logits, logits).tolist() == [0.0] * 4
    assert forward_kl(logits, logits + 3).abs().max() < 1e-5


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("strategy", MASKS)
@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_the_sum_over_tokens_of_the_divergence_to_the_chosen_teacher(strategy, temperature, seed):
    student, old, new, gold, row = tokens_of(seed)
    parts = muscle_loss(student, old, new, gold, row, strategy=strategy, temperature=temperature)
    s, o, n, g = student.tolist(), old.tolist(), new.tolist(), gold.tolist()
    to_old = follows_old(strategy, s, o, g, row.tolist())
    expected = sum(kl(o[t] if to_old[t] else n[t], s[t], temperature) for t in range(TOKENS))
    assert parts.loss.item() == pytest.approx(expected, rel=1e-4)
    assert parts.tokens == TOKENS
    assert parts.old_tokens == sum(to_old)
    assert parts.correct_tokens == sum(s[t].index(max(s[t])) == g[t] for t in range(TOKENS))
    # what is reported is the plain divergence, whatever the temperature of training
    assert parts.kl_old == pytest.approx(sum(kl(o[t], s[t]) for t in range(TOKENS)), rel=1e-4)
    assert parts.kl_new == pytest.approx(sum(kl(n[t], s[t]) for t in range(TOKENS)), rel=1e-4)


def test_the_strategies_choose_differently_on_these_tokens():
    student, old, new, gold, row = tokens_of(0)
    losses = {s: round(muscle_loss(student, old, new, gold, row, strategy=s).loss.item(), 4) for s in MASKS}
    assert len(set(losses.values())) >= 4


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_gradient_goes_into_the_student_only_and_has_its_known_form(temperature):
    student, old, new, gold, row = tokens_of(1)
    old.requires_grad_()
    new.requires_grad_()
    muscle_loss(student, old, new, gold, row, strategy="always_new", temperature=temperature).loss.backward()
    assert old.grad is None
    assert new.grad is None
    # d KL(p||softmax(z)) / dz = q - p; with a temperature T: T * (q_T - p_T)
    expected = temperature * (torch.softmax(student / temperature, -1) - torch.softmax(new / temperature, -1))
    assert torch.allclose(student.grad, expected, atol=1e-5)


def test_token_statistics_hold_no_gradient():
    student, old, _, gold, row = tokens_of(2)
    statistics = token_statistics(student, old, gold, row)
    assert not statistics.student_gold.requires_grad
    assert statistics.student_argmax.tolist() == [values.index(max(values)) for values in student.tolist()]
    assert statistics.old_argmax.tolist() == [values.index(max(values)) for values in old.tolist()]
    expected = [math.log(softmax(v)[g]) for v, g in zip(old.tolist(), gold.tolist(), strict=True)]
    assert statistics.old_gold.tolist() == pytest.approx(expected, abs=1e-5)


def test_gold_loss_is_the_summed_cross_entropy():
    student, _, _, gold, _ = tokens_of(3)
    parts = gold_loss(student, gold)
    expected = -sum(math.log(softmax(v)[g]) for v, g in zip(student.tolist(), gold.tolist(), strict=True))
    assert parts.loss.item() == pytest.approx(expected, rel=1e-5)
    assert (parts.tokens, parts.old_tokens) == (TOKENS, 0)
    assert math.isnan(parts.kl_old)
    assert math.isnan(parts.kl_new)
