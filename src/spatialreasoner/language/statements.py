"""Spatial statements in a text: which regions, which relation or quantity, how sure the writer is.

An assertion is what can be verified: "the wardrobe is wider than `<region2>`", "about 2 feet apart", "at 3 o'clock".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal, cast

from spatialreasoner.core.filled import filled
from spatialreasoner.core.kept import kept
from spatialreasoner.core.types import CONVERSE, QuantityName, Relation
from spatialreasoner.language.grammar import statements
from spatialreasoner.language.scope import Statement
from spatialreasoner.language.tokens import Reading

StatementUnit = Literal["m", "hour", "times"] | None

SYMMETRIC = frozenset({"distance", "horizontal_distance", "vertical_distance"})
"""Quantities that are the same from either of their two regions."""

POSITIVE: Mapping[str, str] = {
    "left": "left", "right": "left", "above": "above", "below": "above", "tall": "tall", "short": "tall",
    "wide": "wide", "thin": "wide", "big": "big", "small": "big", "behind": "behind", "front": "behind",
}  # fmt: skip
"""Of each relation and its converse, the one that both are stated by."""


@dataclass(frozen=True, kw_only=True)
class Assertion:
    """One spatial statement.

    Attributes:
        kind: The relation or the quantity it is about.
        regions: The regions that it names, `region1` first if it is the subject: "a is left of b" gives
            (a, b). One region for widths, heights, depths and distances from the camera. `other1` is the first of the scene's
            other regions.
        value: Metres, an hour 1..12 (direction), or a factor (`unit` "times"); None for a plain relation.
        high: Upper end where a range is stated ("2 to 3 metres"), else None; `value` is then the lower end.
        unit: "m", "hour" or "times"; None for a plain relation.
        hedged: Whether the writer limits it ("approximately", "possibly", "seems").
        negated: Whether it is denied ("is not to the left of").
        span: Its place in the text, (start, end) characters, end exclusive.
    """

    kind: Relation | QuantityName
    regions: tuple[str, ...]
    value: float | None = None
    high: float | None = None
    unit: StatementUnit = None
    hedged: bool = False
    negated: bool = False
    span: tuple[int, int]

    @kept
    def fact(self) -> tuple[object, ...]:
        """What it says apart from its wording: "a is left of b" and "b is right of a" say the same."""
        kind, regions = self.kind, self.regions
        if kind in CONVERSE and self.unit is None and len(regions) == 2 and regions[0] > regions[1]:
            kind, regions = CONVERSE[cast("Relation", kind)], regions[::-1]
        elif kind in SYMMETRIC:
            regions = tuple(sorted(regions))
        return kind, regions, self.value, self.high, self.unit, self.negated

    @kept
    def stance(self) -> tuple[tuple[object, ...], float | bool] | None:
        """What it is about, and which side it takes; None for what takes no side."""
        regions = self.regions
        if self.kind in CONVERSE and self.unit is None:
            if len(regions) != 2:
                return None
            positive = POSITIVE[self.kind]
            holds = (positive == self.kind) == (regions[0] <= regions[1])
            return (positive, *sorted(regions)), holds != self.negated
        if self.value is None or self.negated:
            return None
        ordered = regions if self.kind == "direction" or self.unit == "times" else tuple(sorted(regions))
        middle = self.value if self.high is None else (self.value + self.high) / 2
        return (self.kind, self.unit, *ordered), middle


def extract(text: str, labels: Sequence[str] = (), others: Sequence[str] = ()) -> list[Assertion]:
    """Every spatial statement of a text about the question's regions, and the scene's others, in the order of the text.

    Regions are named `<region1>`, "Region [0]" (from 0), "Region 1" (from 1), by their labels, or by pronouns where it is
    clear whom they mean. Questions, suppositions and arithmetic are not statements. Linear in the text; never raises.

    Args:
        text: Any text, a whole response or a sentence of one.
        labels: Names of the question's regions, in order: "the wardrobe" is then `region1`.
        others: Names of the scene's other regions, in order: "the lamp" is then `other1`. A name that the question's regions
            bear means them; one that two others bear means neither.

    >>> [(a.kind, a.regions, a.value) for a in extract("<region1> is 1.5 m wide and left of <region2>.")]
    [('width', ('region1',), 1.5), ('left', ('region1', 'region2'), None)]
    """
    return read_statements(Reading(text, labels, others=others))


def read_statements(reading: Reading, context: tuple[str, ...] = (), *, terse: bool = False) -> list[Assertion]:
    """The spatial statements of a text that is tokenised already; see `grammar.statements` for the arguments."""
    found = [_assertion(reading, begin, said) for begin, said in statements(reading, context, terse=terse)]
    return sorted(found, key=attrgetter("span")) if len(found) > 1 else found


def _assertion(reading: Reading, begin: int, said: Statement) -> Assertion:
    """A statement with its numbers, in the text whose token `begin` is the first of its sentence."""
    quantity = None if said.quantity is None else reading.amounts[begin + said.quantity]
    return filled(
        Assertion,
        kind=said.kind,
        regions=said.regions,
        value=said.factor if quantity is None else quantity.value,
        high=None if quantity is None else quantity.high,
        unit=quantity.unit if quantity is not None else None if said.factor is None else "times",
        hedged=said.hedged,
        negated=said.negated,
        span=reading.span(begin + said.first, begin + said.last),
    )
