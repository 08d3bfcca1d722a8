"""Token views against loops over single tokens and whole passes of one sample at a time."""

from __future__ import annotations

import pytest
import torch

from muscle_core.compat import STRATEGIES
from muscle_core.compat.pairs import training_pairs
from muscle_core.compat.token_view import _text, token_views
from muscle_core.errors import ModelError
from muscle_core.models import ModelSpec
from muscle_core.models.load import load_base, load_tokenizer
from muscle_core.tasks import Sample

TEMPLATE = "Question: {input}\nAnswer:"
WORDS = ["cat", "the dog sleeps and eats", "café 🙂", "a", "one two three four five", "house\nand tree"]
SAMPLES = [Sample(f"s{i}", "train", word, "0", word) for i, word in enumerate(WORDS)]


@pytest.fixture(scope="module")
def tokenizer(tiny_bases):
    return load_tokenizer(ModelSpec(str(tiny_bases["new"])))


@pytest.fixture(scope="module")
def pairs(tokenizer):
    return training_pairs(tokenizer, SAMPLES, TEMPLATE, 256).pairs


@pytest.fixture(scope="module")
def models(tiny_bases):
    """Old, new, and a student whose head prefers what some samples need, so that it is right at some tokens."""
    found = {name: load_base(ModelSpec(str(tiny_bases[name]))) for name in ("old", "new")}
    torch.manual_seed(5)
    student = load_base(ModelSpec(str(tiny_bases["new"])))
    with torch.no_grad():
        for parameter in student.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return {**found, "student": student}


@torch.no_grad()
def looked_at(model, pair):
    """For each answer token: most likely id, and the gold token's probability; one whole pass, token by token."""
    logits = model(input_ids=torch.tensor([[*pair.prompt, *pair.answer]])).logits[0].double()
    found = []
    for position, token in enumerate(pair.answer):
        probabilities = torch.softmax(logits[len(pair.prompt) + position - 1], -1)
        found.append((int(probabilities.argmax()), float(probabilities[token])))
    return found


def teachers(gold, old, student):
    """What every strategy says of one answer, by its definition in paper.md."""
    whole = torch.tensor([p for _, p in student]).log().sum() < torch.tensor([p for _, p in old]).log().sum()
    found = {name: [] for name in STRATEGIES}
    for token, (old_best, old_p), (best, p) in zip(gold, old, student, strict=True):
        for name, follows_old in (
            ("token_correctness", best != token),
            ("token_likelihood", p < old_p),
            ("sequence_likelihood", bool(whole)),
            ("old_correct", old_best == token),
            ("always_old", True),
            ("always_new", False),
        ):
            found[name].append("old" if follows_old else "new")
        found["cross_entropy"].append("gold")
        found["focal_distillation"].append("old+gold")
    return found


@pytest.mark.parametrize("with_student", [True, False])
@pytest.mark.parametrize("batch_tokens", [8192, 60, 1])
def test_views_equal_loops_over_single_tokens(models, tokenizer, pairs, with_student, batch_tokens):
    chosen = models if with_student else {name: models[name] for name in ("old", "new")}
    views = token_views(chosen, tokenizer, pairs, batch_tokens=batch_tokens)
    assert len(views) == len(pairs)
    seen = set()
    for view, pair in zip(views, pairs, strict=True):
        assert view.gold == pair.answer
        assert list(view.models) == ["old", "new", "student"]
        oracle = {name: looked_at(chosen.get(name, chosen["new"]), pair) for name in view.models}
        for name, tokens in view.models.items():
            assert tokens.argmax == [best for best, _ in oracle[name]]
            probabilities = torch.tensor(tokens.gold_loglikelihood).exp().tolist()
            assert probabilities == pytest.approx([p for _, p in oracle[name]], rel=1e-3)
        assert view.follows == teachers(pair.answer, oracle["old"], oracle["student"])
        seen |= {(name, value) for name, values in view.follows.items() for value in values}
    assert {(name, value) for name in ("token_likelihood", "sequence_likelihood") for value in ("old", "new")} <= seen


def test_right_tokens_follow_what_their_strategies_say(models, tokenizer, pairs):
    """Gold answers that old or student would write themselves: then argmax and gold token agree."""
    written = []
    for name in ("old", "student"):
        for pair in pairs:
            answer: list[int] = []
            for _ in range(3):
                with torch.no_grad():
                    logits = models[name](input_ids=torch.tensor([[*pair.prompt, *answer]])).logits
                answer.append(int(logits[0, -1].argmax()))
            written.append(pair._replace(answer=answer))
    views = token_views(models, tokenizer, written)
    for view, pair in zip(views, written, strict=True):
        assert view.follows == teachers(pair.answer, looked_at(models["old"], pair), looked_at(models["student"], pair))
    assert all(set(view.follows["old_correct"]) == {"old"} for view in views[: len(pairs)])
    assert all(set(view.follows["token_correctness"]) == {"new"} for view in views[len(pairs) :])


def test_texts_join_to_the_answer_and_the_frame_holds_one_row_a_token(models, tokenizer, pairs):
    views = token_views(models, tokenizer, pairs)
    for view, sample in zip(views, SAMPLES, strict=True):
        assert view.text[-1] == "<eos>"
        if sample.target.isascii():
            assert "".join(view.text[:-1]) == " " + sample.target
        frame = view.frame()
        assert list(frame["gold_id"]) == view.gold
        assert list(frame.columns) == [
            "token",
            "gold_id",
            *[f"{name}_{what}" for name in ("old", "new", "student") for what in ("argmax", "probability")],
            *STRATEGIES,
        ]
        assert frame["old_probability"].between(0, 1).all()
    assert token_views(models, tokenizer, []) == []


def test_the_leading_space_of_a_token_is_shown_where_the_tokenizer_drops_it_alone():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<unk>": 0, "\u2581the": 1, "\u2581cat": 2, "s": 3}
    sentencepiece = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    sentencepiece.pre_tokenizer = pre_tokenizers.Metaspace()
    sentencepiece.decoder = decoders.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=sentencepiece, unk_token="<unk>")
    assert tokenizer.decode([2]) == "cat"
    assert [_text(tokenizer, before, token) for before, token in (([1], 2), ([1, 2], 3), ([], 1))] == [
        " cat",
        "s",
        "the",
    ]


def test_other_vocabularies_are_refused(models, tokenizer, pairs, tiny_bases):
    other = load_base(ModelSpec(str(tiny_bases["new"])))
    other.resize_token_embeddings(400)
    with pytest.raises(ModelError, match=r"vocabularies differ \(\d+, 400 entries\)"):
        token_views({**models, "student": other}, tokenizer, pairs)
