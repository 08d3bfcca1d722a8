"""The workspace: tables, migrations, Parquet artefacts, and look-ups by name."""

from muscle_core.store.artifacts import Artifacts, ArtifactsUnreachable
from muscle_core.store.catalog import (
    check_name,
    check_split,
    get_dataset,
    get_version,
    list_datasets,
    list_runs,
    list_training_runs,
    list_versions,
    made_by,
    require_weights,
    runs_of,
    spec_of,
    stored_path,
)
from muscle_core.store.job_files import LOG, METRICS, job_file, publish_job_files
from muscle_core.store.predictions import (
    PredictionWriter,
    read_prediction_table,
    read_predictions,
    summarise,
    summary_text,
)
from muscle_core.store.tables import Dataset, EvaluationRun, Job, ModelVersion, TrainingRun
from muscle_core.store.workspace import Workspace

__all__ = [
    "LOG",
    "METRICS",
    "Artifacts",
    "ArtifactsUnreachable",
    "Dataset",
    "EvaluationRun",
    "Job",
    "ModelVersion",
    "PredictionWriter",
    "TrainingRun",
    "Workspace",
    "check_name",
    "check_split",
    "get_dataset",
    "get_version",
    "job_file",
    "list_datasets",
    "list_runs",
    "list_training_runs",
    "list_versions",
    "made_by",
    "publish_job_files",
    "read_prediction_table",
    "read_predictions",
    "require_weights",
    "runs_of",
    "spec_of",
    "stored_path",
    "summarise",
    "summary_text",
]
