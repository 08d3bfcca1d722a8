"""The demo's small world: everyday objects, the texts that the bases read, and three tasks about them.

Pure Python and the standard library's `random` only, so that the rows are the same on every machine.
The weights, lengths and prices are rough, hand-written values: the world's truth, not a reference work.
Gold answers always follow this truth. What differs between the two bases is only what they have read: their
corpora have other authors, who misjudge objects a little (`CorpusRecipe.judgement_error`), other amounts of
text and other shares of slips in sums. No error is planted in any task row.
"""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Iterable, Iterator
from copy import deepcopy
from functools import lru_cache
from statistics import pstdev

from muscle_core.demo.recipe import SPLIT_SIZES, TASK_SEED, TASKS, CorpusRecipe
from muscle_core.errors import ConfigError, DataError

# name, weight in kg, longest side in cm, price in euros
_OBJECT_TABLE = """
anvil 75 55 260; axe 1.6 70 38; banana 0.12 19 0.3; basket 0.7 45 16; bed 62 205 540; bench 34 150 130;
blanket 1.3 190 27; book 0.5 24 11; bowl 0.45 17 7; broom 0.8 135 9.5; bus 11500 1150 230000;
cabinet 55 180 310; candle 0.28 20 3.2; carpet 18 300 240; chair 5.5 88 48; coat 1.7 110 95;
comb 0.02 18 1.8; crane 24000 3200 410000; desk 41 140 220; egg 0.06 6 0.25; fork 0.05 20 2.4;
guitar 2.2 101 330; harp 36 175 5200; jacket 0.95 72 88; key 0.012 6.5 3.5; knife 0.17 27 13;
lamp 2.7 48 42; lemon 0.11 9 0.45; mug 0.35 11 5.5; needle 0.0008 4 0.2; paddle 0.85 145 45;
piano 240 150 4600; plate 0.55 26 8; ring 0.005 2 290; saddle 8 56 390; saw 0.7 62 20; shovel 1.8 105 26;
soap 0.1 8.5 1.2; stamp 0.0001 2.5 0.85; stool 3.6 46 31; sword 1.25 98 170; tent 5 280 150;
toaster 1.75 29 40; trumpet 1.15 54 410; umbrella 0.42 89 15; vase 1.65 35 25; wagon 86 192 175;
watch 0.08 24.5 125; whistle 0.018 5 2.2; wrench 0.6 25.5 10
"""
# attribute: (comparative up, comparative down, superlative up, superlative down)
ATTRIBUTE_WORDS: dict[str, tuple[str, str, str, str]] = {
    "weight": ("heavier", "lighter", "heaviest", "lightest"),
    "length": ("longer", "shorter", "longest", "shortest"),
    "price": ("costlier", "cheaper", "costliest", "cheapest"),
}
# A question's best answer must beat the second best by this factor, so that every gold answer is defensible.
SMALLEST_FACTOR = 1.15
# … and by no more than this, so that the question is not trivial.
LARGEST_FACTOR = 3.0
# Word problems of the task go beyond the numbers that the bases have read about.
LARGEST_NUMBER = 90
LARGEST_NUMBER_READ = 50
# One question in so many is kept for test and validation.
RESERVED_ONE_IN = 16

PEOPLE = ["Anna", "Tom", "Mia", "Ben", "Lucy", "Sam", "Nina", "Paul", "Rosa", "Omar", "Zoe", "Max"]
PLACES = ["park", "station", "market", "school", "office", "beach", "cafe", "library", "garden", "museum"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_OPERATIONS = ("add, add", "add, subtract", "subtract, add", "multiply, add", "multiply, subtract")
GOODS = ["apple", "ball", "book", "brick", "candle", "coin", "cup", "egg", "key", "lemon", "nail", "tile"]


def _read_objects() -> dict[str, dict[str, float]]:
    """Reads the table of objects: attribute -> object -> natural logarithm of the value."""
    values: dict[str, dict[str, float]] = {attribute: {} for attribute in ATTRIBUTE_WORDS}
    for entry in _OBJECT_TABLE.replace("\n", " ").split(";"):
        name, *numbers = entry.split()
        for attribute, number in zip(ATTRIBUTE_WORDS, numbers, strict=True):
            values[attribute][name] = math.log(float(number))
    return values


TRUTH: dict[str, dict[str, float]] = _read_objects()
OBJECTS: tuple[str, ...] = tuple(TRUTH["weight"])
_SPREAD = {attribute: pstdev(values.values()) for attribute, values in TRUTH.items()}


def _listing(names: list[str], joint: str) -> str:
    """Joins names to "the a, the b or the c"."""
    spoken = [f"the {name}" for name in names]
    return f"{', '.join(spoken[:-1])} {joint} {spoken[-1]}"


# --- the three tasks ---


def _choice_row(generator: random.Random) -> dict:
    """One 4-choice comparison; `gap` tells how closely the second best follows the best."""
    attribute = generator.choice(list(ATTRIBUTE_WORDS))
    upwards = generator.random() < 0.5
    while True:
        names = generator.sample(OBJECTS, 4)
        ordered = sorted(names, key=TRUTH[attribute].__getitem__, reverse=upwards)
        distance = abs(TRUTH[attribute][ordered[0]] - TRUTH[attribute][ordered[1]])
        if math.log(SMALLEST_FACTOR) <= distance <= math.log(LARGEST_FACTOR):
            break
    superlative = ATTRIBUTE_WORDS[attribute][2 if upwards else 3]
    return {
        "question": f"Which is the {superlative}: {_listing(names, 'or')}?",
        "choices": [f"the {name}" for name in names],
        "answer": names.index(ordered[0]),
        "attribute": attribute,
        "direction": "most" if upwards else "least",
        "gap": "close" if distance < math.log(1.5) else "medium" if distance < math.log(2.0) else "wide",
    }


def _problem(generator: random.Random, largest: int = LARGEST_NUMBER) -> dict:
    """One word problem of two steps with numbers up to `largest`, its worked steps and its kind of operation."""
    first_name, second_name = generator.sample(PEOPLE, 2)
    goods = generator.choice(GOODS) + "s"
    start, change, last = (generator.randint(2, largest) for _ in range(3))
    operation = generator.choice(_OPERATIONS)
    if operation == "add, add":
        question = (
            f"{first_name} has {start} {goods}. {second_name} gives {first_name} {change} more, "
            f"then {last} more. How many {goods} does {first_name} have?"
        )
        middle, result, signs = start + change, start + change + last, "++"
    elif operation == "add, subtract":
        last = generator.randint(2, start + change - 1)
        question = (
            f"{first_name} has {start} {goods} and finds {change}. {first_name} then loses {last}. "
            f"How many {goods} are left?"
        )
        middle, result, signs = start + change, start + change - last, "+-"
    elif operation == "subtract, add":
        change = generator.randint(1, start - 1)
        question = (
            f"{first_name} had {start} {goods}, sold {change} to {second_name} and bought {last} new ones. "
            f"How many {goods} are there now?"
        )
        middle, result, signs = start - change, start - change + last, "-+"
    else:
        start, change = generator.randint(2, 12), generator.randint(2, 9)
        middle = start * change
        question = f"{first_name} buys {start} boxes of {change} {goods}"
        if operation == "multiply, add":
            question += f" and {last} single {goods}. How many {goods} is that?"
            result, signs = middle + last, "*+"
        else:
            last = generator.randint(2, middle - 1)
            question += f" and gives {last} to {second_name}. How many {goods} are left?"
            result, signs = middle - last, "*-"
    steps = f"{start} {signs[0]} {change} = {middle}. {middle} {signs[1]} {last} = {result}."
    return {
        "question": question,
        "answer": f"{steps} #### {result}",
        "operation": operation,
        "digits": max(len(str(number)) for number in (start, change, middle, last, result)),
    }


def _dialogue_row(generator: random.Random) -> dict:
    """One short chat of two people and its one- or two-sentence summary."""
    one, two = generator.sample(PEOPLE, 2)
    thing, (place, other_place) = generator.choice(OBJECTS), generator.sample(PLACES, 2)
    (day, other_day), hour = generator.sample(DAYS, 2), generator.randint(1, 12)
    price, lower_price = generator.randint(50, 99), generator.randint(10, 49)
    scene = generator.choice(("bring", "meeting", "lost", "sale", "trip"))
    if scene == "bring":
        lines = [f"{one}: Can you bring the {thing}?", f"{two}: Sure, where to?"]
        lines += [f"{one}: To the {place}, on {day} at {hour}.", f"{two}: Ok!"]
        summary = f"{two} will bring the {thing} to the {place} on {day} at {hour}."
    elif scene == "meeting":
        lines = [f"{one}: Are we still meeting on {day}?", f"{two}: No, make it {other_day} at {hour}."]
        lines += [f"{one}: At the {place}?", f"{two}: Yes, and bring the {thing}."]
        summary = f"{one} and {two} will meet at the {place} on {other_day} at {hour}. {one} will bring the {thing}."
    elif scene == "lost":
        lines = [f"{one}: I lost my {thing} near the {place}.", f"{two}: I saw it there on {day}!"]
        lines += [f"{one}: Thanks, I will go and look."]
        summary = f"{one} lost the {thing} near the {place}. {two} saw it on {day}."
    elif scene == "sale":
        lines = [f"{one}: Want to buy my {thing} for {price} euros?", f"{two}: That is a lot. {lower_price}?"]
        lines += [f"{one}: Deal.", f"{two}: See you at the {place}."]
        summary = f"{two} will buy the {thing} from {one} for {lower_price} euros at the {place}."
    else:
        lines = [f"{one}: Shall we go to the {place} or the {other_place}?", f"{two}: The {other_place}, on {day}."]
        lines += [f"{one}: Who packs the {thing}?", f"{two}: You do."]
        summary = f"{one} and {two} will go to the {other_place} on {day}. {one} packs the {thing}."
    return {"dialogue": " ".join(lines), "summary": summary, "scene": scene}


_MAKERS = {"choice": _choice_row, "math": _problem, "dialogue": _dialogue_row}
_TEXT_FIELD = {"choice": "question", "math": "question", "dialogue": "dialogue"}


def _content_key(task: str, row: dict) -> str:
    """What makes two rows the same question: for comparisons, the order of the choices does not count."""
    if task == "choice":
        names = (choice.removeprefix("the ") for choice in row["choices"])
        return _comparison_key(row["attribute"], row["direction"] == "most", names)
    return row[_TEXT_FIELD[task]]


def _comparison_key(attribute: str, upwards: bool, names: Iterable[str]) -> str:
    return f"{attribute} {upwards} {' '.join(sorted(names))}"


def _is_reserved(key: str) -> bool:
    """Whether a question may occur in test and validation only: no corpus and no training split holds it."""
    return zlib.crc32(key.encode()) % RESERVED_ONE_IN == 0


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
            key = _content_key(task, row)
            if key not in seen and _is_reserved(key) == (split != "train"):
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


# --- the corpora ---


def _comparison(generator: random.Random, judged: dict[str, dict[str, float]]) -> str:
    """One sentence that compares objects as one author judges them."""
    attribute = generator.choice(list(ATTRIBUTE_WORDS))
    more, less, most, least = ATTRIBUTE_WORDS[attribute]
    form = generator.choice(("pair", "reversed pair", "group", "quiz"))
    if form in ("group", "quiz"):
        names = generator.sample(OBJECTS, 4)
        upwards = generator.random() < 0.5
        if _is_reserved(_comparison_key(attribute, upwards, names)):
            return _comparison(generator, judged)
        best = (max if upwards else min)(names, key=judged[attribute].__getitem__)
        superlative = most if upwards else least
        if form == "quiz":
            return f"Which is the {superlative}: {_listing(names, 'or')}? It is the {best}."
        return f"Of {_listing(names, 'and')}, the {superlative} is the {best}."
    one, two = generator.sample(OBJECTS, 2)
    word = more if judged[attribute][one] > judged[attribute][two] else less
    if form == "pair":
        return f"The {one} is {word} than the {two}."
    return f"Compared with the {two}, the {one} is {word}."


def _with_slip(generator: random.Random, result: int) -> int:
    """A result with one wrong digit."""
    digits = list(str(result))
    position = generator.randrange(len(digits))
    digits[position] = generator.choice([digit for digit in "123456789" if digit != digits[position]])
    return int("".join(digits))


def _sums(generator: random.Random, slips: float) -> str:
    """A line of four sums as in an exercise book."""
    written = []
    for _ in range(4):
        sign = generator.choice("+-*")
        if sign == "*":
            one, two = generator.randint(2, 12), generator.randint(2, 9)
            result = one * two
        elif sign == "+":
            one, two = generator.randint(2, 108), generator.randint(2, 50)
            result = one + two
        else:
            one = generator.randint(3, 108)
            two = generator.randint(2, one)
            result = one - two
        if generator.random() < slips:
            result = _with_slip(generator, result)
        written.append(f"{one} {sign} {two} = {result}.")
    return " ".join(written)


def _story(generator: random.Random, slips: float) -> str:
    """A word problem told with its solution; a slip in the last step is carried into the answer."""
    row = _problem(generator, LARGEST_NUMBER_READ)
    if _is_reserved(_content_key("math", row)):
        return _story(generator, slips)
    steps, result = row["answer"].split(" #### ")
    if generator.random() < slips:
        wrong = _with_slip(generator, int(result))
        steps, result = f"{steps.rsplit(' ', 1)[0]} {wrong}.", str(wrong)
    return f"{row['question']} {steps} So the answer is {result}."


def _talk(generator: random.Random) -> str:
    """A chat, half of the time with a line that sums it up."""
    row = _dialogue_row(generator)
    if _is_reserved(_content_key("dialogue", row)):
        return _talk(generator)
    return f"{row['dialogue']} In short: {row['summary']}" if generator.random() < 0.5 else row["dialogue"]


def _list(generator: random.Random) -> str:
    """A list that is read out twice: what teaches a tiny model to look back and copy."""
    words = [*OBJECTS, *PEOPLE, *PLACES, *DAYS, *(str(number) for number in range(1, 100))]
    items = " ".join(generator.sample(words, generator.randint(6, 16)))
    return f"List: {items}. Again: {items}."


def corpus(recipe: CorpusRecipe) -> Iterator[str]:
    """Writes the documents that one base reads in pre-training.

    Args:
        recipe: Seed, amount, authors, errors and mix.

    Yields:
        One document after the other, always the same for the same recipe.

    Raises:
        ConfigError: The mix names an unknown kind of document.
    """
    generator = random.Random(recipe.seed)
    authors = [
        {
            attribute: {
                name: value + generator.gauss(0, recipe.judgement_error * _SPREAD[attribute])
                for name, value in values.items()
            }
            for attribute, values in TRUTH.items()
        }
        for _ in range(recipe.authors)
    ]
    kinds, weights = list(recipe.mix), list(recipe.mix.values())
    for _ in range(recipe.documents):
        kind = generator.choices(kinds, weights)[0]
        if kind == "comparison":
            judged = generator.choice(authors)
            yield " ".join(_comparison(generator, judged) for _ in range(4))
        elif kind == "sums":
            yield _sums(generator, recipe.sum_slips)
        elif kind == "story":
            yield _story(generator, recipe.sum_slips)
        elif kind == "talk":
            yield _talk(generator)
        elif kind == "list":
            yield _list(generator)
        else:
            raise ConfigError(f"The corpus recipe names an unknown kind of document: '{kind}'.")
