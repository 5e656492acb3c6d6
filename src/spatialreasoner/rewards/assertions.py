"""Spatial statements in a text: which regions, which relation or quantity, how sure the writer is.

An assertion is what can be verified: "the wardrobe is wider than `<region2>`", "about 2 feet apart", "at 3 o'clock".
"""

from dataclasses import dataclass
from typing import Literal, get_args

Relation = Literal[
    "left", "right", "above", "below", "tall", "short", "wide", "thin", "big", "small", "behind", "front"
]
Quantity = Literal[
    "width", "height", "depth", "distance", "horizontal_distance", "vertical_distance", "camera_distance", "direction"
]
RELATIONS: tuple[Relation, ...] = get_args(Relation)
QUANTITIES: tuple[Quantity, ...] = get_args(Quantity)


@dataclass(frozen=True, kw_only=True)
class Assertion:
    """One spatial statement.

    Attributes:
        kind: The relation or the quantity it is about.
        regions: The question's own regions that it names, `region1` first if it is the subject: "a is left of b" gives
            (a, b). One region for widths, heights, depths and distances from the camera.
        value: Metres, an hour 1..12 (direction), or a factor (`unit` "times"); None for a plain relation.
        high: Upper end where a range is stated ("2 to 3 metres"), else None; `value` is then the lower end.
        unit: "m", "hour" or "times"; None for a plain relation.
        hedged: Whether the writer limits it ("approximately", "possibly", "seems").
        negated: Whether it is denied ("is not to the left of").
        span: Its place in the text, (start, end) characters, end exclusive.
    """

    kind: Relation | Quantity
    regions: tuple[str, ...]
    value: float | None = None
    high: float | None = None
    unit: Literal["m", "hour", "times"] | None = None
    hedged: bool = False
    negated: bool = False
    span: tuple[int, int]
