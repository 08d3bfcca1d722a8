"""Commands that explain an update: slices of the samples, and the flips one by one with their causes."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import pandas as pd
import typer

from muscle_core.cli.shared import (
    ChatOption,
    DatasetOption,
    EncoderOption,
    ScoringOption,
    SplitOption,
    TemplateOption,
    print_table,
    unescaped,
    workspace_here,
)
from muscle_core.errors import ConfigError
from muscle_core.interchange.exports import csv_text, records

app = typer.Typer()

_QUADRANTS = ("Q1", "Q2", "Q3", "Q4")
_PREVIEW = 60
_LISTED = ("sample_id", "quadrant", "cause", "cause_rule", "cause_evidence", "input", "gold")
_SIDES = ("prediction", "output", "finish_reason", "margin")
JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
NearTieOption = Annotated[float, typer.Option(help="A margin of the new version below this (nats) is a near tie.")]


@app.command("slices")
def slices_command(
    old: str,
    new: str,
    dataset: DatasetOption,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Column or metadata field, such as input_chars, gold, topic or subject; repeatable."),
    ] = None,
    topics: Annotated[int | None, typer.Option(help="Group the inputs into so many topics.")] = None,
    minimum: Annotated[int, typer.Option("--min", help="Smallest number of samples of a slice.")] = 30,
    search: Annotated[bool, typer.Option("--search", help="Search the worst combinations of conditions.")] = False,
    depth: Annotated[int, typer.Option(help="With --search: most conditions of a slice, 1 to 3.")] = 2,
    top: Annotated[int, typer.Option(help="With --search: most slices to show.")] = 20,
    split: SplitOption = "test",
    template: TemplateOption = None,
    chat: ChatOption = False,
    scoring: ScoringOption = None,
    encoder: EncoderOption = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print as CSV.")] = False,
) -> None:
    """Show where the update broke more than elsewhere: flips by metadata, length, topic, gold answer or margin."""
    from muscle_core.actions.evaluation.question import EvaluationOptions
    from muscle_core.actions.updates.explain import explained_slices
    from muscle_core.comparison.slices import left_out

    if as_json and as_csv:
        raise ConfigError("choose one of --json and --csv.")
    table = explained_slices(
        workspace_here(),
        old,
        new,
        dataset,
        by=by,
        topics=topics,
        minimum=minimum,
        depth=depth if search else None,
        top=top,
        split=split,
        options=EvaluationOptions(unescaped(template), chat, scoring, encoder),
    )
    if as_json:
        found = {"slices": records(table), **{key: table.attrs[key] for key in ("tested", "uncounted", "left_out")}}
        print(json.dumps(found, indent=2, allow_nan=False))
    elif as_csv:
        print(csv_text(table), end="")
    else:
        _print_slices(table, left_out(table))


@app.command("flips")
def flips_command(
    old: str,
    new: str,
    dataset: DatasetOption,
    quadrant: Annotated[str, typer.Option(help="Q4 (negative flips), Q2 (positive flips), Q1 or Q3.")] = "Q4",
    cause: Annotated[list[str] | None, typer.Option(help="Only negative flips of this cause; repeatable.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N samples.")] = None,
    near_tie: NearTieOption = 0.1,
    split: SplitOption = "test",
    template: TemplateOption = None,
    chat: ChatOption = False,
    scoring: ScoringOption = None,
    encoder: EncoderOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the samples that flipped, each with its cause, and how often each cause is."""
    from muscle_core.actions.evaluation.question import EvaluationOptions
    from muscle_core.actions.updates.explain import explained_samples
    from muscle_core.comparison.causes import cause_table, rules

    if quadrant not in _QUADRANTS:
        raise ConfigError(f"unknown quadrant {quadrant!r}; known: {', '.join(_QUADRANTS)}")
    if cause and quadrant != "Q4":
        raise ConfigError("only negative flips (quadrant Q4) have causes; leave out --cause or --quadrant.")
    known = [rule.cause for rule in rules(near_tie)]
    unknown = [name for name in cause or () if name not in known]
    if unknown:
        raise ConfigError(f"unknown cause {', '.join(map(repr, unknown))}; known: {', '.join(known)}")
    if limit is not None and limit < 1:
        raise ConfigError(f"the limit must be at least 1 sample, got {limit}.")
    options = EvaluationOptions(unescaped(template), chat, scoring, encoder)
    samples = explained_samples(workspace_here(), old, new, dataset, split=split, options=options, near_tie=near_tie)
    if samples["quadrant"].isna().all():
        raise ConfigError(
            f"the answers to {dataset!r} are neither right nor wrong, so that none flips; "
            "`slices` shows where their score fell."
        )
    chosen = samples[samples["quadrant"] == quadrant]
    causes = cause_table(chosen)
    if cause:
        chosen = chosen[chosen["cause"].isin(cause)]
    shown = chosen if limit is None else chosen.head(limit)
    if as_json:
        columns = [c for c in _LISTED if c in shown] + [
            f"{side}_{name}" for side in ("old", "new") for name in _SIDES if f"{side}_{name}" in shown
        ]
        found = {"total": len(chosen), "samples": records(shown[columns]), "causes": records(causes)}
        print(json.dumps(found, indent=2, allow_nan=False))
        return
    _print_flips(shown, with_cause=quadrant == "Q4")
    print(f"\n{len(shown):,} of {len(chosen):,} samples shown, of {len(samples):,} compared")
    for row in causes.to_dict("records"):
        share = f"{row['share'] * 100:.1f} % [{row['low'] * 100:.1f}, {row['high'] * 100:.1f}]"
        print(f"\n{row['cause']}: {row['flips']:,} of {row['of']:,} negative flips, {share}\n  {row['rule']}")


def _print_slices(table: pd.DataFrame, omitted: list[str]) -> None:
    flips = "nfr" in table
    word, name, scale, unit = ("nfr", "NFR", 100, " %") if flips else ("regression", "mean regression", 1, "")

    def figure(value: float) -> str:
        return "–" if not math.isfinite(value) else f"{value * scale:.{1 if flips else 4}f}{unit}"

    header = ["slice", "n", *(["flips"] if flips else []), name, "95 % interval", "rest", "p corrected"]
    rows = [
        [
            _line(row["slice"], 100),
            f"{row['n']:,}",
            *([f"{row['negative_flips']:,}"] if flips else []),
            figure(row[word]),
            f"{figure(row[f'{word}_low'])} to {figure(row[f'{word}_high'])}",
            f"{figure(row[f'rest_{word}'])} of {row['rest_n']:,}",
            f"{row['p_adjusted']:.2g}",
        ]
        for row in table.to_dict("records")
    ]
    print_table(header, rows)
    tested = table.attrs["tested"]
    print(f"\np: more than in the rest? One-sided, corrected (Benjamini-Hochberg) for all {tested:,} slices tested.")
    if omitted:
        print("Left out:")
        for sentence in omitted:
            print(f"  {_line(sentence, 300)}")


def _print_flips(shown: pd.DataFrame, *, with_cause: bool) -> None:
    from muscle_core.actions.updates.explain import answer_text

    header = ["sample", *(["cause"] if with_cause else []), "gold", "old", "new", "input"]
    rows = []
    for row in shown.to_dict("records"):
        answers = [answer_text(row[name], row["choices"]) for name in ("gold", "old_prediction", "new_prediction")]
        cause = [row["cause"]] if with_cause else []
        rows.append(
            [_line(row["sample_id"], 40), *cause, *(_line(a, 24) for a in answers), _line(row["input"], _PREVIEW)]
        )
    print_table(header, rows)


def _line(text: Any, length: int) -> str:
    """Text from data on one line of the terminal; control characters are shown, not sent."""
    plain = " ".join(str(text).split()) if isinstance(text, str) else "–"
    plain = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in plain)
    return plain if len(plain) <= length else f"{plain[: length - 1]}…"
