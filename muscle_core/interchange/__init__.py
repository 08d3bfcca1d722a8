"""Interchange: read outputs that other tools wrote."""

from muscle_core.interchange.outputs import ImportColumns, read_outputs, read_texts

__all__ = ["ImportColumns", "read_outputs", "read_texts"]
