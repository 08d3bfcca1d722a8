"""Texts of the guided tour; every figure is handed in, and texts from data have been made safe for Markdown."""

from __future__ import annotations

TOUR = "Tour"
TOUR_HELP = "Five steps through the demo: which inputs broke, why, and whether the adapter repairs them."
NEXT = "Next"
BACK = "Back"
END = "End tour"
TITLES = (
    "Better on average, and yet it broke inputs",
    "Which inputs broke",
    "Why they broke",
    "Does the adapter repair them?",
    "Guard the next release",
)
TITLE_WHERE_NOT_BETTER = "What the update gained, and what it broke"
LOAD_AGAIN = "Load what is missing of the demo"
TRAIN = "Train an adapter"
READ_REPAIRED = "Read the repaired inputs"
READ_BROKEN = "Read those still broken"
SEE_MASKING = "Back to the adapters"
REVIEW_REST = "Review what is left"
INCOMPLETE = (
    "The tour is about the dataset demo-choice and its two versions, which are not all here or not evaluated. Load the "
    "demo; what is there stays."
)
NOTHING_BROKE = "This update broke no input, so there is nothing to show."


def place(step: int, steps: int) -> str:
    """Which step it is."""
    return f"Tour · step {step} of {steps}"


def waits(step: int, steps: int, page: str) -> str:
    """The tour while another page is open."""
    return f"The tour is at step {step} of {steps}, on the page {page}."


def return_to(step: int) -> str:
    """Button back to the tour."""
    return f"Back to step {step}"


def better_on_average(
    new: str, old: str, n: int, change: str, p: str, *, by_chance: bool, broken: int, nfr: str, interval: str
) -> str:
    """Step 1."""
    doubt = (
        f"chance alone can explain such a difference, exact McNemar {p}"
        if by_chance
        else f"more than chance explains, exact McNemar {p}"
    )
    return (
        f"The new version answers **{new}** of {n:,} questions right, the old one **{old}** ({change}; "
        f"{doubt}). And yet "
        f"**{broken:,} inputs** that the old version got right are wrong now: a negative flip rate of **{nfr}** "
        f"(95 % interval {interval}). They are quadrant Q4 below, and what users of the old version notice first."
    )


def which_inputs(broken: int, question: str, gold: str, old: str, new: str) -> str:
    """Step 2."""
    return (
        f"The table lists the **{broken:,} broken inputs**: right before, wrong now. One is open below it: asked "
        f"“{question}”, the old version said **{old}**, the new one **{new}**; right is **{gold}**. Click another row "
        "to read it."
    )


def why(causes: tuple[tuple[str, int], ...], broken: int) -> str:
    """Step 3, first part."""
    listed = ", ".join(f"**{cause}** {count:,}" for cause, count in causes)
    return (
        f"Rules look at both outputs and name one cause for each of the {broken:,} broken inputs: {listed}. They "
        "say what can be seen, not what goes on in the model."
    )


def worst_slice(label: str, flips: int, n: int, share: str, rest: str, p: str, tested: int) -> str:
    """Step 3, second part."""
    return (
        f"Most broke where {label}: {flips:,} of {n:,} (**{share}**), against {rest} of all others ({p}, "
        f"corrected for {tested:,} slices)."
    )


OLD_MARGIN = (
    "The old margin is by how much the old version preferred the right answer to the best wrong one: where it "
    "was right "
    "by a little only, the update turns it most easily."
)


def repaired(
    adapter: str,
    broken: int,
    repaired_count: int,
    anew: int,
    nfr: tuple[str, str, str],
    change: str,
    accuracy: tuple[str, str],
    accuracy_change: str,
    seconds: str | None,
) -> str:
    """Step 4."""
    took = f", trained in {seconds}," if seconds else ""
    return (
        f"The compatibility adapter {adapter}{took} answers **{repaired_count:,} of the {broken:,}** broken "
        f"inputs right "
        f"again and breaks {anew:,} others. The negative flip rate falls from {nfr[0]} to **{nfr[1]}** (95 % interval "
        f"{nfr[2]}); the change is {change}. Accuracy goes from {accuracy[0]} to {accuracy[1]} ({accuracy_change})."
    )


def not_repaired_yet(old: str, new: str) -> str:
    """Step 4 where no adapter was trained."""
    return (
        f"No compatibility adapter of {old} → {new} is here. The demo brings one: load what is missing of it "
        f"(about half "
        "a minute), or train one on the page Training (about one minute)."
    )


def guard(limit: str, new: str, adapter: str, *, new_passes: bool, compat_passes: bool) -> str:
    """Step 5."""
    verdict = {True: "passes", False: "fails"}
    return (
        f"Hold every release against a limit, in a pipeline or by hand. With at most {limit} of the inputs broken, the "
        f"plain new version **{verdict[new_passes]}** and the adapter {adapter} **{verdict[compat_passes]}** the gate. "
        "This page now shows the update to the adapter: take it along as one file with Report (HTML) below, and let "
        "people review what is still broken."
    )


def guard_without_adapter(new: str) -> str:
    """Step 5 where no adapter was trained."""
    return (
        f"Hold every release against a limit, in a pipeline or by hand: with the limit below, {new} would not "
        f"pass. Take "
        "the report along as one file with Report (HTML) below, and let people review what is broken."
    )


def gate_command(old: str, new: str, dataset: str, limit: float) -> str:
    """What holds an update against a limit."""
    return f"python -m muscle_core gate {old} {new} --dataset {dataset} --max-nfr {limit:g}"
