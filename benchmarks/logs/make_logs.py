"""Make the logs that the tests of imports read, with the real lm-eval and the real Inspect (make logs).

Two small Llamas with random weights, a choice task and a generation task with two filters over rows made up here;
Inspect evaluates the same rows with its own provider `mockllm/model`, whose answers are given here. Nothing is
downloaded.

Run by make: lm-eval in .venv-bench (it needs packages that the workbench does not), Inspect in .venv.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LOGS = ROOT / "tests" / "interchange" / "logs"
ROWS, INSPECT_ROWS = 16, 6  # a row of Inspect's JSON is ten kilobytes

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")

LONG = "one two three four five " * 20

CHOICE_TASK = """
task: animals
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/animals.jsonl}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "Question : {{{{question}}}} Answer :"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true
metadata: {{version: 1.0}}
"""
# Untrained weights say no numbers: the letters of their text stand for the answer, so that each filter finds some.
TEXT_TASK = """
task: sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/sums.jsonl}}}}
test_split: test
output_type: generate_until
doc_to_text: "Question : {{{{question}}}} Answer :"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["Question"], do_sample: false, max_gen_toks: 12}}
filter_list:
  - name: first-letter
    filter:
      - {{function: regex, regex_pattern: "([a-z])"}}
      - {{function: take_first}}
  - name: last-letter
    filter:
      - {{function: regex, regex_pattern: "([a-z])", group_select: -1}}
      - {{function: take_first}}
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
metadata: {{version: 2.0}}
"""


def animals() -> list[dict]:
    """Choice rows with choices of different lengths, so that acc and acc_norm differ."""
    draw = random.Random(7)
    names = ["cat", "dog", "bird", "house", "tree", "three", "one"]
    rows = []
    for number in range(ROWS):
        choices = draw.sample(names, 3)
        rows.append({"question": f"who runs {number} ?", "choices": choices, "answer": draw.randrange(3),
                     "place": draw.choice(["house", "tree"])})  # fmt: skip
    return rows


def sums() -> list[dict]:
    """Rows whose right answer is a letter, chosen so that either model and filter is right now and then."""
    return [{"question": f"the {n} is {n + 1} and é ?", "answer": a} for n, a in enumerate("deotaotdtotdstte")]


def lm_eval_logs(work: Path) -> None:
    """Two models on both tasks by lm-eval's own command."""
    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from helpers import make_tiny_base
    from lm_eval.__main__ import cli_evaluate

    data = work / "tasks"
    data.mkdir(parents=True)
    for name, rows in (("animals", animals()), ("sums", sums())):
        (data / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (data / "animals.yaml").write_text(CHOICE_TASK.format(folder=data))
    (data / "sums.yaml").write_text(TEXT_TASK.format(folder=data))
    for name, seed in (("old", 1), ("new", 2)):
        base = make_tiny_base(work / name, seed=seed)
        sys.argv = ["lm_eval", "--model", "hf", "--model_args", f"pretrained={base},dtype=float32", "--tasks",
                    "animals,sums", "--include_path", str(data), "--device", "cpu", "--batch_size", "4",
                    "--log_samples", "--output_path", str(work / "out" / name)]  # fmt: skip
        cli_evaluate()
        target = LOGS / "lm_eval" / name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for file in (work / "out" / name).rglob("*.json*"):
            text = file.read_text(encoding="utf-8").replace(str(work), "/work")
            text = text.replace(str(work).replace("/", "__"), "__work")
            if file.suffix == ".json":  # what it says of this machine is nobody's business
                results = json.loads(text)
                text = json.dumps({k: v for k, v in results.items() if not k.startswith("pretty_env")}, indent=2)
            (target / file.name).write_text(text, encoding="utf-8")


def inspect_logs(work: Path) -> None:
    """Inspect on a choice and a text task: both log formats, two scorers, epochs, partial credit and no answer."""
    from inspect_ai import Task
    from inspect_ai import eval as evaluate
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import Score, accuracy, choice, includes, match, scorer, stderr
    from inspect_ai.solver import generate, multiple_choice

    @scorer(metrics=[accuracy(), stderr()], name="graded")
    def graded():
        async def score(state, target):
            text = state.output.completion
            value = "C" if text == target.text else "N" if not text.strip() else "P" if target.text in text else "I"
            return Score(value=value, answer=text or None)

        return score

    target = LOGS / "inspect"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)

    def run(name: str, task: Task, answers: list[str], form: str, **options: object) -> None:
        outputs = [ModelOutput.from_content("mockllm/model", text) for text in answers]
        for output in outputs:  # else the provider counts tokens with a vocabulary that it would download
            output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        logs = work / "inspect" / name
        evaluate(task, model=get_model("mockllm/model", custom_outputs=outputs), log_dir=str(logs), log_format=form,
                 display="none", max_samples=1, max_tasks=1, **options)  # fmt: skip
        [made] = logs.glob(f"*.{form}")
        shutil.copy(made, target / f"{name}.{form}")

    draw = random.Random(9)
    rows = animals()[:INSPECT_ROWS]
    questions = [Sample(id=f"q{n}", input=row["question"], choices=row["choices"], target="ABC"[row["answer"]],
                        metadata={"place": row["place"]}) for n, row in enumerate(rows)]  # fmt: skip
    questions[0].input = f"{questions[0].input} {LONG}"  # Inspect moves long texts out of the sample
    for version in ("old", "new"):
        letters = [f"ANSWER: {draw.choice('ABC')}" for _ in rows]
        letters[1] = "I do not know"
        data = MemoryDataset(questions, name="animals")
        task = Task(dataset=data, solver=multiple_choice(), scorer=choice(), name="animals")
        run(f"animals-{version}", task, letters, "eval" if version == "old" else "json")
    run("animals-failed", task, letters[:3], "eval")  # its answers run out
    texts = [Sample(input=row["question"], target=row["answer"]) for row in sums()[:INSPECT_ROWS]]

    def task_of(*scorers: object) -> Task:
        return Task(dataset=MemoryDataset(texts, name="sums"), solver=generate(), scorer=list(scorers), name="sums")

    said = [draw.choice([row["answer"], f"it is {row['answer']}", "?", ""]) for row in sums()[:INSPECT_ROWS]]
    run("sums-scorers", task_of(match(), includes(), graded()), said, "eval")
    run("sums-epochs", task_of(includes()), [draw.choice([row.target, "?"]) for row in texts * 2], "json", epochs=2)


def main() -> None:
    """Make the logs of one tool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", choices=["lm-eval", "inspect"])
    parser.add_argument("--work", type=Path, required=True, help="Folder for what is not kept; emptied.")
    arguments = parser.parse_args()
    shutil.rmtree(arguments.work, ignore_errors=True)
    {"lm-eval": lm_eval_logs, "inspect": inspect_logs}[arguments.tool](arguments.work.resolve())


if __name__ == "__main__":
    main()
