"""How often intervals hold the true value: rendered rooms with the noise of a sensor added.

    python benchmarks/intervals.py --rooms 300

The true value is what the same measure gives for exact depth. Prints, for each quantity and each relation's difference, how
many there were, the share of intervals that hold the truth, and the median half width; then how many questions could be asked
of the noisy rooms, and the share whose truth is outside the benchmark's tolerance.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from itertools import combinations
from random import Random

import numpy as np

from spatialreasoner.core.types import METRES_PER, QUANTITY_OF, RELATIONS, Question, relation_of
from spatialreasoner.questions.generate import ask_about
from spatialreasoner.scenes.measure import Measured
from spatialreasoner.scenes.synthetic.write import make_scene
from spatialreasoner.scenes.uncertainty import on_dial
from spatialreasoner.scenes.values import HOURS, TIE_TOLERANCE

SIZES = ("width", "height", "depth", "camera_distance")
PAIRS = ("distance", "horizontal_distance", "vertical_distance", "direction")
ROUNDING = 5e-4
"""Depth files hold millimetres."""


def sensor(depth: np.ndarray, seed: int) -> np.ndarray:
    """Depth with the axial noise of a Kinect (Nguyen et al. 2012), as a file of millimetres holds it."""
    noise = (0.0012 + 0.0019 * (depth - 0.4) ** 2) * np.random.default_rng(seed).standard_normal(depth.shape)
    return (np.round((depth + noise) * 1000) / 1000).astype(np.float32)


def holds(low: float, high: float, truth: float) -> bool:
    """Whether an interval holds the truth, but for the file's rounding."""
    return low - ROUNDING <= truth <= high + ROUNDING


def room(number: int, seed: int, found: dict[str, list[tuple[bool, float]]]) -> tuple[int, int]:
    """Add one room's intervals to `found`; returns how many questions were asked, and of how many the truth is outside."""
    made = make_scene(seed, number)
    exact, noisy = Measured(made.scene, made.depth), Measured(made.scene, sensor(made.depth, number))
    ids = [region.id for region in made.scene.regions]
    pairs = list(combinations(ids, 2))
    Random(number).shuffle(pairs)
    asked = [(name, (one,)) for name in SIZES for one in ids] + [(name, pair) for name in PAIRS for pair in pairs[:8]]
    for name, regions in asked:
        truth, bars = exact.quantity(name, *regions).value, noisy.uncertainty.quantity(name, *regions)
        if truth is None or bars.low is None or bars.high is None or bars.value is None:
            continue
        if name == "direction":
            first, second = (exact.cloud(region) for region in regions)
            ahead = (on_dial(first.bearing(second)) - bars.value + 6) % 12 - 6
            found[name].append((bars.low - bars.value <= ahead <= bars.high - bars.value, bars.half))
        else:
            found[name].append((holds(bars.low, bars.high, truth), bars.half))
    for relation in RELATIONS[::2]:
        for a, b in pairs[:8]:
            truth, bars = exact.compare(relation, a, b).difference, noisy.uncertainty.compare(relation, a, b)
            if truth is not None and bars.low is not None and bars.high is not None:
                found[relation].append((holds(bars.low, bars.high, truth), (bars.high - bars.low) / 2))
    questions = ask_about(noisy, Random(number), 12)
    return len(questions), sum(not is_right(exact, noisy, question) for question in questions)


def is_right(exact: Measured, noisy: Measured, question: Question) -> bool:
    """Whether the truth of exact depth lies inside the benchmark's tolerance of what was asked of noisy depth."""
    relation = relation_of(question.category)
    if relation is not None:
        difference = exact.compare(relation, *question.region_ids).difference
        return difference is None or (difference > 0) == noisy.compare(relation, *question.region_ids).holds
    truth = exact.quantity(QUANTITY_OF[question.category], *question.region_ids).value
    if truth is None or question.value is None:
        return True
    if question.unit == "hour":
        return abs((question.value - truth + 6) % 12 - 6) <= HOURS
    return abs(question.value * METRES_PER[question.unit or "m"] - truth) <= TIE_TOLERANCE * truth


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rooms", type=int, default=300)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    found: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    asked = wrong = 0
    for number in range(arguments.rooms):
        more, bad = room(number, arguments.seed, found)
        asked, wrong = asked + more, wrong + bad
    for name, rows in found.items():
        share, half = np.mean([held for held, _ in rows]), np.median([width for _, width in rows])
        print(f"{name:20s} {len(rows):6d} held {share:.3f} half {half:.3f}")
    print(f"questions asked: {asked}; truth outside the tolerance: {wrong} ({wrong / max(1, asked):.2%})")


if __name__ == "__main__":
    main()
