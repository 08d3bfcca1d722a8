import pytest

from muscle_core.errors import ModelError
from muscle_core.models import ModelSpec
from muscle_core.models.load import load_base, load_tokenizer
from muscle_core.scoring import score
from muscle_core.scoring.encode import encode_pair
from muscle_core.scoring.generation import generate_greedy
from muscle_core.scoring.loglikelihood import answer_loglikelihoods
from muscle_core.scoring.score import Decoding, score_samples
from muscle_core.tasks import Sample, task_of

COMMON = {"sample_id", "prediction", "correct", "gold", "gold_loglikelihood", "finish_reason", "output"}
COMMON |= {"latency_seconds"}
TEMPLATE = "Question: {input}\nAnswer:"
DECODING = Decoding(max_new_tokens=6, stop=())
WORDS = ["the cat", "a dog runs", "one", "two three four five", "house and tree", "is it a bird?"]
CHOICES = ("runs", "the dog sleeps", "five")


@pytest.fixture(scope="module")
def model(tiny_bases):
    return load_base(ModelSpec(str(tiny_bases["old"])))


@pytest.fixture(scope="module")
def tokenizer(tiny_bases):
    return load_tokenizer(ModelSpec(str(tiny_bases["old"])))


def choice_samples(gold=None):
    return [
        Sample(f"s{i}", "test", text, str(i % 3 if gold is None else gold), CHOICES[i % 3], CHOICES)
        for i, text in enumerate(WORDS)
    ]


def scored(model, tokenizer, kind, samples, decoding=DECODING):
    chunks = score_samples(model, tokenizer, task_of(kind), samples, template=TEMPLATE, decoding=decoding)
    return {row["sample_id"]: row for chunk in chunks for row in chunk}


def test_multiple_choice_rows_follow_from_the_loglikelihoods_of_the_choices(model, tokenizer):
    samples = choice_samples()
    rows = scored(model, tokenizer, "multiple_choice", samples)
    assert set(rows) == {sample.id for sample in samples}
    for sample in samples:
        row = rows[sample.id]
        assert set(row) == COMMON | {"choice_loglikelihoods", "margin"}
        prompt = TEMPLATE.replace("{input}", sample.input)
        sums = [
            sum(answer_loglikelihoods(model, [encode_pair(tokenizer, prompt, choice)], 0)[0])
            for choice in sample.choices
        ]
        assert row["choice_loglikelihoods"] == pytest.approx(sums, abs=1e-4)
        best = sums.index(max(sums))
        assert row["prediction"] == str(best)
        assert row["output"] == sample.choices[best]
        assert row["finish_reason"] == "choice"
        assert row["correct"] is (best == int(sample.gold))
        assert row["gold_loglikelihood"] == row["choice_loglikelihoods"][int(sample.gold)]


def test_the_margin_is_positive_exactly_where_the_answer_is_right(model, tokenizer):
    rows = [row for g in range(3) for row in scored(model, tokenizer, "multiple_choice", choice_samples(g)).values()]
    assert {row["correct"] for row in rows} == {True, False}
    assert sum(row["correct"] for row in rows) == len(WORDS)  # each question is right for one of the three golds
    for row in rows:
        assert (row["margin"] > 0) is row["correct"]
        others = [v for i, v in enumerate(row["choice_loglikelihoods"]) if i != int(row["gold"])]
        assert row["margin"] == pytest.approx(row["gold_loglikelihood"] - max(others))


@pytest.mark.parametrize(("kind", "extra"), [("math", set()), ("summarization", {"rouge1", "rouge2", "rougeL"})])
def test_generated_rows_are_judged_by_the_task(model, tokenizer, kind, extra):
    samples = [Sample(f"s{i}", "test", text, "5", "#### 5") for i, text in enumerate(WORDS)]
    rows = scored(model, tokenizer, kind, samples)
    assert set(rows) == {sample.id for sample in samples}
    for sample in samples:
        row, prompt = rows[sample.id], TEMPLATE.replace("{input}", sample.input)
        [answer] = generate_greedy(model, tokenizer, [prompt], max_new_tokens=6)
        judgement = task_of(kind).judge(answer.text, "5")
        assert set(row) == COMMON | extra
        assert row["output"] == answer.text
        assert (row["prediction"], row["correct"]) == (judgement.prediction, judgement.correct)
        assert row["finish_reason"] == (answer.finish_reason if judgement.prediction else "no answer")
        gold = answer_loglikelihoods(model, [encode_pair(tokenizer, prompt, "#### 5")], 0)[0]
        assert row["gold_loglikelihood"] == pytest.approx(sum(gold), abs=1e-4)
        assert row["latency_seconds"] > 0


def test_scores_do_not_depend_on_order_company_or_chunks(model, tokenizer, monkeypatch):
    samples = choice_samples()
    whole = scored(model, tokenizer, "multiple_choice", samples)
    monkeypatch.setattr(score, "_CHUNK", 2)
    chunks = list(
        score_samples(model, tokenizer, task_of("multiple_choice"), samples[::-1], template=TEMPLATE, decoding=DECODING)
    )
    assert [len(chunk) for chunk in chunks] == [2, 2, 2]
    for row in (row for chunk in chunks for row in chunk):
        assert row["choice_loglikelihoods"] == pytest.approx(whole[row["sample_id"]]["choice_loglikelihoods"], abs=1e-4)


@pytest.mark.parametrize("kind", ["multiple_choice", "math"])
def test_a_sample_beyond_the_models_context_is_refused_by_name(model, tokenizer, kind):
    long = Sample("long one", "test", "cat " * 300, "0", "runs", CHOICES)
    with pytest.raises(ModelError, match=r"'long one' needs 3\d\d tokens .* context holds 256"):
        scored(model, tokenizer, kind, [*choice_samples(), long])


def test_room_for_the_generated_answer_counts_as_context(model, tokenizer):
    sample = [Sample("s", "test", "the cat", "5", "5")]
    with pytest.raises(ModelError, match="context holds 256"):
        scored(model, tokenizer, "math", sample, Decoding(max_new_tokens=250, stop=()))


def test_no_samples_give_no_rows(model, tokenizer):
    assert scored(model, tokenizer, "math", []) == {}


def test_decoding_states_that_it_is_greedy():
    assert Decoding(8, ("x",)).as_dict() == {"method": "greedy", "scoring": "sum", "max_new_tokens": 8, "stop": ["x"]}
