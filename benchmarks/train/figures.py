"""Ratios with their spread, and the Markdown that shows them."""

from __future__ import annotations

from statistics import mean, median
from typing import Any

OURS = "ours"
_SPEED_GOALS = {"plain loop": 3.0, "TRL GKD": 4.5}
_EPOCHS_GOAL = 2.5
_MEMORY_GOALS = {"ours, store filled": 1.9, "ours with gradient checkpointing, store filled": 3.0}
_LOSS_GOAL = 2e-5


def ratio(theirs: list[float], mine: list[float]) -> dict[str, float]:
    """Their seconds over ours, step by step: above 1, ours is faster."""
    paired = [one / other for one, other in zip(theirs, mine, strict=True)]
    return {"median": median(paired), "low": min(paired), "high": max(paired)}


def markdown(result: dict[str, Any]) -> str:
    """The whole result as Markdown."""
    where, case = result["machine"], result["case"]
    packages = ", ".join(f"{name} {number}" for name, number in where["packages"].items() if number)
    changed = " with uncommitted changes" if where["uncommitted_changes"] else ""
    settings = result["settings"]
    minutes = f" The whole took {result['minutes']:.1f} minutes." if "minutes" in result else ""
    lines = [
        "# Our training step against a plain loop and TRL's GKDTrainer",
        "",
        f"{result['date']}, {where['cpu']}, {where['cores']} cores, {result['threads']} threads; {packages}; commit "
        f"{where['commit'][:12]}{changed}. Load of the machine before the start: {where['load_before']:.1f}.{minutes}",
        "",
        f"Model: {result['model']} as float32; the old version is its 3-bit rounding. {case['samples']} dialogues of "
        f"DialogSum, batches of {settings['batch_size']} ({_span(case['tokens'])} tokens, "
        f"{_span(case['padded_tokens'])} with padding, {_span(case['answer_tokens'])} of them answers); LoRA of rank "
        f"{settings['lora_rank']} on all linear layers, AdamW, learning rate {settings['learning_rate']:g}. All "
        "sides train on the same batches from the same weights. A ratio is their figure over ours: above 1, ours is "
        "better.",
        "",
    ]
    if result["trial"]:
        lines += ["**Not the usual options: a trial, not a measurement.**", ""]
    lines += _steps(result)
    if "epochs" in result:
        lines += _epochs(result)
    if "memory" in result:
        lines += _memory(result["memory"])
    return "\n".join(lines).rstrip() + "\n"


def _steps(result: dict[str, Any]) -> list[str]:
    seconds, losses = result["steps"]["seconds"], result["steps"]["losses"]
    tokens = sum(result["case"]["tokens"])
    rows = []
    for side, times in seconds.items():
        speed = [f"{median(times):.2f} s", f"{min(times):.2f}–{max(times):.2f} s", f"{tokens / sum(times):.0f}"]
        if side == OURS:
            rows.append([side, *speed, "", "", ""])
            continue
        found = ratio(times, seconds[OURS])
        shown = f"**{found['median']:.2f}** [{found['low']:.2f}, {found['high']:.2f}]"
        used = ratio(result["steps"]["processor_seconds"][side], result["steps"]["processor_seconds"][OURS])
        rows.append([side, *speed, shown, f"{_SPEED_GOALS[side]:g}", f"{used['median']:.2f}"])
    difference = max(abs(one - other) for one, other in zip(losses["plain loop"], losses[OURS], strict=True))
    return [
        "## Time of a step",
        "",
        f"{len(seconds[OURS])} steps of each side in turns, in shuffled order, after one to warm up; the teachers' "
        "store is filled. A ratio is the median over the steps, in brackets the smallest and the largest. Tokens are "
        "counted without padding.",
        "",
        *_table(("side", "median", "spread", "tokens/s", "ratio", "goal", "ratio of processor time"), rows),
        f"Largest difference of a step's loss between the plain loop and ours, over {len(losses[OURS])} steps: "
        f"**{difference:.1e}** (goal {_LOSS_GOAL:.0e}; the losses are {_span(losses[OURS], '.4f')}).",
        "",
        "Seconds of each step:",
        "",
        *_table(
            ("side", *(str(step) for step in range(2, len(seconds[OURS]) + 2))),
            [[side, *(f"{one:.2f}" for one in times)] for side, times in seconds.items()],
        ),
    ]


def _epochs(result: dict[str, Any]) -> list[str]:
    found, seconds = result["epochs"], result["steps"]["seconds"]
    mine = found["teacher_seconds"] + found["seconds"]
    theirs = {side: mean(seconds[side]) * found["steps"] for side in _SPEED_GOALS}
    return [
        f"## {found['epochs']} epochs, from an empty store",
        "",
        f"Ours: {found['teacher_seconds']:.1f} s for asking both teachers (loading them counts) and "
        f"{found['seconds']:.1f} s for {found['steps']} steps, measured; {found['whole_seconds']:.1f} s with loading "
        "the student and saving. The others: their mean step time above times the steps, without loading.",
        "",
        *_table(
            ("side", "seconds", "ratio", "goal"),
            [
                *(
                    [side, f"{one:.1f}", f"**{one / mine:.2f}**", f"{_EPOCHS_GOAL:g}" if side == "plain loop" else ""]
                    for side, one in theirs.items()
                ),
                [OURS, f"{mine:.1f}", "", ""],
            ],
        ),
    ]


def _memory(memory: dict[str, Any]) -> list[str]:
    plain = memory.get("plain loop")
    rows = []
    for side, found in memory.items():
        shown = f"**{plain['peak_mib'] / found['peak_mib']:.2f}**" if plain and found is not plain else ""
        goal = f"{_MEMORY_GOALS[side]:g}" if side in _MEMORY_GOALS else ""
        stages = ", ".join(f"{stage} {value:.0f}" for stage, value in found["stages"].items())
        rows.append([side, f"{found['peak_mib']:.0f} MiB", shown, goal, stages])
    return [
        "## Peak resident memory",
        "",
        "Three steps, each side in a process of its own, everything from the imports to the saved adapter included.",
        "",
        *_table(("side", "peak", "ratio to the plain loop", "goal", "peak at the stages, MiB"), rows),
    ]


def _span(values: list[Any], form: str = ",") -> str:
    low, high = min(values), max(values)
    return f"{low:{form}}" if low == high else f"{low:{form}}–{high:{form}}"


def _table(head: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    return [*(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)), ""]
