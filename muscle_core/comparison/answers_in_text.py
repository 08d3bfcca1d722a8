"""What can be read in a generated text besides the answer that was extracted: marked answers, equations, steps.

Covered: English and mathematical ways of marking an answer, plain arithmetic in digits. Not covered: numbers in words,
units ("8 packs * $4"), algebra, and answers marked in other languages.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from functools import lru_cache

from muscle_core.tasks.math import normalise_number

_NUMBER_TEXT = r"-?[$€£]?\d[\d,]*(?:\.\d+)?%?"
_NUMBER = re.compile(rf"(?<![\w.])(?:{_NUMBER_TEXT}|-?[$€£]?\.\d+)")
# Where an answer is marked as the answer: GSM8K's "####", a JSON field, LaTeX's box, "the answer is", "Answer:".
_MARKERS = {
    "####": re.compile(r"####\s*([^\n]*)"),
    '"answer":': re.compile(r"[\"']answer[\"']\s*:\s*(\"(?:[^\"\\]|\\.)*\"|[^\n,}]*)", re.IGNORECASE),
    "\\boxed": re.compile(r"\\boxed\s*\{([^{}\n]*)"),
    "answer is": re.compile(r"\banswer\s*(?:is|:|=)\s*([^\n]*)", re.IGNORECASE),
}
_LETTER = re.compile(r"[\s*(\[{\"']*([A-Z])(?![\w'])")
_WORD = re.compile(r"\w+")
_STEP_NUMBER = re.compile(r"(?im)^[\s#*]*(?:step\s+)?\d+\s*[.:)]\s|\bstep\s+\d+")
_EXPRESSION = r"[-+]?\(*\d[\d.()*/+%\s-]*"
_EQUATION = re.compile(rf"(?<![\w.)(*/+-])({_EXPRESSION})=\s*(?=[-+]?\(*\d)")
_RIGHT_SIDE = re.compile(_EXPRESSION)
_GOES_ON_BEFORE = re.compile(r"(?:[-+*/^(]|\b(?:of|times|plus|minus|by|than))\s*$", re.IGNORECASE)
_CALCULATES = re.compile(r"[-+*/]")
_ALIKE = str.maketrans({"×": "*", "÷": "/", "−": "-", "–": "-", "$": "", "€": "", "£": "", ",": ""})
_TIMES = re.compile(r"(?<=[\d)])\s*(?:x|\\times)\s*(?=[\d(])")
_REMARK = re.compile(r"\s\([A-Za-z][A-Za-z' -]*\)")  # "20 (sofas) + 22 (chairs) = 42"
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_LONGEST_EXPRESSION = 120
_WHOLE_SLACK = 0.999  # less than one: 16 / 3 = 6 is a number rounded up


def markers_in(text: str) -> dict[str, str]:
    """The marks of an answer that a text holds, each with what follows its last occurrence."""
    found = {}
    for name, pattern in _MARKERS.items():
        tails = pattern.findall(text)
        if tails:
            found[name] = tails[-1].strip()
    return found


def without_marked(text: str) -> str:
    """A text without its marked answers: what is left is the way to them."""
    for pattern in _MARKERS.values():
        text = pattern.sub(" ", text)
    return text


def numbers_in(text: str) -> list[str]:
    """All numbers of a text in canonical form, in their order."""
    found = map(_canonical, _NUMBER.findall(text))
    return [number for number in found if number is not None]


@lru_cache(maxsize=1 << 16)  # the same numbers come again and again, and a decimal takes microseconds
def _canonical(number: str) -> str | None:
    return normalise_number(number)


def letter_in(text: str) -> str | None:
    """The capital letter that a marked answer begins with, as in "(B) because", or None."""
    match = _LETTER.match(text)
    return match.group(1) if match else None


def last_sentence(text: str) -> str:
    """The last sentence of a text that holds a number."""
    parts = [part for part in re.split(r"(?<=[.!?])\s+|\n+", text) if _NUMBER.search(part)]
    return parts[-1] if parts else ""


def steps_of(text: str, known: set[str], answer: str | None) -> set[str]:
    """The intermediate numbers of a solution: neither given in the question, nor its answer, nor counting its steps.

    Args:
        text: the solution.
        known: numbers of the question.
        answer: the number that was taken as the answer.
    """
    return set(numbers_in(_STEP_NUMBER.sub(" ", text))) - known - {answer or ""}


def words_of(text: str) -> set[str]:
    """The distinct words of a text in lower case."""
    return set(_WORD.findall(text.lower()))


def overlap(first: set[str], second: set[str]) -> float:
    """Jaccard similarity: shared members over all members; 1 for two empty sets."""
    together = len(first | second)
    return 1.0 if together == 0 else len(first & second) / together


def is_open(text: str) -> bool:
    """Whether a text opens more braces than it closes, as one that was cut off inside a JSON object."""
    return text.count("{") > text.count("}")


def false_equation(text: str) -> str | None:
    """The first equation in digits that does not hold, as "60 + 57 + 54 = 162", or None.

    Rounding is no mistake: a plain number after "=" may be off by less than one unit of its last place, and both sides
    by 0.2 % where one holds a decimal point.
    """
    cleaned = _TIMES.sub(" * ", _REMARK.sub(" ", _THOUSANDS.sub("", text)).translate(_ALIKE))
    for match in _EQUATION.finditer(cleaned):
        if _GOES_ON_BEFORE.search(cleaned, max(0, match.start() - 20), match.start(1)):
            continue  # "x + 40 - 8 = 72", "30 % of 40 - 2 = 10"
        rest = _RIGHT_SIDE.match(cleaned, match.end())
        left = match.group(1).strip()
        if rest is None or not _CALCULATES.search(left.lstrip("-+(")):
            continue
        right = rest.group().strip()
        if right[-1] in "*/+-(" and cleaned[rest.end() : rest.end() + 1].isalpha():
            continue  # "= 2 * x"
        right = _without_tail(right)
        if _differ(left, right):
            return re.sub(r"\s+", " ", f"{left} = {right}")
    return None


def _without_tail(expression: str) -> str:
    """An expression without what the sentence put behind it: a full stop, a dash, a bracket that was opened before."""
    expression = expression.strip()
    while expression and (expression[-1] in ".-+*/( " or expression.count(")") > expression.count("(")):
        expression = expression[:-1]
    return expression


def _differ(left: str, right: str) -> bool:
    values: list[set[float]] = []
    for side in (left, right):
        # "50 % - 25 % = 25 %" holds with the signs and without; "32 / 96 * 100 = 33.33 %" only without.
        readings = {_value(re.sub(r"(\d)\s*%", r"\1/100", side)), _value(side.replace("%", ""))}
        if None in readings:
            return False
        values.append({value for value in readings if value is not None})
    slack = max(_unit(left), _unit(right))
    rough = 0.002 if "." in left + right else 0.0
    return all(abs(a - b) > max(slack, rough * max(abs(a), abs(b))) for a in values[0] for b in values[1])


def _unit(side: str) -> float:
    """One unit of the last place of a plain number that a division may have rounded; almost nothing for a sum."""
    if re.fullmatch(r"[-+]?\d+(\.\d+)?%?", side):
        decimals = side.rstrip("%").partition(".")[2]
        return float(10.0 ** -len(decimals)) if decimals else _WHOLE_SLACK
    return 1e-9


def _value(expression: str) -> float | None:
    """Value of plain arithmetic, or None where it is something else."""
    if len(expression) > _LONGEST_EXPRESSION:
        return None
    try:
        return _evaluate(ast.parse(re.sub(r"(?<![\d.])0+(?=\d)", "", expression), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError, MemoryError):
        return None


def _evaluate(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_evaluate(node.left), _evaluate(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _evaluate(node.operand)
        return -value if isinstance(node.op, ast.USub) else value
    raise ValueError("not plain arithmetic")
