import pytest
import torch
from architectures import TINY
from hypothesis import given, settings
from hypothesis import strategies as st

from muscle_core.models import ModelSpec
from muscle_core.models.load import load_base, load_tokenizer
from muscle_core.scoring.encode import encode_prompts
from muscle_core.scoring.generation import Generated, GreedyGenerator

PROMPTS = ["the cat", "Question: is the house or the tree?\nAnswer:", "a", "one two three four"]
STEPS = 12


@pytest.fixture(scope="module")
def spec(tiny_bases):
    return ModelSpec(str(tiny_bases["old"]))


@pytest.fixture(scope="module")
def tokenizer(spec):
    return load_tokenizer(spec)


@pytest.fixture(scope="module")
def model(spec):
    return load_base(spec)


@pytest.fixture(params=["own loop", "transformers"])
def generate(request):
    """Generates by the own loop, or by transformers as for an architecture that does not take it."""

    def run(model, tokenizer, prompts, *, max_new_tokens, stop=(), batch_rows=None):
        generator = GreedyGenerator(model, tokenizer, max_new_tokens=max_new_tokens, stop=stop, batch_rows=batch_rows)
        assert generator.fallback_reason is None
        if request.param == "transformers":
            generator.fallback_reason = "asked for by the test"
        return generator.generate(encode_prompts(tokenizer, prompts))

    return run


def by_hand(model, tokenizer, prompt, steps, stop=()):
    """Greedy decoding of one prompt without cache, padding or generate()."""
    ids, new = tokenizer(prompt)["input_ids"], []
    with torch.no_grad():
        for _ in range(steps):
            token = int(model(input_ids=torch.tensor([ids + new]), use_cache=False).logits[0, -1].argmax())
            if token == tokenizer.eos_token_id:
                return Generated(tokenizer.decode(new, skip_special_tokens=True).strip(), "stop")
            new.append(token)
            text = tokenizer.decode(new, skip_special_tokens=True)
            found = [text.index(mark) for mark in stop if mark in text]
            if found:
                return Generated(text[: min(found)].strip(), "stop")
    return Generated(tokenizer.decode(new, skip_special_tokens=True).strip(), "length")


def test_a_batch_equals_a_hand_written_greedy_loop(generate, model, tokenizer):
    expected = [by_hand(model, tokenizer, prompt, STEPS) for prompt in PROMPTS]
    assert generate(model, tokenizer, PROMPTS, max_new_tokens=STEPS) == expected
    assert len({answer.text for answer in expected}) == len(PROMPTS)


def test_a_stop_string_cuts_the_answer_of_its_row_only(generate, model, tokenizer):
    whole = generate(model, tokenizer, PROMPTS, max_new_tokens=STEPS)
    ascii_signs = [sign for sign in whole[0].text[1:] if sign.isascii() and sign.isprintable() and sign != " "]
    stop = (ascii_signs[0], "never written")
    expected = [by_hand(model, tokenizer, prompt, STEPS, stop) for prompt in PROMPTS]
    found = generate(model, tokenizer, PROMPTS, max_new_tokens=STEPS, stop=stop)
    assert found == expected
    assert found[0].finish_reason == "stop"
    assert stop[0] not in found[0].text
    assert "length" in {answer.finish_reason for answer in found}


def test_eos_ends_an_answer_with_reason_stop(generate, model, tokenizer, spec):
    expected = by_hand(model, tokenizer, PROMPTS[0], STEPS)
    assert expected.finish_reason == "length"
    with torch.no_grad():
        first = int(model(**tokenizer(PROMPTS[0], return_tensors="pt")).logits[0, -1].argmax())
    other = load_tokenizer(spec)
    other.eos_token = other.convert_ids_to_tokens(first)  # now the first token written is the end
    assert generate(model, other, PROMPTS[:1], max_new_tokens=STEPS) == [Generated("", "stop")]


def test_the_vendors_generation_settings_do_not_change_greedy_answers(generate, spec, tokenizer, model):
    expected = generate(model, tokenizer, PROMPTS, max_new_tokens=STEPS)
    other = load_base(spec)
    other.generation_config.repetition_penalty = 5.0
    other.generation_config.do_sample = True
    other.generation_config.temperature = 9.0
    other.generation_config.suppress_tokens = list(range(100))
    assert generate(other, tokenizer, PROMPTS, max_new_tokens=STEPS) == expected
    assert other.generation_config.repetition_penalty == 5.0  # the model itself is left as it was


def test_two_runs_give_the_same_texts(generate, model, tokenizer):
    first = generate(model, tokenizer, PROMPTS, max_new_tokens=STEPS)
    torch.manual_seed(99)
    assert generate(model, tokenizer, PROMPTS, max_new_tokens=STEPS) == first


@settings(max_examples=25, deadline=None)
@given(
    prompts=st.lists(st.lists(st.integers(3, 319), min_size=1, max_size=30), min_size=1, max_size=12),
    batch_rows=st.integers(1, 5),
    stop=st.lists(st.sampled_from(["a", "e ", "tr", "\n"]), max_size=2),
)
@pytest.mark.parametrize("architecture", ["llama", "llama with adapter", "gpt2", "qwen3"])
def test_rows_that_take_the_place_of_others_get_the_same_text_as_alone(
    architecture, tokenizer, prompts, batch_rows, stop
):
    generator = GreedyGenerator(TINY[architecture](), tokenizer, max_new_tokens=10, stop=stop, batch_rows=batch_rows)
    assert generator.fallback_reason is None
    together = generator.generate(prompts)
    generator.fallback_reason = "asked for by the test"
    assert together == [generator.generate([prompt])[0] for prompt in prompts]


def test_an_attention_that_the_own_loop_does_not_know_goes_to_transformers(tokenizer):
    prompts = encode_prompts(tokenizer, PROMPTS)
    soft_capped = GreedyGenerator(TINY["gemma2"](), tokenizer, max_new_tokens=8)
    assert "softcap" in soft_capped.fallback_reason
    assert soft_capped.generate(prompts) == [by_hand(TINY["gemma2"](), tokenizer, p, 8) for p in PROMPTS]
    # The probe is shorter than this window; only longer rows tell.
    windowed = GreedyGenerator(TINY["mistral"](), tokenizer, max_new_tokens=30)
    assert windowed.fallback_reason is None
    assert windowed.generate(prompts) == [by_hand(TINY["mistral"](), tokenizer, p, 30) for p in PROMPTS]


def test_long_answers_outgrow_the_buffers(model, tokenizer):
    generator = GreedyGenerator(model, tokenizer, max_new_tokens=150)
    assert generator.fallback_reason is None
    found = generator.generate(encode_prompts(tokenizer, PROMPTS))
    assert found == [by_hand(model, tokenizer, prompt, 150) for prompt in PROMPTS]
