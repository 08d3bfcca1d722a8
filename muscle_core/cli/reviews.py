"""Commands of manual error review: what is to be reviewed by whom, and what was found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from muscle_core.cli.shared import DatasetOption, SplitOption, print_table, say, workspace_here
from muscle_core.errors import ConfigError
from muscle_core.interchange.exports import records
from muscle_core.interchange.files import check_targets, write_whole

reviews_app = typer.Typer(no_args_is_help=True, help="Manual error review: queue, verdicts, agreement, causes.")

QueueOption = Annotated[
    str | None,
    typer.Option("--queue", help="Q1, Q2, Q3, Q4, loss or all; by default Q4, or loss where there is no right answer."),
]
OutOption = Annotated[Path | None, typer.Option(help="File to write, by default standard output.")]


@reviews_app.command("list")
def reviews_list(
    old: str,
    new: str,
    dataset: DatasetOption,
    split: SplitOption = "test",
    queue: QueueOption = None,
    reviewer: Annotated[str | None, typer.Option(help="Whose reviews decide the state of a sample.")] = None,
    state: Annotated[str | None, typer.Option(help="Only unreviewed, stale or reviewed samples.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print queue, progress and summary as JSON.")] = False,
) -> None:
    """Show the queue, those without a review first, and how far it is."""
    from muscle_core.actions.reviews.answers import pair_answers
    from muscle_core.actions.reviews.findings import progress, queue_of, review_summary
    from muscle_core.actions.reviews.queue_columns import STATES
    from muscle_core.actions.reviews.records import check_reviewer
    from muscle_core.actions.updates.compare import version_pair

    if state is not None and state not in STATES:
        raise ConfigError(f"there is no state {state!r}; known: {', '.join(STATES)}.")
    workspace = workspace_here()
    answers = pair_answers(workspace, version_pair(workspace, old, new, dataset, split))
    names = (workspace, old, new, dataset)
    reviewer = None if reviewer is None else check_reviewer(reviewer)
    found = queue_of(*names, split=split, what=queue, reviewer=reviewer, answers=answers)
    if state is not None:
        found = found[found["state"] == state]
    if as_json:
        summary = review_summary(*names, split=split, what=queue, answers=answers)
        print(json.dumps({"samples": records(found), "summary": summary.as_dict()}, indent=2, allow_nan=False))
        return
    columns = ("sample_id", "state", "assigned", "reviewers", "verdict", "cause", "severity")
    print_table(columns, ([value or "-" for value in row] for row in found[list(columns)].itertuples(index=False)))
    done = progress(*names, split=split, what=queue, answers=answers)
    say(f"{done.reviewed.numerator:,} of {done.queue:,} samples reviewed, {done.stale:,} of earlier answers")
    for row in done.by_reviewer.itertuples():
        say(f"  {row.reviewer}: {row.done:,} of {row.assigned:,} assigned, {row.reviewed:,} reviewed in all")


@reviews_app.command("export")
def reviews_export(
    old: str,
    new: str,
    dataset: DatasetOption,
    split: SplitOption = "test",
    form: Annotated[str, typer.Option("--format", help="csv or jsonl.")] = "csv",
    out: OutOption = None,
) -> None:
    """Write all reviews with the answers that they are about."""
    from muscle_core.actions.reviews.findings import export_reviews

    _write(export_reviews(workspace_here(), old, new, dataset, split=split, form=form), out)


@reviews_app.command("agreement")
def reviews_agreement(
    old: str,
    new: str,
    dataset: DatasetOption,
    split: SplitOption = "test",
    label: Annotated[str, typer.Option("--on", help="verdict, cause or severity.")] = "verdict",
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say how far every two reviewers agree: the exact share, and Cohen's kappa with its 95 % interval."""
    from muscle_core.actions.reviews.findings import agreement

    found = agreement(workspace_here(), old, new, dataset, split=split, label=label)
    if as_json:
        rows = [
            {
                "first": one.first,
                "second": one.second,
                "label": one.label,
                "left_out": one.left_out,
                **one.agreement.as_dict(),
            }
            for one in found
        ]
        print(json.dumps(rows, indent=2, allow_nan=False))
        return
    if not found:
        print("no sample was reviewed by two; deal some to two: reviews assign … --two-for-every 5")
        return
    for one in found:
        exact, measured = one.agreement.exact, one.agreement
        kappa = "not defined" if measured.kappa != measured.kappa else f"{measured.kappa:.2f}"
        interval = "" if measured.low != measured.low else f" [{measured.low:.2f}, {measured.high:.2f}]"
        print(
            f"{one.first} and {one.second} on the {label}: kappa {kappa}{interval}, n = {measured.n:,}; the same "
            f"{label} on {exact.numerator:,} of {exact.denominator:,}"
        )
        for text in (
            measured.why,
            f"{one.left_out:,} samples left out: they read other answers" if one.left_out else "",
        ):
            if text:
                print(f"  {text}")


@reviews_app.command("assign")
def reviews_assign(
    old: str,
    new: str,
    reviewers: Annotated[list[str], typer.Argument(help="Names; one name gets all.")],
    dataset: DatasetOption,
    split: SplitOption = "test",
    queue: QueueOption = None,
    two_for_every: Annotated[
        int | None, typer.Option(help="Every so many samples, one goes to two reviewers, to measure agreement.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many samples.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="First take back what is not reviewed yet.")] = False,
) -> None:
    """Deal the samples of a queue that nobody has yet to reviewers, evenly and in order."""
    from muscle_core.actions.reviews.findings import assign

    dealt = assign(
        workspace_here(),
        old,
        new,
        dataset,
        reviewers,
        split=split,
        what=queue,
        two_for_every=two_for_every,
        limit=limit,
        replace=replace,
    )
    print_table(("reviewer", "samples"), ((name, f"{count:,}") for name, count in dealt.items()))


@reviews_app.command("allow-list")
def reviews_allow_list(
    old: str, new: str, dataset: DatasetOption, split: SplitOption = "test", out: OutOption = None
) -> None:
    """Write the ids of the samples that all their reviewers call acceptable, one a line."""
    from muscle_core.actions.reviews.findings import allow_list

    found = allow_list(workspace_here(), old, new, dataset, split=split)
    _write("".join(f"{identity}\n" for identity in found), out)
    say(f"{len(found):,} samples")


@reviews_app.command("causes")
def reviews_causes(
    add: Annotated[str | None, typer.Option(help="Name of a new cause.")] = None,
    rename: Annotated[str | None, typer.Option(help="Name of a cause that gets the name of --to.")] = None,
    to: Annotated[str | None, typer.Option(help="The new name.")] = None,
    describe: Annotated[str | None, typer.Option(help="Name of a cause that gets the text of --text.")] = None,
    text: Annotated[str, typer.Option(help="Description, also of --add.")] = "",
    retire: Annotated[str | None, typer.Option(help="Name of a cause that is no longer offered.")] = None,
    restore: Annotated[str | None, typer.Option(help="Name of a retired cause that is offered again.")] = None,
) -> None:
    """Show the causes that reviewers choose from, and change them."""
    from muscle_core.actions.reviews.causes import Cause, find_cause, list_causes, save_causes

    workspace = workspace_here()
    causes = list_causes(workspace)
    if (rename is None) != (to is None):
        raise ConfigError("--rename and --to belong together.")
    changes: dict[str, dict[str, Any]] = {}
    wanted: list[tuple[str | None, dict[str, Any]]] = [
        (rename, {"name": to}),
        (describe, {"description": text}),
        (retire, {"retired": True}),
        (restore, {"retired": False}),
    ]
    for name, fields in wanted:
        if name is not None:
            changes.setdefault(find_cause(causes, name).id, {}).update(fields)
    if changes or add is not None:
        changed = [cause._replace(**changes.get(cause.id, {})) for cause in causes]
        causes = save_causes(workspace, [*changed, Cause("", add, text)] if add is not None else changed)
    print_table(
        ("cause", "", "description"),
        ((cause.name, "retired" if cause.retired else "", cause.description) for cause in causes),
    )


def _write(text: str, out: Path | None) -> None:
    if out is None:
        print(text, end="")
        return
    check_targets({"--out": out}, {}, replace=True)
    write_whole({out: text})
    say(f"wrote {out}")
