"""The demo's world: names that no score can confuse, and comparisons that can be answered."""

import math
import random

from muscle_core.demo.world import LARGEST_FACTOR, OBJECTS, SMALLEST_FACTOR, TRUTH, comparison


def test_no_object_name_starts_another():
    # Else a choice's log-likelihood could never fall below that of the longer name.
    assert not [(one, two) for one in OBJECTS for two in OBJECTS if one != two and two.startswith(one)]
    assert all(all(math.isfinite(value) for value in values.values()) for values in TRUTH.values())


def test_the_best_object_of_a_comparison_beats_the_second_by_a_factor_in_range():
    generator = random.Random(3)
    for _ in range(300):
        asked = comparison(generator)
        values = sorted((math.exp(TRUTH[asked.attribute][name]) for name in asked.names), reverse=asked.upwards)
        factor = max(values[0] / values[1], values[1] / values[0])
        assert SMALLEST_FACTOR - 1e-6 <= factor <= LARGEST_FACTOR + 1e-6
        assert math.exp(TRUTH[asked.attribute][asked.best(TRUTH[asked.attribute])]) == values[0]
