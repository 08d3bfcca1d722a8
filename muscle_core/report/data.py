"""What a report is made of. Everything is worked out before; a report only shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import pandas as pd

from muscle_core.comparison.comparison import Comparison
from muscle_core.comparison.noise import NoiseFloor
from muscle_core.comparison.verdict import Judgement
from muscle_core.metrics.agreement import Agreement
from muscle_core.metrics.rates import Rate


@dataclass(frozen=True)
class VersionFacts:
    """What a model version is.

    Attributes:
        role: "old version", "new version" or "compatibility adapter".
        name: its name in the workspace.
        base: hub id or folder of its weights; None where only outputs are known.
        fingerprints: content fingerprints by what they are of.
        training: how its adapter was trained, in words; empty where that is not known.
    """

    role: str
    name: str
    base: str | None
    fingerprints: Mapping[str, str]
    training: str = ""


@dataclass(frozen=True)
class RunFacts:
    """How the answers of a version were obtained.

    Attributes:
        version: name of the version.
        run_id: id of the evaluation run.
        origin: "evaluated" or "imported".
        rows: number of answers.
        made: when, in UTC.
        template: prompt template.
        decoding: how answers were produced and judged, by option.
        software: what computed or read them: versions by name.
    """

    version: str
    run_id: str
    origin: str
    rows: int
    made: datetime
    template: str
    decoding: Mapping[str, object]
    software: Mapping[str, str]


@dataclass(frozen=True)
class DatasetFacts:
    """The samples that both versions answered.

    Attributes:
        name: of the dataset.
        split: of it.
        rows: samples of that split.
        task_kind: kind of task.
        fingerprint: of all its samples.
    """

    name: str
    split: str
    rows: int
    task_kind: str
    fingerprint: str


@dataclass(frozen=True)
class Provenance:
    """What a report was made from, and by what.

    Attributes:
        versions: the versions compared.
        dataset: the samples.
        runs: where the answers come from.
        command: makes the report again.
        made: when the report was made, with its time zone.
        software: versions of what made it, by name.
        commit: state of the source code where it is known.
    """

    versions: tuple[VersionFacts, ...]
    dataset: DatasetFacts
    runs: tuple[RunFacts, ...]
    command: str
    made: datetime
    software: Mapping[str, str]
    commit: str | None = None


@dataclass(frozen=True, eq=False)
class CompatEffect:
    """What a compatibility adapter does to the update.

    Attributes:
        comparison: the old version against the adapter.
        repaired: negative flips of the plain new version that the adapter has right.
        flips: negative flips of the plain new version that the adapter answered too.
        added: samples that both versions have right and the adapter has wrong.
        answers: the adapter's answer and whether it is right, by sample id: `prediction`, `output`, `correct`.
    """

    comparison: Comparison
    repaired: int
    flips: int
    added: int
    answers: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Slices:
    """Negative flips, or losses of the leading score, by parts of the samples.

    Attributes:
        by_value: every value of every property; columns as of `muscle_core.comparison.slices.slice_table`.
        found: result of `muscle_core.comparison.slices.find_slices`.
        minimum: least number of samples of a slice.
    """

    by_value: pd.DataFrame
    found: pd.DataFrame
    minimum: int


class ReviewerPair(NamedTuple):
    """How far two people agree on one label of the samples that both reviewed."""

    first: str
    second: str
    label: str
    agreement: Agreement


@dataclass(frozen=True, eq=False)
class Reviews:
    """What people said of the samples that the update broke; every share counts samples, not reviews.

    Attributes:
        reviewed: samples with a review of the answers as they are now, as a share of all that were to be reviewed.
        stale: samples whose reviews are all of earlier answers; in no other figure.
        reviewers: how many people.
        shares: of the reviewed samples, by "verdict", "cause" and "severity" and then by what was said.
        pairs: agreement of every two people on every label.
        said: one row a review of the answers as they are now: sample_id, reviewer, verdict, cause, severity, note.
    """

    reviewed: Rate
    stale: int
    reviewers: int
    shares: Mapping[str, Mapping[str, Rate]]
    pairs: Sequence[ReviewerPair]
    said: pd.DataFrame


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything that a report shows.

    Attributes:
        comparison: old version against new.
        judgement: the verdict in a word and in a sentence.
        provenance: what it was made from.
        samples: result of `muscle_core.actions.updates.explain.explained_samples`.
        noise: flips without an update, where they were measured.
        slices: where the flips are, or where the leading score fell.
        margin_unit: unit of the margins of choices.
        over_seeds: trained strategies, result of `muscle_core.actions.strategies.over_seeds.compare_over_seeds`;
            None where nothing was trained.
        variants: single variants, result of `muscle_core.actions.updates.compare.compare_trained`; None where there
            is none.
        compat: the adapter that the reader is to look at.
        reviews: what people said; None where nobody reviewed anything.
        flips: most examples to show.
    """

    comparison: Comparison
    judgement: Judgement
    provenance: Provenance
    samples: pd.DataFrame
    noise: NoiseFloor | None = None
    slices: Slices | None = None
    margin_unit: str = "nats"
    over_seeds: pd.DataFrame | None = None
    variants: pd.DataFrame | None = None
    compat: CompatEffect | None = None
    reviews: Reviews | None = None
    flips: int = 20
