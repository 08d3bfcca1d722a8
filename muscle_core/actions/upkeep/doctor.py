"""Look at everything that has to be in order for the workbench to run; a broken workspace is reported, not raised."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from muscle_core.actions.upkeep.cleanup import find_orphans
from muscle_core.errors import MuscleError, first_line
from muscle_core.jobs import worker_alive
from muscle_core.jobs.leases import without_owner
from muscle_core.paths import reason
from muscle_core.store import Job, Workspace
from muscle_core.store.database import DATABASE_FILE, engine_of
from muscle_core.store.disk import referred_paths, size_text
from muscle_core.store.migrate import check_revision, current_revision
from muscle_core.store.workspace import database_url, home_folder

OK, WARNING, PROBLEM = "ok", "warning", "problem"
_PACKAGES = ("torch", "transformers", "peft", "streamlit", "pandas", "pyarrow", "SQLAlchemy", "alembic")
_REQUIREMENTS = Path(__file__).resolve().parents[3] / "requirements.txt"
_LOW_BYTES, _VERY_LOW_BYTES = 5 * 2**30, 200 * 2**20
_NONE = "none yet; it is made at first use"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Finding(NamedTuple):
    """One line of the examination: how it is, what was looked at, what was found, and what to do about it."""

    level: str
    what: str
    found: str
    advice: str = ""


def examine(home: str | Path | None = None) -> list[Finding]:
    """Examine the installation and a workspace; nothing is made or changed.

    Args:
        home: folder of the workspace; by default `$MUSCLE_HOME`, else `./workspace`.
    """
    findings = [Finding(OK, "python", platform.python_version())]
    findings += _guarded("packages", _packages)
    findings += _guarded("gpu", _gpu)
    findings += _guarded("chromium", _chromium)
    try:
        folder = home_folder(home)
    except MuscleError as error:
        return [*findings, Finding(PROBLEM, "workspace", str(error), "Set MUSCLE_HOME to a folder.")]
    findings += _guarded("workspace", lambda: _folder(folder))
    database = _guarded("database", lambda: _database(folder))
    findings += database
    if folder.is_dir() and all(finding.level != PROBLEM and finding.found != _NONE for finding in database):
        workspace = Workspace.open(folder)
        try:
            for what, look in (("worker", _worker), ("jobs", _jobs), ("files", _files), ("clean-up", _orphans)):
                findings += _guarded(what, lambda look=look: look(workspace))  # type: ignore[misc]
        finally:
            workspace.close()
    return findings


def _guarded(what: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What a look finds; where it fails, that is the finding."""
    try:
        return list(look())
    except MuscleError as error:
        return [Finding(PROBLEM, what, str(error))]
    except sa.exc.DBAPIError as error:
        advice = "Check MUSCLE_DATABASE_URL and its server, or the file."
        return [Finding(PROBLEM, what, f"no answer: {first_line(error.orig or error)}", advice)]
    except Exception as error:
        return [Finding(PROBLEM, what, f"{type(error).__name__}: {first_line(error)}", "Look at this part by hand.")]


def _packages() -> Iterator[Finding]:
    pins = dict(re.findall(r"^([\w-]+)==(\S+)", _REQUIREMENTS.read_text() if _REQUIREMENTS.is_file() else "", re.M))
    for package in _PACKAGES:
        try:
            found = version(package)
        except PackageNotFoundError:
            yield Finding(PROBLEM, package, "not installed", "Run: pip install -r requirements.txt")
            continue
        wanted = pins.get(package, found)
        if found.split("+")[0] == wanted:
            yield Finding(OK, package, found)
        else:
            advice = "Run: pip install -r requirements.txt"
            yield Finding(WARNING, package, f"{found}, tested with {wanted}", advice)


def _gpu() -> Iterator[Finding]:
    import torch

    if not torch.cuda.is_available():
        yield Finding(OK, "gpu", "none; models run on the CPU")
        return
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        name = torch.cuda.get_device_name(number)
        yield Finding(OK, "gpu", f"{name}, {size_text(free)} of {size_text(total)} free")


def _chromium() -> Iterator[Finding]:
    named = os.environ.get("MUSCLE_CHROMIUM")
    found = named or next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        advice = "For the browser tests: apt-get install chromium, or name it in MUSCLE_CHROMIUM."
        yield Finding(WARNING, "chromium", "not found", advice)
    elif not Path(found).is_file():
        yield Finding(WARNING, "chromium", f"not at {found}", "Correct MUSCLE_CHROMIUM.")
    else:
        yield Finding(OK, "chromium", found)


def _folder(folder: Path) -> Iterator[Finding]:
    place = folder
    if not folder.exists():
        yield Finding(WARNING, "workspace", f"{folder} is not there yet", "It is made at first use.")
        while not place.exists():
            place = place.parent
    elif not folder.is_dir():
        yield Finding(PROBLEM, "workspace", f"{folder} is no folder", "Name another one in MUSCLE_HOME.")
        return
    else:
        try:
            with tempfile.TemporaryFile(dir=folder) as stream:
                stream.write(b"x" * 4096)
            yield Finding(OK, "workspace", f"{folder} can be written")
        except OSError as error:
            advice = "Make room, or check its owner, rights and how it is mounted."
            yield Finding(PROBLEM, "workspace", f"{folder} cannot be written: {reason(error)}", advice)
    free = shutil.disk_usage(place).free
    level = PROBLEM if free < _VERY_LOW_BYTES else WARNING if free < _LOW_BYTES else OK
    advice = "" if level == OK else "Make room: python -m muscle_core workspace gc"
    yield Finding(level, "disk", f"{size_text(free)} free", advice)


def _database(folder: Path) -> Iterator[Finding]:
    url, file = database_url(), folder / DATABASE_FILE
    if url is None and not file.is_file():
        yield Finding(OK, "database", _NONE)
        return
    read_only = None
    if url is None:
        workspace = Workspace.open(folder)  # what is wrong with it is raised
        engine, read_only = workspace.engine, workspace.read_only
    else:
        engine = engine_of(url)
    try:
        with engine.connect() as connection:
            revision = current_revision(connection)
            answer = str(connection.scalar(sa.text("PRAGMA quick_check(1)"))) if url is None else "ok"
    finally:
        engine.dispose()
    if revision is None:
        yield Finding(OK, "database", _NONE)
        return
    check_revision(engine, revision)
    kind = engine.dialect.name
    if answer != "ok":
        advice = "Restore a backup: python -m muscle_core workspace restore FILE --home FOLDER"
        yield Finding(PROBLEM, "database", f"{kind}, damaged: {answer}", advice)
        return
    yield Finding(OK, "database", f"{kind}, tables of revision {revision}, as this workbench")
    if read_only is not None:
        yield Finding(WARNING, "database", f"opened for reading only: {read_only}")


def _worker(workspace: Workspace) -> Iterator[Finding]:
    with workspace.reading() as session:
        queued = session.scalar(sa.select(sa.func.count()).select_from(Job).where(Job.state == "queued")) or 0
    if workspace.read_only is not None:
        yield Finding(WARNING, "worker", "none can work here: the workspace cannot be written")
    elif worker_alive(workspace):
        yield Finding(OK, "worker", "one serves this workspace on this machine")
    elif queued:
        advice = "Start one: python -m muscle_core worker"
        yield Finding(WARNING, "worker", f"none on this machine, and {queued:,} jobs wait", advice)
    else:
        yield Finding(OK, "worker", "none; one is started with the next job")


def _jobs(workspace: Workspace) -> Iterator[Finding]:
    with workspace.reading() as session:
        counts = session.execute(sa.select(Job.state, sa.func.count()).group_by(Job.state).order_by(Job.state)).all()
    found = ", ".join(f"{count:,} {state}" for state, count in counts) or "none"
    stale = without_owner(workspace)
    if stale:
        advice = "The next worker takes them over; start one: python -m muscle_core worker"
        yield Finding(WARNING, "jobs", f"{found}; {stale:,} without a sign of life from their worker", advice)
    else:
        yield Finding(OK, "jobs", found)


def _files(workspace: Workspace) -> Iterator[Finding]:
    with workspace.reading() as session:
        referred = referred_paths(session.connection(), workspace.home)
    gone = sorted(path for path in referred if not (workspace.home / path).exists())
    if gone:
        named = ", ".join(gone[:3]) + (f" and {len(gone) - 3:,} more" if len(gone) > 3 else "")
        advice = "Evaluate or add again what is named, restore a backup, or delete it."
        yield Finding(WARNING, "files", f"{len(gone):,} that rows refer to are gone: {named}", advice)
    else:
        yield Finding(OK, "files", f"all {len(referred):,} that rows refer to are there")


def _orphans(workspace: Workspace) -> Iterator[Finding]:
    orphans = find_orphans(workspace)
    if orphans:
        size = size_text(sum(orphan.size for orphan in orphans))
        advice = "List them: python -m muscle_core workspace gc"
        yield Finding(WARNING, "clean-up", f"{len(orphans):,} files and folders that nothing needs, {size}", advice)
    else:
        yield Finding(OK, "clean-up", "nothing to remove")
