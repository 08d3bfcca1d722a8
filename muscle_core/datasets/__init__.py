"""Datasets: read files, validate rows, give stable ids, fingerprint."""

from muscle_core.datasets.read import SUFFIXES, read_rows
from muscle_core.datasets.samples import build_samples, dataset_fingerprint, read_samples, write_samples

__all__ = ["SUFFIXES", "build_samples", "dataset_fingerprint", "read_rows", "read_samples", "write_samples"]
