"""The gate: does an update stay within its limits? And the approval of a baseline for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muscle_core.cli.shared import (
    ChatOption,
    EncoderOption,
    ScoringOption,
    SplitOption,
    TemplateOption,
    say,
    unescaped,
    workspace_here,
)
from muscle_core.errors import ConfigError
from muscle_core.paths import local_path, reason

if TYPE_CHECKING:
    from muscle_core.actions.evaluation.question import EvaluationOptions
    from muscle_core.actions.updates.gate import GateReport
    from muscle_core.comparison.gate import Thresholds

REGRESSION = 100  # exit code; 2 says that the gate could not judge
_FLIPS_SHOWN = 20


class _GateGroup(typer.core.TyperGroup):
    """`gate OLD NEW` is `gate check OLD NEW`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put in the name of the command that is meant where none is named."""
        if args and args[0] not in (*self.commands, "--help"):
            args = ["check", *args]
        return super().parse_args(ctx, args)


gate_app = typer.Typer(
    cls=_GateGroup,
    no_args_is_help=True,
    help="Hold an update against its limits: gate OLD NEW --dataset D --max-nfr 0.02. Exit code 0 where it passes, 100 "
    "where it is a regression, 2 where it cannot be judged. `gate OLD NEW` is short for `gate check OLD NEW`.",
)

_VersionsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="OLD NEW", help="Versions; with --baseline, NEW alone is enough.")
]
_DatasetOption = Annotated[str | None, typer.Option("--dataset", "-d", help="Name of a dataset in the workspace.")]
_OldFileOption = Annotated[
    Path | None, typer.Option(help="Outputs of the old version: columns id, prediction, correct, and gold if known.")
]
_NewFileOption = Annotated[Path | None, typer.Option(help="Outputs of the new version; no workspace is needed then.")]
_NfrOption = Annotated[float | None, typer.Option(help="Largest negative flip rate; 0.02 is 2 % of all samples.")]
_FlipsOption = Annotated[int | None, typer.Option(help="Largest number of negative flips.")]
_AccuracyOption = Annotated[float | None, typer.Option(help="Least change of accuracy; -0.01 allows one point less.")]
_RegressionOption = Annotated[float | None, typer.Option(help="Largest mean loss of the continuous score.")]
_ConfidenceOption = Annotated[float | None, typer.Option(help="Coverage of the intervals; 0.95 by default.")]
_RuleOption = Annotated[
    str | None,
    typer.Option(help="point (default): the measured value must keep its limit; upper: its whole interval must."),
]


@gate_app.command("check")
def gate_check(
    versions: _VersionsArgument = None,
    dataset: _DatasetOption = None,
    split: SplitOption = "test",
    old_file: _OldFileOption = None,
    new_file: _NewFileOption = None,
    baseline: Annotated[Path | None, typer.Option(help="Approved baseline that stands for the old version.")] = None,
    max_nfr: _NfrOption = None,
    max_flips: _FlipsOption = None,
    min_accuracy_change: _AccuracyOption = None,
    max_regression: _RegressionOption = None,
    confidence: _ConfidenceOption = None,
    rule: _RuleOption = None,
    score: Annotated[str | None, typer.Option(help="The score of --max-regression.")] = None,
    allow: Annotated[list[str] | None, typer.Option(help="Id whose negative flip does not count; repeatable.")] = None,
    allow_file: Annotated[Path | None, typer.Option(help="File of such ids, one a line.")] = None,
    junit: Annotated[Path | None, typer.Option(help="JUnit XML file to write.")] = None,
    as_json: Annotated[str | None, typer.Option("--json", help="JSON file to write; - for standard output.")] = None,
    template: TemplateOption = None,
    chat: ChatOption = False,
    scoring: ScoringOption = None,
    encoder: EncoderOption = None,
) -> None:
    """Hold an update against its limits."""
    from muscle_core.actions.updates.gate import refused_json, refused_junit
    from muscle_core.interchange.files import check_targets, write_whole

    to_stdout = as_json == "-"
    json_file = Path(as_json) if as_json is not None and not to_stdout else None
    read = {"--baseline": baseline, "--old-file": old_file, "--new-file": new_file, "--allow-file": allow_file}
    check_targets({"--junit": junit, "--json": json_file}, read, replace=True)

    def write(xml: str, text: str) -> None:
        write_whole({path: what for path, what in ((junit, xml), (json_file, text)) if path is not None})
        if to_stdout:
            print(text, end="")

    try:
        report = _report(
            versions or [],
            dataset,
            split,
            old_file,
            new_file,
            baseline,
            _thresholds(max_nfr, max_flips, min_accuracy_change, max_regression, confidence, rule),
            _ids(allow, allow_file),
            _options(template, chat, scoring, encoder),
            score,
        )
    except Exception as error:
        # A result of an earlier run must not stand there as if it were this one's, also where this one has a bug.
        message = str(error) or type(error).__name__
        write(refused_junit(message), refused_json(message))
        raise
    write(report.to_junit(), report.to_json())
    for line in _lines(report):
        (say if to_stdout else print)(line)
    if not report.passed:
        raise typer.Exit(REGRESSION)


@gate_app.command("approve")
def gate_approve(
    versions: Annotated[
        list[str] | None, typer.Argument(metavar="VERSION [CANDIDATE]", help="Version; one whose flips are accepted.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File of the baseline to write.")] = None,
    dataset: _DatasetOption = None,
    split: SplitOption = "test",
    old_file: _OldFileOption = None,
    new_file: Annotated[Path | None, typer.Option(help="Outputs of a candidate whose flips are accepted.")] = None,
    accept: Annotated[
        list[str] | None, typer.Option(help="Id of a negative flip of the candidate that is accepted; repeatable.")
    ] = None,
    accept_file: Annotated[Path | None, typer.Option(help="File of such ids, one a line.")] = None,
    accept_all: Annotated[bool, typer.Option("--accept-all", help="Accept all of its negative flips.")] = False,
    max_nfr: _NfrOption = None,
    max_flips: _FlipsOption = None,
    min_accuracy_change: _AccuracyOption = None,
    max_regression: _RegressionOption = None,
    confidence: _ConfidenceOption = None,
    rule: _RuleOption = None,
    by: Annotated[str | None, typer.Option(help="Who approves; by default the user of this process.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier baseline.")] = False,
    template: TemplateOption = None,
    chat: ChatOption = False,
    scoring: ScoringOption = None,
    encoder: EncoderOption = None,
) -> None:
    """Write what a version answers as the approved baseline of later gates; a gate itself never does."""
    from muscle_core.actions.updates.approvals import approve, approve_files

    if out is None:
        raise ConfigError("name the file of the baseline with --out.")
    names = versions or []
    thresholds = _thresholds(max_nfr, max_flips, min_accuracy_change, max_regression, confidence, rule)
    accepted = _ids(accept, accept_file)
    if old_file is not None:
        _no_workspace(dataset, len(names) <= 2)
        named = [*names, None, None]
        approved = approve_files(
            old_file,
            out,
            name=named[0],
            candidate_file=new_file,
            candidate_name=named[1],
            accept=accepted,
            accept_all=accept_all,
            thresholds=thresholds,
            by=by,
            force=force,
        )
    elif dataset is None or new_file is not None or len(names) not in (1, 2):
        raise ConfigError("name the version to approve and its --dataset, or the --old-file of its outputs.")
    else:
        approved = approve(
            workspace_here(),
            names[0],
            dataset,
            out,
            candidate=names[1] if len(names) == 2 else None,
            accept=accepted,
            accept_all=accept_all,
            thresholds=thresholds,
            split=split,
            options=_options(template, chat, scoring, encoder),
            by=by,
            force=force,
        )
    print(
        f"approved {approved.name} by {approved.approved_by}: {len(approved.samples):,} samples, "
        f"{len(approved.accepted):,} negative flips accepted; wrote {out}"
    )


def _report(
    names: list[str],
    dataset: str | None,
    split: str,
    old_file: Path | None,
    new_file: Path | None,
    baseline: Path | None,
    thresholds: Thresholds | None,
    allow: list[str],
    options: EvaluationOptions,
    score: str | None,
) -> GateReport:
    from muscle_core.actions.updates.gate import gate_files, run_gate

    if new_file is not None:
        _no_workspace(dataset, len(names) in (0, 2))
        old_name, new_name = (names[0], names[1]) if names else (None, None)
        return gate_files(
            old_file,
            new_file,
            thresholds,
            old_name=old_name,
            new_name=new_name,
            baseline=baseline,
            allow=allow,
            score=score,
        )
    if old_file is not None:
        raise ConfigError("--old-file needs --new-file beside it.")
    if dataset is None or len(names) not in ((1, 2) if baseline else (2,)):
        raise ConfigError("name OLD, NEW and --dataset (with --baseline NEW is enough), or --old-file and --new-file.")
    old, new = names if len(names) == 2 else (None, names[0])
    return run_gate(
        workspace_here(),
        old,
        new,
        dataset,
        thresholds,
        split=split,
        baseline=baseline,
        allow=allow,
        options=options,
        score=score,
    )


def _no_workspace(dataset: str | None, names_fit: bool) -> None:
    if dataset is not None:
        raise ConfigError("--dataset is of the workspace; leave it out where outputs are read from files.")
    if not names_fit:
        raise ConfigError("with files, name both versions or none: the files' names are used then.")


def _thresholds(
    max_nfr: float | None,
    max_flips: int | None,
    min_accuracy_change: float | None,
    max_regression: float | None,
    confidence: float | None,
    rule: str | None,
) -> Thresholds | None:
    """The limits of the command line; None where it has none, so that those of a baseline count."""
    from muscle_core.comparison.gate import Thresholds

    limits = Thresholds(max_nfr, max_flips, min_accuracy_change, max_regression)
    if not limits.limits and confidence is None and rule is None:
        return None
    return Thresholds(
        max_nfr,
        max_flips,
        min_accuracy_change,
        max_regression,
        confidence=limits.confidence if confidence is None else confidence,
        rule=limits.rule if rule is None else rule,
    )


def _options(template: str | None, chat: bool, scoring: str | None, encoder: str | None) -> EvaluationOptions:
    from muscle_core.actions.evaluation.question import EvaluationOptions

    return EvaluationOptions(unescaped(template), chat, scoring, encoder)


def _ids(named: list[str] | None, file: Path | None) -> list[str]:
    """Ids of the command line and of a file, one a line; empty lines and lines that begin with "# " say nothing."""
    ids = list(named or [])
    if file is not None:
        try:
            text = local_path(file, ConfigError).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the file of ids {file} cannot be read: {reason(error)}.") from error
        lines = [line.strip() for line in text.split("\n")]
        ids += [line for line in lines if line and not line.startswith("# ")]
    return ids


def _lines(report: GateReport) -> list[str]:
    result = report.result
    lines = [f"{'PASSED' if report.passed else 'REGRESSION'}: {report.old} -> {report.new}"]
    lines += [f"  {check.outcome}: {check.reason}" for check in result.checks]
    flips = [("negative flips that count", result.flips), ("allowed", result.allowed)]
    for what, found in (*flips, ("accepted in the baseline", result.accepted)):
        if found:
            more = f" and {len(found) - _FLIPS_SHOWN:,} more" if len(found) > _FLIPS_SHOWN else ""
            ids = ", ".join(_printable(flip.sample_id) for flip in found[:_FLIPS_SHOWN])
            lines.append(f"  {what}: {len(found):,} ({ids}{more})")
    return lines + [f"  note: {note}" for note in result.notes]


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)  # an id must not steer the terminal
