"""Which column of a table most likely holds what, by its name: a suggestion that people can change."""

from __future__ import annotations

import re
from collections.abc import Sequence

from muscle_core.interchange.outputs import ImportColumns

# Names without signs and in lower case, the most telling first.
_NAMES: dict[str, tuple[str, ...]] = {
    "id": ("id", "sampleid", "questionid", "docid", "key", "uid", "idx", "index"),
    "correct": ("correct", "iscorrect", "right", "ok", "acc", "exactmatch", "passed", "verdict"),
    "score": ("score", "rating", "reward", "grade"),
    "gold": ("gold", "goldanswer", "target", "label", "reference", "expected", "groundtruth", "answerkey", "ideal"),
    "choices": ("choices", "options", "endings"),
    "input": ("input", "question", "prompt", "query", "instruction", "text"),
    "prediction": ("prediction", "predicted", "pred", "predictedanswer", "modelanswer", "extracted", "said"),
    "output": ("output", "completion", "generated", "generation", "response", "modeloutput", "predict", "raw"),
}
_EITHER = ("answer", "answers")  # the right answer where another column holds the model's, else the model's


def guess_columns(names: Sequence[str]) -> ImportColumns:
    """Columns by their names; what is not recognised stays open.

    Args:
        names: columns of a table.
    """
    known: dict[str, str] = {}
    for name in names:
        known.setdefault(re.sub(r"[^a-z0-9]", "", name.lower()), name)
    found = {field: next((known[name] for name in wanted if name in known), None) for field, wanted in _NAMES.items()}
    either = next((known[name] for name in _EITHER if name in known), None)
    if either is not None:
        field = "gold" if found["prediction"] or found["output"] else "prediction"
        found[field] = found[field] or either
    return ImportColumns(**{field: name for field, name in found.items() if name is not None})
