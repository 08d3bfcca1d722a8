"""What the user asks an import for, and what of that is refused before the file is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from muscle_core.errors import Cancelled, ConfigError, DataError
from muscle_core.interchange.detect import AUTO
from muscle_core.interchange.log import FORMATS, GENERIC, INSPECT, LLM_COMPARATOR, LM_EVAL, WIDE, LogOptions
from muscle_core.interchange.outputs import ImportColumns
from muscle_core.paths import local_path
from muscle_core.store import check_name
from muscle_core.tasks import task_of

FROM_LOG = "-"  # a version's name is taken from the log
# Options that a format reads; any other is refused.
_USED = {
    GENERIC: {*vars(ImportColumns()), "texts"},
    LM_EVAL: {"filter", "metric", "epoch", "threshold", "allow_partial", "results"},
    INSPECT: {"metric", "scorer", "epoch", "threshold", "allow_partial"},
    LLM_COMPARATOR: {"correct", "score"},
    WIDE: {"id", "answers"},
}
_ROWS_BETWEEN = 5_000  # two looks whether to stop
T = TypeVar("T")


@dataclass(frozen=True)
class ImportRequest:
    """What the user asked for; see `muscle_core.actions.imports.outputs.import_log`."""

    file: Path
    version: str | None = None
    dataset: str | None = None
    format: str = AUTO
    split: str = "test"
    task: str | None = None
    options: LogOptions = field(default_factory=LogOptions)
    columns: ImportColumns = field(default_factory=ImportColumns)
    texts_file: str | Path | None = None
    answers_file: str | Path | None = None
    source: str | None = None

    @property
    def recorded_source(self) -> str:
        """What is recorded as the place that the file came from."""
        return self.source or str(local_path(self.file, DataError).resolve())


class Watch:
    """Tells how far an import is, and stops it where that is asked for."""

    def __init__(
        self,
        report: Callable[[str, int, int], None] = lambda stage, done, total: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Args:
        report: told the stage, and how many of how many rows.
        should_stop: whether to stop.
        """
        self._report, self._should_stop, self._stage = report, should_stop, ""

    def stage(self, name: str, done: int = 0, total: int = 1) -> None:
        """Begin a stage.

        Raises:
            Cancelled: it is to stop.
        """
        if self._should_stop():
            raise Cancelled("the import was cancelled; nothing was written.")
        self._stage = name
        self._report(name, done, total)

    def read(self, done: int) -> None:
        """So many rows of a file have been read; how many there are is not known."""
        if done % _ROWS_BETWEEN == 0:
            self.stage(f"{self._stage.partition(':')[0]}: {done:,} rows")

    def rows(self, rows: Sequence[T]) -> list[T]:
        """The same rows as a list that tells how far whoever goes through it is."""
        return _Watched(self, rows)

    def tick(self, done: int, total: int) -> None:
        """So many rows of the stage are done."""
        self.stage(self._stage, done, total)


class _Watched(list[T]):
    def __init__(self, watch: Watch, rows: Sequence[T]) -> None:
        super().__init__(rows)
        self._watch = watch

    def __iter__(self) -> Iterator[T]:
        for done, row in enumerate(super().__iter__()):
            if done % _ROWS_BETWEEN == 0:
                self._watch.tick(done, len(self))
            yield row


def check_request(request: ImportRequest) -> None:
    """Refuse what is wrong whatever the file holds.

    Raises:
        ConfigError: an unknown format or task kind, a name that cannot be used, a threshold that is no number.
    """
    if request.format not in (AUTO, *FORMATS):
        raise ConfigError(f"unknown format {request.format!r}; known: {', '.join((AUTO, *FORMATS))}.")
    if request.task is not None:
        task_of(request.task)
    check_name(request.split, "split")
    if request.dataset is not None:
        check_name(request.dataset, "dataset")
    for name in names_of(request.version):
        check_name(name, "model version")
    if request.options.threshold is not None and not math.isfinite(request.options.threshold):
        raise ConfigError(f"the threshold must be a finite number, got {request.options.threshold}.")


def names_of(version: str | None) -> list[str]:
    """The names in a request, of which there may be several with commas between them; none where the file has them."""
    return [] if version in (None, FROM_LOG) else [name.strip() for name in str(version).split(",")]


def refuse_unused(request: ImportRequest, kind: str) -> None:
    """Refuse options that the format does not have, rather than ignore them.

    Raises:
        ConfigError: naming them.
    """
    given = {name for name, value in vars(request.options).items() if value not in (None, False)}
    default = vars(ImportColumns())
    given |= {name for name, value in vars(request.columns).items() if value != default[name]}
    given |= {"texts"} if request.texts_file is not None else set()
    given |= {"answers"} if request.answers_file is not None else set()
    unused = sorted(given - _USED[kind])
    if unused:
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in unused)
        raise ConfigError(f"{listed}: not used by a file of the format {kind}; leave it out.")
