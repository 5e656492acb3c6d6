"""How questions and reference answers are worded, and how lengths are written for people.

Every category has at least three wordings of the question and of each answer. `{a}` and `{b}` are the question's regions,
`{v}` a length or an hour in words.
"""

from collections.abc import Mapping, Sequence
from random import Random

from spatialreasoner.core.types import METRES_PER, Relation, Unit

PREDICATE_QUESTIONS = (
    "Is {a} {phrase} {b}?",
    "Would you say that {a} is {phrase} {b}?",
    "From where the camera stands, is {a} {phrase} {b}?",
    "Looking at the picture, is {a} {phrase} {b}?",
)
TRUE_ANSWERS = (
    "Yes, {a} is {phrase} {b}.",
    "Indeed, {a} is {phrase} {b}.",
    "That is right: {a} is {phrase} {b}.",
    "Yes.",
)
FALSE_ANSWERS = (
    "No, {a} is {converse} {b}.",
    "No, {a} is not {phrase} {b}.",
    "That is not so: {a} is {converse} {b}.",
    "No.",
)

RELATION_PHRASES: Mapping[Relation, tuple[str, ...]] = {
    "left": ("to the left of", "on the left side of", "further left than"),
    "right": ("to the right of", "on the right side of", "further right than"),
    "above": ("above", "higher up than", "at a greater height than"),
    "below": ("below", "lower down than", "at a lower height than"),
    "tall": ("taller than", "of greater height than"),
    "short": ("shorter than", "of smaller height than", "less tall than"),
    "wide": ("wider than", "broader than", "of greater width than"),
    "thin": ("thinner than", "narrower than", "of smaller width than"),
    "big": ("bigger than", "larger than", "of larger volume than"),
    "small": ("smaller than", "less big than", "of smaller volume than"),
    "behind": ("behind", "farther from the camera than", "further away from the viewer than"),
    "front": ("in front of", "closer to the camera than", "nearer to the viewer than"),
}
"""What is written between two regions; the first is the plain one, and converses use it."""

CHOICE_QUESTIONS = (
    "Which is {most}, {a} or {b}?",
    "Of {a} and {b}, which one is {most}?",
    "Between {a} and {b}, which is {most}?",
    "{a} or {b}: which of the two is {most}?",
)
CHOICE_ANSWERS = (
    "{w} is {most}.",
    "It is {w} that is {most}.",
    "{w}.",
    "Of the two, {w} is {most}.",
)

COMPARATIVE_PHRASES: Mapping[Relation, tuple[str, ...]] = {
    "left": ("further to the left", "more to the left"),
    "right": ("further to the right", "more to the right"),
    "above": ("higher up", "above the other"),
    "below": ("lower down", "below the other"),
    "tall": ("taller", "of greater height"),
    "short": ("shorter", "of smaller height"),
}

QUANTITY_QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "distance_data": (
        "How far apart are {a} and {b}?",
        "What is the distance between {a} and {b}?",
        "How much space lies between {a} and {b}?",
        "Can you estimate how far {a} is from {b}?",
    ),
    "horizontal_distance_data": (
        "How far apart are {a} and {b} horizontally?",
        "What is the horizontal distance between {a} and {b}?",
        "Measured sideways only, how far is {a} from {b}?",
        "By how much are {a} and {b} separated in the horizontal direction?",
    ),
    "vertical_distance_data": (
        "How far apart are {a} and {b} vertically?",
        "What is the vertical distance between {a} and {b}?",
        "Measured up and down only, how far is {a} from {b}?",
        "By how much are {a} and {b} separated in the vertical direction?",
    ),
    "width_data": (
        "How wide is {a}?",
        "What is the width of {a}?",
        "Can you estimate how much {a} measures from side to side?",
        "Please give the width of {a}.",
    ),
    "height_data": (
        "How tall is {a}?",
        "What is the height of {a}?",
        "Can you estimate how much {a} measures from bottom to top?",
        "Please give the height of {a}.",
    ),
    "direction": (
        "Standing at {a} and facing away from the camera, at which hour of a clock do you find {b}?",
        "If you are at {a} and look the way the camera looks, in which clock direction is {b}?",
        "Take the camera's forward direction as 12 o'clock: from {a}, where is {b}?",
    ),
}

QUANTITY_ANSWERS: Mapping[str, tuple[str, ...]] = {
    "distance_data": (
        "{a} and {b} are {v} apart.",
        "The distance between {a} and {b} is {v}.",
        "{a} is {v} away from {b}.",
        "{v}.",
    ),
    "horizontal_distance_data": (
        "{a} and {b} are {v} apart horizontally.",
        "The horizontal distance between {a} and {b} is {v}.",
        "Horizontally, {a} is {v} away from {b}.",
    ),
    "vertical_distance_data": (
        "{a} and {b} are {v} apart vertically.",
        "The vertical distance between {a} and {b} is {v}.",
        "Vertically, {a} is {v} away from {b}.",
    ),
    "width_data": (
        "{a} is {v} wide.",
        "The width of {a} is {v}.",
        "From side to side, {a} measures {v}.",
    ),
    "height_data": (
        "{a} is {v} tall.",
        "The height of {a} is {v}.",
        "From bottom to top, {a} measures {v}.",
    ),
    "direction": (
        "{b} is at {v} o'clock from {a}.",
        "From {a}, {b} lies in the {v} o'clock direction.",
        "You find {b} at {v} o'clock.",
    ),
}

UNIT_WORDS: Mapping[Unit, str] = {"m": "meters", "cm": "centimeters", "in": "inches", "ft": "feet"}

_UNIT_CHOICES: Sequence[tuple[float, tuple[tuple[Unit, float], ...]]] = (
    (1.0, (("cm", 0.2), ("in", 0.8))),
    (3.0, (("m", 0.5), ("ft", 0.5))),
    (float("inf"), (("m", 0.7), ("ft", 0.3))),
)
"""Which unit people would use below a length, with its share (docs/papers.md 4.6)."""


def human_length(metres: float, rng: Random) -> tuple[float, Unit]:
    """A length as a person might give it: the number, two decimals, and its unit.

    Below 1 m in centimetres (.2) or inches (.8), below 3 m in metres or feet (.5 each), above in metres (.7) or feet (.3).
    """
    choices = next(choices for limit, choices in _UNIT_CHOICES if metres < limit)
    units, weights = zip(*choices, strict=True)
    unit: Unit = rng.choices(units, weights)[0]
    return round(metres / METRES_PER[unit], 2), unit


def say_length(value: float, unit: Unit) -> str:
    """A number and its unit in words.

    >>> say_length(1.5, "m")
    '1.50 meters'
    """
    return f"{value:.2f} {UNIT_WORDS[unit]}"
