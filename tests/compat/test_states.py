"""States read without padding give the logits of every sample alone, and the gradient of padded training."""

from __future__ import annotations

import copy

import pytest
import torch
from architectures import TINY
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model

from muscle_core.compat.losses import distillation_loss
from muscle_core.compat.states import StateReader
from muscle_core.compat.strategies import TOKEN_STRATEGIES
from muscle_core.errors import DataError
from muscle_core.scoring.encode import EncodedPair
from muscle_core.scoring.packed_attention import NAME

WITHOUT_PADDING = ("llama", "llama with adapter", "gpt2", "qwen2", "qwen3")
PADDED = ("gemma2", "bloom")
LAYERS = {"gpt2": ["c_attn", "c_fc"], "bloom": ["query_key_value"]}
_TOKENS = st.lists(st.integers(3, 319), min_size=1, max_size=9)
_PAIRS = st.lists(st.builds(EncodedPair, _TOKENS, _TOKENS), min_size=3, max_size=6)
PAIRS = [EncodedPair([5, 9, 30, 7], [8, 2]), EncodedPair([6], [100, 101, 102, 2]), EncodedPair([7, 8], [2])]


def logits_one_by_one(model, pairs):
    """Oracle: every sample in a row of its own."""
    found = []
    for prompt, answer in pairs:
        logits = model(input_ids=torch.tensor([prompt + answer]), use_cache=False).logits[0]
        found.append(logits[len(prompt) - 1 : -1])
    return torch.cat(found)


@pytest.mark.parametrize("architecture", [*WITHOUT_PADDING, *PADDED])
@settings(max_examples=25, deadline=None)
@given(pairs=_PAIRS)
def test_the_heads_logits_of_the_states_are_those_of_every_sample_alone(architecture, pairs):
    model = TINY[architecture]()
    reader = StateReader(model, 0, pairs)
    assert (reader.fallback_reason is None) == (architecture in WITHOUT_PADDING)
    with torch.no_grad(), reader.reading():
        states, gold, row = reader(pairs)
    with torch.no_grad():
        expected = logits_one_by_one(model, pairs)
    assert (reader.head(states) - expected).abs().max() < 2e-4
    assert gold.tolist() == [token for pair in pairs for token in pair.answer]
    assert row.tolist() == [number for number, pair in enumerate(pairs) for _ in pair.answer]
    assert reader.vocabulary == expected.shape[1] == 320


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("architecture", [*WITHOUT_PADDING, *PADDED])
def test_gradients_are_those_of_plain_cross_entropy_one_sample_at_a_time(architecture, checkpointing):
    student = copy.deepcopy(TINY[architecture]())
    if "adapter" not in architecture:
        config = LoraConfig(
            r=4, target_modules=LAYERS.get(architecture, ["q_proj", "down_proj"]), init_lora_weights=False
        )
        student = get_peft_model(student, config)
    for module in student.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # GPT-2 brings its own
    for name, value in student.named_parameters():
        value.requires_grad_("lora_" in name)
    trained = [value for value in student.parameters() if value.requires_grad]
    logits = logits_one_by_one(student, PAIRS)
    wanted = torch.tensor([token for pair in PAIRS for token in pair.answer])
    torch.nn.functional.cross_entropy(logits, wanted, reduction="sum").backward()
    expected = [value.grad.clone() for value in trained]
    student.zero_grad()

    if checkpointing:
        student.get_base_model().gradient_checkpointing_enable({"use_reentrant": False})
    student.train()
    reader = StateReader(student, 0, PAIRS)
    with reader.reading():
        states, gold, row = reader(PAIRS)
        distillation_loss(states, reader.head, gold, row, {}, TOKEN_STRATEGIES["cross_entropy"]).loss.backward()
    assert student.training
    for value, gradient in zip(trained, expected, strict=True):
        assert (value.grad - gradient).abs().max() <= 1e-4 * max(1.0, gradient.abs().max().item())


def test_a_window_shorter_than_the_longest_sample_is_seen_at_the_start():
    short, long = [EncodedPair([5] * 4, [6] * 3)] * 3, [EncodedPair([5] * 20, [6] * 3)] * 3
    assert StateReader(TINY["mistral"](), 0, short).fallback_reason is None
    assert "sliding window" in StateReader(TINY["mistral"](), 0, long).fallback_reason


def test_the_model_is_left_as_it_was():
    model = TINY["llama with adapter"]()
    plain = model.get_base_model()
    before, head = plain.config._attn_implementation, plain.get_output_embeddings()
    reader = StateReader(model, 0, PAIRS)
    with reader.reading():
        assert plain.config._attn_implementation == NAME
        reader(PAIRS)
    assert plain.config._attn_implementation == before
    assert plain.get_output_embeddings() is head
    assert not model.training


def test_an_output_layer_with_an_adapter_is_padded_and_right():
    student = get_peft_model(
        copy.deepcopy(TINY["llama"]()), LoraConfig(r=4, target_modules=["lm_head"], init_lora_weights=False)
    ).eval()
    reader = StateReader(student, 0, PAIRS)
    assert "output layer" in reader.fallback_reason
    with torch.no_grad():
        assert (reader.head(reader(PAIRS).states) - logits_one_by_one(student, PAIRS)).abs().max() < 1e-4


def test_samples_beyond_the_context_are_counted():
    model = TINY["gpt2"]()
    limit = model.config.max_position_embeddings
    long = [EncodedPair([5] * limit, [6] * 3), EncodedPair([5] * (limit - 1), [6])]
    with pytest.raises(DataError, match=rf"1 of 5 samples are longer than the model's context of {limit:,} tokens"):
        StateReader(model, 0, [*PAIRS, *long])
