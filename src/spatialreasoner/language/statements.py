"""Spatial statements in a text: which regions, which relation or quantity, how sure the writer is.

An assertion is what can be verified: "the wardrobe is wider than `<region2>`", "about 2 feet apart", "at 3 o'clock".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from operator import attrgetter
from typing import Literal, cast

from spatialreasoner.core.types import CONVERSE, QuantityName, Relation
from spatialreasoner.language.grammar import remembered_forms, spoken_of, statements
from spatialreasoner.language.lexicon import CODES
from spatialreasoner.language.native.engine import pattern_module
from spatialreasoner.language.scope import Statement
from spatialreasoner.language.sentences import INTRODUCES, MAX_SENTENCE_TOKENS, SAYING, SENTENCE_ENDS
from spatialreasoner.language.tokens import Reading

StatementUnit = Literal["m", "hour", "times"] | None

SYMMETRIC = frozenset({"distance", "horizontal_distance", "vertical_distance"})
"""Quantities that are the same from either of their two regions."""

POSITIVE: Mapping[str, str] = {
    "left": "left", "right": "left", "above": "above", "below": "above", "tall": "tall", "short": "tall",
    "wide": "wide", "thin": "wide", "big": "big", "small": "big", "behind": "behind", "front": "behind",
}  # fmt: skip
"""Of each relation and its converse, the one that both are stated by."""


Fact = tuple[object, ...]
"""What a statement says apart from its wording."""
Stance = tuple[tuple[object, ...], float | bool]
"""What a statement is about, and which side it takes."""


@dataclass(frozen=True, kw_only=True, slots=True)
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

    @property
    def fact(self) -> Fact:
        """What it says apart from its wording: "a is left of b" and "b is right of a" say the same."""
        return (*said_of(self.kind, self.regions, self.unit), self.value, self.high, self.unit, self.negated)

    @property
    def stance(self) -> Stance | None:
        """What it is about, and which side it takes; None for what takes no side."""
        return stance_of(side_of(self.kind, self.regions, self.unit), self)


def said_of(kind: str, regions: tuple[str, ...], unit: StatementUnit) -> tuple[str, tuple[str, ...]]:
    """What a kind of statement says of some regions: "a is left of b" and "b is right of a" say the same."""
    if kind in CONVERSE and unit is None and len(regions) == 2 and regions[0] > regions[1]:
        return CONVERSE[cast("Relation", kind)], regions[::-1]
    return kind, tuple(sorted(regions)) if kind in SYMMETRIC else regions


Matter = tuple[tuple[object, ...], bool | None]
"""What a kind of statement of some regions is about; and whether a relation is stated by its positive, None for a value."""


def side_of(kind: str, regions: tuple[str, ...], unit: StatementUnit) -> Matter | None:
    """What a kind of statement of some regions takes a side about; None where it takes none."""
    if kind in CONVERSE and unit is None:
        if len(regions) != 2:
            return None
        positive = POSITIVE[kind]
        return (positive, *sorted(regions)), (positive == kind) == (regions[0] <= regions[1])
    ordered = regions if kind == "direction" or unit == "times" else tuple(sorted(regions))
    return (kind, unit, *ordered), None


def stance_of(side: Matter | None, said: Assertion) -> Stance | None:
    """What a statement is about and which side it takes, by what those like it are about."""
    if side is None:
        return None
    about, holds = side
    if holds is not None:
        return about, holds != said.negated
    if said.value is None or said.negated:
        return None
    return about, said.value if said.high is None else (said.value + said.high) / 2


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
    native = native_statements()
    if native is None:
        return _in_order([_assertion(reading, begin, said) for begin, said in statements(reading, context, terse=terse)])
    return native(
        reading.codes,
        reading.forms,
        reading.count,
        remembered_forms[terse],
        spoken_of(context),
        reading.starts,
        reading.words,
        reading.amounts,
    )


@cache
def native_statements() -> Callable[..., list[Assertion]] | None:
    """Reads the same statements by `native/reading.h`; None where that is not built."""
    native = pattern_module()
    if native is None:
        return None
    introducing = "".join(CODES.get(name, name) for name in (*INTRODUCES, "IT", "AMOUNT"))
    made = native.maker(Assertion, tuple(field.name for field in fields(Assertion)))
    read: Callable[..., list[Assertion]] = native.reader(
        made, spoken_of, _in_order, "".join(SENTENCE_ENDS), "".join(SAYING), introducing, MAX_SENTENCE_TOKENS
    ).read
    return read


def _in_order(found: list[Assertion]) -> list[Assertion]:
    return sorted(found, key=attrgetter("span"))


def _assertion(reading: Reading, begin: int, said: Statement) -> Assertion:
    """A statement with its numbers, in the text whose token `begin` is the first of its sentence."""
    quantity = None if said.quantity is None else reading.amounts[begin + said.quantity]
    return Assertion(
        kind=cast("Relation | QuantityName", said.kind),
        regions=said.regions,
        value=said.factor if quantity is None else quantity.value,
        high=None if quantity is None else quantity.high,
        unit=quantity.unit if quantity is not None else None if said.factor is None else "times",
        hedged=said.hedged,
        negated=said.negated,
        span=reading.span(begin + said.first, begin + said.last),
    )
