"""Which teacher each token of a gold answer follows, for samples and versions of the workspace."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from muscle_core.actions.evaluation.evaluate import tokenizer_of
from muscle_core.actions.evaluation.pairs import check_one_tokenizer, check_pair, unchanged_spec
from muscle_core.actions.library.datasets import load_samples
from muscle_core.errors import Cancelled, DataError, MuscleError, StoreError, raise_all
from muscle_core.jobs import ACTIVE
from muscle_core.store import Job, Workspace, get_dataset, get_version, require_weights
from muscle_core.store.kept_tokens import KeptTokens, TokensOf, read_tokens, write_tokens
from muscle_core.tasks import Sample

if TYPE_CHECKING:
    from muscle_core.compat.token_view import TokenView

JOB_KIND = "view_tokens"
_TOGETHER = 8  # samples that are looked at before they are kept; a stop waits for their end
_NO_LIMIT = 10_000_000


class TokenQuestion(NamedTuple):
    """What is looked at.

    Attributes:
        whose: the versions and the dataset.
        samples: in the order asked for.
        names: which of "old", "new" and "student" are loaded; a student that is the new version is not loaded twice.
    """

    whose: TokensOf
    samples: list[Sample]
    names: list[str]


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
    question = token_question(workspace, old_name, new_name, dataset_name, sample_ids, compat_name, split)
    return _loaded(workspace, question)(question.samples)


def keep_token_views(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    sample_ids: Sequence[str],
    *,
    compat_name: str | None = None,
    split: str = "test",
    report: Callable[[int, int], None] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, str]:
    """Look at the gold answers of samples and keep what is seen in the workspace; what is kept is not looked at again.

    Args:
        workspace: where all is.
        old_name: old version.
        new_name: new version.
        dataset_name: dataset.
        sample_ids: samples of the split.
        compat_name: as of `view_tokens`.
        split: split of the samples.
        report: called with how many samples are kept, of how many.
        should_stop: asked after every few samples.

    Returns:
        Why a sample cannot be shown, by its id; the others are kept.

    Raises:
        StoreError: no such version, dataset, split or sample, or it cannot be written.
        ModelError: a version has no weights or its files have changed, or the tokenizers differ.
        Cancelled: `should_stop` said so; what was kept stays.
    """
    question = token_question(workspace, old_name, new_name, dataset_name, sample_ids, compat_name, split)
    missing = [one for one in question.samples if read_tokens(workspace, question.whose, one, fetch=True) is None]
    done, total = len(question.samples) - len(missing), len(question.samples)
    refused: dict[str, str] = {}
    report(done, total)
    if not missing:
        return refused
    look = _loaded(workspace, question)
    for start in range(0, len(missing), _TOGETHER):
        if start and should_stop():
            raise Cancelled(f"stopped after the tokens of {done:,} of {total:,} samples; they are kept.")
        for group in _lookable(look, missing[start : start + _TOGETHER], refused):
            for sample, view in group:
                write_tokens(workspace, question.whose, sample, _kept(view))
        done = min(done + _TOGETHER, total)
        report(done, total)
    return refused


def job_of_tokens(jobs: Sequence[Job], whose: TokensOf, split: str, sample_id: str) -> Job | None:
    """The job that looks, or looked last, at the tokens of a sample; what is under way comes first.

    Args:
        jobs: newest first.
        whose: the versions and the dataset.
        split: of the sample.
        sample_id: the sample.
    """
    student = None if whose.student.id == whose.new.id else whose.student.name
    wanted = {"old": whose.old.name, "new": whose.new.name, "dataset": whose.dataset.name, "split": split}
    found = [
        job
        for job in jobs
        if job.kind == JOB_KIND
        and sample_id in job.payload["samples"]
        and job.payload["compat"] == student
        and wanted.items() <= job.payload.items()
    ]
    return next((job for job in found if job.state in ACTIVE), found[0] if found else None)


def why_no_tokens(whose: TokensOf) -> str | None:
    """Why the tokens of these versions cannot be looked at, in a sentence; None where they can."""
    try:
        for version in (whose.old, whose.new, whose.student):
            require_weights(version)
            check_one_tokenizer(whose.new, version)
        if whose.old.id == whose.new.id:
            raise StoreError("old and new are the same version.")
    except MuscleError as error:
        return str(error)
    return None


def token_question(
    workspace: Workspace,
    old_name: str,
    new_name: str,
    dataset_name: str,
    sample_ids: Sequence[str],
    compat_name: str | None,
    split: str,
) -> TokenQuestion:
    """What `view_tokens` is asked, with all checked that can be without loading a model; arguments and errors as there.

    That a sample has a reference answer and is not too long is only known once it is looked at.
    """
    old, new = check_pair(workspace, old_name, new_name)
    student = new
    if compat_name is not None:
        student = get_version(workspace, compat_name)
        require_weights(student)
        check_one_tokenizer(new, student)
    dataset = get_dataset(workspace, dataset_name)
    samples = _chosen(load_samples(workspace, dataset, split), sample_ids, f"{dataset_name!r} ({split})")
    names = ["old", "new", *(["student"] if compat_name is not None else [])]
    return TokenQuestion(TokensOf(old, new, student, dataset), samples, names)


def _loaded(workspace: Workspace, question: TokenQuestion) -> Callable[[Sequence[Sample]], list[TokenView]]:
    """Load the versions; returns what looks at samples with them."""
    whose = question.whose
    specs = {name: unchanged_spec(workspace, getattr(whose, name)) for name in question.names}
    # torch from here on only: what cannot be answered is refused before it is loaded.
    from muscle_core.compat.pairs import training_pairs
    from muscle_core.compat.token_view import token_views
    from muscle_core.models.load import load_model
    from muscle_core.scoring.probe import context_of

    models = {name: load_model(spec) for name, spec in specs.items()}
    limits = [limit for model in models.values() if (limit := context_of(model)) is not None]
    tokenizer = tokenizer_of(whose.new, specs["new"])

    def look(samples: Sequence[Sample]) -> list[TokenView]:
        encoded = training_pairs(tokenizer, samples, whose.dataset.template, min(limits, default=_NO_LIMIT))
        return token_views(models, tokenizer, encoded.pairs)

    return look


def _lookable(
    look: Callable[[Sequence[Sample]], list[TokenView]], samples: list[Sample], refused: dict[str, str]
) -> list[list[tuple[Sample, TokenView]]]:
    """Samples with their views; one that cannot be shown does not keep the others from it."""
    try:
        return [list(zip(samples, look(samples), strict=True))]
    except DataError as error:
        if len(samples) == 1:
            refused[samples[0].id] = str(error)
            return []
    return [group for sample in samples for group in _lookable(look, [sample], refused)]


def _kept(view: TokenView) -> KeptTokens:
    frame = view.frame()
    return KeptTokens(
        view.text,
        {name: tokens.argmax_text for name, tokens in view.models.items()},
        {name: [float(value) for value in frame[f"{name}_probability"]] for name in view.models},
        view.follows,
    )


def _chosen(samples: Sequence[Sample], ids: Sequence[str], where: str) -> list[Sample]:
    """The samples of some ids, in their order; all unknown ids are refused at once."""
    by_id = {sample.id: sample for sample in samples}
    problems = []
    for unknown in (one for one in ids if one not in by_id):
        close = difflib.get_close_matches(unknown, by_id, n=1)
        problems.append(f"no sample {unknown!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    raise_all(problems, StoreError, f"the tokens of samples of {where} cannot be shown", shown=5)
    return [by_id[one] for one in ids]
