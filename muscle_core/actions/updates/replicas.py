"""Declared replicas: versions that are runs of one and the same model, such as one model behind three hosts.

What differs between replicas is noise, not an update; `muscle_core.actions.updates.noise` measures it.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from muscle_core.errors import ConfigError
from muscle_core.store import ModelVersion, Workspace, get_version


def declare_replica(workspace: Workspace, name: str, of: str) -> list[str]:
    """Declare that two versions are runs of the same model; replicas that either already has come along.

    Args:
        workspace: where both are.
        name: version that is a replica.
        of: version that it is a replica of.

    Returns:
        Names of all versions that are replicas of one another now, oldest first.

    Raises:
        StoreError: no such version.
        ConfigError: one version twice, or weights that are known to differ; nothing is changed.
    """
    one, other = get_version(workspace, name), get_version(workspace, of)
    if one.id == other.id:
        raise ConfigError(f"a version is no replica of itself; name another one than {name!r}.")
    with workspace.writing() as session:
        versions = {version.id: version for version in session.scalars(sa.select(ModelVersion))}
        root, moving = (versions[version.id].replica_of or version.id for version in (other, one))
        members = [v for v in versions.values() if {v.id, v.replica_of} & {root, moving}]
        _refuse_other_weights(members)
        for version in members:
            version.replica_of = None if version.id == root else root
    return [version.name for version in replicas_of(workspace, get_version(workspace, name))]


def _refuse_other_weights(members: list[ModelVersion]) -> None:
    known = {version.fingerprint: version for version in members if version.base_fingerprint is not None}
    if len(known) > 1:
        first, second = list(known.values())[:2]
        raise ConfigError(
            f"{second.name!r} is no replica of {first.name!r}: their weights or adapters differ (fingerprints "
            f"{second.fingerprint[:12]}… and {first.fingerprint[:12]}…). A replica is the same model run again; what "
            "differs between these two is an update. Nothing was changed."
        )


def undo_replica(workspace: Workspace, name: str) -> list[str]:
    """Take back that a version is a replica of others; those stay replicas of one another.

    Returns:
        Names of the versions that it was a replica of, oldest first.

    Raises:
        StoreError: no such version.
        ConfigError: it is no replica.
    """
    version = get_version(workspace, name)
    others = [one for one in replicas_of(workspace, version) if one.id != version.id]
    if not others:
        raise ConfigError(f"{name!r} is not declared a replica of any version; there is nothing to undo.")
    with workspace.writing() as session:
        alone = sa.update(ModelVersion).where(ModelVersion.id == version.id)
        session.execute(alone.values(replica_of=None))
        release_replicas(session, [version.id])
    return [one.name for one in others]


def replicas_of(workspace: Workspace, version: ModelVersion) -> list[ModelVersion]:
    """A version and all its declared replicas, oldest first."""
    root = version.replica_of or version.id
    query = (
        sa.select(ModelVersion)
        .where(sa.or_(ModelVersion.id == root, ModelVersion.replica_of == root))
        .order_by(ModelVersion.created_at, ModelVersion.name)
    )
    with workspace.reading() as session:
        return list(session.scalars(query))


def release_replicas(session: Session, roots: list[str]) -> None:
    """Let replicas of versions that leave refer to the oldest of themselves instead; they stay replicas."""
    without = {"synchronize_session": False}
    for root in roots:
        query = (
            sa.select(ModelVersion.id)
            .where(ModelVersion.replica_of == root, ModelVersion.id.not_in(roots))
            .order_by(ModelVersion.created_at, ModelVersion.name)
        )
        staying = list(session.scalars(query))
        gone = sa.update(ModelVersion).where(ModelVersion.replica_of == root)
        session.execute(gone.values(replica_of=staying[0] if staying else None), execution_options=without)
        if staying:
            first = sa.update(ModelVersion).where(ModelVersion.id == staying[0])
            session.execute(first.values(replica_of=None), execution_options=without)
