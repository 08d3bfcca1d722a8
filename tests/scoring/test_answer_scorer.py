"""Packed passes give what each answer gives alone, on every architecture that takes them."""

from __future__ import annotations

import pytest
import torch
from architectures import TINY
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.scoring.answer_scorer import AnswerScorer
from muscle_core.scoring.packing import PromptGroup, build_tree, common_prefix
from muscle_core.scoring.probe import NotPackableError

PACKED = ("llama", "llama with adapter", "gpt2", "qwen2", "qwen3")
_TOKENS = st.lists(st.integers(0, 319), min_size=1, max_size=9)


def one_by_one(model, groups):
    """Oracle: every answer behind its prompt in a row of its own, in float64 after the model."""
    results = []
    for prompt, answers in groups:
        results.append([])
        for answer in answers:
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([prompt + answer]), use_cache=False).logits[0].double()
            likelihoods = logits.log_softmax(-1)[len(prompt) - 1 : -1]
            results[-1].append([float(row[token]) for row, token in zip(likelihoods, answer, strict=True)])
    return results


def flat(values):
    return [value for group in values for answer in group for value in answer]


def shape(values):
    return [[len(answer) for answer in group] for group in values]


@st.composite
def prompt_groups(draw):
    """Groups of 1 to 8 answers, some the beginning of others, some of one token; half the time a common beginning."""
    beginning = draw(st.one_of(st.just([]), st.lists(st.integers(0, 319), min_size=14, max_size=40)))
    groups = []
    for _ in range(draw(st.integers(1, 6))):
        answers = draw(st.lists(_TOKENS, min_size=1, max_size=6))
        whole = answers[0]
        answers += [whole[:1], whole[: max(1, len(whole) - 1)]][: draw(st.integers(0, 2))]
        groups.append(PromptGroup(beginning + draw(st.lists(st.integers(0, 319), min_size=1, max_size=20)), answers))
    return groups


@pytest.mark.parametrize("architecture", PACKED)
@settings(max_examples=40, deadline=None)
@given(groups=prompt_groups(), pass_tokens=st.sampled_from([1, 40, 768]))
def test_packed_scores_equal_one_by_one_scores(architecture, groups, pass_tokens):
    scorer = AnswerScorer(TINY[architecture](), pass_tokens=pass_tokens)
    assert scorer.fallback_reason is None
    found, expected = scorer.loglikelihoods(groups), one_by_one(TINY[architecture](), groups)
    assert shape(found) == shape(expected)
    assert flat(found) == pytest.approx(flat(expected), abs=1e-4)


@pytest.mark.parametrize("architecture", ["gemma2", "bloom"])
def test_an_architecture_that_does_not_take_packed_passes_is_scored_in_padded_batches(architecture):
    model = TINY[architecture]()
    groups = [PromptGroup([5, 6, 7], [[8, 9], [10]]), PromptGroup(list(range(20, 50)), [[3]])]
    scorer = AnswerScorer(model)
    assert scorer.fallback_reason
    assert flat(scorer.loglikelihoods(groups)) == pytest.approx(flat(one_by_one(model, groups)), abs=1e-4)


def test_a_window_that_the_probe_is_too_short_for_is_noticed_at_the_first_longer_pass():
    model = TINY["mistral"]()
    scorer = AnswerScorer(model)
    scorer.fallback_reason = None  # as if the window of 16 were longer than the probe
    groups = [PromptGroup(list(range(3, 40)), [[8, 9], [10]])]
    with pytest.raises(NotPackableError, match="sliding window of 16"):
        scorer._packed(groups)
    assert flat(scorer.loglikelihoods(groups)) == pytest.approx(flat(one_by_one(model, groups)), abs=1e-4)


def test_the_models_own_attention_is_back_after_scoring():
    model = TINY["llama"]()
    before = model.config._attn_implementation
    AnswerScorer(model).loglikelihoods([PromptGroup([1], [[2]])])
    assert model.config._attn_implementation == before


def test_the_same_groups_give_the_same_floats_whatever_was_scored_before():
    groups = [PromptGroup([*range(3, 30), n], [[n, 7], [9]]) for n in range(40, 60)]
    scorer = AnswerScorer(TINY["llama"]())
    first = scorer.loglikelihoods(groups)
    scorer.loglikelihoods([PromptGroup([1, 2, 3], [[4]])])
    assert scorer.loglikelihoods(groups) == first
    assert AnswerScorer(TINY["llama"]()).loglikelihoods(groups) == first


def test_nothing_to_score_gives_nothing():
    scorer = AnswerScorer(TINY["llama"]())
    assert scorer.loglikelihoods([]) == []
    assert scorer.loglikelihoods([PromptGroup([1, 2], [])]) == [[]]


@given(prompts=st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=5))
def test_the_common_prefix_is_the_longest_and_leaves_every_prompt_a_token(prompts):
    length = common_prefix([PromptGroup(prompt, [[1]]) for prompt in prompts])
    assert length < min(map(len, prompts))
    assert len({tuple(prompt[:length]) for prompt in prompts}) == 1
    longer = {tuple(prompt[: length + 1]) for prompt in prompts}
    assert length + 1 == min(map(len, prompts)) or len(longer) > 1


@given(answers=st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=5), min_size=1, max_size=6))
def test_a_tree_computes_every_beginning_that_answers_share_once(answers):
    tree = build_tree(PromptGroup([7, 8, 9], answers), skipped=1)
    beginnings = {tuple(answer[:end]) for answer in answers for end in range(1, len(answer))}
    assert len(tree.tokens) == 2 + len(beginnings)

    def text(number):
        return [] if number < 0 else [*text(tree.parents[number]), tree.tokens[number]]

    targets, sources = iter(tree.target), iter(tree.source)
    for answer in answers:
        for end, token in enumerate(answer):
            number = next(sources)
            assert next(targets) == token
            assert text(number) == [8, 9, *answer[:end]]
            assert tree.positions[number] == 2 + end
