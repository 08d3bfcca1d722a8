"""The real logs of tests/interchange/logs, and lines of logs as their tools write them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

LOGS = Path(__file__).resolve().parents[1] / "interchange" / "logs"


def lm_eval_file(side: str, task: str) -> Path:
    """The samples file of a model ("old" or "new") on a task ("animals" or "sums")."""
    [file] = (LOGS / "lm_eval" / side).glob(f"samples_{task}_*.jsonl")
    return file


def lm_eval_results(side: str) -> dict[str, Any]:
    """The results file of a model."""
    [file] = (LOGS / "lm_eval" / side).glob("results_*.json")
    return json.loads(file.read_text(encoding="utf-8"))


def lines_of(file: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def write_lines(file: Path, rows: list[Any]) -> Path:
    """Write objects as JSON lines."""
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file


def text_line(number: int, answer: str, metric: object, **fields: Any) -> dict[str, Any]:
    """A line of lm-eval's log of a generation task; fields of None are left out."""
    doc = {"question": f"what is {number}?", "answer": str(number)}
    prompt = f"Q: {doc['question']}\nA:"
    line = {
        "doc_id": number,
        "doc": doc,
        "target": str(number),
        "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": {"until": ["\n"]}}},
        "resps": [[f"it is {answer}"]],
        "filtered_resps": [answer],
        "filter": "none",
        "metrics": ["exact_match"],
        "doc_hash": hashlib.sha256(json.dumps(doc, indent=2, ensure_ascii=False).encode()).hexdigest(),
        "prompt_hash": hashlib.sha256(prompt.encode()).hexdigest(),
        "target_hash": hashlib.sha256(str(number).encode()).hexdigest(),
        "exact_match": metric,
    }
    return {name: value for name, value in {**line, **fields}.items() if value is not None}


def choice_line(number: int, sums: list[float], gold: int, texts: list[str] | None = None, **fields: Any) -> dict:
    """A line of lm-eval's log of a choice task."""
    texts = texts or ["cat", "dog", "bird"][: len(sums)]
    by_length = [value / len(text) for value, text in zip(sums, texts, strict=True)]
    line = {
        "doc_id": number,
        "doc": {"question": f"who is {number}?", "choices": texts, "answer": gold},
        "target": str(gold),
        "arguments": {
            f"gen_args_{n}": {"arg_0": f"Q: who is {number}?\nA:", "arg_1": f" {text}"} for n, text in enumerate(texts)
        },
        "resps": [[[str(value), "False"]] for value in sums],
        "filtered_resps": [[str(value), "False"] for value in sums],
        "filter": "none",
        "metrics": ["acc", "acc_norm"],
        "acc": float(max(range(len(sums)), key=sums.__getitem__) == gold),
        "acc_norm": float(max(range(len(sums)), key=by_length.__getitem__) == gold),
    }
    return {name: value for name, value in {**line, **fields}.items() if value is not None}


def comparator(count: int = 4, **fields: Any) -> dict[str, Any]:
    """A file of LLM Comparator with two models."""
    examples = [
        {
            "input_text": f"Say {n}.",
            "tags": ["short"],
            "output_text_a": f"A says {n}",
            "output_text_b": f"B says {n}",
            "score": 0.5 * n - 1,
            "individual_rater_scores": [],
            "custom_fields": {},
        }
        for n in range(count)
    ]
    return {
        "metadata": {"source_path": "here", "custom_fields_schema": []},
        "models": [{"name": "new model"}, {"name": "old-model"}],
        "examples": examples,
        **fields,
    }
