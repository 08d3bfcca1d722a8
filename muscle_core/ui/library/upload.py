"""Uploaded files, put on the disk only while the library reads them: under names of their own, and gone afterwards."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from muscle_core.ui.library import words

MOST_MIB = 200  # Streamlit holds an upload in memory
TABLES = ["jsonl", "json", "csv", "parquet"]
LOGS = [*TABLES, "eval"]
_ROUND = "_uploads_of_"


class OnDisk(NamedTuple):
    """Files of one form.

    Attributes:
        folder: where they lie.
        paths: one a file, in the order given; None for a file that was not given.
    """

    folder: Path
    paths: tuple[Path | None, ...]

    def told(self, text: str) -> str:
        """A message of the library with the files' own names, not where they lie for the moment."""
        return text.replace(f"{self.folder.resolve()}/", "").replace(f"{self.folder}/", "")


@contextmanager
def on_disk(*files: Any) -> Iterator[OnDisk]:
    """Uploaded files side by side in a folder that is removed afterwards; None stands for a file not given."""
    with tempfile.TemporaryDirectory(prefix="muscle-upload-") as name:
        folder, paths = Path(name), list[Path | None]()
        for file in files:
            if file is None:
                paths.append(None)
                continue
            path = folder / safe_name(file.name)
            if path.exists():
                path = folder / f"{len(paths)}-{path.name}"
            path.write_bytes(file.getbuffer())
            paths.append(path)
        yield OnDisk(folder, tuple(paths))


def safe_name(name: str) -> str:
    """A file's own name, of which only letters, digits, '.', '_' and '-' are kept: it never leads out of a folder."""
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", name.replace("\\", "/").rsplit("/", 1)[-1]).lstrip(".-")
    return kept[-120:] or "upload"


def uploader(label: str, form: str, types: Sequence[str], *, most: int = MOST_MIB, **options: Any) -> Any:
    """A field for files; `clear` empties it.

    Args:
        label: of the field.
        form: the fields that are emptied together.
        types: endings of names.
        most: MiB of a file.
        options: of `st.file_uploader`.
    """
    number = st.session_state.get(f"{_ROUND}{form}", 0)
    key = f"{form}_{options.pop('name', 'file')}_{number}"
    return st.file_uploader(label, list(types), key=key, max_upload_size=most, **options)


def clear(form: str) -> None:
    """Empty the fields of a form at the next run."""
    st.session_state[f"{_ROUND}{form}"] = st.session_state.get(f"{_ROUND}{form}", 0) + 1


def larger_files(command: str, most: int = MOST_MIB) -> None:
    """How files go that are too large for the browser."""
    st.caption(words.larger(most))
    st.code(command, language=None, wrap_lines=True)
