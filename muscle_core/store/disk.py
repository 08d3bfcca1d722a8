"""The files of a workspace: which rows refer to them, and how much room each object takes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

import sqlalchemy as sa

from muscle_core.errors import StoreError
from muscle_core.store.answers import asked_of
from muscle_core.store.database import DATABASE_FILE
from muscle_core.store.kept_tokens import TOKENS, whose_tokens
from muscle_core.store.tables import Dataset, EvaluationRun, Job, ModelVersion, TrainingRun
from muscle_core.store.workspace import Workspace

TEACHERS = "teachers"  # a cache: a training fills it again
UPLOADS = "uploads"  # files of imports in the background, until they are over
OWNED = ("datasets", "predictions", "adapters")  # folders in which every entry belongs to a row
_UNFINISHED = (".partial", ".lock", ".new")  # ends of names that are being written, or only locked


class Use(NamedTuple):
    """Room that one object takes.

    Attributes:
        kind: what it is.
        name: which one.
        path: where it lies, relative to the workspace.
        files: number of its files.
        size: their bytes.
    """

    kind: str
    name: str
    path: str
    files: int
    size: int


def is_unfinished(name: str) -> bool:
    """Whether a file or folder of this name is being written, was left half-written, or is only a lock."""
    return name.endswith(_UNFINISHED) or name == "lock"


def files_below(place: Path) -> Iterator[Path]:
    """The regular files at or below a path, in the order of their names; links to folders are not followed."""
    if place.is_file():
        yield place
        return
    for folder, folders, names in os.walk(place):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            try:
                if S_ISREG(file.stat().st_mode):
                    yield file
            except OSError:
                continue  # gone meanwhile


def size_of(place: Path) -> tuple[int, int]:
    """Number and bytes of the files at or below a path."""
    sizes = []
    for file in files_below(place):
        try:
            sizes.append(file.stat().st_size)
        except OSError:
            continue
    return len(sizes), sum(sizes)


def size_text(size: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"


def last_change(place: Path) -> float:
    """When something at or below a path was last written (seconds since the epoch)."""
    return max((stat.st_mtime for stat in _stats(place)), default=0.0)


def last_use(store: Path) -> float:
    """When a teacher store was last written, or its states read, as far as the file system records that."""
    read = [file.stat().st_atime for file in store.glob("*.npy")]
    return max([last_change(store), *read])


def _stats(place: Path) -> Iterator[os.stat_result]:
    for file in (place, *(place.rglob("*") if place.is_dir() else ())):
        with contextlib.suppress(OSError):
            yield file.lstat()


def referred_paths(connection: sa.Connection, home: Path, gone: Collection[str] = ()) -> set[str]:
    """Every path in the workspace that a row refers to, relative to it.

    Args:
        connection: the database.
        home: folder of the workspace.
        gone: ids of rows that do not count.
    """
    columns = (
        (Dataset.id, Dataset.path),
        (EvaluationRun.id, EvaluationRun.path),
        (TrainingRun.id, TrainingRun.metrics_path),
        (ModelVersion.id, ModelVersion.adapter),
        (ModelVersion.id, ModelVersion.base),
    )
    found = set()
    for identity, column in columns:
        for row_id, text in connection.execute(sa.select(identity, column)):
            # A base that is not an absolute path is a hub id.
            if text and row_id not in gone and (column is not ModelVersion.base or Path(text).is_absolute()):
                found.add(inside_path(text, home))
    return {path for path in found if path is not None}


def inside_path(text: str, home: Path) -> str | None:
    """A stored path, relative to the workspace; None where it lies elsewhere."""
    path = Path(text)
    if not path.is_absolute():
        return path.as_posix()
    return path.relative_to(home).as_posix() if path.is_relative_to(home) and path != home else None


def is_referred(path: str, referred: set[str]) -> bool:
    """Whether a row refers to a path, to something below it, or to a folder that it lies in."""
    return any(one == path or one.startswith(f"{path}/") or path.startswith(f"{one}/") for one in referred)


def disk_use(workspace: Workspace) -> list[Use]:
    """What takes room in the workspace, the largest first."""
    home = workspace.home
    names = _names(workspace)
    found = []
    for folder in sorted(place for place in home.iterdir() if place.is_dir()):
        for entry in sorted(folder.iterdir()):
            path = entry.relative_to(home).as_posix()
            kind, name = names.get(path) or _unnamed(entry, names)
            found.append(Use(kind, name, path, *size_of(entry)))
    database = [size_of(file) for file in home.glob(f"{DATABASE_FILE}*")]
    if database:
        found.append(Use("database", "", DATABASE_FILE, len(database), sum(size for _, size in database)))
    return sorted((use for use in found if use.files), key=lambda use: -use.size)


def _names(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """Kind and name of the object that owns a path."""
    home = workspace.home
    with workspace.reading() as session:
        versions = {version.id: version for version in session.scalars(sa.select(ModelVersion))}
        datasets = {dataset.id: dataset for dataset in session.scalars(sa.select(Dataset))}
        runs, jobs = list(session.scalars(sa.select(EvaluationRun))), list(session.scalars(sa.select(Job)))
        trainings = list(session.scalars(sa.select(TrainingRun)))
    names = {dataset.path: ("dataset", dataset.name) for dataset in datasets.values()}
    for run in runs:
        what = f"{versions[run.version_id].name} on {datasets[run.dataset_id].name} ({run.split})"
        names[run.path] = ("evaluation run", what)
    for version in versions.values():
        for kind, text in (("base", version.base), ("adapter", version.adapter)):
            path = inside_path(text, home) if text and (kind == "adapter" or Path(text).is_absolute()) else None
            if path is not None:
                names.setdefault("/".join(path.split("/")[:2]), (kind, version.name))
    for training in trainings:
        names[f"jobs/{training.id}"] = ("job", f"training of {versions[training.result_version_id].name}")
    names |= {f"jobs/{job.id}": ("job", job.title) for job in jobs}
    for job in jobs:
        for text in job.payload.values() if job.kind == "import" else ():
            if isinstance(text, str) and text.startswith(f"{UPLOADS}/"):
                names[text.rpartition("/")[0]] = ("upload", job.title)
    by_fingerprint: dict[str, list[str]] = {}
    for version in versions.values():
        by_fingerprint.setdefault(version.fingerprint, []).append(version.name)
    for folder in home.glob("answers/*"):
        asked = asked_of(folder)
        owners = by_fingerprint.get(str(asked["version"]), []) if asked else []
        if owners:
            names[f"answers/{folder.name}"] = ("answers", ", ".join(sorted(owners)))
    for folder in home.glob(f"{TOKENS}/*"):
        of = whose_tokens(folder)
        pair = [sorted(by_fingerprint.get(str(of[side]), [])) for side in ("old", "new")] if of else []
        if all(pair) and pair:
            names[f"{TOKENS}/{folder.name}"] = ("token views", f"{pair[0][0]} → {pair[1][0]}")
    return names


def _unnamed(entry: Path, names: dict[str, tuple[str, str]]) -> tuple[str, str]:
    """What an entry is that no row refers to."""
    top = entry.parent.name
    if top == TEACHERS:
        try:
            return "teacher store", str(json.loads((entry / "store.json").read_text())["teacher"])
        except (OSError, ValueError, KeyError, TypeError):
            return "teacher store", "unfinished"
    if top == TOKENS:
        return "token views", "of versions that are not there"
    if top == "answers":
        return "answers", "of no version that is there" if asked_of(entry) else "of a version not recorded"
    return f"left over in {top}", ""


@contextlib.contextmanager
def keeping_files(workspace: Workspace) -> Iterator[None]:
    """Keep other processes on this machine from deleting files, as long as this one copies or deletes some.

    Raises:
        StoreError: another one is at it.
    """
    if workspace.read_only is not None and not os.access(workspace.home, os.W_OK):
        yield  # nobody deletes anything here
        return
    lock = workspace.home / "housekeeping.lock"
    try:
        stream = lock.open("a")
    except OSError:
        if lock.exists():
            raise
        yield  # the disk is full, and a lock that cannot be made is held by nobody: clean-up has to go on
        return
    with stream:
        deadline = time.monotonic() + 2.0
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"another process copies, backs up or deletes files of {workspace.home}; wait for its end."
                    ) from error
                time.sleep(0.05)
        yield
