"""Add model versions to the workspace."""

from __future__ import annotations

import contextlib
from pathlib import Path

import sqlalchemy as sa

from muscle_core.errors import ConfigError, ModelError, StoreError
from muscle_core.models.spec import ModelSpec, adapter_fingerprint, base_fingerprint, check_paths
from muscle_core.paths import local_path
from muscle_core.store import ModelVersion, Workspace, check_name, get_version, made_by, stored_path
from muscle_core.store.tables import ROLES, new_id


def add_model_version(
    workspace: Workspace,
    name: str,
    base: str,
    *,
    adapter: str | None = None,
    revision: str | None = None,
    role: str = "new",
    parent: str | None = None,
    notes: str = "",
) -> ModelVersion:
    """Add a model version: a base and an optional adapter. Nothing is copied; fingerprints are taken.

    Args:
        workspace: where to add it.
        name: unique name.
        base: folder in Hugging Face format, .gguf file, or hub id.
        adapter: folder of a PEFT LoRA adapter trained on that base.
        revision: revision of a hub id.
        role: "old", "new" or "compat": its place in the lineage, for the pages' suggestions.
        parent: name of the version it was made from.
        notes: free text.

    Raises:
        ConfigError: unusable name or role, or the name is taken by another content.
        ModelError: the base, tokenizer or adapter cannot be used, or the adapter is for another base.
    """
    parent_id = check_new_version(workspace, name, role, parent)
    spec = ModelSpec(
        base=_absolute(base), revision=revision, adapter=_adapter_folder(workspace, adapter) if adapter else None
    )
    version = build_version(workspace, name, spec, role=role, parent_id=parent_id, notes=notes)
    save_version(workspace, version)
    return version


def check_new_version(workspace: Workspace, name: str, role: str, parent: str | None) -> str | None:
    """What can be checked of a new version before any work is done for it.

    Returns:
        Id of the parent, or None.

    Raises:
        ConfigError: unusable name or role, or the name is taken.
        StoreError: no such parent.
    """
    check_name(name, "model version")
    if role not in ROLES:
        raise ConfigError(f"role must be one of {', '.join(ROLES)}, got {role!r}.")
    _refuse_taken(workspace, name)
    return get_version(workspace, parent).id if parent else None


def build_version(
    workspace: Workspace, name: str, spec: ModelSpec, *, role: str, parent_id: str | None = None, notes: str = ""
) -> ModelVersion:
    """Check and fingerprint a spec of absolute paths, and make its version; nothing is saved.

    Raises:
        ModelError: the base, tokenizer or adapter cannot be used, or the adapter is for another base.
    """
    # Loading is imported late, so that listing and comparing work without torch.
    from muscle_core.models.load import base_skeleton, check_adapter, load_tokenizer, tokenizer_fingerprint

    check_paths(spec)
    tokenizer = load_tokenizer(spec)
    skeleton = base_skeleton(spec)
    check_adapter(spec, skeleton)
    return ModelVersion(
        id=new_id(),
        name=name,
        role=role,
        base=spec.base,
        revision=spec.revision,
        adapter=None if spec.adapter is None else stored_path(workspace, spec.adapter),
        base_fingerprint=base_fingerprint(spec),
        adapter_fingerprint=adapter_fingerprint(spec),
        tokenizer_fingerprint=tokenizer_fingerprint(tokenizer),
        parent_id=parent_id,
        notes=notes,
        made_by=made_by(
            architecture=type(skeleton).__name__,
            parameters=sum(p.numel() for p in skeleton.parameters()),
            vocabulary=skeleton.config.vocab_size,
        ),
    )


def add_imported_version(workspace: Workspace, name: str, *, role: str = "imported") -> ModelVersion:
    """A version of which only outputs are known; an existing one of that name is returned as it is."""
    check_name(name, "model version")
    version = ModelVersion(name=name, role=role, made_by=made_by())
    with contextlib.suppress(StoreError):
        return get_version(workspace, name)
    try:
        save_version(workspace, version)
    except ConfigError:  # another process imports for the same version
        return get_version(workspace, name)
    return version


def check_parent(workspace: Workspace, name: str, parent: str) -> None:
    """Refuse a version as the parent of itself or of a version that it follows; `name` need not exist yet.

    Raises:
        StoreError: no such parent.
        ConfigError: it would follow itself.
    """
    _lineage(workspace, name, parent)


def set_parent(workspace: Workspace, name: str, parent: str) -> None:
    """Say which version another one was made from, as `parent` of `add_model_version` does.

    Raises:
        StoreError: no such version.
        ConfigError: it would follow itself.
    """
    version = get_version(workspace, name)
    parent_id = _lineage(workspace, name, parent)
    with workspace.writing() as session:
        session.execute(sa.update(ModelVersion).where(ModelVersion.id == version.id).values(parent_id=parent_id))


def _lineage(workspace: Workspace, name: str, parent: str) -> str:
    """Id of the parent."""
    found = get_version(workspace, parent)
    with workspace.reading() as session:
        one: ModelVersion | None = found
        seen: set[str] = set()
        while one is not None and one.id not in seen:
            if one.name == name:
                via = "" if one.id == found.id else f", for {parent!r} follows it"
                raise ConfigError(
                    f"{name!r} cannot follow {parent!r}: it would follow itself{via}. Choose another one."
                )
            seen.add(one.id)
            one = session.get(ModelVersion, one.parent_id) if one.parent_id else None
    return found.id


def save_version(workspace: Workspace, version: ModelVersion) -> None:
    """Insert a version.

    Raises:
        ConfigError: the name was taken in the meantime.
    """
    try:
        with workspace.writing() as session:
            session.add(version)
    except sa.exc.IntegrityError as error:
        raise ConfigError(_taken(version.name)) from error


def free_name(workspace: Workspace, wanted: str) -> str:
    """`wanted`, or with a running number where it is taken."""
    stem = wanted[:190]  # a name holds 200 signs; the number needs some of them
    with workspace.reading() as session:
        taken = set(session.scalars(sa.select(ModelVersion.name).where(ModelVersion.name.startswith(stem))))
    if wanted not in taken:
        return wanted
    return next(name for number in range(2, len(taken) + 3) if (name := f"{stem}-{number}") not in taken)


def _refuse_taken(workspace: Workspace, name: str) -> None:
    try:
        get_version(workspace, name)
    except StoreError:
        return
    raise ConfigError(_taken(name))


def _taken(name: str) -> str:
    return f"there is already a model version named {name!r}; choose another name."


def _absolute(path: str) -> str:
    """Absolute form of a local path (jobs run elsewhere); hub ids stay as they are."""
    local = local_path(path, ModelError)
    return str(local.resolve()) if local.exists() else path


def _adapter_folder(workspace: Workspace, adapter: str) -> str:
    """Absolute form of an adapter's folder, which may also be named as it is listed: relative to the workspace."""
    absolute = _absolute(adapter)
    inside = (workspace.home / absolute).resolve()
    if Path(absolute).is_absolute() or not inside.is_relative_to(workspace.home):
        return absolute
    return str(inside) if workspace.local(absolute).is_dir() else absolute
