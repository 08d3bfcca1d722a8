"""Summaries: ROUGE-1, ROUGE-2 and ROUGE-L F1 against the reference, by the rouge-score package.

Field names of SAMSum and DialogSum (dialogue, summary) and of CNN/DailyMail (article, highlights) are read as they
are. What ROUGE does not tell: whether a summary is true; it counts shared words.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from muscle_core.tasks.base import Judgement, ParsedRow, collapse_spaces, field_text, rest_of

ROUGE_NAMES = ("rouge1", "rouge2", "rougeL")


@lru_cache(maxsize=1)
def _rouge() -> Any:
    # Imported late: rouge-score loads nltk, which comparing finished runs does not need.
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(ROUGE_NAMES), use_stemmer=True)


class Summarization:
    """Summarise a text by greedy generation; continuous scores, no right or wrong."""

    kind = "summarization"
    generates = True
    default_template = "Dialogue:\n{input}\nSummary:"
    max_new_tokens = 96
    stop: tuple[str, ...] = ("\n\n", "Dialogue:")
    scorings: tuple[str, ...] = ("rouge", "bertscore")  # bertscore is counted beside ROUGE, by an encoder
    right_or_wrong = False

    def parse_row(self, row: dict[str, Any]) -> ParsedRow:
        """Read dialogue/article and summary/highlights.

        Raises:
            ValueError: no text to summarise, or no reference summary.
        """
        source = field_text(row, "dialogue", "article", "document", "input")
        if source is None:
            raise ValueError("no text to summarise (looked for the fields dialogue, article, document, input)")
        reference = field_text(row, "summary", "summary1", "highlights", "gold")
        if reference is None:
            raise ValueError("no gold summary (looked for the fields summary, summary1, highlights, gold)")
        return ParsedRow(
            input=source[1],
            gold=reference[1],
            target=reference[1].strip(),
            metadata=rest_of(row, source[0], reference[0]),
        )

    def judge(self, output: str, gold: str, scoring: str = "") -> Judgement:
        """ROUGE F1 of the output (identical to rouge-score with stemming)."""
        scores = _rouge().score(gold, output)
        return Judgement(
            prediction=collapse_spaces(output) or None,
            correct=None,
            scores={name: float(scores[name].fmeasure) for name in ROUGE_NAMES},
        )
