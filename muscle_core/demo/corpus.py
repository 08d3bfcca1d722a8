"""What the two bases read: texts about the demo's world, by other authors, in other amounts, with other slips.

The authors misjudge objects a little (`CorpusRecipe.judgement_error`), and some sums hold slips
(`CorpusRecipe.sum_slips`). No question of a test or validation split is in a corpus.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from muscle_core.demo.recipe import CorpusRecipe
from muscle_core.demo.world import (
    ATTRIBUTE_WORDS,
    DAYS,
    LARGEST_NUMBER_READ,
    OBJECTS,
    PEOPLE,
    PLACES,
    SPREAD,
    TRUTH,
    chat,
    comparison_key,
    is_reserved,
    listing,
    problem,
)
from muscle_core.errors import ConfigError


def _comparison(generator: random.Random, judged: dict[str, dict[str, float]]) -> str:
    """One sentence that compares objects as one author judges them."""
    attribute = generator.choice(list(ATTRIBUTE_WORDS))
    more, less, most, least = ATTRIBUTE_WORDS[attribute]
    form = generator.choice(("pair", "reversed pair", "group", "quiz"))
    if form in ("group", "quiz"):
        names = generator.sample(OBJECTS, 4)
        upwards = generator.random() < 0.5
        if is_reserved(comparison_key(attribute, upwards, names)):
            return _comparison(generator, judged)
        best = (max if upwards else min)(names, key=judged[attribute].__getitem__)
        superlative = most if upwards else least
        if form == "quiz":
            return f"Which is the {superlative}: {listing(names, 'or')}? It is the {best}."
        return f"Of {listing(names, 'and')}, the {superlative} is the {best}."
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
    row = problem(generator, LARGEST_NUMBER_READ)
    if is_reserved(row["question"]):
        return _story(generator, slips)
    steps, result = row["answer"].split(" #### ")
    if generator.random() < slips:
        wrong = _with_slip(generator, int(result))
        steps, result = f"{steps.rsplit(' ', 1)[0]} {wrong}.", str(wrong)
    return f"{row['question']} {steps} So the answer is {result}."


def _talk(generator: random.Random) -> str:
    """A chat, half of the time with a line that sums it up."""
    told = chat(generator)
    if is_reserved(told.text):
        return _talk(generator)
    return f"{told.text} In short: {told.summaries[0]}" if generator.random() < 0.5 else told.text


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
                name: value + generator.gauss(0, recipe.judgement_error * SPREAD[attribute])
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
