"""All that can be known of a compatibility training before it starts: what speaks against it, and what it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from muscle_core.actions.background.submit import check_validation
from muscle_core.actions.evaluation.pairs import check_one_tokenizer
from muscle_core.actions.library.datasets import check_limit, load_samples
from muscle_core.actions.strategies.ablation_plan import AblationRequest, Cell, plan_ablation
from muscle_core.actions.training.commands import CompatRequest
from muscle_core.actions.training.earlier import UNKNOWN
from muscle_core.actions.training.estimate import Estimate, estimate
from muscle_core.actions.training.train import VALIDATION_SPLIT, check_compat, check_held_out
from muscle_core.errors import MuscleError
from muscle_core.models.spec import check_paths
from muscle_core.store import ModelVersion, Workspace, get_version, require_weights, spec_of

OK, NOTE, PROBLEM = "ok", "note", "problem"


class Check(NamedTuple):
    """One thing that was looked at.

    Attributes:
        name: "weights", "tokenizer", "start", "splits", "answers", "overlap", "validation", "memory", "disk" or
            "repeated".
        state: OK; NOTE for what is to be known; PROBLEM for what a training would be refused for, or fail of.
        detail: what the library says of a problem; else "".
        numbers: figures by name, for the page to put into words.
    """

    name: str
    state: str
    detail: str = ""
    numbers: Mapping[str, float | str | None] = MappingProxyType({})


class Preflight(NamedTuple):
    """Result of looking at a training before it starts.

    Attributes:
        checks: in the order in which they matter.
        estimate: what it takes; None where it cannot start.
        cell: what there is of this very training already; None where it cannot start.
    """

    checks: list[Check]
    estimate: Estimate | None
    cell: Cell | None

    @property
    def problems(self) -> list[Check]:
        """What speaks against starting."""
        return [check for check in self.checks if check.state == PROBLEM]


def preflight(workspace: Workspace, request: CompatRequest) -> Preflight:
    """Look at a training before it starts; no model is loaded.

    Raises:
        StoreError: a version is not there, or the database does not answer.
    """
    old, new = get_version(workspace, request.old), get_version(workspace, request.new)
    dataset, config = request.dataset, request.config
    checks = [
        _said("weights", lambda: _weights(workspace, old, new)),
        _said("tokenizer", lambda: check_one_tokenizer(old, new)),
        _said("start", lambda: check_compat(workspace, old.name, new.name, dataset.name, config)),
        _said("splits", lambda: check_held_out(dataset, request.train_split, request.test_split)),
    ]
    checks += _data(workspace, request)
    if config.validation_every:
        found = _said("validation", lambda: check_validation(dataset, config, request.train_split, request.test_split))
        checks.append(found._replace(numbers={"rows": dataset.splits.get(VALIDATION_SPLIT)}))
    if any(check.state == PROBLEM for check in checks):
        return Preflight(checks, None, None)
    expected = estimate(
        workspace,
        old,
        new,
        dataset,
        config,
        train_split=request.train_split,
        test_split=request.test_split,
        limit=request.limit,
    )
    checks += _room(expected)
    cell = plan_ablation(
        workspace,
        AblationRequest(
            old.name,
            new.name,
            dataset.name,
            config,
            [config.strategy],
            [config.seed],
            request.train_split,
            request.test_split,
            request.limit,
        ),
    ).cells[0]
    if cell.variant is not None:
        checks.append(Check("repeated", NOTE, numbers={"version": cell.variant.version.name}))
    elif cell.under_way and cell.job is not None:
        checks.append(Check("repeated", NOTE, numbers={"job": cell.job.id[:8]}))
    return Preflight(checks, expected, cell)


def _said(name: str, check: Callable[[], object]) -> Check:
    try:
        check()
    except MuscleError as error:
        return Check(name, PROBLEM, str(error))
    return Check(name, OK)


def _weights(workspace: Workspace, *versions: ModelVersion) -> None:
    for version in versions:
        require_weights(version)
        check_paths(spec_of(workspace, version))


def _data(workspace: Workspace, request: CompatRequest) -> list[Check]:
    """How many samples there are, and what is wrong with them."""
    try:
        check_limit(request.limit)
        trained = load_samples(workspace, request.dataset, request.train_split, request.limit)
        tested = load_samples(workspace, request.dataset, request.test_split)
    except MuscleError as error:
        return [Check("answers", PROBLEM, str(error))]
    bare = [sample.id for sample in trained if not sample.target]
    steps = request.config.steps * request.config.batch_size * request.config.gradient_accumulation
    counts: dict[str, float | str | None] = {
        "train": len(trained),
        "test": len(tested),
        "passes": steps / len(trained) if trained else None,
        "bare": len(bare),
        "first": bare[0] if bare else None,
    }
    checks = [Check("answers", PROBLEM if bare or not trained else OK, numbers=counts)]
    if request.train_split != request.test_split:
        inputs = {sample.input for sample in trained}
        both = sum(sample.input in inputs for sample in tested)
        checks.append(Check("overlap", NOTE if both else OK, numbers={"both": both, "test": len(tested)}))
    return checks


def _room(expected: Estimate) -> list[Check]:
    checks = []
    for name, part, free in (
        ("memory", expected.memory, expected.memory_free),
        ("disk", expected.disk, expected.disk_free),
    ):
        numbers: dict[str, float | str | None] = {"needed": part.value, "most": part.high, "free": free}
        if part.basis == UNKNOWN or part.value is None or free is None:
            checks.append(Check(name, NOTE, numbers=numbers))
        else:
            short = part.value > free
            checks.append(Check(name, PROBLEM if short and name == "disk" else NOTE if short else OK, numbers=numbers))
    return checks
