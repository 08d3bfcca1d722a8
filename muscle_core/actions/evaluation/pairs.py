"""What holds for every use of two versions token by token: both have weights, as added, and one tokenizer."""

from __future__ import annotations

from muscle_core.actions.evaluation.evaluate import check_unchanged, tokenizer_of
from muscle_core.errors import ModelError
from muscle_core.models.spec import ModelSpec, check_paths
from muscle_core.store import ModelVersion, Workspace, get_version, require_weights, spec_of


def check_pair(workspace: Workspace, old_name: str, new_name: str) -> tuple[ModelVersion, ModelVersion]:
    """Both versions, where they can be asked token by token.

    Raises:
        StoreError: no such version.
        ModelError: a version without weights, one version twice, or different tokenizers.
    """
    old, new = get_version(workspace, old_name), get_version(workspace, new_name)
    for version in (old, new):
        require_weights(version)
    if old.id == new.id:
        raise ModelError(f"old and new are the same version, {old.name!r}; choose two.")
    check_one_tokenizer(old, new)
    return old, new


def check_one_tokenizer(first: ModelVersion, second: ModelVersion) -> None:
    """Refuse two versions whose tokens are not the same (paper.md, Words: one vocabulary is assumed).

    Raises:
        ModelError: naming both.
    """
    if first.tokenizer_fingerprint != second.tokenizer_fingerprint:
        raise ModelError(
            f"the tokenizers of {first.name!r} and {second.name!r} differ. Both are read token by token, so they must "
            "share one tokenizer. Choose two versions of the same family."
        )


def unchanged_spec(workspace: Workspace, version: ModelVersion) -> ModelSpec:
    """What to load for a version whose files are those that were added.

    Raises:
        ModelError: it has no weights, or its weights or tokenizer are gone or have changed.
    """
    spec = spec_of(workspace, version)
    check_paths(spec)
    check_unchanged(version, spec)
    tokenizer_of(version, spec)
    return spec
