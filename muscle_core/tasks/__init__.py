"""Task kinds: one file a kind; `task_of` finds a kind by its name."""

from __future__ import annotations

from muscle_core.errors import ConfigError
from muscle_core.tasks.base import Judgement, ParsedRow, Sample, Task, render_prompt, template_problem
from muscle_core.tasks.classification import Classification
from muscle_core.tasks.instruction import Instruction
from muscle_core.tasks.math import Math
from muscle_core.tasks.multiple_choice import MultipleChoice
from muscle_core.tasks.summarization import Summarization

__all__ = [
    "TASK_KINDS",
    "Judgement",
    "ParsedRow",
    "Sample",
    "Task",
    "render_prompt",
    "task_of",
    "template_problem",
]

_TASKS: dict[str, Task] = {
    task.kind: task for task in (MultipleChoice(), Math(), Summarization(), Classification(), Instruction())
}
TASK_KINDS = tuple(_TASKS)


def task_of(kind: str) -> Task:
    """The task of a kind.

    Raises:
        ConfigError: unknown kind; the message lists the known ones.
    """
    if kind not in _TASKS:
        raise ConfigError(f"unknown task kind {kind!r}; known: {', '.join(TASK_KINDS)}")
    return _TASKS[kind]
