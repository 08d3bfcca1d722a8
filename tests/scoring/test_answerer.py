import pytest

from muscle_core.errors import ModelError
from muscle_core.models import ModelSpec
from muscle_core.models.load import load_base, load_tokenizer
from muscle_core.scoring.answerer import SampleAnswerer
from muscle_core.scoring.decoding import Decoding
from muscle_core.scoring.encode import encode_pair, encode_prompts
from muscle_core.scoring.generation import GreedyGenerator
from muscle_core.scoring.loglikelihood import answer_loglikelihoods
from muscle_core.scoring.prediction import prediction_row
from muscle_core.tasks import Sample, task_of

COMMON = {"sample_id", "prediction", "correct", "gold", "gold_loglikelihood", "finish_reason", "output"}
COMMON |= {"latency_seconds", "token_loglikelihoods"}
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
    task = task_of(kind)
    answers = SampleAnswerer(model, tokenizer, task, template=TEMPLATE, decoding=decoding)(samples)
    return {
        sample.id: prediction_row(task, sample, answer, decoding.scoring)
        for sample, answer in zip(samples, answers, strict=True)
    }


def test_multiple_choice_rows_follow_from_the_loglikelihoods_of_the_choices(model, tokenizer):
    samples = choice_samples()
    rows = scored(model, tokenizer, "multiple_choice", samples)
    assert set(rows) == {sample.id for sample in samples}
    for sample in samples:
        row = rows[sample.id]
        assert set(row) == COMMON | {"choice_loglikelihoods", "choice_loglikelihoods_per_byte", "margin"}
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
        generator = GreedyGenerator(model, tokenizer, max_new_tokens=6)
        [answer] = generator.generate(encode_prompts(tokenizer, [prompt]))
        judgement = task_of(kind).judge(answer.text, "5")
        assert set(row) == COMMON | extra
        assert row["output"] == answer.text
        assert (row["prediction"], row["correct"]) == (judgement.prediction, judgement.correct)
        assert row["finish_reason"] == answer.finish_reason
        gold = answer_loglikelihoods(model, [encode_pair(tokenizer, prompt, "#### 5")], 0)[0]
        assert row["gold_loglikelihood"] == pytest.approx(sum(gold), abs=1e-4)
        assert row["latency_seconds"] > 0


def test_scores_do_not_depend_on_order_or_company(model, tokenizer):
    samples = choice_samples()
    whole = scored(model, tokenizer, "multiple_choice", samples)
    alone = [scored(model, tokenizer, "multiple_choice", [sample]) for sample in samples[::-1]]
    for identity, row in (item for rows in alone for item in rows.items()):
        assert row["choice_loglikelihoods"] == pytest.approx(whole[identity]["choice_loglikelihoods"], abs=1e-4)


def test_the_scoring_decides_which_choice_is_the_answer(model, tokenizer):
    samples, rows = choice_samples(), {}
    for scoring in ("sum", "per_byte"):
        decoding = Decoding(max_new_tokens=6, stop=(), scoring=scoring)
        rows[scoring] = scored(model, tokenizer, "multiple_choice", samples, decoding)
    for sample in samples:
        by_sum, by_byte = rows["sum"][sample.id], rows["per_byte"][sample.id]
        sums = [sum(values) for values in by_sum["token_loglikelihoods"]]
        per_byte = [value / len(choice) for value, choice in zip(sums, CHOICES, strict=True)]
        assert by_sum["choice_loglikelihoods"] == by_byte["choice_loglikelihoods"] == sums
        assert by_byte["choice_loglikelihoods_per_byte"] == pytest.approx(per_byte)
        assert by_sum["prediction"] == str(sums.index(max(sums)))
        assert by_byte["prediction"] == str(per_byte.index(max(per_byte)))
        assert (by_byte["margin"] > 0) is by_byte["correct"]
    predictions = [[row["prediction"] for row in group.values()] for group in rows.values()]
    assert predictions[0] != predictions[1]  # the longest choice is a sentence, the shortest a word


def test_a_text_without_a_reference_has_no_gold_loglikelihood(model, tokenizer):
    sample = Sample("s", "test", "the cat", "", "")
    answers = SampleAnswerer(model, tokenizer, task_of("math"), template=TEMPLATE, decoding=DECODING)([sample])
    assert answers[0].token_loglikelihoods == []
    assert prediction_row(task_of("math"), sample, answers[0], "flexible")["gold_loglikelihood"] is None


def test_a_chat_template_is_used_where_asked_for(model, tokenizer, tiny_bases):
    samples, chat = choice_samples()[:1], Decoding(max_new_tokens=6, stop=(), chat=True)
    with pytest.raises(ModelError, match="no chat template"):
        scored(model, tokenizer, "multiple_choice", samples, chat)
    talking = load_tokenizer(ModelSpec(str(tiny_bases["old"])))
    talking.chat_template = "{% for m in messages %}<bos>a {{ m['content'] }}\n{% endfor %}is :"
    [row] = scored(model, talking, "multiple_choice", samples, chat).values()
    plain = f"a {TEMPLATE.replace('{input}', samples[0].input)}\nis :"
    pairs = [encode_pair(tokenizer, plain, choice) for choice in CHOICES]
    sums = [sum(answer_loglikelihoods(model, [pair], 0)[0]) for pair in pairs]
    assert row["choice_loglikelihoods"] == pytest.approx(sums, abs=1e-4)


@pytest.mark.parametrize("kind", ["multiple_choice", "math"])
def test_a_sample_beyond_the_models_context_is_refused_by_name(model, tokenizer, kind):
    long = Sample("long one", "test", "cat " * 300, "0", "runs", CHOICES)
    with pytest.raises(ModelError, match=r"context holds 256 tokens.*'long one' needs 3\d\d tokens"):
        scored(model, tokenizer, kind, [*choice_samples(), long])


def test_room_for_the_generated_answer_counts_as_context(model, tokenizer):
    sample = [Sample("s", "test", "the cat", "5", "5")]
    with pytest.raises(ModelError, match="context holds 256"):
        scored(model, tokenizer, "math", sample, Decoding(max_new_tokens=250, stop=()))


def test_no_samples_give_no_rows(model, tokenizer):
    assert scored(model, tokenizer, "math", []) == {}


def test_decoding_states_that_it_is_greedy():
    assert Decoding(8, ("x",)).as_dict() == {
        "method": "greedy",
        "scoring": "sum",
        "max_new_tokens": 8,
        "stop": ["x"],
        "chat": False,
    }
    assert "scoring" not in Decoding(8, ("x",)).answering()
