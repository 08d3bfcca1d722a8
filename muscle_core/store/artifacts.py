"""A place where several machines share what they make, named by an fsspec URL: an S3 bucket, a mounted folder.

KEY/_manifest.json      names, sizes and sums of one artefact's files; written last, so that what has one is whole
KEY/content-…/<name>    its files; the folder is named by a hash of them, so that new content changes no file in use

KEY is the path that the artefact has in a workspace folder, which is then a cache: what is missing there is fetched.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from muscle_core.errors import StoreError, first_line
from muscle_core.paths import reason
from muscle_core.store.manifest import CONTENT_PREFIX, Manifest, sum_of

ARTIFACTS_VARIABLE = "MUSCLE_ARTIFACTS"

_log = logging.getLogger(__name__)
_Found = TypeVar("_Found")
_MANIFEST = "_manifest.json"
_WAITS = (0.2, 1.0, 4.0)  # seconds before each new try
_FETCHES = 3  # of one artefact, which may be replaced meanwhile or damaged on the way
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound")
_S3 = ("s3", "s3a")
_S3_OPTIONS = {"config_kwargs": {"connect_timeout": 10, "retries": {"max_attempts": 0}}}  # done here
_OPTIONS: dict[str, dict[str, Any]] = {
    "file": {"auto_mkdir": True},
    "local": {"auto_mkdir": True},
} | dict.fromkeys(_S3, _S3_OPTIONS)


class ArtifactsUnreachable(StoreError):
    """The shared place does not answer or refuses; nothing can be said about what is there."""


class Artifacts:
    """The shared place. An artefact there is a file or a folder, whole or invisible.

    Attributes:
        url: as the user named it, without a password.
    """

    def __init__(self, url: str) -> None:
        """Name the place; it is asked for the first time when it is needed.

        Raises:
            StoreError: the URL cannot be used, or the package for its protocol is not installed.
        """
        import fsspec
        from fsspec.utils import get_protocol

        self.url = re.sub(r"//[^/@]*@", "//…@", url)
        protocol = get_protocol(url)
        options = {"use_listings_cache": False, "skip_instance_cache": True, **_OPTIONS.get(protocol, {})}
        try:
            self._fs, root = fsspec.core.url_to_fs(url, **options)
        except ImportError as error:
            raise StoreError(
                f"{ARTIFACTS_VARIABLE}={self.url} needs a package that is not installed ({first_line(error)}). For "
                "s3:// it is: pip install -r requirements-s3.txt"
            ) from error
        except Exception as error:  # every file system has its own
            raise StoreError(
                f"{ARTIFACTS_VARIABLE}={self.url} cannot be used: {first_line(error)}. Write it as s3://bucket/folder "
                "or file:///mounted/folder."
            ) from error
        self._root = str(root).rstrip("/")
        if not self._root:
            raise StoreError(f"{ARTIFACTS_VARIABLE}={self.url} names no bucket or folder; write s3://bucket/folder.")
        self._is_local = protocol in ("file", "local")
        if protocol in _S3:
            self._fs.retries = 1  # trying again is done here, once for all file systems
        self._seen = False

    @classmethod
    def from_environment(cls) -> Artifacts | None:
        """The place that MUSCLE_ARTIFACTS names, or None.

        Raises:
            StoreError: as the constructor.
        """
        url = os.environ.get(ARTIFACTS_VARIABLE, "").strip()
        return cls(url) if url else None

    def publish(self, key: str, path: Path) -> str:
        """Upload a file or folder that is complete; it becomes visible at the end, in the place of what had this key.

        Args:
            key: path relative to a workspace.
            path: what to upload; it is not changed.

        Returns:
            Name of its content, a hash.

        Raises:
            ArtifactsUnreachable: the place fails; what was visible under the key still is.
        """
        manifest = Manifest.of(path, key.rpartition("/")[2])
        try:
            before = self._known(key)
        except ValueError:
            before = None
        if before == manifest:
            return manifest.content
        for name in manifest.files:
            file = path / name if manifest.folder else path
            self._ask("written", self._fs.put_file, str(file), self._at(key, manifest.content, name))
        self._ask("written", self._write, self._at(key, _MANIFEST), manifest.text())
        if before is not None:
            with contextlib.suppress(ArtifactsUnreachable):  # nothing refers to it any more
                self._ask("written", self._remove, self._at(key, before.content))
        return manifest.content

    def fetch(self, key: str, path: Path) -> str | None:
        """Download an artefact and put it in its place, whole and checked.

        Args:
            key: path relative to a workspace.
            path: where it goes; a file that is there is replaced, a folder that is there is left as it is.

        Returns:
            Name of its content, or None where nothing was published under this key.

        Raises:
            ArtifactsUnreachable: the place fails.
            StoreError: what is there is not what was published, or it cannot be written here.
        """
        problem = ""
        for _ in range(_FETCHES):
            try:
                manifest = self._known(key)
                if manifest is None:
                    return None
                return self._download(key, manifest, path)
            except FileNotFoundError:  # new content was published meanwhile; else the files are gone
                problem = "files that its manifest names are missing"
            except ValueError as error:
                problem = first_line(error)
        raise self._damaged(key, problem)

    def content_of(self, key: str) -> str | None:
        """Name of the content that is visible under a key, or None.

        Raises:
            ArtifactsUnreachable: the place fails.
            StoreError: its manifest is damaged.
        """
        try:
            manifest = self._known(key)
        except ValueError as error:
            raise self._damaged(key, first_line(error)) from error
        return None if manifest is None else manifest.content

    def names(self, folder: str) -> list[str]:
        """Names of what is published directly in a folder; what is not complete yet may be among them.

        Raises:
            ArtifactsUnreachable: the place fails.
        """
        self._check_place()
        try:
            found = self._ask("read", self._fs.ls, self._at(folder), False)
        except FileNotFoundError:
            return []
        return sorted(Path(str(path).rstrip("/")).name for path in found)

    def everything(self) -> dict[str, datetime]:
        """All keys, also of what was cut off and is not visible, and when something of each was last written.

        Raises:
            ArtifactsUnreachable: the place fails.
        """
        self._check_place()
        start = len(self._root.lstrip("/")) + 1
        found: dict[str, datetime] = {}
        for path, facts in self._ask("read", partial(self._fs.find, self._root, detail=True)).items():
            inside = str(path).lstrip("/")[start:]
            key = inside.partition(f"/{CONTENT_PREFIX}")[0].partition(f"/{_MANIFEST}")[0]
            changed = _moment(facts.get("LastModified") or facts.get("mtime") or facts.get("created"))
            found[key] = max(changed, found.get(key, changed))
        return dict(sorted(found.items()))

    def remove(self, key: str) -> None:
        """Remove an artefact, or a folder with all artefacts in it; it need not be there.

        Raises:
            ArtifactsUnreachable: the place fails.
        """
        self._check_place()
        self._ask("written", self._remove, self._at(key, _MANIFEST))  # first, so that no half of it is visible
        self._ask("written", self._remove, self._at(key))

    def share(self, folder: str, path: Path) -> None:
        """Fetch the files of a folder that others have published, and publish those that are here only.

        Args:
            folder: relative to a workspace; its files never change.
            path: the folder.

        Raises:
            ArtifactsUnreachable: the place fails.
        """
        path.mkdir(parents=True, exist_ok=True)
        there = set(self.names(folder))
        here = {file.name for file in path.glob("*.parquet")}
        for name in sorted(there - here):
            try:
                self.fetch(f"{folder}/{name}", path / name)
            except ArtifactsUnreachable:
                raise
            except StoreError as error:  # these are answers: what is missing is asked for once more
                _log.warning("%s", error)
        for name in sorted(here - there):
            self.publish(f"{folder}/{name}", path / name)

    def _damaged(self, key: str, problem: str) -> StoreError:
        return StoreError(
            f"the shared artefact {key} at {self.url} is damaged: {problem}. It was not taken over. Restore it there "
            "from a backup, or remove it there and make it again."
        )

    def _at(self, *parts: str) -> str:
        return "/".join((self._root, *parts))

    def _known(self, key: str) -> Manifest | None:
        """The manifest of a key.

        Raises:
            ValueError: it is damaged.
        """
        self._check_place()
        try:
            return Manifest.parse(self._ask("read", self._fs.cat_file, self._at(key, _MANIFEST)))
        except FileNotFoundError:
            return None

    def _download(self, key: str, manifest: Manifest, path: Path) -> str:
        coming = path.with_name(f"{path.name}.{uuid4().hex[:8]}.partial")
        try:
            for name, expected in manifest.files.items():
                file = coming / name if manifest.folder else coming
                _make_room(file)
                self._ask("read", self._fs.get_file, self._at(key, manifest.content, name), str(file))
                found = sum_of(file)
                if found != expected:
                    raise ValueError(
                        f"{name} has {found.size:,} bytes with the checksum {found.sha256[:12]}…, published were "
                        f"{expected.size:,} with {expected.sha256[:12]}…"
                    )
            if not (manifest.folder and path.exists()):
                _put_in_place(coming, path)
        finally:
            if coming.is_dir():
                shutil.rmtree(coming, ignore_errors=True)
            else:
                coming.unlink(missing_ok=True)
        return manifest.content

    def _write(self, path: str, content: bytes) -> None:
        if not self._is_local:
            self._fs.pipe_file(path, content)  # an object of a store appears whole
            return
        coming = Path(f"{path}.{uuid4().hex[:8]}.partial")
        coming.write_bytes(content)
        coming.replace(path)

    def _remove(self, path: str) -> None:
        try:
            self._fs.rm(path, recursive=True)
        except FileNotFoundError:
            return

    def _check_place(self) -> None:
        """Tell a bucket or folder that is not there from one without the artefact; asked once."""
        if self._seen:
            return
        place = self._root if self._is_local else self._root.partition("/")[0] or "/"
        try:
            self._ask("read", self._fs.info, place)
        except FileNotFoundError as error:
            what = "folder" if self._is_local else "bucket"
            raise ArtifactsUnreachable(
                f"the place {self.url} of {ARTIFACTS_VARIABLE} is not there: no {what} {place!r}. Make (or mount) it, "
                "or correct the URL."
            ) from error
        self._seen = True

    def _ask(self, what: str, call: Callable[..., _Found], *arguments: Any) -> _Found:
        """Call the file system, again after a moment where that may help.

        Raises:
            FileNotFoundError: as the call.
            ArtifactsUnreachable: for everything else.
        """
        for wait in (*_WAITS, None):
            try:
                return call(*arguments)
            except Exception as error:  # every file system has its own, and none may reach the user as a traceback
                if isinstance(error, FileNotFoundError) and what == "read":
                    raise
                refused = isinstance(error, PermissionError) or type(error).__name__ in _NO_CREDENTIALS
                if wait is not None and not refused:
                    time.sleep(wait)
                    continue
                told = (
                    "Check the keys and their rights (for S3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)."
                    if refused
                    else "Check the URL, the network and the server (for S3: AWS_ENDPOINT_URL), then try again."
                )
                raise ArtifactsUnreachable(
                    f"the shared artefacts at {self.url} cannot be {what}: {type(error).__name__}: "
                    f"{first_line(error)}. {told} What is in the workspace folder is kept."
                ) from error
        raise AssertionError("unreachable")


def _make_room(file: Path) -> None:
    """Begin a local file, so that what this machine refuses is not taken for a failure of the shared place.

    Raises:
        StoreError: the folder or the file cannot be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    except OSError as error:
        raise StoreError(
            f"what another machine made cannot be fetched to {file.parent}: {reason(error)}. Check the rights and the "
            "room of the workspace folder."
        ) from error


def _put_in_place(coming: Path, path: Path) -> None:
    try:
        coming.replace(path)
    except OSError as error:
        if not path.is_dir():  # else another process was faster, with the same content
            raise StoreError(f"{path} cannot be written: {reason(error)}.") from error


def _moment(written: datetime | float | None) -> datetime:
    """When a file was written, as the different file systems say it; now where they do not."""
    if written is None:
        return datetime.now(UTC)
    return written if isinstance(written, datetime) else datetime.fromtimestamp(written, UTC)
