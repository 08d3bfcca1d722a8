"""One file with a whole workspace: a tar archive, compressed by zstd, that tells of every file what it must be.

Members, in this order: `backup.json` (format, revision of the tables, when and where it was made), `muscle.db` (all
rows as SQLite), the artefacts under their paths in the workspace, and `manifest.json` (size and SHA-256 of every member
between, rows of each table). It can be opened with `tar --zstd`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

import pyarrow as pa

from muscle_core import __version__
from muscle_core.errors import StoreError
from muscle_core.paths import reason
from muscle_core.store.copying import Counts
from muscle_core.store.database import DATABASE_FILE
from muscle_core.store.disk import keeping_files
from muscle_core.store.migrate import head_revision
from muscle_core.store.snapshot import appear, new_home, open_files, settle, take_snapshot
from muscle_core.store.workspace import Workspace

_FORMAT = 1
_HEADER, _MANIFEST = "backup.json", "manifest.json"
_AT_ONCE = 16 * 2**20  # smaller files are read in one go: a log may grow, a list of steps may be written anew
_UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, RecursionError),
    *(tarfile.TarError, pa.ArrowException),
)
_RECORD_BYTES = 256 * 2**20  # most bytes of header and manifest


class Backup(NamedTuple):
    """What a backup holds.

    Attributes:
        file: the backup.
        made: when it was made.
        home: workspace that it is of.
        counts: rows of each table.
        files: number of artefacts.
        size: bytes of rows and artefacts, not compressed.
        missing: paths that rows refer to, but where nothing lay when it was made.
    """

    file: Path
    made: str
    home: str
    counts: Counts
    files: int
    size: int
    missing: list[str]


def write_backup(workspace: Workspace, file: Path, *, teachers: bool = False) -> Backup:
    """Write a backup; workers may go on meanwhile.

    Args:
        workspace: what to back up.
        file: a file that is not there yet.
        teachers: include the teacher stores, which trainings can fill again.

    Raises:
        StoreError: the file is there already or cannot be written; it then does not appear.
    """
    if file.exists():
        raise StoreError(f"there is already a file {file}; name another one for the backup.")
    if not file.parent.is_dir():
        raise StoreError(f"there is no folder {file.parent} for the backup {file.name}; make it first.")
    partial = file.with_name(file.name + ".partial")
    try:
        with keeping_files(workspace), tempfile.TemporaryDirectory(prefix="muscle-backup-") as folder:
            database = Path(folder) / DATABASE_FILE
            taken = take_snapshot(workspace, database, teachers=teachers)
            header = {
                "format": _FORMAT,
                "muscle_core": __version__,
                "revision": head_revision(),
                "made": datetime.now(UTC).isoformat(timespec="seconds"),
                "home": str(workspace.home),
            }
            entries: dict[str, dict[str, Any]] = {}
            with _writing(partial) as archive:
                _add(archive, _HEADER, io.BytesIO(json.dumps(header).encode()))
                with database.open("rb") as rows:
                    entries[DATABASE_FILE] = _add(archive, DATABASE_FILE, rows)
                for path, stream in open_files(workspace.home, taken.files):
                    entries[path] = _add(archive, path, stream)
                manifest = {"files": entries, "rows": taken.counts, "missing": taken.missing}
                _add(archive, _MANIFEST, io.BytesIO(json.dumps(manifest).encode()))
        partial.replace(file)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(
            f"the backup {file} cannot be written: {reason(error)}. No file was left; make room, or name a place on "
            "another disk."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
    return _described(file, header, manifest)


def restore_backup(file: Path, home: Path, url: str | None = None) -> Backup:
    """Put a backup into an empty folder; all of it is verified before anything appears there.

    Args:
        file: the backup.
        home: folder that is empty or not there.
        url: empty database that takes the rows; by default they stay a SQLite file in the folder.

    Raises:
        StoreError: the file is no backup, is damaged, or is of a newer version; or folder or database hold something.
            Nothing appears.
    """
    if not file.is_file():
        raise StoreError(f"there is no backup {file}.")
    with new_home(home) as partial:
        try:
            header, manifest = _extract(file, partial)
        except _UNREADABLE as error:
            raise StoreError(
                f"the backup {file} cannot be read or put into {home}: {reason(error)}. Nothing was put there. It is "
                "no backup of a workbench, it is damaged, or the disk is full."
            ) from error
        settle(partial / DATABASE_FILE, Path(header["home"]), home)
        appear(partial, home, url)
    return _described(file, header, manifest)


def _described(file: Path, header: dict[str, Any], manifest: dict[str, Any]) -> Backup:
    files = manifest["files"]
    size = sum(entry["size"] for entry in files.values())
    return Backup(file, header["made"], header["home"], manifest["rows"], len(files) - 1, size, manifest["missing"])


@contextlib.contextmanager
def _writing(file: Path) -> Iterator[tarfile.TarFile]:
    with (
        file.open("wb") as raw,
        pa.CompressedOutputStream(raw, "zstd") as stream,
        tarfile.open(fileobj=stream, mode="w|") as archive,
    ):
        yield archive
    with file.open("rb") as written:
        os.fsync(written.fileno())


def _add(archive: tarfile.TarFile, name: str, stream: IO[bytes]) -> dict[str, Any]:
    """Add what a stream holds at this moment; returns its size and digest."""
    size = os.fstat(stream.fileno()).st_size if not isinstance(stream, io.BytesIO) else len(stream.getbuffer())
    if size <= _AT_ONCE:
        content = stream.read(_AT_ONCE)
        size, stream = len(content), io.BytesIO(content)
    info = tarfile.TarInfo(name)
    info.size = size
    hashed = _Hashed(stream)
    archive.addfile(info, hashed)
    return {"size": size, "sha256": hashed.digest.hexdigest()}


class _Hashed:
    """A stream that is hashed as it is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.digest = stream, hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        part = self.stream.read(size)
        self.digest.update(part)
        return part


def _extract(file: Path, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Put the members of a backup into a folder and check each; returns header and manifest."""
    found: dict[str, dict[str, Any]] = {}
    header: dict[str, Any] | None = None
    manifest: dict[str, Any] | None = None
    with (
        file.open("rb") as raw,
        pa.CompressedInputStream(raw, "zstd") as stream,
        tarfile.open(fileobj=stream, mode="r|") as archive,
    ):
        for member in archive:
            _check_member(file, member, found)
            content = archive.extractfile(member)
            assert content is not None  # it is a regular file
            if header is None:
                header = _read_header(file, member, content)
            elif manifest is not None:
                raise StoreError(f"the backup {file} is damaged: {member.name!r} comes after its end.")
            elif member.name == _MANIFEST:
                manifest = json.loads(content.read(_RECORD_BYTES))
            else:
                place = folder / member.name
                place.parent.mkdir(parents=True, exist_ok=True)
                hashed = _Hashed(content)
                with place.open("xb") as out:
                    shutil.copyfileobj(hashed, out, 2**20)
                found[member.name] = {"size": member.size, "sha256": hashed.digest.hexdigest()}
    if header is None or manifest is None:
        raise StoreError(f"the backup {file} is cut off: its manifest is missing. Nothing was restored.")
    wanted = manifest["files"]
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong or DATABASE_FILE not in found:
        named = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        raise StoreError(f"the backup {file} is damaged: not as its manifest says: {named or DATABASE_FILE}.")
    return header, manifest


def _check_member(file: Path, member: tarfile.TarInfo, found: dict[str, dict[str, Any]]) -> None:
    """Refuse everything but files below the folder, each once."""
    path = PurePosixPath(member.name)
    inside = str(path) == member.name and not path.is_absolute() and ".." not in path.parts and "\\" not in member.name
    if not inside or not member.isreg() or member.name in found:
        raise StoreError(
            f"the backup {file} holds the member {member.name!r}, which no backup of a workbench holds (only files "
            "inside the folder, each once). Nothing was restored."
        )


def _read_header(file: Path, member: tarfile.TarInfo, content: IO[bytes]) -> dict[str, Any]:
    if member.name != _HEADER:
        raise StoreError(f"{file} is no backup of a workbench: it begins with {member.name!r}, not {_HEADER!r}.")
    header: dict[str, Any] = json.loads(content.read(_RECORD_BYTES))
    if header["format"] != _FORMAT:
        raise StoreError(
            f"the backup {file} has format {header['format']}, this workbench reads format {_FORMAT}. Update it."
        )
    return header
