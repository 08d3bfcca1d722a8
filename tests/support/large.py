"""A large comparison made without a model: its files are written as the workspace keeps them, in one go."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from muscle_core.datasets.samples import SCHEMA
from muscle_core.store import Dataset, EvaluationRun, ModelVersion, Workspace, read_predictions, summarise
from muscle_core.tasks import task_of

WORDS = ("cat", "dog", "bird", "fish")


def add_large(workspace: Workspace, rows: int, *, seed: int = 0) -> None:
    """A multiple-choice dataset `large` with answers of `large-old` (60 % right) and `large-new` (62 % right)."""
    draw = np.random.default_rng(seed)
    ids = [f"s{n:07d}" for n in range(rows)]
    gold = draw.integers(0, 4, size=rows)
    golds = pa.array(gold.astype(str).tolist(), pa.string())
    samples = pa.table(
        {
            "sample_id": ids,
            "split": ["test"] * rows,
            "input": [f"who runs {n} ?" for n in range(rows)],
            "gold": golds,
            "target": [WORDS[n] for n in gold],
            "choices": [list(WORDS)] * rows,
            "metadata": [f'{{"part": "p{n % 5}"}}' for n in range(rows)],
        },
        schema=SCHEMA,
    )
    file = workspace.path("datasets/large.parquet")
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(samples, file, compression="zstd")
    task = task_of("multiple_choice")
    dataset = Dataset(
        name="large",
        task_kind="multiple_choice",
        splits={"test": rows},
        fingerprint="f" * 64,
        template=task.default_template,
        decoding={"max_new_tokens": task.max_new_tokens, "stop": list(task.stop)},
        path="datasets/large.parquet",
        made_by={},
    )
    versions = [ModelVersion(name=f"large-{role}", role=role) for role in ("old", "new")]
    with workspace.writing() as session:
        session.add_all([dataset, *versions])
    runs = []
    for version, share in zip(versions, (0.6, 0.62), strict=True):
        right = draw.random(rows) < share
        answers = np.where(right, gold, (gold + draw.integers(1, 4, size=rows)) % 4)
        folder = workspace.path(f"predictions/{version.name}")
        folder.mkdir(parents=True)
        table = pa.table(
            {
                "sample_id": ids,
                "prediction": pa.array(answers.astype(str).tolist(), pa.string()),
                "correct": right,
                "gold": golds,
                "gold_loglikelihood": pa.nulls(rows, pa.float64()),
                "finish_reason": pa.nulls(rows, pa.string()),
                "output": pa.nulls(rows, pa.string()),
            }
        )
        pq.write_table(table, folder / "part-00000.parquet", compression="zstd")
        runs.append(
            EvaluationRun(
                key=version.name,
                version_id=version.id,
                dataset_id=dataset.id,
                split="test",
                template=task.default_template,
                decoding={},
                rows=rows,
                path=f"predictions/{version.name}",
                summary=summarise(read_predictions(folder)),
                origin="imported",
                made_by={},
            )
        )
    with workspace.writing() as session:
        session.add_all(runs)
