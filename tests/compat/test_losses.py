import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from muscle_core.compat.config import STRATEGIES, CompatConfig
from muscle_core.compat.losses import Head, TeacherTokens, distillation_loss
from muscle_core.compat.strategies import TOKEN_STRATEGIES, strategy_of


def softmax(logits, temperature=1.0):
    highest = max(logits)
    weights = [math.exp((value - highest) / temperature) for value in logits]
    return [weight / math.fsum(weights) for weight in weights]


def kl(teacher, student, temperature=1.0):
    """KL(teacher || student) in plain Python floats."""
    p, q = softmax(teacher, temperature), softmax(student, temperature)
    return temperature**2 * math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


class Case:
    """Random states and heads of a student and two teachers of other widths, and the oracle's logits in float64."""

    def __init__(self, seed, lengths, vocabulary, *, ties=False, bias=False, as_logits=False):
        generator = torch.Generator().manual_seed(seed)

        def random(*shape):
            return torch.randn(*shape, generator=generator)

        tokens = sum(lengths)
        self.row = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
        self.gold = torch.randint(vocabulary, (tokens,), generator=generator)
        self.heads, self.states = {}, {}
        for name, width in (("student", 4), ("old", 6), ("new", 4)):
            states, head = random(tokens, width), Head(random(vocabulary, width), random(vocabulary) if bias else None)
            if ties:  # whole numbers: equal logits are equal in every precision
                states, head = (
                    states.round(),
                    Head(head.weight.round(), None if head.bias is None else head.bias.round()),
                )
            if as_logits:
                states, head = head(states), Head(None)
            self.states[name], self.heads[name] = states, head
        self.states["student"].requires_grad_()

    def logits(self, name):
        states, head = self.states[name].detach().double(), self.heads[name]
        if head.weight is None:
            return states.tolist()
        bias = 0 if head.bias is None else head.bias.double()
        return (states @ head.weight.double().T + bias).tolist()

    def teachers(self):
        found = {}
        for name in ("old", "new"):
            logits = torch.tensor(self.logits(name))
            gold = logits.log_softmax(-1).gather(1, self.gold[:, None])[:, 0]
            argmax = torch.tensor([row.index(max(row)) for row in self.logits(name)])
            found[name] = TeacherTokens(self.heads[name], self.states[name], argmax, gold)
        return found

    def loss(self, config, **options):
        return distillation_loss(
            self.states["student"],
            self.heads["student"],
            self.gold,
            self.row,
            self.teachers(),
            strategy_of(config),
            temperature=config.temperature,
            **options,
        )

    def chosen(self, config):
        """The oracle's own weights (old, new, gold) of every token."""
        student, old, gold, row = self.logits("student"), self.logits("old"), self.gold.tolist(), self.row.tolist()
        weights = []
        for t in range(len(gold)):
            same = [i for i in range(len(gold)) if row[i] == row[t]]
            whole = {
                name: math.fsum(math.log(softmax(logits[i])[gold[i]]) for i in same)
                for name, logits in (("student", student), ("old", old))
            }
            old_is_right = old[t].index(max(old[t])) == gold[t]
            to_old = {
                "token_correctness": student[t].index(max(student[t])) != gold[t],
                "token_likelihood": softmax(student[t])[gold[t]] < softmax(old[t])[gold[t]],
                "sequence_likelihood": whole["student"] < whole["old"],
                "old_correct": old_is_right,
                "always_old": True,
                "always_new": False,
            }
            if config.strategy == "cross_entropy":
                weights.append((0.0, 0.0, 1.0))
            elif config.strategy == "focal_distillation":
                weights.append((config.focal_alpha + config.focal_beta * old_is_right, 0.0, 1.0))
            else:
                is_old = to_old[config.strategy]
                weights.append((float(is_old), float(not is_old), config.cross_entropy_weight))
        return weights

    def is_undecided(self):
        """Whether a likelihood of student and old teacher is equal but for rounding, for a token or an answer."""
        gold, row = self.gold.tolist(), self.row.tolist()
        difference = [
            math.log(softmax(s)[g]) - math.log(softmax(o)[g])
            for s, o, g in zip(self.logits("student"), self.logits("old"), gold, strict=True)
        ]
        wholes = [math.fsum(d for d, r in zip(difference, row, strict=True) if r == one) for one in set(row)]
        return min(map(abs, [*difference, *wholes])) < 1e-4

    def oracle(self, config):
        """Loss in plain Python floats, and its gradient with regard to the states in float64."""
        student, gold = self.logits("student"), self.gold.tolist()
        teachers = {name: self.logits(name) for name in ("old", "new")}
        heat = config.temperature
        total, slopes = 0.0, []
        for t, (old, new, plain) in enumerate(self.chosen(config)):
            total += -plain * math.log(softmax(student[t])[gold[t]])
            slope = [plain * (p - (v == gold[t])) for v, p in enumerate(softmax(student[t]))]
            for name, weight in (("old", old), ("new", new)):
                teacher = teachers[name][t]
                total += weight * kl(teacher, student[t], heat)
                pairs = zip(softmax(student[t], heat), softmax(teacher, heat), strict=True)
                slope = [s + weight * heat * (q - p) for s, (q, p) in zip(slope, pairs, strict=True)]
            slopes.append(slope)
        gradient = torch.tensor(slopes, dtype=torch.float64)
        head = self.heads["student"].weight
        return total, gradient if head is None else gradient @ head.double()


_CASE = {
    "seed": st.integers(0, 10**6),
    "lengths": st.lists(st.integers(1, 4), min_size=1, max_size=4),
    "vocabulary": st.integers(2, 9),
    "temperature": st.sampled_from([0.5, 1.0, 3.0]),
    "weight": st.sampled_from([0.0, 0.3]),
    "ties": st.booleans(),
    "bias": st.booleans(),
    "as_logits": st.booleans(),
    "chunk": st.sampled_from([1, 20, 10_000]),
}


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(deadline=None)
@given(**_CASE)
def test_loss_and_gradient_equal_a_float64_oracle(
    strategy, seed, lengths, vocabulary, temperature, weight, ties, bias, as_logits, chunk
):
    case = Case(seed, lengths, vocabulary, ties=ties, bias=bias, as_logits=as_logits)
    assume("likelihood" not in strategy or not case.is_undecided())
    config = CompatConfig(strategy=strategy, temperature=temperature, cross_entropy_weight=weight)
    parts = case.loss(config, chunk_logits=chunk)
    parts.loss.backward()
    total, gradient = case.oracle(config)
    scale = max(1.0, total)
    assert parts.loss.item() == pytest.approx(total, abs=1e-5 * scale)
    found = case.states["student"].grad.double()
    assert (found - gradient).abs().max() <= 1e-5 * max(1.0, gradient.abs().max().item())
    weights = case.chosen(config)
    assert parts.tokens == len(weights)
    assert parts.old_tokens == sum(old > 0 for old, _, _ in weights)
    assert parts.new_tokens == sum(new > 0 for _, new, _ in weights)
    student = case.logits("student")
    right = [row.index(max(row)) == gold for row, gold in zip(student, case.gold.tolist(), strict=True)]
    assert parts.correct_tokens == sum(right)
    for name, place in (("old", 0), ("new", 1)):
        logits = case.logits(name)
        expected = math.fsum(kl(logits[t], student[t], temperature) for t, w in enumerate(weights) if w[place])
        assert getattr(parts, f"kl_{name}") == pytest.approx(expected, abs=1e-5 * max(1.0, expected))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_gradient_is_that_of_plain_autograd_on_whole_logits(strategy):
    case = Case(3, [5, 1, 3], 11, bias=True)
    config = CompatConfig(strategy=strategy, temperature=2.0)
    parts = case.loss(config, chunk_logits=30)
    (parts.loss / 7).backward()
    states = case.states["student"].detach().double().requires_grad_()
    logits = {
        n: h.weight.double() @ s.detach().double().T + h.bias.double()[:, None]
        for n, h, s in ((n, case.heads[n], case.states[n]) for n in ("old", "new"))
    }
    student = states @ case.heads["student"].weight.double().T + case.heads["student"].bias.double()
    total = 0.0
    for t, (old, new, plain) in enumerate(case.chosen(config)):
        for name, weight in (("old", old), ("new", new)):
            teacher, own = (logits[name][:, t] / 2).log_softmax(-1), (student[t] / 2).log_softmax(-1)
            total = total + weight * 4 * (teacher.exp() * (teacher - own)).sum()
        total = total - plain * student[t].log_softmax(-1)[case.gold[t]]
    (total / 7).backward()
    assert (case.states["student"].grad - states.grad).abs().max() < 1e-5


def test_the_direction_is_teacher_to_student():
    case = Case(0, [1], 3, as_logits=True)
    case.states["student"] = torch.tensor([[0.0, 0.0, 0.0]]).requires_grad_()
    case.states["old"] = torch.tensor([[4.0, 0.0, 0.0]])
    forward, backward = kl([4.0, 0, 0], [0.0, 0, 0]), kl([0.0, 0, 0], [4.0, 0, 0])
    assert abs(forward - backward) > 0.5
    assert case.loss(CompatConfig(strategy="always_old")).loss.item() == pytest.approx(forward, rel=1e-5)


def test_the_loss_is_zero_where_the_student_equals_its_teacher_also_shifted():
    case = Case(1, [4], 9, as_logits=True)
    for shift in (0.0, 3.0):
        case.states["new"] = case.states["student"].detach() + shift
        parts = case.loss(CompatConfig(strategy="always_new"))
        assert abs(parts.loss.item()) < 1e-6
        (gradient,) = torch.autograd.grad(parts.loss, case.states["student"])
        assert gradient.abs().max() < 1e-6


def test_strategies_give_different_losses():
    case = Case(5, [3, 3, 3, 3], 6)
    losses = {name: round(case.loss(CompatConfig(strategy=name)).loss.item(), 4) for name in STRATEGIES}
    assert len(set(losses.values())) == len(losses), losses


def test_only_the_teachers_that_are_asked_for_are_projected():
    case = Case(2, [3, 2], 7)
    for name, strategy in TOKEN_STRATEGIES.items():
        teachers = {teacher: case.teachers()[teacher] for teacher in strategy.teachers}
        parts = distillation_loss(
            case.states["student"], case.heads["student"], case.gold, case.row, teachers, strategy
        )
        assert parts.loss.item() == pytest.approx(case.loss(CompatConfig(strategy=name)).loss.item())


def test_chunks_keep_no_logits_of_all_tokens():
    # One chunk holds 64 tokens here; the states of all 4,096 tokens are 1 MB, their logits would be 160 MB.
    from torch.profiler import ProfilerActivity, profile

    tokens, width, vocabulary = 4096, 64, 10_000
    states = torch.randn(tokens, width, requires_grad=True)
    gold, row = torch.randint(vocabulary, (tokens,)), torch.zeros(tokens, dtype=torch.long)
    head = Head(torch.randn(vocabulary, width))
    teacher = TeacherTokens(head, torch.randn(tokens, width), gold, -torch.ones(tokens))
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as measured:
        distillation_loss(
            states, head, gold, row, {"old": teacher}, TOKEN_STRATEGIES["always_old"], chunk_logits=64 * vocabulary
        ).loss.backward()
    largest = max(event.cpu_memory_usage for event in measured.events())
    assert largest < 3 * 64 * vocabulary * 4
