"""Texts of the token strip (see muscle_core/ui/words.py)."""

from __future__ import annotations

TITLE = "Tokens of the gold answer"
TITLE_ALL = "Which version each token would follow, under every strategy"
EXPLAIN = (
    "While a compatibility adapter is trained, each token of the gold answer is learned from the old version, from the "
    "new version, or from the gold token itself. The strategy decides which."
)
STRATEGY = "Strategy"
STUDENT = "Student"
STUDENT_HELP = (
    "Some strategies look at the model in training: the new version where a training begins, or what it became."
)
STUDENTS = {"new": "new version (training begins)", "compat": "compatibility adapter (training ended)"}
LOOK = "Look at the tokens"
LOOK_AGAIN = "Look again"
LOOK_HELP = "Loads the versions in the background and asks them for each token of the answer."
TABLE = "All tokens as a table"
TABLE_CAPTION = (
    "Tokens of the gold answer, the token that each version finds most likely in its place, and the probability that "
    "it gives to the gold token"
)
FLIPS = "Negative flip"
LOSSES = "Sample that lost score"
NO_FLIPS = "There are no negative flips here to look at."
NO_TARGET = "There are no tokens to look at: this sample has no reference answer."
WAITING = "Waiting for the worker …"
STARTING = "Starting …"
LEGEND = "Learned from:"
LETTERS = {
    "old": "O",
    "new": "N",
    "gold": "G",
    "old+new": "O+N",
    "old+gold": "O+G",
    "new+gold": "N+G",
    "old+new+gold": "O+N+G",
    "": "–",
}
TEACHERS = {
    "old": "the old version",
    "new": "the new version",
    "gold": "the gold token alone",
    "old+new": "both versions",
    "old+gold": "the old version and the gold token",
    "new+gold": "the new version and the gold token",
    "old+new+gold": "both versions and the gold token",
    "": "nothing",
}
HEAD = (
    "token",
    "learned from",
    "most likely, old version",
    "gold token, old version",
    "most likely, new version",
    "gold token, new version",
)
HEAD_STUDENT = ("most likely, student", "gold token, student")
ALL_HEAD = "strategy"
SHARE_HEAD = "from old"
SAYS = {"old": "old version", "new": "new version", "student": "student"}


def about(text: str, target: str) -> str:
    """Which sample it is."""
    return f"Input: {text} Gold answer: {target}"


def ask(samples: int) -> str:
    """What the button does, and for how many samples."""
    what = "this sample" if samples == 1 else f"this sample and {samples - 1:,} around it"
    return (
        f"Not looked at yet. For {what}, both versions are loaded in the background and asked for each token of the "
        "gold answer; the result is kept."
    )


def no_weights(why: str) -> str:
    """Why there is no strip."""
    return f"There is no token view here, because both versions would have to be loaded: {why}"


def refused(why: str) -> str:
    """Why this one sample cannot be shown."""
    return f"The tokens of this sample cannot be shown: {why}"


def failed(why: str) -> str:
    """The job failed."""
    return f"Looking at the tokens has failed: {why}"


def cancelled() -> str:
    """The job was cancelled."""
    return "Looking at the tokens was cancelled. What was looked at is kept."


def progress(stage: str, done: int, total: int) -> str:
    """How far the job is."""
    return f"{stage} …" if total <= 1 else f"{stage}: {done:,} of {total:,} samples"


def summary(strategy: str, counts: dict[str, int]) -> str:
    """How many tokens follow what."""
    total = sum(counts.values())
    parts = [f"{count:,} from {TEACHERS.get(name, name)}" for name, count in counts.items()]
    return f"Under {strategy}, {total:,} token{'s' if total > 1 else ''} would be learned: {', '.join(parts)}."


def alt(text: str, summary_text: str) -> str:
    """The strip for people who do not see it."""
    return f"{summary_text} The table below lists each token of: {text}"


def hover(place: int, token: str, follows: str, seen: list[tuple[str, str, str]]) -> str:
    """What is known of one token."""
    lines = [f"Token {place}: {token}", f"learned from {TEACHERS.get(follows, follows)}"]
    lines += [f"{SAYS[name]}: most likely {says}; gold token {chance}" for name, says, chance in seen]
    return "\n".join(lines)


def share(part: int, total: int) -> str:
    """How many tokens follow the old version."""
    return f"{part:,} of {total:,}"
