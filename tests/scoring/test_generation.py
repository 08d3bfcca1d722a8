import pytest
import torch

from muscle_core.models import ModelSpec
from muscle_core.models.load import load_base, load_tokenizer
from muscle_core.scoring.generation import Generated, generate_greedy

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


def test_a_batch_equals_a_hand_written_greedy_loop(model, tokenizer):
    expected = [by_hand(model, tokenizer, prompt, STEPS) for prompt in PROMPTS]
    assert generate_greedy(model, tokenizer, PROMPTS, max_new_tokens=STEPS) == expected
    assert len({answer.text for answer in expected}) == len(PROMPTS)


def test_a_stop_string_cuts_the_answer_of_its_row_only(model, tokenizer):
    whole = generate_greedy(model, tokenizer, PROMPTS, max_new_tokens=STEPS)
    ascii_signs = [sign for sign in whole[0].text[1:] if sign.isascii() and sign.isprintable() and sign != " "]
    stop = (ascii_signs[0], "never written")
    expected = [by_hand(model, tokenizer, prompt, STEPS, stop) for prompt in PROMPTS]
    found = generate_greedy(model, tokenizer, PROMPTS, max_new_tokens=STEPS, stop=stop)
    assert found == expected
    assert found[0].finish_reason == "stop"
    assert stop[0] not in found[0].text
    assert "length" in {answer.finish_reason for answer in found}


def test_eos_ends_an_answer_with_reason_stop(model, tokenizer, spec):
    expected = by_hand(model, tokenizer, PROMPTS[0], STEPS)
    assert expected.finish_reason == "length"
    with torch.no_grad():
        first = int(model(**tokenizer(PROMPTS[0], return_tensors="pt")).logits[0, -1].argmax())
    other = load_tokenizer(spec)
    other.eos_token = other.convert_ids_to_tokens(first)  # now the first token written is the end
    assert generate_greedy(model, other, PROMPTS[:1], max_new_tokens=STEPS) == [Generated("", "stop")]


def test_the_vendors_generation_settings_do_not_change_greedy_answers(spec, tokenizer, model):
    expected = generate_greedy(model, tokenizer, PROMPTS, max_new_tokens=STEPS)
    other = load_base(spec)
    other.generation_config.repetition_penalty = 5.0
    other.generation_config.do_sample = True
    other.generation_config.temperature = 9.0
    other.generation_config.suppress_tokens = list(range(100))
    assert generate_greedy(other, tokenizer, PROMPTS, max_new_tokens=STEPS) == expected
    assert other.generation_config.repetition_penalty == 5.0  # the model itself is left as it was


def test_two_runs_give_the_same_texts(model, tokenizer):
    first = generate_greedy(model, tokenizer, PROMPTS, max_new_tokens=STEPS)
    torch.manual_seed(99)
    assert generate_greedy(model, tokenizer, PROMPTS, max_new_tokens=STEPS) == first
