"""Texts of one sample in detail (see muscle_core/ui/words.py)."""

from __future__ import annotations

from datetime import datetime

SAMPLE = "Sample"
SAMPLE_ID = "Sample id"
SAMPLE_ID_HINT = "click a row above, or type an id"
CHOOSE = "Click a row of the table to read its sample here."
PREVIOUS, NEXT = "Previous sample", "Next sample"
COPY_LINK = "Link to this sample"
COPY_LINK_HELP = "Opens exactly this sample under this comparison, on this workspace."
REVIEW_IT = "Review this sample"

QUADRANTS = {
    "Q1": "Q1 · both right",
    "Q2": "Q2 · positive flip: wrong before, right now",
    "Q3": "Q3 · both wrong",
    "Q4": "Q4 · negative flip: right before, wrong now",
}
COMPAT_ON = {
    ("Q1", True): "The compatibility adapter keeps it right.",
    ("Q1", False): "The compatibility adapter answers this sample wrong, which both versions answer right.",
    ("Q2", True): "The compatibility adapter keeps what the new version gained here.",
    ("Q2", False): "The compatibility adapter loses what the new version gained here: it answers wrong.",
    ("Q3", True): "The compatibility adapter answers this sample right, which neither version does.",
    ("Q3", False): "The compatibility adapter answers this sample wrong too.",
    ("Q4", True): "The compatibility adapter answers this sample right again.",
    ("Q4", False): "The compatibility adapter does not repair this sample: its answer is wrong too.",
}

INPUT = "Input"
PROMPT = "Prompt as the model reads it"
METADATA = "Metadata"
GOLD = "Gold answer"
REFERENCE = "Reference"
OF_DATASET = "from the dataset"
NO_REFERENCE = "This sample has no reference answer."
ROLES = {"old": "Old version", "new": "New version", "compat": "Compatibility adapter"}
ROLES_IN_TEXT = {"old": "old version", "new": "new version", "gold": "gold answer"}
RIGHT, WRONG = "right", "wrong"
NOT_EVALUATED = "not evaluated on this sample"
NO_ANSWER = "no answer found"
NO_TEXT = "the run holds no answer to this sample"

COMPARE_WITH = "Compare with"
COMPARE_HELP = "The other answers are marked word by word where they differ from this one."
MARK = "Mark"
MARK_HELP = "Differences between the answers, or the words of each answer that its ROUGE score counts as shared."
MARKS = {"differences": "differences", "rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
ADDED_BEFORE, LEFT_OUT_BEFORE, NUMBER_BEFORE, AFTER = "[added: ", "[left out: ", "[taken as the answer: ", "]"
ADDED, LEFT_OUT, SHARED, NUMBER = "added", "left out", "shared words", "number"
NUMBER_MEANS = "taken as the answer; what stands before it is the reasoning"
TOO_LONG = "These texts are too long to be marked word by word."
NEAREST_TO_0 = "log-likelihood in nats; nearer to 0 is likelier"
NEAREST_TO_0_PER_BYTE = "log-likelihood in nats a byte; nearer to 0 is likelier"

CHOICES = "Choices with log-likelihood"
CHOICES_TABLE = "Values as a table"
CHOICES_HEAD = ("choice", "gold")
CHOICES_ALT = (
    "Log-likelihood of each choice under each version; the right choice and what each version picks are marked"
)
GOLD_MARK = "✓ right answer"
PICK = "pick"

FACTS = "Raw outputs, finish reason and time"
FACTS_CAPTION = "What is known of each answer"
FACTS_HEAD = "fact"
FACTS_ROWS = ("answer taken", "finish reason", "time", "evaluated", "log-likelihood of the gold answer")
FINISH = {
    "choice": "a choice, nothing was generated",
    "stop": "ended by itself",
    "length": "cut off at the token limit",
}
UNKNOWN = "–"
IMPORTED_PROMPT = (
    "The answers were imported, so this is the prompt that the template of the dataset makes; what the model really "
    "read is not known here."
)
CHAT = "It was put into the chat template of the model's tokenizer."

REVIEWS = "Reviews of this sample"
STALE = "of earlier answers"


def not_answered(identity: str) -> str:
    """There is no such sample in both runs."""
    return f"No sample {identity} was answered by both versions."


def place(identity: str, position: int | None, total: int) -> str:
    """Where the sample stands in the view above; nothing where none is open."""
    if not identity:
        return ""
    if position is None:
        return f"not among the {total:,} samples shown above"
    return f"{position:,} of {total:,} shown above"


def cause(name: str) -> str:
    """Why it flipped."""
    return f"**Cause: {name}**"


def rule(text: str, seen: str) -> str:
    """By which rule, and what was seen."""
    return f"Rule: {text}" + (f" Seen here: {seen}" if seen else "")


def change(score: str, old: float, new: float) -> str:
    """A continuous score of the old and the new answer."""
    verb = "lost" if new < old else "gained" if new > old else "kept"
    return f"{score} {old:.3f} → {new:.3f} ({new - old:+.3f}: {verb} by the update)"


def compat_change(score: str, new: float, compat: float) -> str:
    """A continuous score of the adapter's answer against the new one."""
    if compat == new:
        return f"The compatibility adapter scores the same as the new version here ({score} {new:.3f})."
    word = "higher" if compat > new else "lower"
    return (
        f"The compatibility adapter scores {abs(compat - new):.3f} {word} than the new version here "
        f"({score} {compat:.3f})."
    )


def score_of(name: str, value: float) -> str:
    """One score of an answer."""
    return f"{name} {value:.3f}"


def likelihood(value: float) -> str:
    """Log-likelihood of the gold answer."""
    return f"log-likelihood of the gold answer {value:.2f}"


def differences_legend(base: str) -> str:
    """What the marks of a word diff mean."""
    return f"against the {base}"


def shared_figures(score: str, shared: int, of_answer: int, of_reference: int, f1: float) -> str:
    """What was counted for a ROUGE score."""
    unit = {"rouge1": "words", "rouge2": "pairs of words", "rougeL": "words in the same order"}[score]
    return (
        f"{shared:,} {unit} shared: {shared:,} of the answer's {of_answer:,} (precision "
        f"{shared / max(of_answer, 1):.3f}), {shared:,} of the reference's {of_reference:,} (recall "
        f"{shared / max(of_reference, 1):.3f}); F1 {f1:.3f}"
    )


def other_score(score: str, stored: float, counted: float) -> str:
    """An imported score is not what is counted here."""
    return f"The run says {score} {stored:.3f}; the words marked here make it {counted:.3f}. It was computed elsewhere."


def reference_marks(version: str) -> str:
    """Whose words are marked in the reference."""
    return f"marked: what the answer of the {version} shares"


def choices_say(old: str, new: str) -> str:
    """What the bars show."""
    return f"The shorter its bar, the likelier a version finds a choice; {old} and {new} each pick the likeliest one."


def text_of(what: str) -> str:
    """Name of a block of text, for screen readers."""
    return f"text of: {what}"


def review(reviewer: str, said: str, stale: bool) -> str:
    """One person's review of the sample."""
    return f"**{reviewer}**: {said}" + (f" ({STALE})" if stale else "")


def counts_for(score: str) -> str:
    """What the marks of shared words mean."""
    return f"of the answer and the reference, as {score} counts them (word stems, upper and lower case alike)"


def seconds(value: float) -> str:
    """Time of one answer: its share in the time of its batch."""
    return f"{value * 1000:,.0f} ms" if value < 1 else f"{value:,.1f} s"


def evaluated(imported: bool, moment: datetime) -> str:
    """Where the answer comes from."""
    return f"{'imported' if imported else 'asked'} {moment:%Y-%m-%d %H:%M} UTC"
