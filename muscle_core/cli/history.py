"""Commands for many runs: the noise floor of an update, and the history over several versions."""

from __future__ import annotations

import json
import math
from typing import Annotated

import typer

from muscle_core.cli.shared import (
    ChatOption,
    DatasetOption,
    EncoderOption,
    MarginOption,
    NoiseFromOption,
    ScoringOption,
    SplitOption,
    TemplateOption,
    names_of,
    print_table,
    unescaped,
    workspace_here,
)
from muscle_core.errors import ConfigError
from muscle_core.interchange.exports import csv_text

app = typer.Typer()


@app.command("noise")
def noise_command(
    old: str,
    new: str,
    dataset: DatasetOption,
    split: SplitOption = "test",
    template: TemplateOption = None,
    chat: ChatOption = False,
    scoring: ScoringOption = None,
    encoder: EncoderOption = None,
    noise_from: NoiseFromOption = None,
    margin: MarginOption = 0.01,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Show how much flips between runs of one version, and how far an update lies above that."""
    from muscle_core.actions.evaluation.question import EvaluationOptions
    from muscle_core.actions.updates.noise import judge_update

    judged = judge_update(
        workspace_here(),
        old,
        new,
        dataset,
        split=split,
        options=EvaluationOptions(unescaped(template), chat, scoring, encoder),
        borrowed_from=names_of(noise_from),
        margin=margin,
    )
    noise = judged.noise
    if as_json:
        floor = None if noise is None else noise.as_dict()
        print(json.dumps({"judgement": judged.judgement.as_dict(), "noise_floor": floor}, indent=2, allow_nan=False))
        return
    if noise is not None:
        digits, scale = (".4f", 1) if noise.score else (".2f", 100)
        print_table(
            ("first run", "second run", f"loss of {noise.score}" if noise.score else "NFR %", "95 % interval", "n"),
            (
                (
                    *(one.first, one.second, f"{one.rate.value * scale:{digits}}"),
                    *(f"{one.rate.low * scale:{digits}}–{one.rate.high * scale:{digits}}", f"{noise.n:,}"),
                )
                for one in noise.by_pair
            ),
        )
        if noise.graded_differently:
            print(
                f"note: {noise.graded_differently:,} samples have the same answer in two runs, right in one and wrong "
                "in the other: the runs were not graded by the same rule, and the floor holds that too"
            )
    print(judged.judgement.sentence)


@app.command("history")
def history_command(
    dataset: DatasetOption,
    versions: Annotated[
        list[str] | None, typer.Argument(help="Versions in the order of release; by default all, as they were added.")
    ] = None,
    split: SplitOption = "test",
    template: TemplateOption = None,
    chat: ChatOption = False,
    scoring: ScoringOption = None,
    encoder: EncoderOption = None,
    matrix: Annotated[bool, typer.Option("--matrix", help="NFR of every pair: rows old, columns new.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the samples (or the matrix) as CSV.")] = False,
) -> None:
    """Follow every sample over several versions: what was broken, fixed again, and flips to and fro."""
    from muscle_core.actions.evaluation.question import EvaluationOptions
    from muscle_core.actions.updates.history import history_of

    if as_json and as_csv:
        raise ConfigError("choose one of --json and --csv.")
    options = EvaluationOptions(unescaped(template), chat, scoring, encoder)
    found = history_of(workspace_here(), versions or [], dataset, split=split, options=options)
    if as_json:
        print(json.dumps(found.to_dict(matrix=matrix), indent=2, allow_nan=False))
    elif as_csv:
        print(csv_text(found.matrix().rename_axis("old").reset_index() if matrix else found.samples()), end="")
    elif matrix:
        _print_matrix(found.names, found.pairwise.nfr.tolist(), found.n)
    else:
        print_table(
            (
                "from",
                "to",
                "n",
                "accuracy %",
                "NFR %",
                "95 % interval",
                "broken",
                "fixed",
                "p",
                "p adjusted",
                "first broken",
                "again",
            ),
            (
                (
                    *(step["old"], step["new"], f"{step['n']:,}"),
                    *(
                        f"{step['accuracy_old'] * 100:.2f} → {step['accuracy_new'] * 100:.2f}",
                        f"{step['nfr'] * 100:.2f}",
                    ),
                    f"{step['nfr_low'] * 100:.2f}–{step['nfr_high'] * 100:.2f}",
                    *(f"{step['q4']:,}", f"{step['q2']:,}", f"{step['p']:.2g}", f"{step['p_adjusted']:.2g}"),
                    *(f"{step['first_broken']:,}", f"{step['fixed_again']:,}"),
                )
                for step in found.steps().to_dict("records")
            ),
        )
        print()
        print_table(
            ("samples", "%", "95 % interval", "category", "rule"),
            (
                (f"{row['samples']:,}", *_share(row), row["category"], row["rule"])
                for row in found.category_table().to_dict("records")
            ),
        )
        left_out = [(found.conflicting, "samples with different gold answers")]
        left_out += [(count, f"ids twice in {name}") for name, count in zip(found.names, found.duplicates, strict=True)]
        for count, what in left_out:
            if count:
                print(f"not counted: {count:,} {what}")


def _share(row: dict[str, float]) -> tuple[str, str]:
    if math.isnan(row["share"]):
        return "-", "-"
    low, high = row["share_low"] * 100, row["share_high"] * 100
    return f"{row['share'] * 100:.2f}", f"{low:.2f}–{high:.2f} (of {row['n']:,})"


def _print_matrix(names: tuple[str, ...], nfr: list[list[float]], n: int) -> None:
    """Columns are numbered: 43 names do not fit into a line."""
    numbers = range(1, len(names) + 1)
    print_table(
        ("", "old version", *map(str, numbers)),
        (
            (str(number), name, *("-" if value != value else f"{value * 100:.1f}" for value in row))
            for number, name, row in zip(numbers, names, nfr, strict=True)
        ),
    )
    print(f"NFR in % from the version of the row to that of the column, of the samples judged in both (of {n:,})")
