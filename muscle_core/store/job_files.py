"""Log and step metrics of a job: written on the machine that runs it, shown on all.

They grow, so what is shared is a copy of the moment. A small file beside each lists the shared copies that this
machine made or knows: another one there means that another machine has gone on with the job. Only then is the file
replaced, for a process of this machine may be writing it.
"""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path
from uuid import uuid4

from muscle_core.errors import StoreError
from muscle_core.store.artifacts import Artifacts
from muscle_core.store.manifest import Manifest
from muscle_core.store.workspace import Workspace

LOG, METRICS = "log.txt", "metrics.jsonl"

_log = logging.getLogger(__name__)
_LOOK_SECONDS, _PAUSE_SECONDS = 3.0, 30.0  # a page asks every second; and after a failure
_next_look: dict[Path, float] = {}


def job_file(workspace: Workspace, job_id: str, name: str) -> Path:
    """Path of a job's LOG or METRICS to read, as new as it is known; it may be missing.

    Where the shared place fails, it is the copy of this machine.
    """
    path = workspace.path(f"jobs/{job_id}/{name}")
    if workspace.artifacts is not None and time.monotonic() >= _next_look.get(path, 0.0):
        _next_look[path] = time.monotonic() + _LOOK_SECONDS
        try:
            _fetch_newer(workspace.artifacts, f"jobs/{job_id}/{name}", path)
        except StoreError as error:
            _next_look[path] = time.monotonic() + _PAUSE_SECONDS
            _log.warning("%s is shown as this machine knows it: %s", path, error)
    return path


def publish_job_files(workspace: Workspace, job_id: str) -> None:
    """Share a job's log and metrics as they are now; where that fails, they are shared the next time."""
    if workspace.artifacts is None:
        return
    for name in (LOG, METRICS):
        path = workspace.path(f"jobs/{job_id}/{name}")
        if not path.is_file():
            continue
        copy = path.with_name(f"{name}.{uuid4().hex[:8]}.partial")
        try:
            shutil.copyfile(path, copy)
            _note(path, Manifest.of(copy, name).content)  # before others can see it: a page may look in between
            workspace.artifacts.publish(f"jobs/{job_id}/{name}", copy)
        except (StoreError, OSError) as error:
            _log.warning("%s is not shared with other machines for now: %s", path, error)
        finally:
            copy.unlink(missing_ok=True)


def _fetch_newer(artifacts: Artifacts, key: str, path: Path) -> None:
    shared = artifacts.content_of(key)
    if shared is None or (path.is_file() and shared in _known(path)):
        return
    fetched = artifacts.fetch(key, path)
    if fetched is not None:
        _note(path, fetched)


def _known(path: Path) -> set[str]:
    notes = _notes(path)
    return set(notes.read_text().split()) if notes.is_file() else set()


def _note(path: Path, content: str) -> None:
    with _notes(path).open("a") as stream:
        stream.write(f"{content}\n")


def _notes(path: Path) -> Path:
    return path.with_name(f"{path.name}.shared")
