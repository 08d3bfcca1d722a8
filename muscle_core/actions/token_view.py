"""Which teacher each token of a gold answer follows, for samples and versions of the workspace."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from muscle_core.actions.datasets import load_samples
from muscle_core.actions.evaluate import tokenizer_of
from muscle_core.actions.pairs import check_one_tokenizer, check_pair, unchanged_spec
from muscle_core.errors import StoreError, raise_all
from muscle_core.store import Workspace, get_dataset, get_version, require_weights
from muscle_core.tasks import Sample

if TYPE_CHECKING:
    from muscle_core.compat.token_view import TokenView


def view_tokens(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    sample_ids: Sequence[str],
    *,
    compat_name: str | None = None,
    split: str = "test",
) -> list[TokenView]:
    """Look at the gold answers of samples, token by token, exactly as a training would see them.

    Args:
        workspace: where all is.
        old_name: old version.
        new_name: new version.
        dataset_name: dataset.
        sample_ids: samples of the split.
        compat_name: version that stands for the student; by default the new version, where a training may begin.
        split: split of the samples.

    Returns:
        One view a sample, in the order given.

    Raises:
        StoreError: no such version, dataset, split or sample.
        ModelError: a version has no weights or its files have changed, or the tokenizers differ.
        DataError: a sample has no reference answer, or is longer than the models' context.
    """
    old, new = check_pair(workspace, old_name, new_name)
    versions = {"old": old, "new": new}
    if compat_name is not None:
        versions["student"] = get_version(workspace, compat_name)
        require_weights(versions["student"])
        check_one_tokenizer(new, versions["student"])
    dataset = get_dataset(workspace, dataset_name)
    samples = _chosen(load_samples(workspace, dataset, split), sample_ids, f"{dataset_name!r} ({split})")
    specs = {name: unchanged_spec(workspace, version) for name, version in versions.items()}
    # torch from here on only: what cannot be answered is refused before it is loaded.
    from muscle_core.compat.pairs import training_pairs
    from muscle_core.compat.token_view import token_views
    from muscle_core.models.load import load_model
    from muscle_core.scoring.probe import context_of

    models = {name: load_model(spec) for name, spec in specs.items()}
    limits = [limit for model in models.values() if (limit := context_of(model)) is not None]
    tokenizer = tokenizer_of(new, specs["new"])
    encoded = training_pairs(tokenizer, samples, dataset.template, min(limits, default=10_000_000))
    return token_views(models, tokenizer, encoded.pairs)


def _chosen(samples: Sequence[Sample], ids: Sequence[str], where: str) -> list[Sample]:
    """The samples of some ids, in their order; all unknown ids are refused at once."""
    by_id = {sample.id: sample for sample in samples}
    problems = []
    for unknown in (one for one in ids if one not in by_id):
        close = difflib.get_close_matches(unknown, by_id, n=1)
        problems.append(f"no sample {unknown!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    raise_all(problems, StoreError, f"the tokens of samples of {where} cannot be shown", shown=5)
    return [by_id[one] for one in ids]
