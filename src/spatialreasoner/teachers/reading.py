"""Reading the prefix: what it states is believed, unless the teacher notices that it does not fit what is seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import cast

from spatialreasoner.core.types import CONVERSE, RELATIONS, Relation
from spatialreasoner.language.statements import Assertion, extract
from spatialreasoner.teachers.numbers import round_length
from spatialreasoner.teachers.perception import Belief
from spatialreasoner.teachers.profiles import Profile

NOTICEABLE = 1.25
"""A stated length is suspicious where it is larger or smaller than the seen one by this factor."""

_SIZES = {"width": 0, "height": 1, "depth": 2}
_INDEX = {"region1": 0, "region2": 1}


@lru_cache(maxsize=4096)
def _stated(prefix: str) -> Sequence[Assertion]:
    return extract(prefix)


def adopt(view: Belief, prefix: str, profile: Profile, rng: Random) -> bool:
    """Take over what the prefix states, in its order, into the view.

    Args:
        view: What the teacher sees; changed.
        prefix: The answer so far.
        profile: How often something that does not fit is noticed, and then not taken over.
        rng: Source of all random choices.

    Returns:
        Whether something was noticed, so that it should be corrected.
    """
    noticed = False
    for assertion in _stated(prefix):
        if any(_INDEX.get(region, len(view.sizes)) >= len(view.sizes) for region in assertion.regions):
            continue
        if _fits(view, assertion) or rng.random() >= profile.notice:
            _believe(view, assertion)
        else:
            noticed = True
    return noticed


def _fits(view: Belief, assertion: Assertion) -> bool:
    """Whether a statement is near enough to what is seen, or cannot be compared with it."""
    said = _length(assertion)
    if assertion.kind in RELATIONS:
        relation, holds = _relation(assertion)
        return view.believes(relation) == holds
    if assertion.kind == "direction":
        return assertion.value is None or (int(assertion.value) - view.hour) % 12 in {0, 1, 11}
    seen = _seen(view, assertion)
    return said is None or seen is None or seen / NOTICEABLE <= said <= seen * NOTICEABLE


def _seen(view: Belief, assertion: Assertion) -> float | None:
    first = _INDEX[assertion.regions[0]]
    if assertion.kind in _SIZES:
        return view.sizes[first][_SIZES[assertion.kind]]
    if assertion.kind == "camera_distance":
        return view.camera[first]
    if assertion.kind == "distance":
        return view.direct
    axis = 0 if assertion.kind == "horizontal_distance" else 1
    return abs(view.middle[axis])


def _believe(view: Belief, assertion: Assertion) -> None:
    said = _length(assertion)
    if assertion.kind in RELATIONS:
        relation, holds = _relation(assertion)
        view.said[relation], view.said[CONVERSE[relation]] = holds, not holds
    elif assertion.kind == "direction" and assertion.value is not None:
        view.said_hour = int(assertion.value)
    elif said is not None:
        _believe_length(view, assertion, round_length(said))


def _believe_length(view: Belief, assertion: Assertion, said: float) -> None:
    first = _INDEX[assertion.regions[0]]
    if assertion.kind in _SIZES:
        view.sizes[first][_SIZES[assertion.kind]] = said
    elif assertion.kind == "camera_distance":
        view.camera[first] = said
    elif assertion.kind == "distance":
        view.direct = said
    else:
        axis = 0 if assertion.kind == "horizontal_distance" else 1
        view.middle[axis] = math.copysign(said, view.middle[axis])


def _length(assertion: Assertion) -> float | None:
    """The stated metres, the middle of a range, or None if no length is stated."""
    if assertion.unit != "m" or assertion.value is None or assertion.negated:
        return None
    return assertion.value if assertion.high is None else (assertion.value + assertion.high) / 2


def _relation(assertion: Assertion) -> tuple[Relation, bool]:
    """The relation of region 1 to region 2 that is stated, and whether it is said to hold."""
    relation = cast("Relation", assertion.kind)
    turned = relation if assertion.regions[0] == "region1" else CONVERSE[relation]
    return turned, not assertion.negated
