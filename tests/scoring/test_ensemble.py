"""Two models together, against plain softmaxes of whole passes of each."""

from __future__ import annotations

import math

import pytest
import torch
from architectures import TINY

from muscle_core.errors import ModelError
from muscle_core.models import ModelSpec
from muscle_core.models.load import load_base, load_tokenizer
from muscle_core.scoring.decoding import Decoding
from muscle_core.scoring.encode import encode_pair, encode_prompts
from muscle_core.scoring.ensemble import EnsembleAnswerer, EnsembleGenerator, EnsembleScorer
from muscle_core.scoring.generation import Generated, GreedyGenerator
from muscle_core.scoring.packing import PromptGroup
from muscle_core.tasks import Sample, task_of

PROMPTS = ["the cat", "Question: is the house or the tree?\nAnswer:", "a", "one two three four"]
STEPS = 10
GROUPS = [
    PromptGroup([1, 9, 30, 77], [[5], [6, 7, 8], [6, 9]]),
    PromptGroup([1, 9, 30, 77, 200, 31, 4], [[250, 11]]),
    PromptGroup([1], []),
]


@pytest.fixture(scope="module")
def models(tiny_bases):
    return tuple(load_base(ModelSpec(str(tiny_bases[name]))) for name in ("old", "new"))


@pytest.fixture(scope="module")
def tokenizer(tiny_bases):
    return load_tokenizer(ModelSpec(str(tiny_bases["new"])))


@torch.no_grad()
def mean_probabilities(models, ids) -> torch.Tensor:
    """Of every next token, [tokens, vocabulary], in float64."""
    each = [torch.softmax(m(input_ids=torch.tensor([ids]), use_cache=False).logits[0].double(), -1) for m in models]
    return (each[0] + each[1]) / 2


def by_hand(models, tokenizer, prompt, steps, stop=()):
    """Greedy decoding of one prompt without cache or padding."""
    ids, new = tokenizer(prompt)["input_ids"], []
    for _ in range(steps):
        token = int(mean_probabilities(models, ids + new)[-1].argmax())
        if token == tokenizer.eos_token_id:
            return Generated(tokenizer.decode(new, skip_special_tokens=True).strip(), "stop")
        new.append(token)
        text = tokenizer.decode(new, skip_special_tokens=True)
        found = [text.index(mark) for mark in stop if mark in text]
        if found:
            return Generated(text[: min(found)].strip(), "stop")
    return Generated(tokenizer.decode(new, skip_special_tokens=True).strip(), "length")


@pytest.mark.parametrize("names", [("llama", "llama with adapter"), ("gemma2", "gpt2"), ("bloom", "qwen3")])
def test_answers_score_as_the_mean_of_both_models_probabilities(names):
    pair = tuple(TINY[name]() for name in names)
    found = EnsembleScorer(pair).loglikelihoods(GROUPS)
    for group, answers in zip(GROUPS, found, strict=True):
        assert [len(answer) for answer in answers] == [len(answer) for answer in group.answers]
        for answer, values in zip(group.answers, answers, strict=True):
            probabilities = mean_probabilities(pair, group.prompt + answer)
            wanted = [
                math.log(probabilities[len(group.prompt) - 1 + position, token])
                for position, token in enumerate(answer)
            ]
            assert values == pytest.approx(wanted, abs=1e-4)


def test_generation_equals_a_loop_of_whole_passes(models, tokenizer):
    expected = [by_hand(models, tokenizer, prompt, STEPS) for prompt in PROMPTS]
    for batch_tokens in (8192, 40, 1):  # all at once, some, one by one
        generator = EnsembleGenerator(models, tokenizer, max_new_tokens=STEPS, batch_tokens=batch_tokens)
        assert generator.generate(encode_prompts(tokenizer, PROMPTS)) == expected
    for model in models:  # it is neither of both
        alone = GreedyGenerator(model, tokenizer, max_new_tokens=STEPS).generate(encode_prompts(tokenizer, PROMPTS))
        assert alone != expected
    assert EnsembleGenerator(models, tokenizer, max_new_tokens=STEPS).generate([]) == []


@pytest.mark.parametrize("name", ["gpt2", "gemma2", "mistral", "bloom"])
def test_generation_of_other_architectures_equals_whole_passes(models, tokenizer, name):
    other = TINY[name]()
    assert other.config.vocab_size == 320
    pair = (other, TINY["llama"]())
    expected = [by_hand(pair, tokenizer, prompt, STEPS) for prompt in PROMPTS]
    found = EnsembleGenerator(pair, tokenizer, max_new_tokens=STEPS).generate(encode_prompts(tokenizer, PROMPTS))
    assert found == expected


def test_a_stop_string_and_eos_end_their_row_only(models, tokenizer, tiny_bases):
    whole = [by_hand(models, tokenizer, prompt, STEPS) for prompt in PROMPTS]
    stop = (next(sign for sign in whole[0].text[2:] if sign.isascii() and sign.isprintable() and sign != " "),)
    expected = [by_hand(models, tokenizer, prompt, STEPS, stop) for prompt in PROMPTS]
    found = EnsembleGenerator(models, tokenizer, max_new_tokens=STEPS, stop=stop)
    assert found.generate(encode_prompts(tokenizer, PROMPTS)) == expected
    assert {answer.finish_reason for answer in expected} == {"stop", "length"}
    first = int(mean_probabilities(models, tokenizer(PROMPTS[0])["input_ids"])[-1].argmax())
    other = load_tokenizer(ModelSpec(str(tiny_bases["new"])))
    other.eos_token = other.convert_ids_to_tokens(first)  # now the first token written is the end
    ended = EnsembleGenerator(models, other, max_new_tokens=STEPS).generate(encode_prompts(tokenizer, PROMPTS))
    assert ended[0] == Generated("", "stop")


def test_one_model_twice_is_that_model(models, tokenizer):
    twice = (models[0], models[0])
    assert EnsembleGenerator(twice, tokenizer, max_new_tokens=STEPS).generate(
        encode_prompts(tokenizer, PROMPTS)
    ) == GreedyGenerator(models[0], tokenizer, max_new_tokens=STEPS).generate(encode_prompts(tokenizer, PROMPTS))


def test_samples_are_answered_by_both(models, tokenizer):
    template, decoding = "Question: {input}\nAnswer:", Decoding(max_new_tokens=STEPS, stop=())
    choices = ("runs", "the dog sleeps", "five")
    sample = Sample("s", "test", "the cat", "0", "runs", choices)
    scores = EnsembleAnswerer(models, tokenizer, task_of("multiple_choice"), template=template, decoding=decoding)(
        [sample]
    )[0]
    prompt = template.replace("{input}", sample.input)
    for choice, values in zip(choices, scores.token_loglikelihoods, strict=True):
        ids, answer = encode_pair(tokenizer, prompt, choice)
        chosen = mean_probabilities(models, ids + answer)[len(ids) - 1 : -1].gather(1, torch.tensor(answer)[:, None])
        assert values == pytest.approx(chosen[:, 0].log().tolist(), abs=1e-4)
    written = EnsembleAnswerer(models, tokenizer, task_of("math"), template=template, decoding=decoding)([sample])[0]
    assert (written.text, written.finish_reason) == by_hand(models, tokenizer, prompt, STEPS)
    long = Sample("long one", "test", "cat " * 300, "0", "runs", choices)
    with pytest.raises(ModelError, match="context holds 256"):
        EnsembleAnswerer(models, tokenizer, task_of("math"), template=template, decoding=decoding)([long])


def test_other_vocabularies_are_refused(models, tokenizer, tiny_bases):
    foreign = load_base(ModelSpec(str(tiny_bases["foreign"])))
    foreign.resize_token_embeddings(400)
    for make in (
        lambda: EnsembleScorer((models[0], foreign)),
        lambda: EnsembleGenerator((models[0], foreign), tokenizer, max_new_tokens=2),
    ):
        with pytest.raises(ModelError, match=r"have \d+ and 400 entries"):
            make()
