"""Text of a figure: data made safe for Plotly's pseudo-HTML, and numbers as people read them."""

from __future__ import annotations

# "$" starts a formula where MathJax is loaded.
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "\n": " ", "\r": " ", "\t": " "}
_TABLE = str.maketrans(_ESCAPES)

# Continuous scores as people write them.
SCORE_NAMES = {
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "bertscore": "BERTScore",
    "score": "score",
}


def safe(text: object, longest: int | None = None) -> str:
    """Return any value as one line of text that Plotly shows as it is.

    Args:
        text: a value that came from data, such as a version's name or an answer.
        longest: number of characters after which the text is cut.
    """
    plain = str(text)
    if longest is not None and len(plain) > longest:
        plain = plain[: longest - 1] + "…"
    return plain.translate(_TABLE)


def version_label(name: str) -> str:
    """Return the name of a model version, cut to what an axis can hold."""
    return safe(name, longest=40)


def wrapped(text: str, width: int, lines: int = 2) -> str:
    """Return any text on several lines, broken after a space, "-", "_" or "/" where it can be, cut where it is longer.

    Args:
        text: a value that came from data, such as the name of a version.
        width: characters a line.
        lines: most lines.
    """
    rest = " ".join(str(text).split())
    done: list[str] = []
    while rest and len(done) < lines - 1 and len(rest) > width:
        break_at = max(rest.rfind(sign, 0, width) + 1 for sign in " -_/")
        if break_at < width // 3:
            break_at = width
        done.append(rest[:break_at].rstrip())
        rest = rest[break_at:].lstrip()
    return "<br>".join(safe(line, longest=width) for line in (*done, rest) if line)
