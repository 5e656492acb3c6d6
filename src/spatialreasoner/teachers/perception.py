"""How a teacher sees the facts: its errors of perception, made once and then told consistently."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random

from spatialreasoner.core.types import CONVERSE, Relation
from spatialreasoner.teachers.facts import Facts, RegionFacts
from spatialreasoner.teachers.numbers import round_length, round_number
from spatialreasoner.teachers.profiles import Profile

_NEGATIVE = frozenset({"left", "below", "short", "thin", "small", "front"})


@dataclass(kw_only=True, slots=True)
class Belief:
    """What a teacher believes, metres, two digits: what it writes down is what it then reckons with.

    Attributes:
        sizes: Width, height and depth of each region.
        camera: Distance of each region from the camera.
        middle: Offset of region 2's middle from region 1's, to the right and up, box centre to box centre.
        offset: Of region 2 from region 1: to the right, up, and away from the camera, centre to centre.
        near: Distance of each region's nearest surface along the line of sight.
        direct: Distance between the two surfaces.
        said: Relations of region 1 to region 2 that were stated before, and whether they hold; they override the numbers.
        said_hour: The hour that was stated before; it overrides the numbers, too.
    """

    sizes: list[list[float]]
    camera: list[float]
    middle: list[float]
    offset: list[float]
    near: list[float]
    direct: float
    said: dict[Relation, bool] = field(default_factory=dict["Relation", bool])
    said_hour: int | None = None

    @property
    def hour(self) -> int:
        """The clock hour of region 2 seen from region 1, by the benchmark's bins (docs/papers.md 4.5)."""
        if self.said_hour is not None:
            return self.said_hour
        bearing = math.degrees(math.atan2(-self.offset[0], self.offset[2])) % 360.0
        return 12 - int(bearing // 30) % 12

    @property
    def volumes(self) -> list[float]:
        """Volume of each region's box, cubic metres, by two products of which each is rounded."""
        return [round_number(round_number(width * height) * depth) for width, height, depth in self.sizes]

    def believes(self, relation: Relation) -> bool:
        """Whether region 1 is held to be `relation` than region 2."""
        if relation in self.said:
            return self.said[relation]
        if relation in _NEGATIVE:
            return not self.believes(CONVERSE[relation])
        if relation == "big":
            return self.volumes[0] > self.volumes[-1]
        if relation == "behind":
            return self.near[0] > self.near[-1]
        if relation in {"tall", "wide"}:
            axis = 1 if relation == "tall" else 0
            return self.sizes[0][axis] > self.sizes[-1][axis]
        return self.offset[0 if relation == "right" else 1] < 0


class _Errors:
    """Draws of one answer: a systematic part that every sample of a question shares, and a fresh one."""

    def __init__(self, profile: Profile, question: Random, sample: Random) -> None:
        self.profile, self.question, self.sample = profile, question, sample
        self.lasting, self.passing = profile.persistence**0.5, (1 - profile.persistence) ** 0.5

    def factor(self, noise: float) -> float:
        shared, fresh = self.question.gauss(0, 1), self.sample.gauss(0, 1)
        return math.exp(noise * (self.lasting * shared + self.passing * fresh))

    def flips(self, probability: float) -> float:
        """-1 for a flip, else 1; the question's own draw decides with probability `persistence`."""
        shared, fresh = self.question.random(), self.sample.random()
        drawn = shared if self.sample.random() < self.profile.persistence else fresh
        return -1.0 if drawn < probability else 1.0


def perceive(facts: Facts, profile: Profile, question: Random, sample: Random) -> Belief:
    """See the facts as a profile sees them.

    Args:
        facts: The truth.
        profile: Who looks.
        question: Random source that is the same for every sample of a question.
        sample: Random source of this sample.
    """
    errors = _Errors(profile, question, sample)
    first, last = facts.things[0], facts.things[-1]
    side, up = (errors.flips(profile.side_flip) * errors.factor(profile.noise) for _ in range(2))
    along = errors.flips(profile.depth_flip) * errors.factor(profile.depth_noise) * profile.depth_shrink
    true = [b - a for a, b in zip(first.centre, last.centre, strict=True)]
    offset = [true[0] * side, true[1] * up, true[2] * along]
    near = first.near * errors.factor(profile.depth_noise / 2)
    camera = first.camera * near / max(first.near, 0.01)
    back = (last.near - first.near) * along
    camera_back = (last.camera - first.camera) * along
    count = len(facts.things)
    return Belief(
        sizes=[_size(thing, errors) for thing in facts.things],
        camera=[_length(camera), _length(camera + camera_back)][:count],
        middle=[round_length((b - a) * seen) for a, b, seen in zip(first.middle, last.middle, (side, up), strict=True)],
        offset=[round_length(value) for value in offset],
        near=[_length(near), _length(near + back)][:count],
        direct=_length(facts.direct * _stretch(true, offset) * errors.factor(profile.noise)),
    )


def _size(thing: RegionFacts, errors: _Errors) -> list[float]:
    habit = errors.profile.habit if thing.size is not None else 1.0
    seen = thing.size or thing.usual
    factors = [errors.factor(errors.profile.noise) for _ in range(3)]
    return [
        _length(usual**habit * true ** (1 - habit) * factor)
        for usual, true, factor in zip(thing.usual, seen, factors, strict=True)
    ]


def _stretch(true: list[float], seen: list[float]) -> float:
    """By how much misjudged offsets stretch the distance between two centres."""
    return max(math.hypot(*seen), 0.01) / max(math.hypot(*true), 0.01)


def _length(metres: float) -> float:
    return round_length(max(0.0, metres))
