"""Lengths, clock hours and bare numbers in running text, each with its place.

Reads "1.5 m", "5 ft 11 in", "three quarters of a metre", "a foot and a half", "between 2 and 3 feet", "1.2e2 cm",
"$1.5$ meters" and "three o'clock". One compiled pattern finds them; every repetition in it is bounded, so the cost is linear
in the text.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Literal, NamedTuple

from spatialreasoner.language.numbers import BEGINS, DIGITS, NUMBER, PARTS, SMALL, START, TENS, WORDS, number
from spatialreasoner.language.scan import lazily

_SPELLINGS: Mapping[float, str] = {
    1.0: "m meter meters metre metres mtr mtrs mts",
    0.1: "dm decimeter decimeters decimetre decimetres",
    0.01: "cm cms centimeter centimeters centimetre centimetres",
    0.001: "mm millimeter millimeters millimetre millimetres",
    1000.0: "km kms kilometer kilometers kilometre kilometres",
    0.0254: "in inch inches \" ''",
    0.3048: "ft foot feet '",
    0.9144: "yd yds yard yards",
    1609.344: "mile miles",
}
UNITS: Mapping[str, float] = {name: metres for metres, names in _SPELLINGS.items() for name in names.split()}
"""Metres in one unit, by spelling. A table, not pint: importing pint costs 0.3 s, a fifth of what scoring a whole
benchmark may take. A test holds the table to pint."""

_COARSE = frozenset(("m", "meter", "meters", "metre", "metres", "ft", "foot", "feet", "yard", "yards"))
_FINE = frozenset(("in", "inch", "inches", "cm", "centimeter", "centimeters", "centimetre", "centimetres"))

_TYPOGRAPHY = {
    "’": "'", "‘": "'", "′": "'", "`": "'", "″": '"', "“": '"', "”": '"',
    "–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-",
    "×": "x", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "≈": "~", "∼": "~",
}  # fmt: skip
_FACES = "\U0001d400"
"""The first letter of those that mathematics sets in a face of their own."""
_PRIVATE = range(0xE000, 0xE004)
"""Characters that mean nothing."""
_MARKS = (*_TYPOGRAPHY.items(), *((chr(mark), " ") for mark in _PRIVATE))
_FOREIGN = lazily(r"[^\x00-\x7f]+")
_LOWER = {c: c + 32 for c in range(ord("A"), ord("Z") + 1)}

# Between a number and its unit may be blanks, a hyphen, markdown emphasis or LaTeX: "2-metre", "**2** m", "$2\,\text{m}$".
_GAP = r"(?:[ *_$~({\]-]|\\[,;: )]|\\?(?:text|mathrm|,)\{ ?){0,4}"
_LONG = "|".join(sorted((u for u in UNITS if len(u) > 1 and u.isalpha() and u != "in"), key=len, reverse=True))
_UNIT = (
    rf"(?=[mcdkfyio\"'])(?:(?:{_LONG})\b|'?o ?'? ?clock\b|m(?![\w'])|m(?=\d\d\b)|ft(?=\d{{1,2}}\b)"
    r"|in\b(?! (?:the|an?|total|this|that|these|those|front|which|order|each|my|our|their|its?|terms|all|both|step|region"
    r"|image|relation|comparison|between|width|height|depth|breadth|length|size|distance|horizontal|vertical|<region|met|fe"
    r"|inc|cent|red\b|green\b|blue\b|yellow\b|white\b|black\b))"
    r"|''|[\"'](?!\w))"
)
_LINK = r" ?(?:-|~| to | or | and | up to |, ?(?=\d{1,6}(?:\.\d{1,9})?\])) ?(?:about )?"
_PATTERN = lazily(
    rf"{START}(?:(?P<low>{NUMBER}){_GAP}(?P<low_unit>{_UNIT})?\.?(?P<link>{_LINK}))?"
    rf"(?P<value>{NUMBER})(?: \(\d{{1,4}}(?:\.\d{{1,3}})?\)(?= [a-z]))?(?: ?(?:±"
    rf"|\+/-) ?{DIGITS})?{_GAP}+(?P<unit>{_UNIT}|'(?= ?\d{{1,2}}(?:\"|''|\b)))"
    rf"(?P<tail>(?:[.,]{{0,2}} (?:and )?| ?)(?:{DIGITS}|{SMALL}) ?(?:cm|centimet(?:er|re)s?|inch(?:es)?|in\b|''|\")"
    rf"|(?<=foot)[ -](?:\d|1[01]|{SMALL})\b|(?<=ft) (?:\d|1[01])\b(?! ?(?:[x%/]|by|to|m|cm|mm|km|ft|feet|foot|yards?"
    rf"|times)\b)"
    rf"|(?<=[fm]t|\dm)\d{{1,2}}\b|(?<= m) \d\d(?= (?:tall|high|wide|apart|away)\b|\W{{0,4}}$)|(?<=meter"
    rf"|metre) (?:{TENS}|\d\d)\b(?! ?(?:[x%]|m|cm|mm|centi|times))"
    r"| and a (?:half|quarter))?"
)
_BEGINS = lazily(BEGINS)
_BARE = lazily(rf"{START}(?<![<\[#])(?P<value>(?>{DIGITS}|(?:{WORDS})\b))(?![\w\]>]|\.\d)")
_NOT_BARE = lazily(r"(?:regions?|objects?|steps?|marks?|masks?|numbers?|no\.) ?[\[<(#]?$")


class Quantity(NamedTuple):
    """A number found in a text.

    Attributes:
        value: Metres, an hour 1..12, or a plain number.
        unit: "m", "hour", or None for a plain number.
        span: Its place in the text, (start, end) characters, end exclusive.
        high: Upper end where a range is stated ("2 to 3 m"), else None; `value` is then the lower end.
    """

    value: float
    unit: Literal["m", "hour"] | None
    span: tuple[int, int]
    high: float | None = None

    @property
    def middle(self) -> float:
        """The value, or the middle of the range (of hours: around the circle)."""
        if self.high is None:
            return self.value
        if self.unit == "hour" and self.high < self.value:
            return (self.value + self.high + 12) / 2 % 12 or 12.0
        return (self.value + self.high) / 2


@cache
def _faces() -> Mapping[int, str]:
    """The plain form of Latin letters and digits in a face of their own, such as an italic x."""
    plain = {code: unicodedata.normalize("NFKC", chr(code)) for code in range(ord(_FACES), ord(_FACES) + 0x400)}
    return {code: form for code, form in plain.items() if form.isascii()}


def fold(text: str) -> str:
    """Lower-case ASCII letters and plain quotes, dashes and blanks, character for character: offsets stay true."""
    if text.isascii():
        return text.lower()
    for mark, plain in _MARKS:  # a table for `translate` takes ten times as long
        text = text.replace(mark, plain)
    if not text.isascii() and max(text) >= _FACES:
        text = text.translate(_faces())
    lowered = text.lower()
    return lowered if text.isascii() or _FOREIGN.findall(lowered) == _FOREIGN.findall(text) else text.translate(_LOWER)


_CJK_UNIT = lazily(r"\d ?(?:米|厘米|公分|毫米|公里|英尺|英寸)")
_CJK_UNITS = {"厘米": "cm", "公分": "cm", "毫米": "mm", "公里": "km", "英尺": "ft", "英寸": "in", "米": "m"}
_CJK = lazily(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")


def _in_latin(text: str) -> str:
    """A text of the same length with Chinese units in Latin letters, and blanks for the other Chinese characters."""
    for name, unit in _CJK_UNITS.items():
        text = text.replace(name, unit)
    return _CJK.sub(" ", text)


@lru_cache(maxsize=64)  # rules ask for those of one text several times
def find_quantities(text: str) -> tuple[Quantity, ...]:
    """Lengths (in metres) and clock hours of a text, in order.

    >>> [(q.value, q.unit) for q in find_quantities("It is three quarters of a metre wide, at 4 o'clock.")]
    [(0.75, 'm'), (4.0, 'hour')]
    """
    padded = " " + fold(text)
    if _BEGINS.search(padded) is None:
        return ()
    if not padded.isascii() and _CJK_UNIT.search(padded):
        padded = _in_latin(padded)
    found: list[Quantity] = []
    for match in _PATTERN.finditer(padded):
        found += _read(match, padded)
    return tuple(found)


def bare_numbers(text: str) -> list[Quantity]:
    """Numbers of a text, as if none had a unit; numbers of regions and steps are left out.

    >>> [q.value for q in bare_numbers("Step 1: Region [0] is about 2.5")]
    [2.5]
    """
    padded = " " + fold(text)
    return [
        Quantity(value=number(match["value"]), unit=None, span=(match.start(), match.end() - 1))
        for match in _BARE.finditer(padded)
        if not _NOT_BARE.search(padded, max(0, match.start() - 12), match.start() + 1)
    ]


_IN_SOMETHING = lazily(r" (?!(?:wide|tall|high|long|deep|apart|away|across|thick)\b)[a-z]")


def _read(match: re.Match[str], padded: str) -> list[Quantity]:
    """The quantities of one match: one, or two where what looked like a range is not one.

    Matches begin with the character before the number, and the text with a blank: the two cancel out at the start.
    """
    low, low_unit, link, value, unit, tail = match.groups()  # low, low_unit, link, value, unit, tail
    begin, end = match.span()
    span = begin, end - 1
    if unit in ('"', "'") and padded[begin] == unit:
        return []  # a quoted number, as in JSON
    if unit == "in" and value[0].isalpha() and _IN_SOMETHING.match(padded, end):
        return []  # "two boxes, one in red"
    last = _quantity(value, unit, span if low is None else (match.start("value") - 1, span[1]), tail)
    if last is None or low is None:
        return [] if last is None else [last]
    if not low_unit and _NOT_BARE.search(padded, max(0, span[0] - 12), span[0] + 1):
        return [last]  # "Region 1 - 2 m" counts regions
    first = _quantity(low, low_unit or unit, (span[0], match.end("low_unit" if low_unit else "low") - 1))
    if first is None:
        return [last]
    link = link.strip()
    if link == "," and padded[span[0]] != "[":
        return [last]
    if _is_range(first, last, link, padded[max(0, span[0] - 16) : span[0] + 1], padded[match.end() : match.end() + 3]):
        return [Quantity(value=first.value, high=last.value, unit=first.unit, span=span)]
    if low_unit in _COARSE and unit in _FINE and link == "and":
        return [Quantity(value=first.value + last.value, unit="m", span=span)]  # "4 feet and 2 inches"
    if link == "or" and first.unit == last.unit and abs(first.value - last.value) <= 0.05 * last.value:
        return [Quantity(value=first.value, unit=first.unit, span=span)]  # "2 m or 6.6 ft" says it twice
    return [first, last] if low_unit else [last]


def _is_range(first: Quantity, last: Quantity, link: str, before: str, after: str) -> bool:
    """Whether two numbers are ends of one range and not, say, a subtraction or two sizes."""
    if first.unit != last.unit or (link.startswith("and") and "between" not in before) or "=" in after:
        return False
    if first.unit == "hour":
        return (last.value - first.value) % 12 in (1, 2)
    return first.value < last.value * (0.95 if link.startswith("or") else 1)


def _quantity(digits: str, unit: str, span: tuple[int, int], tail: str | None = None) -> Quantity | None:
    """One number with its unit, or None if there is no such hour or the number is not one."""
    value = number(digits)
    metres = UNITS.get(unit)
    if metres is None:  # o'clock
        hour = 12.0 if value == 0 else value
        return Quantity(value=hour, unit="hour", span=span) if hour in range(1, 13) else None
    more = _tail(tail, metres) if tail and value.is_integer() else 0.0  # "three quarters of a meter, 75 cm" says it twice
    return Quantity(value * metres + (more if more < metres else 0.0), "m", span)


_COUNT = lazily(rf"{DIGITS}|{SMALL}")


def _tail(tail: str, metres: float) -> float:
    """Metres of what follows a length: "5 feet 11 inches", "a foot and a half", "1m80", "one meter eighty"."""
    words = tail.strip(" .,-").removeprefix("and ").strip()
    part = words.rpartition(" ")[2]
    if part in PARTS:
        return PARTS[part] * metres
    match = _COUNT.match(words)
    unit = words[match.end() :].strip() if match else ""
    implied = "cm" if metres == 1.0 else "in"
    return number(match.group()) * UNITS[unit or implied] if match else 0.0
