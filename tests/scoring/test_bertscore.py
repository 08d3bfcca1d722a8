"""BERTScore of a tiny local encoder equals the formula written out, and goes through an evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from muscle_core.actions.evaluation.evaluate import EvaluationOptions, evaluate
from muscle_core.actions.library.datasets import add_dataset_rows
from muscle_core.actions.updates.compare import compare_versions, predictions_of
from muscle_core.errors import ConfigError, ModelError
from muscle_core.scoring.bertscore import BertScorer

TEXTS = [("the cat runs", "a cat runs"), ("one", "two three"), ("the dog", "the dog"), (" ", "tree")]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    """A real BERT of a few thousand parameters with a word tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "the",
        "a",
        "cat",
        "dog",
        "tree",
        "runs",
        "one",
        "two",
        "three",
        "four",
    ]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    folder = tmp_path_factory.mktemp("encoder")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(words), max_position_embeddings=64, initializer_range=0.5, **shape)
    BertModel(config).save_pretrained(folder)
    return folder


def written_out(encoder: Path, output: str, gold: str) -> float:
    """Oracle: best cosine of each token (without the special ones), averaged both ways, and their harmonic mean."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder).eval()

    def vectors(text: str) -> torch.Tensor:
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0, 1:-1]
        return states / states.norm(dim=-1, keepdim=True)

    cosines = vectors(output) @ vectors(gold).T
    precision, recall = cosines.max(1).values.mean(), cosines.max(0).values.mean()
    return float(2 * precision * recall / (precision + recall))


def test_scores_equal_the_formula_written_out(encoder: Path) -> None:
    outputs, golds = zip(*TEXTS, strict=True)
    expected = [written_out(encoder, output, gold) if output.strip() else 0.0 for output, gold in TEXTS]
    for count in (1, 12):  # in one pass and in several
        found = BertScorer(str(encoder)).scores(outputs * count, golds * count)
        assert found == pytest.approx(expected * count, abs=1e-5)
    assert expected[2] == pytest.approx(1.0, abs=1e-5)


def test_an_evaluation_adds_it_beside_rouge_without_asking_again(filled, encoder: Path) -> None:
    rows = [{"id": f"d{n}", "dialogue": f"the cat {n}", "summary": "a cat runs"} for n in range(6)]
    located = [(row["id"], row) for row in rows]
    add_dataset_rows(filled, "talks", "summarization", {"test": located}, max_new_tokens=5)
    options = EvaluationOptions(scoring="bertscore", encoder=str(encoder))
    runs = [evaluate(filled, name, "talks", options=options) for name in ("old", "new")]
    table = predictions_of(filled, runs[0])
    assert table["bertscore"].between(-1, 1).all()
    assert table["rouge1"].notna().all()
    assert "bertscore" in runs[0].summary
    assert "bertscore" in compare_versions(filled, "old", "new", "talks", options=options).to_dict()["continuous"]


def test_an_encoder_goes_with_this_scoring_only(filled, encoder: Path, tmp_path: Path) -> None:
    for options in (EvaluationOptions(encoder=str(encoder)), EvaluationOptions(scoring="per_byte", encoder="x")):
        with pytest.raises(ConfigError, match="needs an encoder"):
            evaluate(filled, "old", "choice", options=options)
    with pytest.raises(ModelError, match="no model at"):
        BertScorer(str(tmp_path / "gone"))
