"""What the vision part believes of a room, and what a room without an image could be, as the writer of texts takes it.

Texts that say what the vision part believes have no noise: what is said can be learned to the digit, and whatever is wrong with
the belief is a matter of the vision part alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from spatialreasoner.scenes.synthetic import COLOURS
from spatialreasoner.scenes.synthetic.shapes import SHAPE_KINDS
from spatialreasoner.teachers.facts import USUAL, Facts, RegionFacts
from spatialreasoner.teachers.numbers import round_length
from spatialreasoner.teachers.perception import Belief


def believe(estimates: Sequence[Sequence[float]], offsets: Sequence[float] | None = None) -> Belief:
    """What estimates say, rounded as it is written.

    Args:
        estimates: `nano.vision.ESTIMATES` of one region or two.
        offsets: `nano.vision.OFFSETS` of the second from the first; without them there is but one region.
    """
    middles = [(x * math.exp(z), y * math.exp(z), math.exp(z)) for x, y, z, *_ in estimates]
    near = [middle[2] - math.exp(each[5]) / 2 for middle, each in zip(middles, estimates, strict=True)]
    right, down, mean_right, ahead, nearer, apart = offsets or (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return Belief(
        sizes=[[round_length(math.exp(value)) for value in each[3:]] for each in estimates],
        camera=[round_length(math.hypot(*middle)) for middle in middles],
        middle=[round_length(right), round_length(-down)],
        offset=[round_length(mean_right), round_length(-down), round_length(ahead)],
        near=[near[0], near[0] + nearer][: len(estimates)],
        direct=round_length(math.exp(apart)),
    )


def invent(rng: Random) -> Belief:
    """Two regions of a room that nobody has seen."""

    def length(usual: float, spread: float) -> float:
        return round_length(math.exp(rng.gauss(math.log(usual), spread)))

    def side(metres: float) -> float:
        return metres if rng.random() < 0.5 else -metres

    right, up, ahead = side(length(0.7, 0.9)), side(length(0.25, 0.9)), side(length(0.7, 0.9))
    return Belief(
        sizes=[[length(0.45, 0.6) for _ in range(3)] for _ in range(2)],
        camera=[length(3.0, 0.4) for _ in range(2)],
        middle=[right, up],
        offset=[right, up, ahead],
        near=[3.0, 3.0 + ahead],
        direct=length(0.9, 0.6),
    )


def name(words: Sequence[tuple[int, int]]) -> Facts:
    """Regions by the indices of their kind and colour; of all else the writer takes what is believed."""
    return Facts(
        things=tuple(_named(SHAPE_KINDS[kind], list(COLOURS)[colour]) for kind, colour in words), direct=1.0, others=()
    )


def invent_words(rng: Random, count: int = 2) -> list[tuple[int, int]]:
    """Kinds and colours of regions that nobody has seen."""
    return [(rng.randrange(len(SHAPE_KINDS)), rng.randrange(len(COLOURS))) for _ in range(count)]


def _named(kind: str, colour: str) -> RegionFacts:
    usual = USUAL.get(kind, (0.5, 0.5, 0.5))
    return RegionFacts(
        label=f"{colour} {kind}", colour=colour, usual=usual, size=usual, near=1.0, camera=1.0, middle=(0.0, 0.0),
        centre=(0.0, 0.0, 0.0),
    )  # fmt: skip
