"""Arithmetic and unit conversions in a text, each one checked.

Reads calculations such as "1.2/2 + .2 + 1.4/2 = 1.5 m", "3 x 1.5 m = 4.5 m", "75 + 20 = 95 cm", "half of 4.5 m is 2.25 m",
"4.5 divided by 2 gives 2.25", "sqrt(3^2 + 4^2) = 5", "|0.3 - (-0.4)| = 0.7", "30 % of 2 m is 0.6 m", chains of equalities, and
conversions such as "2 m is 6.6 ft" and "2 m (about 6.6 feet)".

A number without a unit is a factor beside a product sign, and otherwise has the unit of one of its neighbours. A result is
right if it is what comes out up to the rounding of its last digit, or within 1 % (2 % for conversions).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import methodcaller

from spatialreasoner.language.native.making import record_maker
from spatialreasoner.language.quantities import UNITS
from spatialreasoner.language.scan import lazily

MAX_TERMS = 12
"""Operands of one calculation that are read; every pattern is bounded, so the cost is linear in the text."""

_NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,2}(?:\.\d{1,8})?|\d{1,9}(?:\.\d{1,8})?|\.\d{1,8})"
_UNIT = rf"(?:(?:{'|'.join(sorted(filter(str.isalpha, UNITS), key=len, reverse=True))})\b|''|[\"'](?!\w))"
_SQUARED = r"(?: ?\^ ?[23](?!\d)|[²³]| squared)"
_OPENING = r"(?:(?:sqrt|√) ?)?(?:[(|] ?){0,2}"
_TERM = rf"{_OPENING}-?{_NUMBER}(?:[ -]?{_UNIT})?{_SQUARED}?(?: ?[)|]{_SQUARED}?){{0,2}}"
_OPERATOR = r"(?: ?[-+*/x·÷] ?| (?:plus|minus|times|divided by|multiplied by) )"
_ABOUT = r"(?:(?:about|approximately|roughly|around) |~ ?)?"
_IS = "is|equals|gives|makes|is equal to|is equivalent to|corresponds to|converts to"
_EQUALS = rf"(?: ?(?:=|≈|≃) ?|,?(?: which)? (?:{_IS}) ){_ABOUT}"
_RESULT = rf"(?P<result>-?{_NUMBER})(?:[ -]?(?P<unit>{_UNIT}))?(?!\w|[.,]\d| ?[-+*/x·÷] ?\d)"
_SHARE = r"half(?: of)? |twice |double |(?:a|one) (?:third|quarter) of |\d{1,3}(?:\.\d{1,4})? ?(?:%|percent) of "
_CALCULATION = lazily(
    rf"(?<![\w.,])(?P<left>(?P<factor>{_SHARE})?{_TERM}(?:{_OPERATOR}{_TERM}){{0,{MAX_TERMS - 1}}})"
    rf"{_EQUALS}(?={_RESULT})"  # the result stays unread: in "a = b = c" it is the next left side
)
_CONVERSION = lazily(
    rf"(?<![\w.,])(?P<left>{_NUMBER}[ -]?{_UNIT})(?: ?\((?:or |= ?|≈ ?)?|,? (?:or|i\.e\.),? ){_ABOUT}(?={_RESULT})"
)
_NEXT = "(?=[^a-z]|about|appr|rough|arou)"
_LINK = rf"(?: ?[=≈≃]|,?(?: which)? (?:{_IS}) {_NEXT}|,? (?:or|i\.e\.),? | ?\((?:or )?{_NEXT})"
_HINT = lazily(rf"\d(?=[ a-z\"')|²³=≈≃,]) ?(?:[a-z\"']{{1,11}})?[)|²³]{{0,4}}(?: squared)?{_LINK}")
"""Cheap to search for: a number with what is between both sides of an equality. Most texts have none."""

_PIECE = lazily(
    rf"(?P<number>{_NUMBER})(?:[ -]?(?P<unit>{_UNIT}))?"
    r"|(?P<sign>plus|minus|times|divided by|multiplied by|squared|sqrt|\^ ?[23]|[-+*/x·÷()|√²³])"
)
_SIGNS = {
    "plus": "+", "minus": "-", "times": "*", "multiplied by": "*", "divided by": "/", "x": "*", "·": "*", "÷": "/",
    "√": "sqrt", "squared": "²", "^2": "²", "^3": "³", "^ 2": "²", "^ 3": "³",
}  # fmt: skip
_FACTORS = {
    "half": 0.5,
    "twice": 2.0,
    "double": 2.0,
    "a third": 1 / 3,
    "one third": 1 / 3,
    "a quarter": 0.25,
    "one quarter": 0.25,
}
_PLAIN = tuple(zip("×–—−∗’′″”\u00a0", "x---*''\"\" ", strict=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One calculation or conversion.

    Attributes:
        text: What is written.
        span: Its place in the text, (start, end) characters, end exclusive.
        right: Whether it is correct.
        expected: What comes out, in the unit of the written result.
    """

    text: str
    span: tuple[int, int]
    right: bool
    expected: float


def checks(text: str) -> list[Check]:
    """Every calculation and unit conversion of a text that can be read, in order.

    >>> [(check.text, check.right) for check in checks("So 75 + 20 = 95 cm, and 2 m is 7.6 ft.")]
    [('75 + 20 = 95 cm', True), ('2 m is 7.6 ft', False)]
    """
    folded = text
    for mark, plain in () if text.isascii() else _PLAIN:
        folded = folded.replace(mark, plain)
    found = [match for begin, end in _lines(folded) for match in _matches(folded, begin, end)]
    return [check for match in found if (check := _check(match, text)) is not None]


def _lines(folded: str) -> Iterator[tuple[int, int]]:
    """Where the lines are that may hold an equality."""
    end = 0
    while (hint := _HINT.search(folded, end)) is not None:
        begin, end = folded.rfind("\n", 0, hint.start()) + 1, folded.find("\n", hint.end())
        end = len(folded) if end < 0 else end
        yield begin, end


def _matches(folded: str, begin: int, end: int) -> list[re.Match[str]]:
    found = [*_CALCULATION.finditer(folded, begin, end), *_CONVERSION.finditer(folded, begin, end)]
    return sorted(found, key=methodcaller("start")) if len(found) > 1 else found


def _check(match: re.Match[str], text: str) -> Check | None:
    factor = match["factor"] if "factor" in match.re.groupindex else None  # a conversion has none
    checked = evaluated(match["left"], factor or "", match["result"], match["unit"] or "")
    if checked is None:
        return None
    start, end = match.start(), match.end("unit" if match["unit"] else "result")
    return record_maker(Check)(text[start:end], (start, end), *checked)


@lru_cache(maxsize=1 << 10)
def evaluated(left: str, factor: str, result: str, unit_name: str) -> tuple[bool, float] | None:
    """Whether an equality is right, and what comes out; None if it calculates nothing."""
    pieces = list(_pieces(left[len(factor) :]))
    units = {unit for _, unit in pieces if unit is not None}
    unit = UNITS[unit_name] if unit_name else None
    if len(pieces) == 1 and (unit is None or units == {unit} or not units) and not factor:
        return None  # "2 m is 2 m" and "Step 1 is 3" calculate nothing
    stated, times = _number(result), _factor(factor) if factor else 1.0
    assumptions = units if unit is None else units | {unit}
    outcomes = [times * outcome for assumed in assumptions or {1.0} for outcome in _outcomes(pieces, assumed, unit)]
    outcomes = [outcome for outcome in outcomes if math.isfinite(outcome)]
    if not outcomes:
        return None
    share = 0.01 if len(pieces) > 1 or times != 1.0 else 0.02
    expected = min(outcomes, key=lambda outcome: abs(outcome - stated))
    return abs(expected - stated) <= max(share * abs(expected), 0.5001 * _last_digit(result)), expected


def _factor(words: str) -> float:
    """The number that a share stands for: "half of ", "30 % of "."""
    share = words.strip().removesuffix(" of").strip()
    return _FACTORS[share] if share in _FACTORS else float(share.removesuffix("%").removesuffix("percent")) / 100


def _pieces(left: str) -> Iterator[tuple[float | str, float | None]]:
    """Numbers with their unit in metres (None if there is none), and signs."""
    for match in _PIECE.finditer(left):
        number, unit, sign = match.group("number", "unit", "sign")
        if number:
            yield _number(number), UNITS[unit] if unit else None
        else:
            yield _SIGNS.get(sign, sign), None


def _outcomes(pieces: list[tuple[float | str, float | None]], assumed: float, unit: float | None) -> Iterator[float]:
    """What comes out in the unit of the result, where numbers without a unit that are added to lengths have the assumed one."""
    try:
        value, power = _Reader(pieces, assumed).read()
    except (ValueError, ZeroDivisionError, OverflowError):
        return
    if power == 0 or (power > 1 and unit is not None):
        yield value  # an area or a volume with the unit of a length: the unit's own power is not written out
    elif power > 0:
        yield value / (unit or assumed) ** power


class _Reader:
    """Evaluates a calculation by recursive descent; a value is a number and the power of metres it carries."""

    def __init__(self, pieces: list[tuple[float | str, float | None]], assumed: float) -> None:
        self.pieces = pieces
        self.assumed = assumed
        self.place = 0

    def read(self) -> tuple[float, int]:
        value = self._sum()
        if self.place < len(self.pieces):
            raise ValueError("a bracket without its other half")
        return value

    def _sum(self) -> tuple[float, int]:
        value, power = self._product()
        while self._next() in ("+", "-"):
            sign = 1.0 if self._take() == "+" else -1.0
            other, other_power = self._product()
            if power != other_power:  # a bare number beside a length is a length
                value, other = value * self.assumed ** (power == 0), other * self.assumed ** (other_power == 0)
                power = max(power, other_power)
            value += sign * other
        return value, power

    def _product(self) -> tuple[float, int]:
        value, power = self._power()
        while self._next() in ("*", "/"):
            sign = self._take()
            other, other_power = self._power()
            value, power = (value * other, power + other_power) if sign == "*" else (value / other, power - other_power)
        return value, power

    def _power(self) -> tuple[float, int]:
        value, power = self._term()
        while self._next() in ("²", "³"):
            exponent = 2 if self._take() == "²" else 3
            value, power = value**exponent, power * exponent
        return value, power

    def _term(self) -> tuple[float, int]:
        taken = self._take()
        if taken == "-":
            value, power = self._power()
            return -value, power
        if taken == "sqrt":
            value, power = self._term()
            return math.sqrt(value), power // 2
        if taken in ("(", "|"):
            value, power = self._sum()
            if self._take() != (")" if taken == "(" else "|"):
                raise ValueError("a bracket without its other half")
            return (value, power) if taken == "(" else (abs(value), power)
        if isinstance(taken, str):
            raise ValueError("a sign where a number should be")
        unit = self.pieces[self.place - 1][1]
        return (taken, 0) if unit is None else (taken * unit, 1)

    def _next(self) -> float | str | None:
        return self.pieces[self.place][0] if self.place < len(self.pieces) else None

    def _take(self) -> float | str:
        self.place += 1
        return self.pieces[self.place - 1][0] if self.place <= len(self.pieces) else "the end"


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def _last_digit(text: str) -> float:
    """What one unit of a number's last digit is worth.

    >>> _last_digit("95"), _last_digit("2.25")
    (1.0, 0.01)
    """
    return 10.0 ** -len(text.partition(".")[2])
