"""An import as a job: the file is read, checked and written in a process of its own, all of it or nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from muscle_core.actions.imports.outputs import import_as_asked
from muscle_core.actions.imports.request import ImportRequest, Watch, check_request, names_of
from muscle_core.actions.imports.uploads import JOB_KIND, holding_uploads, keep_upload, require_files
from muscle_core.actions.library.models import check_parent, set_parent
from muscle_core.errors import ConfigError, DataError, MuscleError
from muscle_core.interchange import ImportColumns, LogOptions
from muscle_core.interchange.detect import detect_format, existing_file
from muscle_core.jobs import Submission, Work, submit_all
from muscle_core.store import Dataset, Workspace, check_split, summary_text
from muscle_core.store.disk import OWNED, is_referred, referred_paths

_WRITING = "writing.txt"  # in the job's folder: what it began to write, for the process after one that was killed
_PRIORITY = 3  # somebody waits for it, but not in front of a sample


def queue_import(
    workspace: Workspace, request: ImportRequest, *, parent: str | None = None, uploaded: bool = False
) -> Submission:
    """Queue an import, once: what can be refused without reading the whole file is refused here.

    Args:
        workspace: where it goes.
        request: as of `import_log`; version and dataset must be named.
        parent: version that the imported one follows.
        uploaded: nobody else keeps the request's files: they are copied into the workspace until the import is over.

    Raises:
        ConfigError: an option or a name cannot be used.
        DataError: a file is missing, empty or of no known format.
        StoreError: the dataset has no such split, there is no such parent, or the workspace cannot be written.
    """
    _check(workspace, request, parent)
    files = {
        "file": existing_file(request.file),
        "texts_file": request.texts_file,
        "answers_file": request.answers_file,
        "results": request.options.results,
    }
    given = {name: existing_file(path).resolve() for name, path in files.items() if path is not None}
    options = {name: value for name, value in asdict(request.options).items() if name != "results"}
    payload: dict[str, Any] = {
        "versions": names_of(request.version) or [request.version],
        "dataset": request.dataset,
        "format": request.format,
        "split": request.split,
        "task": request.task,
        "options": options,
        "columns": asdict(request.columns),
        "parent": parent,
        "uploaded": uploaded,
    }
    title = f"Import {given['file'].name} for {request.version} on {request.dataset} ({request.split})"
    if not uploaded:
        stamps = {name: [path.stat().st_size, path.stat().st_mtime_ns] for name, path in given.items()}
        payload |= {"stamps": stamps, "source": request.source, **{name: str(path) for name, path in given.items()}}
        return submit_all(workspace, [Work(JOB_KIND, title, payload, priority=_PRIORITY, slot="cpu")])[0]
    payload["source"] = request.source or given["file"].name
    with holding_uploads(workspace):
        payload |= {name: keep_upload(workspace, path) for name, path in given.items()}
        return submit_all(workspace, [Work(JOB_KIND, title, payload, priority=_PRIORITY, slot="cpu")])[0]


def _check(workspace: Workspace, request: ImportRequest, parent: str | None) -> None:
    if not request.version or not request.dataset:
        raise ConfigError("name the version and the dataset of the import.")
    check_request(request)
    detect_format(existing_file(request.file))
    if parent is not None:
        if len(names_of(request.version)) != 1:
            raise ConfigError("only a single version can follow another one; leave out what it follows.")
        check_parent(workspace, request.version, parent)
    with workspace.reading() as session:
        found = session.scalar(sa.select(Dataset).where(Dataset.name == request.dataset))
    if found is not None:
        check_split(found, request.split)


def run_import(workspace: Workspace, job_id: str, payload: dict[str, Any], watch: Watch) -> dict[str, Any]:
    """Do what `queue_import` has queued; what an earlier process of the job left half-written is removed first.

    Args:
        workspace: where it goes.
        job_id: of the job.
        payload: of the job.
        watch: told how far it is; may stop it.

    Returns:
        What was written: dataset, split, whether it was made, parent, notes, and of each run version, id, samples,
        key figures and whether it is new.

    Raises:
        Cancelled: it was to stop; nothing was written.
        ConfigError, DataError, StoreError: it cannot be done; nothing was written.
    """
    journal = workspace.job_folder(job_id) / _WRITING
    _remove_left(workspace, journal)
    files = require_files(workspace, payload)
    request = _request(payload, files)
    try:
        if payload["parent"] is not None:
            check_parent(workspace, payload["versions"][0], payload["parent"])
        with journal.open("a") as stream:

            def note(path: str) -> None:
                stream.write(json.dumps(path) + "\n")
                stream.flush()

            done = import_as_asked(workspace, request, watch=watch, note=note)
    except MuscleError as error:
        raise _with_names(error, files) from error
    finally:
        _remove_left(workspace, journal)
    if payload["parent"] is not None:
        set_parent(workspace, done.runs[0].version, payload["parent"])
    return {
        "dataset": done.dataset.name,
        "split": request.split,
        "made_dataset": done.made_dataset,
        "parent": payload["parent"],
        "notes": done.notes,
        "imported": [
            {
                "version": run.version,
                "run": run.run.id,
                "rows": run.run.rows,
                "summary": summary_text(run.run.summary),
                "is_new": run.is_new,
            }
            for run in done.runs
        ],
    }


def _request(payload: dict[str, Any], files: dict[str, Path]) -> ImportRequest:
    options = LogOptions(**payload["options"])
    if "results" in files:
        options = replace(options, results=files["results"])
    return ImportRequest(
        file=files["file"],
        version=",".join(payload["versions"]),
        dataset=payload["dataset"],
        format=payload["format"],
        split=payload["split"],
        task=payload["task"],
        options=options,
        columns=ImportColumns(**payload["columns"]),
        texts_file=files.get("texts_file"),
        answers_file=files.get("answers_file"),
        source=payload["source"],
    )


def _with_names(error: MuscleError, files: dict[str, Path]) -> MuscleError:
    """The same refusal with the files' own names, not where they lie for the moment."""
    text = str(error)
    for path in files.values():
        text = text.replace(f"{path.parent}/", "")
    return type(error)(text) if isinstance(error, ConfigError | DataError) else error


def _remove_left(workspace: Workspace, journal: Path) -> None:
    """Remove what was begun and no row refers to, as after a process that was killed; it leaves no journal."""
    if not journal.exists():
        return
    lines = journal.read_text(encoding="utf-8").splitlines()
    with workspace.reading() as session:
        referred = referred_paths(session.connection(), workspace.home)
    for line in lines:
        try:
            path = str(json.loads(line))
        except ValueError:  # half a line
            continue
        if path.startswith(OWNED) and not is_referred(path, referred):
            for left in (path, f"{path}.partial", str(Path(path).with_suffix(".partial"))):
                workspace.discard(left)
    journal.unlink(missing_ok=True)
