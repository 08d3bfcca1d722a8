"""A workspace with an update on many samples, made without a model, as the importers would leave it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from muscle_core.compat.config import CompatConfig
from muscle_core.datasets.samples import SCHEMA, write_sample_table
from muscle_core.store import Dataset, EvaluationRun, ModelVersion, TrainingRun, Workspace, made_by
from muscle_core.store.predictions import PredictionWriter, summarise
from muscle_core.store.tables import new_id
from muscle_core.tasks import task_of

_WORDS = ("anvil", "boat", "candle", "desk", "engine", "feather", "glass", "hammer", "iron", "jacket")
_CHOICES = 4
_CHUNK = 100_000


def make_workspace(home: Path, samples: int, seed: int = 0) -> Workspace:
    """Fill a new workspace: one multiple-choice dataset, versions old, new and compat, a run of each.

    Args:
        home: folder, which must not be there yet.
        samples: of the test split.
        seed: of texts and answers.
    """
    workspace = Workspace.open(home)
    generator = np.random.default_rng(seed)
    task = task_of("multiple_choice")
    dataset = Dataset(
        id=new_id(),
        name="choice",
        task_kind=task.kind,
        splits={"test": samples},
        fingerprint=hashlib.sha256(f"{samples} {seed}".encode()).hexdigest(),
        template=task.default_template,
        decoding={"max_new_tokens": task.max_new_tokens, "stop": list(task.stop)},
        path="datasets/choice.parquet",
        made_by=made_by(),
    )
    gold = generator.integers(0, _CHOICES, samples)
    ids = pa.array([f"sample-{number:07d}" for number in range(samples)])
    path = workspace.path(dataset.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sample_table(_samples(ids, gold, generator), path)
    versions = {name: ModelVersion(id=new_id(), name=name, role=name) for name in ("old", "new", "compat")}
    versions["new"].parent_id, versions["compat"].parent_id = versions["old"].id, versions["new"].id
    right = {"old": generator.random(samples) < 0.6}
    right["new"] = np.where(generator.random(samples) < 0.8, right["old"], generator.random(samples) < 0.7)
    right["compat"] = np.where(generator.random(samples) < 0.4, right["old"], right["new"])
    runs = [
        _run(workspace, dataset, version, _predictions(ids, gold, right[name], generator), name)
        for name, version in versions.items()
    ]
    config = CompatConfig(steps=1)
    training = TrainingRun(
        id=new_id(),
        kind="compat",
        seed=0,
        options=config.as_dict(),
        strategy=config.strategy,
        initialisation=config.initialisation,
        dataset_id=dataset.id,
        split="train",
        old_version_id=versions["old"].id,
        new_version_id=versions["new"].id,
        result_version_id=versions["compat"].id,
        metrics_path="jobs/none/metrics.jsonl",
        summary={"seconds": 1.0, "steps": 1, "loss": 0.5, "old_share": 0.25, "token_accuracy": 0.5},
    )
    with workspace.writing() as session:
        session.add(dataset)
        for version in versions.values():
            session.add(version)
            session.flush()  # each refers to the one before it
        session.add_all(runs)
        session.add(training)
    return workspace


def _samples(ids: pa.Array, gold: np.ndarray, generator: np.random.Generator) -> pa.Table:
    samples, words = len(ids), pa.array(_WORDS)
    texts = []
    for start in range(0, samples, _CHUNK):
        count = min(_CHUNK, samples - start)
        columns = [words.take(pa.array(generator.integers(0, len(_WORDS), count))) for _ in range(20)]
        texts.append(pc.binary_join_element_wise("Which of these is the heaviest:", *columns, " "))
    flat = words.take(pa.array(generator.integers(0, len(_WORDS), samples * _CHOICES)))
    offsets = pa.array(np.arange(0, samples * _CHOICES + 1, _CHOICES), pa.int32())
    targets = flat.take(pa.array(np.arange(samples) * _CHOICES + gold))
    kinds = pa.array(
        [f'{{"kind": "{kind}", "level": {level}}}' for kind in ("tool", "toy", "thing") for level in (1, 2)]
    )
    return pa.table(
        {
            "sample_id": ids,
            "split": pa.repeat(pa.scalar("test"), samples),
            "input": pa.chunked_array(texts),
            "gold": pa.array(gold).cast(pa.string()),
            "target": targets,
            "choices": pa.ListArray.from_arrays(offsets, flat),
            "metadata": kinds.take(pa.array(generator.integers(0, len(kinds), samples))),
        },
        schema=SCHEMA,
    )


def _predictions(ids: pa.Array, gold: np.ndarray, right: np.ndarray, generator: np.random.Generator) -> pa.Table:
    samples = len(ids)
    wrong = (gold + generator.integers(1, _CHOICES, samples)) % _CHOICES
    likelihoods = -generator.exponential(3.0, samples * _CHOICES)
    offsets = pa.array(np.arange(0, samples * _CHOICES + 1, _CHOICES), pa.int32())
    return pa.table(
        {
            "sample_id": ids,
            "prediction": pa.array(np.where(right, gold, wrong)).cast(pa.string()),
            "correct": pa.array(right),
            "gold": pa.array(gold).cast(pa.string()),
            "gold_loglikelihood": pa.array(likelihoods[::_CHOICES]),
            "finish_reason": pa.repeat(pa.scalar("choice"), samples),
            "output": pa.nulls(samples, pa.string()),
            "choice_loglikelihoods": pa.ListArray.from_arrays(offsets, pa.array(likelihoods)),
            "margin": pa.array(np.where(right, 1.0, -1.0) * generator.exponential(2.0, samples)),
        }
    )


def _run(workspace: Workspace, dataset: Dataset, version: ModelVersion, table: pa.Table, name: str) -> EvaluationRun:
    run = EvaluationRun(
        id=new_id(),
        key=hashlib.sha256(f"{dataset.id} {name}".encode()).hexdigest(),
        version_id=version.id,
        dataset_id=dataset.id,
        split="test",
        template=dataset.template,
        decoding={"method": "imported"},
        rows=len(table),
        path=f"predictions/{name}",
        summary=summarise(table.select(["correct", "finish_reason"]).to_pandas()),
        origin="imported",
        made_by=made_by(),
    )
    writer = PredictionWriter(workspace.path(run.path))
    writer.write_table(table)
    writer.finish()
    return run
