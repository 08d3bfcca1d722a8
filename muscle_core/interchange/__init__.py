"""Interchange: read outputs and logs that other tools wrote."""

from muscle_core.interchange.log import FORMATS, LogFacts, LogOptions
from muscle_core.interchange.outputs import ImportColumns, read_outputs, read_texts

__all__ = ["FORMATS", "ImportColumns", "LogFacts", "LogOptions", "read_outputs", "read_texts"]
