"""Texts of the Review page."""

from __future__ import annotations

# Sidebar and filters.
REVIEWER, REVIEWER_HINT = "Reviewer", "your name"
REVIEWER_HELP = "Your reviews are saved under this name. There is no login: it is a label, not a proof."
QUEUE, ASSIGNED_TO, SHOW, CAUSE = "Queue", "Assigned to", "Show", "Cause"
BY_ANYBODY = "By the reviews of anybody."
NONE_LEFT = "No sample is left by these filters. Choose others above."
NOT_COMPARED = "This sample is in both runs, but not in the comparison."
PREVIOUS, NEXT, NEXT_UNREVIEWED = "Previous", "Next", "Next unreviewed"

# The form.
YOUR_NAME = "Your name, to review this sample"
VERDICT, SEVERITY, NOTE = "Verdict", "Severity", "Note"
SEVERITY_HELP = "How bad it is for the user."
NOTE_HINT = "what a colleague should know"
SAVE, SAVE_AND_NEXT, DISCARD, WITHDRAW = "Save", "Save and next", "Discard", "Withdraw"
SAVED = "Saved."
SAVED_ALL = "Saved. Nothing else in this list is left to review."
NOT_SAVED = "Not saved yet."
STALE = "An answer changed since this review. Look again and save it, or withdraw it."

# Panels below.
TABS = {
    "queue": "Queue",
    "findings": "Findings",
    "agreement": "Agreement",
    "assign": "Assign",
    "causes": "Causes",
    "export": "Export",
}
NONE_LEFT_ABOVE = "No sample is left by the filters above."
QUEUE_ALT = "Samples of the queue with the state of their review"
QUEUE_COLUMNS = {
    "state": ("Review", 90),
    "sample_id": ("Sample", 130),
    "input": ("Input", 280),
    "assigned": ("Assigned to", 110),
    "verdict": ("Verdict", 120),
    "cause": ("Cause", 120),
    "severity": ("Severity", 70),
}
SHARE_COLUMNS = ("", "samples", "share", "interval")
SHARES_NOTE = (
    "Shares of the reviewed samples with 95 % Wilson intervals; a sample counts once, whatever the number of its "
    "reviewers. If the samples reviewed were not drawn at random, the shares tell of them alone."
)
REVIEWERS = "Reviewers"
REVIEWERS_ALT = "Reviewed and assigned samples by reviewer"
REVIEWERS_COLUMNS = ("reviewer", "reviewed", "assigned", "of these reviewed", "of these stale", "of these left")
AGREEMENT_ON = "Agreement on"
NONE_BY_TWO = "No sample has been reviewed by two people yet. Under Assign, let every fifth sample go to two reviewers."
NOT_DEFINED = "not defined"
KAPPA_NOTE = (
    "Kappa is the agreement beyond chance: 1 is full agreement, 0 what chance gives. It is low where one label "
    "dominates, even if nearly all pairs agree, so read it beside the share. Intervals by bootstrap over samples."
)
NAMES = "Reviewers"
NAMES_HINT = "Ada, Ben, Chris"
NAMES_HELP = "Names separated by commas, as they are typed under Reviewer in the sidebar. One name gets all."
TWO_FOR_EVERY = "Every n-th to two people"
TWO_FOR_EVERY_HELP = "To measure how far they agree; 0 for none."
AT_MOST = "At most"
AT_MOST_HELP = "Samples to deal; 0 for all."
TAKE_BACK = "First take back what is assigned and not reviewed"
ASSIGN = "Assign"
CAUSES_NOTE = (
    "The words that reviewers choose from; the first nine have a number key. A cause that reviews name can be renamed "
    "or retired, not removed."
)
CAUSE_COLUMNS = {"order": "Order", "name": "Name", "description": "When to use it", "retired": "Retired"}
SAVE_CAUSES = "Save the causes"
CAUSES_SAVED = "The causes are saved."
NOTHING_TO_EXPORT = "There is no review to export yet."
ALLOW_HELP = "Samples that all their reviewers call acceptable; the gate can let these pass."
GATE_NOTE = "The gate lets these samples pass, with your own limit in place of 0.02:"
IN_THE_REPORT = "The reviews also stand in the report that the Update report page offers as one HTML file."


def by_reviews_of(reviewer: str) -> str:
    """Whose reviews decide what is shown."""
    return f"By the reviews of {reviewer}."


def me(reviewer: str) -> str:
    """Oneself among the reviewers."""
    return f"me ({reviewer})"


def empty_queue(what: str) -> str:
    """The queue has no samples."""
    return f"There are no {what} here. Choose another queue or dataset."


def progress_by_anybody(done: int, total: int, what: str) -> str:
    """How far the queue is."""
    return f"{done:,} of {total:,} {what} reviewed by anybody"


def progress_assigned(done: int, assigned: int, reviewer: str) -> str:
    """How far a reviewer is."""
    return f"{done:,} of {assigned:,} assigned to {reviewer} reviewed"


def progress_own(done: int, reviewer: str) -> str:
    """What a reviewer did who was assigned nothing."""
    return f"{done:,} by {reviewer}"


def progress_stale(samples: int) -> str:
    """Reviews of earlier answers."""
    return f"{samples:,} stale, because an answer changed since"


def broken_link(sample: str) -> str:
    """The URL names a sample that is not there."""
    return f"The link names the sample {sample}, which is not here."


def by_rule(cause: str, evidence: str) -> str:
    """The cause that the rules name."""
    return f"By rule: **{cause}**{f' ({evidence})' if evidence else ''}"


def place(number: int, total: int) -> str:
    """Where a sample is among those shown."""
    return f"{number:,} of {total:,}"


def not_among(total: int) -> str:
    """A sample that the filters leave out."""
    return f"not among the {total:,} shown"


def saved_at(when: str) -> str:
    """When one's own review was saved."""
    return f"Saved {when} UTC."


def what_is_needed(verdict: str) -> str:
    """What a review needs, with the verdict that also needs a cause."""
    return f"A verdict is needed; for a {verdict} also a cause. A second press takes a choice back."


def hidden_reviews(others: int) -> str:
    """Others' reviews are shown after one's own."""
    people = "Another reviewer has" if others == 1 else f"{others:,} other reviewers have"
    return f"{people} reviewed this sample; what they said is shown once yours is saved."


def said(reviewer: str, words: str, is_stale: bool) -> str:
    """What another reviewer said."""
    return f"**{reviewer}**: {words}{' (of earlier answers)' if is_stale else ''}"


def queue_line(shown: int, total: int, what: str) -> str:
    """Above the table of the queue."""
    return f"{shown:,} of {total:,} {what}. Click a row to open its sample."


def none_reviewed(what: str) -> str:
    """Nothing was found yet."""
    return f"None of the {what} is reviewed yet."


def reviewed_line(done: int, total: int, what: str, reviewers: int) -> str:
    """Denominators of the findings."""
    who = f"{reviewers:,} reviewer{'s' if reviewers > 1 else ''}"
    return f"{done:,} of {total:,} {what} reviewed by {who}."


def by_label_alt(label: str) -> str:
    """Table of a label."""
    return f"Reviewed samples by {label}"


def pair(first: str, second: str) -> str:
    """Two reviewers."""
    return f"{first} and {second}"


def agreement_columns(label: str) -> tuple[str, ...]:
    """Columns of the table of agreement."""
    return ("reviewers", "samples", f"same {label}", "of samples", "Cohen's kappa", "95 % interval")


def agreement_alt(label: str) -> str:
    """Table of agreement."""
    return f"Agreement on the {label} by two reviewers"


def interval(low: float, high: float) -> str:
    """Interval of kappa."""
    return f"{low:.2f} to {high:.2f}"


def why_no_kappa(first: str, second: str, why: str, left_out: int) -> str:
    """Why there is no kappa or interval, and what is left out."""
    reason = f" {why}." if why else ""
    out = f" {left_out:,} samples are left out, because they read other answers." if left_out else ""
    return f"{first} and {second}:{reason}{out}"


def deal(what: str, free: int) -> str:
    """What can be dealt."""
    return f"Deal the {what} that nobody reviewed or was asked to review ({free:,} now), evenly and in their order."


def nothing_to_deal(what: str) -> str:
    """All is dealt or reviewed."""
    return f"All {what} are reviewed or assigned. To deal again what is not reviewed yet, take it back first."


def assigned(dealt: str) -> str:
    """What was dealt."""
    return f"Assigned: {dealt} samples."


def export_line(reviews: int) -> str:
    """What can be taken along."""
    return f"{reviews:,} reviews with the answers that they are about, and the list for the gate."


def export_button(form: str) -> str:
    """Button of a file of reviews."""
    return f"Reviews ({form.upper()})"


def allow_button(samples: int) -> str:
    """Button of the allow list."""
    return f"Allow list ({samples:,})"


def gate_command(old: str, new: str, dataset: str, split: str, file: str) -> str:
    """The gate with the allow list."""
    return (
        f"python -m muscle_core gate {old} {new} --dataset {dataset} --split {split} --max-nfr 0.02 --allow-file {file}"
    )
