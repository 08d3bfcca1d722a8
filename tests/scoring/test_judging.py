from muscle_core.scoring.judging import judge_shards
from muscle_core.scoring.prediction import Answer
from muscle_core.tasks import Sample, task_of


def test_scores_from_parallel_processes_are_those_of_one_in_the_same_order() -> None:
    task = task_of("summarization")
    words = ["the", "cat", "sees", "a", "red", "house", "and", "two", "small", "birds"]
    shards = [
        (
            [Sample(f"s{n}-{i}", "test", "x", " ".join(words[i : i + n + 2]), "y") for i in range(4)],
            [Answer([[-1.0]], " ".join(words[: n + i + 1]), "stop", 0.1) for i in range(4)],
        )
        for n in range(5)
    ]
    alone = list(judge_shards(task, shards, "rouge", total=20))
    assert list(judge_shards(task, iter(shards), "rouge", total=20, parallel_from=1)) == alone
    assert [len(rows) for rows in alone] == [4] * 5
    assert len({row["rouge1"] for rows in alone for row in rows}) > 5
