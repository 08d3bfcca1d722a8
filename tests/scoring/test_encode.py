import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import processors

from muscle_core.errors import ModelError
from muscle_core.models import ModelSpec
from muscle_core.models.load import load_tokenizer
from muscle_core.scoring.encode import encode_groups, encode_pair, encode_prompts


@pytest.fixture(scope="module")
def tokenizer(tiny_bases):
    return load_tokenizer(ModelSpec(str(tiny_bases["old"])))


_TEXT = st.text(alphabet="the cadog.?\n 1é🙂", min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prompt=_TEXT, answer=_TEXT)
def test_prompt_ids_never_depend_on_the_answer_and_the_answer_is_never_empty(tokenizer, prompt, answer):
    pair = encode_pair(tokenizer, prompt, answer)
    assert [pair.prompt] == encode_prompts(tokenizer, [prompt])
    assert pair.answer
    spaced = answer if prompt[-1].isspace() or answer[0].isspace() else " " + answer
    assert tokenizer.decode(pair.prompt + pair.answer, skip_special_tokens=True) == prompt + spaced


def test_the_answer_gets_one_leading_space_exactly_where_the_prompt_ends_visibly(tokenizer):
    def text(prompt, answer):
        return tokenizer.decode(encode_pair(tokenizer, prompt, answer).answer)

    assert text("Answer:", "dog") == " dog"
    assert text("Answer:", " dog") == " dog"
    assert text("Answer:\n", "dog") == "dog"
    assert text("Answer: ", "dog") == "dog"


def test_a_stable_border_gives_the_ids_of_the_whole_text(tokenizer):
    pair = encode_pair(tokenizer, "the cat", "runs and sleeps")
    assert pair.prompt + pair.answer == tokenizer("the cat runs and sleeps")["input_ids"]


def test_where_the_tokenizer_merges_across_the_border_the_answer_is_encoded_alone(tokenizer):
    merged = tokenizer("the cat")["input_ids"]
    prompt = tokenizer("the ")["input_ids"]
    assert merged[: len(prompt)] != prompt  # " cat" is one token: the space of the prompt would be swallowed
    pair = encode_pair(tokenizer, "the ", "cat")
    assert pair.prompt == prompt
    assert pair.answer == tokenizer("cat", add_special_tokens=False)["input_ids"]


def test_the_prompt_starts_with_bos_and_the_answer_holds_no_special_token(tokenizer):
    for prompt, answer in (("the cat", "runs"), ("the ", "cat")):
        pair = encode_pair(tokenizer, prompt, answer)
        assert pair.prompt.count(tokenizer.bos_token_id) == 1
        assert pair.prompt[0] == tokenizer.bos_token_id
        assert not {tokenizer.bos_token_id, tokenizer.eos_token_id} & set(pair.answer)


def test_an_eos_that_the_tokenizer_adds_is_left_out(tiny_bases):
    tokenizer = load_tokenizer(ModelSpec(str(tiny_bases["old"])))
    plain = encode_pair(tokenizer, "the cat", "runs")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", special_tokens=[("<bos>", 1), ("<eos>", 2)]
    )
    assert tokenizer("the cat")["input_ids"][-1] == tokenizer.eos_token_id
    assert encode_pair(tokenizer, "the cat", "runs") == plain


def test_groups_hold_the_ids_of_their_pairs_in_order(tokenizer):
    prompts, answers = ["the cat", "a\n"], [["runs", "dog sleeps"], ["one"]]
    groups = encode_groups(tokenizer, prompts, answers)
    for group, prompt, texts in zip(groups, prompts, answers, strict=True):
        assert [group.prompt] * len(texts) == [encode_pair(tokenizer, prompt, text).prompt for text in texts]
        assert group.answers == [encode_pair(tokenizer, prompt, text).answer for text in texts]


def test_a_chat_text_brings_its_own_special_tokens(tokenizer):
    [group] = encode_groups(tokenizer, ["<bos>the cat<eos>"], [["runs"]], chat=True)
    assert group.prompt == tokenizer("<bos>the cat<eos>", add_special_tokens=False)["input_ids"]
    assert group.prompt[-1] == tokenizer.eos_token_id


def test_a_chat_text_keeps_its_last_token_also_where_that_is_token_0(tokenizer):
    assert tokenizer("<pad>", add_special_tokens=False)["input_ids"] == [0]
    [group] = encode_groups(tokenizer, ["<bos>the cat"], [["runs<pad>"]], chat=True)
    assert group.answers[0][-1] == 0


def test_a_prompt_or_answer_without_tokens_is_refused(tokenizer, tiny_bases):
    with pytest.raises(ModelError, match="the answer '' has no tokens"):
        encode_groups(tokenizer, ["the "], [[""]])
    bare = load_tokenizer(ModelSpec(str(tiny_bases["old"])))
    bare.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    with pytest.raises(ModelError, match="the prompt '' has no tokens"):
        encode_groups(bare, [""], [["runs"]])
