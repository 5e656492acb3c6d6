"""Sizes that are listed with the order of their dimensions: "Dimensions (W x H x D): 40 x 60 x 30 cm"."""

import re

from spatialreasoner.language.numbers import DIGITS, number
from spatialreasoner.language.quantities import UNITS, Quantity
from spatialreasoner.language.scan import holds, lazily

_NAME = r"[wlhd](?:idth|ength|eight|epth)?"
_UNIT = r"(?:centimet(?:er|re)s?|millimet(?:er|re)s?|met(?:er|re)s?|inch(?:es)?|feet|foot|cm|mm|ft|in|m|\"|')"
_SIZE = rf"~? ?{DIGITS} ?{_UNIT}?"
_LISTED = lazily(
    rf"\b(?P<names>{_NAME}(?: ?[x*/] ?{_NAME}){{1,2}})\b[^\d\n]{{0,24}}?(?P<sizes>{_SIZE}(?: ?(?:x|\*|by) ?{_SIZE}){{1,2}})"
    rf"|\b(?P<first>{_SIZE}(?: ?(?:x|\*|by) ?{_SIZE}){{1,2}}) ?\((?P<behind>{_NAME}(?: ?[x*/] ?{_NAME}){{1,2}})\)"
)
_ONE_NAME = lazily(_NAME)
_ONE_SIZE = lazily(rf"(?P<number>{DIGITS}) ?(?P<unit>{_UNIT})?")


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
    for match in _LISTED.finditer(text):
        group = "sizes" if match["sizes"] else "first"
        names: list[str] = [name[0] for name in _ONE_NAME.findall(match["names"] or match["behind"])]
        sizes: list[re.Match[str]] = list(_ONE_SIZE.finditer(text, *match.span(group)))
        units = [size["unit"] for size in sizes if size["unit"]]
        if len(names) == len(sizes) and kind[0] in names and units:
            one = sizes[names.index(kind[0])]
            return Quantity(value=number(one["number"]) * UNITS[one["unit"] or units[-1]], unit="m", span=one.span())
    return None
