"""What an artefact consists of: names, sizes and sums of its files. A copy is compared with it before it is used."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import NamedTuple

CONTENT_PREFIX = "content-"


class FileSum(NamedTuple):
    """Size and SHA-256 of a file."""

    size: int
    sha256: str


class Manifest(NamedTuple):
    """The files of an artefact.

    Attributes:
        folder: whether it is a folder; else it is one file.
        files: size and sum by name, relative to the folder, with "/".
    """

    folder: bool
    files: dict[str, FileSum]

    @classmethod
    def of(cls, path: Path, name: str) -> Manifest:
        """Read a folder with all that is in it, or a file, which is called `name` here."""
        if not path.is_dir():
            return cls(False, {name: sum_of(path)})
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return cls(True, {file.relative_to(path).as_posix(): sum_of(file) for file in files})

    @classmethod
    def parse(cls, text: bytes) -> Manifest:
        """Read what `text` wrote.

        Raises:
            ValueError: it is something else, or names a file outside the artefact.
        """
        try:
            content = json.loads(text)
            files = {str(name): FileSum(int(size), str(digest)) for name, (size, digest) in content["files"].items()}
            found = cls(bool(content["folder"]), files)
        except (AttributeError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"it is not a manifest: {error!r}") from error
        for name in files:
            parts = PurePosixPath(name).parts
            if name.startswith("/") or "\\" in name or not parts or ".." in parts:
                raise ValueError(f"it names the file {name!r}, which is outside")
        if not files or (not found.folder and len(files) != 1):
            raise ValueError(f"it names {len(files)} files")
        return found

    @property
    def content(self) -> str:
        """Name for all of it: a hash."""
        return CONTENT_PREFIX + hashlib.sha256(self.text()).hexdigest()[:32]

    def text(self) -> bytes:
        """The same manifest, the same text."""
        return json.dumps({"folder": self.folder, "files": self.files}, sort_keys=True, indent=1).encode()


def sum_of(file: Path) -> FileSum:
    """Size and sum of a file."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return FileSum(stream.tell(), digest)
