import pytest

from muscle_core.compat.pairs import training_pairs
from muscle_core.errors import DataError
from muscle_core.models import ModelSpec
from muscle_core.models.load import load_tokenizer
from muscle_core.tasks import Sample

TEMPLATE = "Question: {input}\nAnswer:"
WORDS = ["cat", "a dog", "the bird", "house and tree", "one", "two three four", "five", "or"]
SAMPLES = [Sample(f"s{i}", "train", word, "0", f"the {word} runs"[: 8 + i]) for i, word in enumerate(WORDS)]
LONG = [Sample("long one", "train", "cat " * 110, "0", "x"), Sample("other", "train", "cat " * 120, "0", "x")]


@pytest.fixture(scope="module")
def tokenizer(tiny_bases):
    return load_tokenizer(ModelSpec(str(tiny_bases["old"])))


def test_targets_end_in_eos(tokenizer):
    found = training_pairs(tokenizer, SAMPLES, TEMPLATE, 100)
    assert (found.ids, found.truncated) == ([sample.id for sample in SAMPLES], 0)
    for sample, pair in zip(SAMPLES, found.pairs, strict=True):
        assert pair.answer.count(tokenizer.eos_token_id) == 1
        assert pair.answer[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(pair.answer[:-1]) == " " + sample.target
    assert found.longest == max(len(pair.prompt) + len(pair.answer) for pair in found.pairs)
    training_pairs(tokenizer, SAMPLES, TEMPLATE, found.longest)  # exactly as long as allowed


def test_too_long_samples_are_counted_and_named_with_the_longest_length(tokenizer):
    lengths = [training_pairs(tokenizer, [sample], TEMPLATE, 1000).longest for sample in LONG]
    with pytest.raises(DataError) as caught:
        training_pairs(tokenizer, [*SAMPLES, *LONG], TEMPLATE, 100)
    text = str(caught.value)
    assert f"2 of {len(SAMPLES) + 2} samples are longer than max_length = 100 tokens" in text
    assert f"the longest has {lengths[1]:,}" in text
    assert f"sample 'long one' has {lengths[0]:,} tokens" in text
    assert "set truncate" in text


def test_on_request_the_prompt_is_cut_from_its_beginning_and_the_answer_only_where_it_must(tokenizer):
    whole = training_pairs(tokenizer, [*SAMPLES, *LONG], TEMPLATE, 1000)
    cut = training_pairs(tokenizer, [*SAMPLES, *LONG], TEMPLATE, 100, truncate=True)
    assert cut.truncated == 2
    assert cut.pairs[: len(SAMPLES)] == whole.pairs[: len(SAMPLES)]
    for short, long in zip(cut.pairs[-2:], whole.pairs[-2:], strict=True):
        assert len(short.prompt) + len(short.answer) == 100
        assert short.answer == long.answer
        assert long.prompt[-len(short.prompt) :] == short.prompt
    answer = Sample("answer", "train", "cat", "0", "the dog runs " * 40)
    [pair] = training_pairs(tokenizer, [answer], TEMPLATE, 20, truncate=True).pairs
    [full] = training_pairs(tokenizer, [answer], TEMPLATE, 1000).pairs
    assert (pair.prompt, pair.answer) == (full.prompt[-1:], full.answer[:19])


def test_no_samples_and_missing_references_are_refused(tokenizer):
    with pytest.raises(DataError, match="no samples"):
        training_pairs(tokenizer, [], TEMPLATE, 100)
    with pytest.raises(DataError, match="sample 'open' has no reference answer"):
        training_pairs(tokenizer, [*SAMPLES, Sample("open", "train", "the cat", "", "")], TEMPLATE, 100)


def test_the_fingerprint_tells_samples_and_their_order_apart(tokenizer):
    prints = [
        training_pairs(tokenizer, chosen, TEMPLATE, 100).fingerprint()
        for chosen in (SAMPLES, SAMPLES, SAMPLES[::-1], SAMPLES[:-1])
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3
