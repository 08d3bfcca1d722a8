"""Tell the format of a file by its content, whatever it is called, and read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from muscle_core.datasets.read import SUFFIXES, parse_json
from muscle_core.errors import ConfigError, DataError
from muscle_core.interchange.inspect_logs import read_inspect
from muscle_core.interchange.llm_comparator import read_llm_comparator
from muscle_core.interchange.lm_eval import read_lm_eval
from muscle_core.interchange.log import FORMATS, GENERIC, INSPECT, LLM_COMPARATOR, LM_EVAL, Log, LogOptions
from muscle_core.paths import local_path, reason

AUTO = "auto"
_HEAD = 2**16


def existing_file(path: str | Path) -> Path:
    """A file that can be read.

    Raises:
        DataError: there is none, it is empty or a folder; of a folder the logs in it are named.
    """
    file = local_path(path, DataError)
    if file.is_dir():
        logs = sorted(p.relative_to(file).as_posix() for s in ("samples_*.jsonl", "*.eval") for p in file.rglob(s))
        hint = f" It holds {', '.join(logs[:10])}; name one of them." if logs else ""
        raise DataError(f"{file} is a folder, not a file.{hint}")
    if not file.is_file():
        raise DataError(f"no such file: {file}.")
    if file.stat().st_size == 0:
        raise DataError(f"{file} is empty (0 bytes).")
    return file


def detect_format(file: Path) -> tuple[str, str]:
    """Format of a file and how a table of it is read: one of `FORMATS` and one of `SUFFIXES`.

    A table is told to be generic; whether it is a matrix of models is told by its columns.

    Raises:
        DataError: it is of no known format.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise DataError(f"{file} cannot be read: {reason(error)}. Check its rights.") from error
    if head.startswith(b"PK\x03\x04"):
        return INSPECT, ""
    if head.startswith(b"PAR1"):
        return GENERIC, ".parquet"
    text = head.decode("utf-8-sig", "replace").lstrip()
    suffix = file.suffix.lower() if file.suffix.lower() in SUFFIXES else ""
    if text.startswith("["):
        return GENERIC, ".json"
    if not text.startswith("{"):
        if suffix not in ("", ".csv"):
            raise DataError(f"{file} is not what its name says ({suffix}): it begins with {text[:20]!r}.")
        return GENERIC, ".csv"
    return _of_json(file, text)


def _of_json(file: Path, head: str) -> tuple[str, str]:
    first = _parsed(_first_line(file))
    if isinstance(first, dict):
        found = _of_object(file, first)
        return (found, "") if found else (GENERIC, ".jsonl")
    # One object over several lines; its first keys tell what it is, if it is damaged further on as well.
    keys = {
        name: f'"{name}"' in head for name in ("eval", "status", "models", "examples", "doc_id", "results", "configs")
    }
    if keys["doc_id"]:
        return LM_EVAL, ""
    if keys["eval"] and keys["status"]:
        return INSPECT, ""
    if keys["examples"] or keys["models"]:
        return LLM_COMPARATOR, ""
    if keys["results"] and keys["configs"]:
        raise _results_file(file)
    return GENERIC, ".jsonl"


def _of_object(file: Path, found: dict[str, Any]) -> str | None:
    if "doc_id" in found and ("resps" in found or "filtered_resps" in found):
        return LM_EVAL
    if isinstance(found.get("eval"), dict) and "status" in found:
        return INSPECT
    if "models" in found and "examples" in found:
        return LLM_COMPARATOR
    if isinstance(found.get("results"), dict) and isinstance(found.get("configs"), dict):
        raise _results_file(file)
    return None


def _results_file(file: Path) -> DataError:
    return DataError(
        f"{file} is lm-eval's results file, which has no answers; import the samples file beside it "
        "(samples_TASK_DATE.jsonl, written with --log_samples)."
    )


def _first_line(file: Path) -> str:
    with file.open(encoding="utf-8-sig", errors="replace", newline="\n") as stream:
        for line in stream:
            if line.strip():
                return line
    return ""


def _parsed(text: str) -> Any:
    try:
        return parse_json(text)
    except (ValueError, RecursionError):
        return None


def read_log(file: Path, format: str, options: LogOptions) -> Log:
    """Read a log of a known format other than a table.

    Raises:
        ConfigError: there is no such format, or a package is missing.
        DataError: the file is not of that format, with all problems at once.
    """
    if format == LM_EVAL:
        return read_lm_eval(file, results=options.results)
    if format == INSPECT:
        return read_inspect(file)
    if format == LLM_COMPARATOR:
        return read_llm_comparator(file)
    raise ConfigError(f"there is no log format {format!r}; known: {', '.join((AUTO, *FORMATS))}.")
