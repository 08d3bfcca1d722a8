"""The rows of the demo's three tasks, as people would have written them.

Nothing is planted for one of the versions. As in real data sets, the gold answers are people's: those who compare
objects misjudge them now and then (`JUDGEMENT_ERROR`), and three writers sum up chats, each in a way of their own. So
longer training alone does not end every disagreement between two versions.
"""

from __future__ import annotations

import math
import random
from copy import deepcopy
from functools import lru_cache

from muscle_core.demo.recipe import CHOOSING_SHARE, JUDGEMENT_ERROR, SPLIT_SIZES, TASK_SEED, TASKS
from muscle_core.demo.world import (
    ATTRIBUTE_WORDS,
    LARGEST_FACTOR,
    OBJECTS,
    PEOPLE,
    SMALLEST_FACTOR,
    TRUTH,
    chat,
    comparison,
    comparison_key,
    is_reserved,
    listing,
    problem,
)
from muscle_core.errors import DataError

_WRITERS = ("first", "second", "third")


def _judged(generator: random.Random, attribute: str, names: tuple[str, ...], error: float) -> dict[str, float]:
    """The objects' values as somebody judges them, on the scale of logarithms."""
    return {name: TRUTH[attribute][name] + generator.gauss(0, error) for name in names}


def _choice_row(generator: random.Random) -> dict:
    """One 4-choice comparison; `gap` tells how closely the second best follows the best in truth."""
    asked = comparison(generator)
    best = asked.best(_judged(generator, asked.attribute, asked.names, JUDGEMENT_ERROR["choice"]))
    return {
        "question": f"Which is the {asked.superlative}: {listing(list(asked.names), 'or')}?",
        "choices": [f"the {name}" for name in asked.names],
        "answer": asked.names.index(best),
        "attribute": asked.attribute,
        "direction": "most" if asked.upwards else "least",
        "gap": "close" if asked.distance < math.log(1.5) else "medium" if asked.distance < math.log(2.0) else "wide",
    }


def _math_row(generator: random.Random) -> dict:
    """A word problem: with numbers alone, or one that needs to know objects as well."""
    return _buying(generator) if generator.random() < CHOOSING_SHARE else problem(generator)


def _buying(generator: random.Random) -> dict:
    """A word problem whose numbers depend on which of two objects has more of something."""
    person = generator.choice(PEOPLE)
    attribute, upwards = generator.choice(list(ATTRIBUTE_WORDS)), generator.random() < 0.5
    while True:
        pair = tuple(generator.sample(OBJECTS, 2))
        distance = abs(TRUTH[attribute][pair[0]] - TRUTH[attribute][pair[1]])
        if math.log(SMALLEST_FACTOR) <= distance <= math.log(LARGEST_FACTOR):
            break
    judged = _judged(generator, attribute, pair, JUDGEMENT_ERROR["math"])
    taken, left = sorted(pair, key=judged.__getitem__, reverse=upwards)
    word = ATTRIBUTE_WORDS[attribute][0 if upwards else 1]
    price = dict(zip(pair, generator.sample(range(10, 61), 2), strict=True))
    bag = generator.randint(2, 30)
    total = price[taken] + bag
    one, two = pair
    return {
        "question": (
            f"{person} buys the {word} one of the {one} and the {two}. The {one} costs {price[one]} coins, "
            f"the {two} costs {price[two]}, a bag costs {bag} more. How many coins does {person} pay?"
        ),
        "answer": f"The {taken} is {word} than the {left}. {price[taken]} + {bag} = {total}. #### {total}",
        "operation": "choose, add",
        "digits": 2,
    }


def _dialogue_row(generator: random.Random) -> dict:
    """One short chat and the summary of one of three writers."""
    told = chat(generator)
    writer = generator.randrange(len(_WRITERS))
    return {
        "dialogue": told.text,
        "summary": told.summaries[writer],
        "scene": told.scene,
        "writer": _WRITERS[writer],
    }


_MAKERS = {"choice": _choice_row, "math": _math_row, "dialogue": _dialogue_row}
_TEXT_FIELD = {"choice": "question", "math": "question", "dialogue": "dialogue"}


def content_key(task: str, row: dict) -> str:
    """What makes two rows the same question: for comparisons, the order of the choices does not count."""
    if task == "choice":
        names = (choice.removeprefix("the ") for choice in row["choices"])
        return comparison_key(row["attribute"], row["direction"] == "most", names)
    text: str = row[_TEXT_FIELD[task]]
    return text


@lru_cache(maxsize=len(TASKS))
def _all_rows(task: str) -> dict[str, list[dict]]:
    """Makes all splits of a task from one generator, test first, so that no question is in two splits."""
    generator = random.Random(f"{TASK_SEED} {task}")
    seen: set[str] = set()
    splits: dict[str, list[dict]] = {}
    for split in ("test", "validation", "train"):
        rows: list[dict] = []
        while len(rows) < SPLIT_SIZES[task][split]:
            row = _MAKERS[task](generator)
            key = content_key(task, row)
            if key not in seen and is_reserved(key) == (split != "train"):
                seen.add(key)
                rows.append({"id": f"{task}-{split}-{len(rows):04d}", **row})
        splits[split] = rows
    return splits


def task_rows(task: str, split: str) -> list[dict]:
    """Gives the rows of one split of one task; always the same ones, and each call its own copy.

    Args:
        task: "choice", "math" or "dialogue".
        split: "train", "validation" or "test".

    Returns:
        The rows, in the field shapes of the real data sets that the tasks stand for.

    Raises:
        DataError: There is no such task or split.
    """
    if task not in SPLIT_SIZES or split not in SPLIT_SIZES[task]:
        known = "; ".join(f"{name}: {', '.join(sizes)}" for name, sizes in SPLIT_SIZES.items())
        raise DataError(f"The demo has no split '{split}' of a task '{task}'. It has {known}.")
    return deepcopy(_all_rows(task)[split])
