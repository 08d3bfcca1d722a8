"""What names a model exactly: base weights, revision, adapter; and the fingerprints of their contents.

No torch here: the workspace and the pages read specs without loading a model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from muscle_core.errors import ModelError, first_line
from muscle_core.paths import local_path, reason

_WEIGHT_FILES = ("*.safetensors", "*.gguf")
_CONFIG_FILES = ("config.json", "adapter_config.json", "generation_config.json")
_TOKENIZER_FILES = ("tokenizer*.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "*.jinja")
BASE_RECORD = "muscle_base.json"  # beside an adapter: which base it was trained on


@dataclass(frozen=True)
class ModelSpec:
    """A base checkpoint and an optional adapter.

    Attributes:
        base: a local folder in Hugging Face format, a .gguf file, or a hub id.
        revision: revision of a hub id, else None.
        adapter: local folder of a PEFT adapter, or None for the plain base.
    """

    base: str
    revision: str | None = None
    adapter: str | None = None

    @property
    def is_gguf(self) -> bool:
        """Whether the base is a GGUF file."""
        return self.base.lower().endswith(".gguf")

    @property
    def base_path(self) -> Path:
        """The base as a path; where nothing lies there, it is a hub id."""
        return local_path(self.base, ModelError)

    @property
    def adapter_path(self) -> Path | None:
        """The adapter's folder, or None for the plain base."""
        return None if self.adapter is None else local_path(self.adapter, ModelError)


def check_paths(spec: ModelSpec) -> None:
    """Refuse paths that are missing or hold no model.

    Raises:
        ModelError: the base or adapter is missing, holds no safetensors/GGUF weights, or is a pickle checkpoint.
    """
    base = spec.base_path
    looks_like_path = spec.base.startswith(("/", ".", "~")) or spec.is_gguf
    if not base.exists():
        if looks_like_path or spec.base.count("/") != 1:
            raise ModelError(
                f"no model at {spec.base!r}. Give a folder in Hugging Face format, a .gguf file, or a hub id "
                "such as HuggingFaceTB/SmolLM2-135M."
            )
    elif base.is_dir():
        if not (base / "config.json").is_file():
            raise ModelError(f"{base} holds no config.json, so it is not a model folder in Hugging Face format.")
        if not any(base.glob("*.safetensors")):
            raise ModelError(
                f"{base} holds no *.safetensors weights. Pickle checkpoints (.bin, .pt) are refused because they "
                "can run code; convert them with model.save_pretrained(…, safe_serialization=True)."
            )
    elif not spec.is_gguf:
        raise ModelError(f"{base} is a file but not a .gguf file; give a model folder or a .gguf file.")
    adapter = spec.adapter_path
    if adapter is not None:
        missing = [
            name for name in ("adapter_config.json", "adapter_model.safetensors") if not (adapter / name).is_file()
        ]
        if missing:
            raise ModelError(f"no PEFT adapter at {adapter}: {' and '.join(missing)} missing.")


@lru_cache(maxsize=256)
def _file_digest(path: str, size: int, modified_ns: int) -> str:
    # size and modified_ns only key the cache: an edited file is hashed again.
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _folder_fingerprint(folder: Path) -> str:
    if folder.is_file():
        files = [folder]
    else:
        files = sorted(f for pattern in (*_WEIGHT_FILES, *_CONFIG_FILES) for f in folder.glob(pattern))
    return _files_fingerprint(files)


def _files_fingerprint(files: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for file in files:
        try:
            stat = file.stat()
            digest = _file_digest(str(file), stat.st_size, stat.st_mtime_ns)
        except OSError as error:
            raise ModelError(f"{file} cannot be read: {reason(error)}. Check the file and its rights.") from error
        total.update(f"{file.name}:{digest}\n".encode())
    return total.hexdigest()


def base_fingerprint(spec: ModelSpec) -> str:
    """Hash of the base's weight and config files; for a hub id, of the files of the local snapshot."""
    base = spec.base_path
    return _folder_fingerprint(base if base.exists() else hub_snapshot(spec))


def tokenizer_files_fingerprint(spec: ModelSpec) -> str:
    """Hash of the files that decide how a prompt becomes token ids and where an answer ends.

    More than the tokenizer's vocabulary: chat template, BOS and EOS. A GGUF file holds them itself.
    """
    base = spec.base_path
    folder = base if base.exists() else hub_snapshot(spec)
    return _files_fingerprint(sorted(file for pattern in _TOKENIZER_FILES for file in folder.glob(pattern)))


def adapter_fingerprint(spec: ModelSpec) -> str | None:
    """Hash of the adapter's files, or None without an adapter."""
    folder = spec.adapter_path
    return None if folder is None else _folder_fingerprint(folder)


def hub_snapshot(spec: ModelSpec) -> Path:
    """Local folder of a hub model, downloaded on first use.

    Raises:
        ModelError: the hub cannot be reached, or has no such model or revision.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
    try:
        return Path(snapshot_download(spec.base, revision=spec.revision, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"the hub model {spec.base!r} (revision {spec.revision or 'main'}) is neither on this machine nor could "
            f"it be downloaded: {first_line(error)}. Check the name and the network, or give a local folder."
        ) from error


def write_base_record(adapter: Path, spec: ModelSpec, fingerprint: str) -> None:
    """Note beside an adapter which base it was trained on."""
    record = {"base": spec.base, "revision": spec.revision, "base_fingerprint": fingerprint}
    (adapter / BASE_RECORD).write_text(json.dumps(record, indent=2) + "\n")


def recorded_base_fingerprint(adapter: Path) -> str | None:
    """Fingerprint of the base that an adapter was trained on, where a record lies beside it.

    Raises:
        ModelError: the record cannot be read.
    """
    file = adapter / BASE_RECORD
    if not file.is_file():
        return None
    try:
        record = json.loads(file.read_text())
        fingerprint = record.get("base_fingerprint") if isinstance(record, dict) else record
        if fingerprint is not None and not isinstance(fingerprint, str):
            raise ValueError("it holds no text under base_fingerprint")
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"the record {file} of the adapter's base cannot be read: {reason(error)}. Copy the adapter's folder "
            "again, or remove the record if you know the base."
        ) from error
    return fingerprint
