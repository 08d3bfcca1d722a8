import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from muscle_core.models import ModelSpec
from muscle_core.models.load import load_base, load_tokenizer
from muscle_core.scoring.encode import EncodedPair, encode_pair
from muscle_core.scoring.loglikelihood import (
    answer_logits,
    answer_loglikelihoods,
    gold_loglikelihood,
    length_sorted_batches,
    pad_pairs,
)


@pytest.fixture(scope="module")
def model(tiny_bases):
    return load_base(ModelSpec(str(tiny_bases["old"])))


@pytest.fixture(scope="module")
def pairs(tiny_bases):
    tokenizer = load_tokenizer(ModelSpec(str(tiny_bases["old"])))
    texts = [
        ("the cat", "runs"),
        ("a", "dog sleeps and the bird eats one two three"),
        ("Question: is the house or the tree?\nAnswer:", "the tree"),
        ("the ", "cat"),
        ("one two three four five one two three four five", "five"),
        ("x", "y"),
        ("Question", "Answer: four, five."),
    ]
    return [encode_pair(tokenizer, prompt, answer) for prompt, answer in texts]


@pytest.fixture(scope="module")
def oracle(tiny_bases, pairs):
    """Each pair alone, in float64, without padding, with the softmax written out."""
    model = load_base(ModelSpec(str(tiny_bases["old"]))).double()
    values = []
    with torch.no_grad():
        for prompt, answer in pairs:
            logits = model(input_ids=torch.tensor([[*prompt, *answer]])).logits[0]
            values.append(
                [
                    float(torch.log(logits[i - 1].exp()[token] / logits[i - 1].exp().sum()))
                    for i, token in enumerate(answer, start=len(prompt))
                ]
            )
    return values


def flat(values):
    return [value for row in values for value in row]


@pytest.mark.parametrize("batch_tokens", [1, 40, 8192])
def test_values_equal_a_slow_float64_oracle_whatever_the_batches(model, pairs, oracle, batch_tokens):
    values = answer_loglikelihoods(model, pairs, 0, batch_tokens=batch_tokens)
    assert [len(row) for row in values] == [len(pair.answer) for pair in pairs]
    assert flat(values) == pytest.approx(flat(oracle), abs=1e-4)
    assert len({round(value, 2) for value in flat(oracle)}) > 10  # the oracle itself tells tokens apart


def test_order_company_and_pad_token_do_not_matter(model, pairs, oracle):
    turned = answer_loglikelihoods(model, pairs[::-1], 5)[::-1]
    assert flat(turned) == pytest.approx(flat(oracle), abs=1e-4)
    alone = [answer_loglikelihoods(model, [pair], 0)[0] for pair in pairs]
    assert flat(alone) == pytest.approx(flat(oracle), abs=1e-4)


def test_a_model_without_logits_to_keep_gives_the_same(model, pairs, oracle):
    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, input_ids, attention_mask, use_cache):
            return self.inner(input_ids=input_ids, attention_mask=attention_mask, use_cache=use_cache)

    assert flat(answer_loglikelihoods(Plain(), pairs, 0)) == pytest.approx(flat(oracle), abs=1e-4)


def test_padding_marks_only_answer_tokens_as_labels():
    batch = pad_pairs([EncodedPair([1, 5], [6, 7]), EncodedPair([1], [8])], pad_id=9)
    assert batch.input_ids.tolist() == [[1, 5, 6, 7], [1, 8, 9, 9]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert batch.labels.tolist() == [[-100, -100, 6, 7], [-100, 8, -100, -100]]


def test_answer_logits_come_row_by_row_with_their_gold_tokens(model, pairs):
    chosen = [pairs[1], pairs[0], pairs[2]]
    with torch.no_grad():
        logits, gold, rows = answer_logits(model, pad_pairs(chosen, 0))
    assert gold.tolist() == [token for pair in chosen for token in pair.answer]
    assert rows.tolist() == [row for row, pair in enumerate(chosen) for _ in pair.answer]
    assert logits.shape == (len(gold), model.config.vocab_size)


def test_gold_loglikelihood_is_not_biased_against_float64():
    torch.manual_seed(0)
    logits, gold = torch.randn(64, 5000) * 4, torch.randint(5000, (64,))
    exact = torch.log_softmax(logits.double(), dim=-1).gather(1, gold[:, None])[:, 0]
    assert (gold_loglikelihood(logits, gold).double() - exact).abs().max() < 1e-5


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 200))
def test_batches_hold_every_index_once_and_respect_the_budget(lengths, budget):
    batches = list(length_sorted_batches(lengths, budget))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= budget
    order = [lengths[index] for batch in batches for index in batch]
    assert order == sorted(order, reverse=True)


@given(st.lists(st.integers(1, 60), min_size=2, max_size=40), st.integers(1, 200))
def test_batches_are_as_full_as_the_budget_allows(lengths, budget):
    batches = list(length_sorted_batches(lengths, budget))
    assert all(batches)
    for batch in batches[:-1]:
        assert lengths[batch[0]] * (len(batch) + 1) > budget
