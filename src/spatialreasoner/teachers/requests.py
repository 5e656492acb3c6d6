"""What a request asks for, read from its words, as a model that is shown nothing else must."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from spatialreasoner.core.types import QuantityName, Relation

_HOUR = re.compile(r"clock\b|\bhour\b")
_RELATIONS: tuple[tuple[Relation, re.Pattern[str]], ...] = (
    ("left", re.compile(r"\bleft(?:most)?\b")),
    ("right", re.compile(r"\bright(?:most)?\b")),
    ("short", re.compile(r"\bshort(?:er|est)\b|\bless tall\b|\bof (?:smaller|lower|less) height\b")),
    ("tall", re.compile(r"\btall(?:er|est)\b|\bof (?:greater|larger|more) height\b")),
    ("thin", re.compile(r"\b(?:thinn|narrow)(?:er|est)\b|\bless wide\b|\bof (?:smaller|less) width\b")),
    ("wide", re.compile(r"\b(?:wid|broad)(?:er|est)\b|\bof (?:greater|larger|more) width\b")),
    ("below", re.compile(r"\b(?:below|lower|lowest|beneath|under|underneath)\b")),
    ("above", re.compile(r"\b(?:above|higher|highest|at a greater height)\b")),
    ("behind", re.compile(r"\bbehind\b|\b(?:farther|further) (?:away|from|back)\b|\bfarthest\b|\bfurthest\b")),
    ("front", re.compile(r"\bin front\b|\b(?:closer|nearer|closest|nearest)\b")),
    ("small", re.compile(r"\bsmall(?:er|est)\b|\bless (?:big|large)\b")),
    ("big", re.compile(r"\b(?:bigg|larg)(?:er|est)\b|\bgreater volume\b")),
)
_QUANTITIES: tuple[tuple[QuantityName, re.Pattern[str]], ...] = (
    ("horizontal_distance", re.compile(r"\bhorizontal(?:ly)?\b|\bsideways\b")),
    ("vertical_distance", re.compile(r"\bvertical(?:ly)?\b|\bup and down\b")),
    ("width", re.compile(r"\bhow wide\b|\bwidth\b|\bfrom side to side\b|\bradius\b")),
    ("height", re.compile(r"\bhow (?:tall|high)\b|\bheight\b|\bfrom (?:bottom to top|top to bottom)\b")),
)
_CHOICE = re.compile(r"\bwhich\b|\bor\b")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked: a relation, to be confirmed ("predicate") or as a choice of one region, or a quantity."""

    kind: Relation | QuantityName
    form: Literal["predicate", "choice", "quantity"]


@lru_cache(maxsize=65_536)
def understand(text: str) -> Request:
    """Read a request; one that fits nothing is taken to ask for the distance.

    >>> understand("Of <region1> and <region2>, which one is lower down?")
    Request(kind='below', form='choice')
    """
    text = text[:2000].lower()
    if _HOUR.search(text):
        return Request(kind="direction", form="quantity")
    for relation, pattern in _RELATIONS:
        if pattern.search(text):
            return Request(kind=relation, form="choice" if _CHOICE.search(text) else "predicate")
    for quantity, pattern in _QUANTITIES:
        if pattern.search(text):
            return Request(kind=quantity, form="quantity")
    return Request(kind="distance", form="quantity")
