"""Sizes that are listed with the order of their dimensions: "Dimensions (W x H x D): 40 x 60 x 30 cm"."""

import re

from spatialreasoner.language.quantities import UNITS, Quantity
from spatialreasoner.language.scan import holds, lazily

_NAME = r"[wlhd](?:idth|ength|eight|epth)?"
_UNIT = r"(?:(?:centi|milli)?met(?:er|re)s?|inch(?:es)?|feet|foot|[cm]m|ft|in|m|\"|')"
_NUMBER = r"\d{1,4}(?:\.\d{1,3})?"
_SIZES = rf"~? ?{_NUMBER} ?{_UNIT}?(?: ?(?:x|\*|by) ?~? ?{_NUMBER} ?{_UNIT}?){{1,2}}"
_NAMES = rf"{_NAME}(?: ?[x*/] ?{_NAME}){{1,2}}"
_LISTED = lazily(rf"\b(?P<names>{_NAMES})\b[^\d\n]{{0,24}}?(?P<sizes>{_SIZES})")
_BEHIND = lazily(rf"(?P<sizes>{_SIZES}) ?\((?P<names>{_NAMES})\)")
_ONE_NAME = lazily(_NAME)
_ONE_SIZE = lazily(rf"(?P<number>{_NUMBER}) ?(?P<unit>{_UNIT})?")


def listed_size(kind: str, text: str) -> Quantity | None:
    """The width or the height that a folded text lists so; None if it lists none.

    Args:
        kind: "width" or "height".
        text: The text.

    >>> listed_size("height", "dimensions (w x h x d): 40 x 60 x 30 cm").value
    0.6
    """
    if not holds(text, (" x ", "xh", "xd", "xw", "*")):
        return None
    for match in (*_LISTED.finditer(text), *_BEHIND.finditer(text)):
        names: list[str] = [name[0] for name in _ONE_NAME.findall(match["names"])]
        sizes: list[re.Match[str]] = list(_ONE_SIZE.finditer(text, *match.span("sizes")))
        units = [size["unit"] for size in sizes if size["unit"]]
        if len(names) == len(sizes) and kind[0] in names and units:
            one = sizes[names.index(kind[0])]
            return Quantity(value=float(one["number"]) * UNITS[one["unit"] or units[-1]], unit="m", span=one.span())
    return None
