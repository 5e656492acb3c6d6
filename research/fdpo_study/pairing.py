"""Which two answers to a question are compared: pairs about what decides, of a model's own samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product

from research.nano_method.wholly import wholly_right

from spatialreasoner.core.types import Question, Trajectory
from spatialreasoner.language.soundness import is_sound


def nearest(written: Sequence[Trajectory]) -> tuple[Trajectory, ...]:
    """Of a question's answers a good one, and of those that are not and earn less the one that begins most like it, or none.

    What both begin with teaches nothing, so such a pair is about the first wrong step.
    """
    judged = [(each, is_right_and_sound(each)) for each in written if each.success is not None]
    good, others = ([each for each, is_good in judged if is_good is wanted] for wanted in (True, False))
    return _most_alike(good, others)


def closest(written: Sequence[Trajectory], is_good: Callable[[Trajectory], bool]) -> tuple[Trajectory, ...]:
    """Of a question's samples the good one that is closest to the truth, and a less close one that begins like it, or none.

    The other is less close by `LESS_CLOSE` and earns less; of all such ones it begins most like the first. What is asked may be
    right in both: a length is, within a quarter of the truth, and closer is better all the same.
    """
    sampled = _sampled(written)
    best = max(filter(is_good, sampled), key=_closeness, default=None)
    if best is None:
        return ()
    return _most_alike([best], (each for each in sampled if _closeness(each) < _closeness(best) - LESS_CLOSE))


def decisive(question: Question, written: Sequence[Trajectory]) -> tuple[Trajectory, ...]:
    """What a model that has learned from such pairs already learns from next, or none.

    Samples of such a model break off and stray more often, so an answer is good only if all of it holds. About a quantity the
    closest pair is taken. About a relation the other one is wrong: which of two right ones is closer in its numbers teaches
    nothing about relations, and they were unlearned by it.
    """

    def is_good(each: Trajectory) -> bool:
        argued = (each.reward.logical or 0.0) >= ARGUED
        return argued and wholly_right(question.category, question.text, question.answer, each.text)

    if not question.qualitative:
        return closest(written, is_good)
    sampled = _sampled(written)
    return _most_alike(filter(is_good, sampled), (each for each in sampled if each.success is not True))


ARGUED = 3.5
"""Of the logical reward, 0 to 4."""

LESS_CLOSE = 0.5
"""Of the two spatial rewards, 0 to 8 together."""


def _sampled(written: Sequence[Trajectory]) -> list[Trajectory]:
    """Samples that could be scored whole."""
    return [each for each in written if each.origin == "sample" and each.reward.total is not None]


def _most_alike(good: Iterable[Trajectory], others: Iterable[Trajectory]) -> tuple[Trajectory, ...]:
    """Of the pairs of a good answer and another one that earns less, the one whose answers begin most alike; or none."""
    return max((pair for pair in product(good, others) if _earned(pair[0]) > _earned(pair[1])), key=_alike, default=())


def _closeness(each: Trajectory) -> float:
    """What the statements of an answer earn, 0 to 8: each by how far it is off."""
    return (each.reward.spatial_description or 0.0) + (each.reward.spatial_reasoning or 0.0)


def is_right_and_sound(each: Trajectory) -> bool:
    """Whether an answer is right, and not by luck: its own steps lead to it."""
    return each.success is True and is_sound(each.text)


def _earned(each: Trajectory) -> float:
    return each.reward.total or 0.0


def _alike(pair: tuple[Trajectory, Trajectory]) -> int:
    """How many characters two answers begin with that are the same."""
    texts = pair[0].text, pair[1].text
    return next((place for place, (one, other) in enumerate(zip(*texts, strict=False)) if one != other), min(map(len, texts)))
