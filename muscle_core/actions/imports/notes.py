"""What the user should know of an import: what it does not cover, and how it was asked or graded otherwise."""

from __future__ import annotations

from typing import Any

from muscle_core.actions.imports.planned import Plan
from muscle_core.store import EvaluationRun, Workspace, list_runs, list_versions, read_predictions
from muscle_core.store.predictions import PROMPT_COLUMN

_RUNS_LOOKED_AT = 50


def about_cover(plan: Plan) -> list[str]:
    """Say how many samples of the split are in the file, where not all are."""
    total = len(plan.samples)
    parts = {run.version: len(run.predictions) for run in plan.runs if len(run.predictions) < total}
    listed = ", ".join(f"{name} {count:,}" for name, count in list(parts.items())[:5])
    return [f"not all {total:,} samples of the split are in the file: {listed}"] if parts else []


def about_other_runs(workspace: Workspace, plan: Plan) -> list[str]:
    """Say where what is imported was asked or graded in another way than what is there."""
    assert plan.dataset is not None
    names = {version.id: version.name for version in list_versions(workspace)}
    others = [
        run for run in list_runs(workspace, plan.dataset.id)
        if run.origin == "imported" and run.split == plan.request.split
    ]  # fmt: skip
    notes = []
    for planned in plan.runs:
        key = planned.key(plan.dataset, plan.request.split)
        prompts = {row["sample_id"]: row["prompt_hash"] for row in planned.predictions if "prompt_hash" in row}
        for run in [run for run in others if run.key != key][:_RUNS_LOOKED_AT]:
            name = names.get(run.version_id, "?")
            if name == planned.version:
                notes.append(
                    f"{name} already has an imported run on this split ({run.id[:8]}); comparisons use the newest of "
                    "the largest ones"
                )
                continue
            if planned.chosen is not None and (rule := _rule(run.decoding)) != (mine := _rule(planned.chosen)):
                notes.append(f"{name} was graded by another rule ({_words(rule)}) than this run ({_words(mine)})")
            if prompts and (differ := _other_prompts(workspace, run, prompts)):
                notes.append(
                    f"{differ[0]:,} of {differ[1]:,} samples were asked with another prompt than for {name}: flips may "
                    "come from the prompt, not from the model"
                )
    return list(dict.fromkeys(notes))


def _rule(chosen: dict[str, Any]) -> dict[str, Any]:
    return {name: chosen[name] for name in ("format", "filter", "metric", "scorer", "threshold") if name in chosen}


def _words(rule: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in rule.items()) or "columns of a table"


def _other_prompts(workspace: Workspace, run: EvaluationRun, prompts: dict[str, str]) -> tuple[int, int] | None:
    frame = read_predictions(workspace.local(run.path), ["sample_id", PROMPT_COLUMN])
    if PROMPT_COLUMN not in frame:
        return None
    theirs = dict(zip(frame["sample_id"], frame[PROMPT_COLUMN], strict=True))
    shared = [identity for identity, value in prompts.items() if isinstance(theirs.get(identity), str)]
    differ = sum(theirs[identity] != prompts[identity] for identity in shared)
    return (differ, len(shared)) if differ else None
