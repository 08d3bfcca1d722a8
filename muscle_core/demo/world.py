"""The demo's small world: everyday objects, and the questions, word problems and chats about them.

Pure Python and the standard library's `random` only, so that everything is the same on every machine. The weights,
lengths and prices are rough, hand-written values: the world's truth, not a reference work. `corpus.py` writes what the
bases read about this world, `rows.py` the rows of the three tasks.
"""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import pstdev

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
SPREAD = {attribute: pstdev(values.values()) for attribute, values in TRUTH.items()}


def listing(names: list[str], joint: str) -> str:
    """Joins names to "the a, the b or the c"."""
    spoken = [f"the {name}" for name in names]
    return f"{', '.join(spoken[:-1])} {joint} {spoken[-1]}"


@dataclass(frozen=True)
class Comparison:
    """Which of four objects has the most or the least of something.

    Attributes:
        attribute: "weight", "length" or "price".
        upwards: whether the most is asked for.
        names: the four objects in the order of the question.
    """

    attribute: str
    upwards: bool
    names: tuple[str, ...]

    @property
    def superlative(self) -> str:
        """The word that asks for it."""
        return ATTRIBUTE_WORDS[self.attribute][2 if self.upwards else 3]

    @property
    def distance(self) -> float:
        """How far the best is from the second best in truth, on the scale of logarithms."""
        best, second = sorted((TRUTH[self.attribute][name] for name in self.names), reverse=self.upwards)[:2]
        return abs(best - second)

    def best(self, judged: dict[str, float]) -> str:
        """The one that somebody with these judgements names."""
        return (max if self.upwards else min)(self.names, key=judged.__getitem__)


def comparison(generator: random.Random) -> Comparison:
    """A comparison of four objects that is neither a coin toss nor trivial."""
    attribute = generator.choice(list(ATTRIBUTE_WORDS))
    upwards = generator.random() < 0.5
    while True:
        drawn = Comparison(attribute, upwards, tuple(generator.sample(OBJECTS, 4)))
        if math.log(SMALLEST_FACTOR) <= drawn.distance <= math.log(LARGEST_FACTOR):
            return drawn


def problem(generator: random.Random, largest: int = LARGEST_NUMBER) -> dict:
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


@dataclass(frozen=True)
class Chat:
    """A short chat of two people.

    Attributes:
        scene: what it is about.
        text: all lines.
        summaries: how three people would sum it up, each in a way of their own.
    """

    scene: str
    text: str
    summaries: tuple[str, str, str]


def chat(generator: random.Random) -> Chat:
    """One chat about bringing, meeting, losing, selling or travelling."""
    one, two = generator.sample(PEOPLE, 2)
    thing, (place, other_place) = generator.choice(OBJECTS), generator.sample(PLACES, 2)
    (day, other_day), hour = generator.sample(DAYS, 2), generator.randint(1, 12)
    price, lower_price = generator.randint(50, 99), generator.randint(10, 49)
    scene = generator.choice(("bring", "meeting", "lost", "sale", "trip"))
    if scene == "bring":
        lines = [f"{one}: Can you bring the {thing}?", f"{two}: Sure, where to?"]
        lines += [f"{one}: To the {place}, on {day} at {hour}.", f"{two}: Ok!"]
        summaries = (
            f"{two} will bring the {thing} to the {place} on {day} at {hour}.",
            f"{one} needs the {thing} at the {place} on {day} at {hour}.",
            f"The {thing} comes to the {place} on {day}. {two} brings it at {hour}.",
        )
    elif scene == "meeting":
        lines = [f"{one}: Are we still meeting on {day}?", f"{two}: No, make it {other_day} at {hour}."]
        lines += [f"{one}: At the {place}?", f"{two}: Yes, and bring the {thing}."]
        summaries = (
            f"{one} and {two} will meet at the {place} on {other_day} at {hour}. {one} will bring the {thing}.",
            f"The meeting is moved from {day} to {other_day} at {hour}.",
            f"{two} wants to meet {one} on {other_day}, with the {thing}, at the {place}.",
        )
    elif scene == "lost":
        lines = [f"{one}: I lost my {thing} near the {place}.", f"{two}: I saw it there on {day}!"]
        lines += [f"{one}: Thanks, I will go and look."]
        summaries = (
            f"{one} lost the {thing} near the {place}. {two} saw it on {day}.",
            f"{two} saw the {thing} of {one} near the {place}.",
            f"{one} will look for the {thing} near the {place}.",
        )
    elif scene == "sale":
        lines = [f"{one}: Want to buy my {thing} for {price} euros?", f"{two}: That is a lot. {lower_price}?"]
        lines += [f"{one}: Deal.", f"{two}: See you at the {place}."]
        summaries = (
            f"{two} will buy the {thing} from {one} for {lower_price} euros at the {place}.",
            f"{one} sells the {thing} for {lower_price} euros instead of {price}.",
            f"{one} and {two} agree on {lower_price} euros and will meet at the {place}.",
        )
    else:
        lines = [f"{one}: Shall we go to the {place} or the {other_place}?", f"{two}: The {other_place}, on {day}."]
        lines += [f"{one}: Who packs the {thing}?", f"{two}: You do."]
        summaries = (
            f"{one} and {two} will go to the {other_place} on {day}. {one} packs the {thing}.",
            f"{two} prefers the {other_place} to the {place}.",
            f"On {day} they go to the {other_place}, and {one} packs the {thing}.",
        )
    return Chat(scene, " ".join(lines), summaries)


def comparison_key(attribute: str, upwards: bool, names: Iterable[str]) -> str:
    """What makes two comparisons the same question: the order of the objects does not count."""
    return f"{attribute} {upwards} {' '.join(sorted(names))}"


def is_reserved(key: str) -> bool:
    """Whether a question may occur in test and validation only: no corpus and no training split holds it."""
    return zlib.crc32(key.encode()) % RESERVED_ONE_IN == 0
