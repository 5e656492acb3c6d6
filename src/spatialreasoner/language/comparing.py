"""More comparisons in other words, and regions that are named at length: "The sofa, Region 1," is Region 1."""

import re
from collections.abc import Callable

from spatialreasoner.language.scan import holds, lazily

_A, _B = r"<region(?P<a>\d)>(?:'s)?", r"(?:that of |those of |the \w+ of )?<region(?P<b>\d)>"
_WORD = r"(?!(?:than|is|are|was|and|or|the|an?|to|from|by|with|that|as|of|over|past|in|at|on)\b)[a-z-]{1,20} "
_IN = lazily(
    rf"\b(?:the|an?) (?:{_WORD}){{1,4}}(?:(?:shown |seen |highlighted |marked )?(?:in|inside|within|by)"
    r"|labell?ed(?: as)?|marked(?: as)?|which is|that is) <region(?P<region>\d)>"
)
_APPOSED = lazily(r"<region(?P<region>\d)>, (?:being )?(?:an?|the|his|her|its) [a-z][a-z -]{1,40}(?:,|(?=[;.]|$))")
_NAMED = lazily(rf"\b(?:the|an?) (?:{_WORD}){{0,3}}[a-z-]{{1,20}}, <region(?P<region>\d)>(?:,|(?=[.;]|$))")
_CLEFT = lazily(
    rf"\bit(?:'s| is) (?:(?:the |an? )?(?:{_WORD}){{0,4}})?\(?<region(?P<region>\d)>\)?,? (?:that|which|who) "
    r"(?P<said>[^.;<]{1,40}?)(?:,? (?:and )?(?:not|rather than|instead of) [^.;<]{0,40}\(?<region\d>\)?)?(?=[.;]|$)"
)


_OF_BOTH = lazily(
    r"\b(?P<one>\w{2,}(?:er|est)(?: (?:one|region|object))?) (?:of|between|among) <region\d> (?:and|or) <region\d>"
    r"(?=,? (?:is|would|must|seems|appears)\b)"
)


def with_short_names(text: str) -> str:
    """A folded text in canonical names in which a region is just its name: "the bus in <region1>", "<region2>, a sofa, is"."""
    text = _APPOSED.sub(r"<region\g<region>>", text) if ">, " in text else text
    text = _NAMED.sub(r"<region\g<region>>", text) if ", <region" in text else text
    return _IN.sub(r"<region\g<region>>", text)


def without_clefts(text: str) -> str:
    """A folded text in which "it is A that is bigger, not B" is "A is bigger", and "the bigger of A and B" that of the two."""
    if "> and <" in text or "> or <" in text:
        text = _OF_BOTH.sub(r"\g<one> of the two", text)
    if not holds(text, ("it's ", "it is ")):
        return text
    return _CLEFT.sub(r"<region\g<region>> \g<said>", text)


_PASSIVE = lazily(
    rf"{_A} (?:is|gets|has been|looks)(?: (?:clearly|easily|slightly|far|completely))? (?:overshadowed|outclassed|outdone"
    rf"|outsized|outranked|beaten|exceeded|surpassed|topped|overtopped|eclipsed|outmatched)(?: in [a-z]{{4,8}})? by {_B}"
)
_OUTDOES = lazily(rf"{_A}(?: \w+ly)? (?:outspans|outclasses|overshadows|eclipses|overtops|outreaches|outranks) {_B}")
_HIGH_TO = lazily(
    rf"{_A} (?:is )?(?:only |just |barely |about )?(?:knee|waist|chest|shoulder|hip|ankle)[- ](?:high|deep|height)"
    rf" (?:to|compared (?:to|with)|next to|on|beside) {_B}"
)
_REACHES = lazily(
    rf"{_A}(?: \w+ly)? (?:extends|spans|stretches|reaches|spreads|goes|rises)(?: much| far| a bit| slightly| a little)? "
    rf"(?:further|farther|wider|longer|more|higher)(?: (?:out|across|sideways|horizontally|vertically|up|upwards))? than {_B}"
)
_PUTS = lazily(
    r"\b(?:put|place|fit|squeeze|stuff|pack) (?:several|two|three|many|a few|multiple|dozens|lots|more than one)"
    rf"(?: copies| pieces)? ?(?:of )?(?:the )?{_A}s? (?:into|in|inside|within) {_B}"
)

COMPARING: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], bool | None]], ...] = (
    (_PASSIVE, lambda match: True),
    (_OUTDOES, lambda match: False),
    (_HIGH_TO, lambda match: True),
    (_REACHES, lambda match: False),
    (_PUTS, lambda match: True),
)
"""Patterns that compare two regions, and whether the second is the greater one."""

WORDS_OF = {
    "height": frozenset(("tall", "high", "towering", "short", "low", "stubby")),
    "width": frozenset(("wide", "broad", "narrow", "thin", "slim")),
}
"""What adjectives measure, where it is one dimension."""

_BEYOND = lazily(
    rf"{_A} (?:is|lies|sits|stands|appears|hangs)(?: located| positioned| placed)?(?: just| right| well| far)? beyond {_B}"
)
_DEPTH = lazily(
    r"<region(?P<a>\d)> (?:has|shows) (?:the |an? )?(?:\w+ly )?(?P<how>greater|larger|higher|bigger|smaller|lower|lesser) "
    r"(?:depth|z)\b(?: values?)?"
)
_NEARNESS = lazily(
    r"<region(?P<a>\d)> (?:is|stands|sits|lies|appears)(?: (?:located|positioned|placed|right|very|quite|rather"
    r"|much)){0,2} (?:"
    r"(?P<near>(?:close|near|next)(?: to)?(?: the)? (?:camera|viewer|observer|us))|in the distance|far (?:away|off)"
    r"|far from (?:the )?(?:camera|viewer|observer|us))\b"
)
_FIRST = lazily(
    r"\b(?:bump into|reach|meet|encounter|hit|run into|get to|arrive at|pass) (?:the )?<region(?P<a>\d)> (?:first|before)\b"
)


def depths(sentence: str) -> list[tuple[int, int]]:
    """Pairs of regions, the one in front first."""
    found = [(int(match["b"]), int(match["a"])) for match in _BEYOND.finditer(sentence)]
    for match in _DEPTH.finditer(sentence):
        one = int(match["a"])
        found.append((one, 3 - one) if match["how"] in ("smaller", "lower", "lesser") else (3 - one, one))
    for match in _NEARNESS.finditer(sentence):
        one = int(match["a"])
        found.append((one, 3 - one) if match["near"] else (3 - one, one))
    found += [(one, 3 - one) for match in _FIRST.finditer(sentence) if (one := int(match["a"]))]
    return found


_COMES_FIRST = lazily(
    r"<region(?P<a>\d)> (?:comes|is|appears|is seen|is met)(?: up)? first (?:when |if |in |on )?(?:you |one |we )?"
    r"(?:go|going|read|reading|look|looking|scan|scanning|mov|moving|order)?(?:e|ing)? ?(?:from )?"
    r"(?P<from>left|right|top|bottom) to (?:right|left|bottom|top)\b"
)


def first_from(sentence: str) -> list[tuple[int, str]]:
    """Which region comes first, and from where: "A comes first when going from left to right"."""
    return [(int(match["a"]), match["from"]) for match in _COMES_FIRST.finditer(sentence)]
