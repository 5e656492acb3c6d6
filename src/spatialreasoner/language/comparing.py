"""More comparisons in other words, and regions that are named at length: "The sofa, Region 1," is Region 1."""

import re
from collections.abc import Callable, Mapping

from spatialreasoner.language.declining import EXACTLY
from spatialreasoner.language.scan import holds, lazily, words_in

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


_CLEFT_OF_THING = lazily(
    r"\bit(?:'s| is) (?=the other (?:(?:one|region|object) )?(?:that|which|who) |the (?:(?!other\b|one\b|object|region"
    r"|first|second|former|latter|\w{2,}er\b)[a-z-]+ ){1,3}(?:that|which|who) )"
)
"""It's the fan that is over the table: the fan is."""
_LABELLED = lazily(
    r"\b(?P<one>(?!answer|number|either|neither|other|whether|together|order)(?:\w{2,}er|\w+most))(?: one| region| object)?: "
    r"(?=<region\d>\W*(?:$|\n|\())"
)
"""Wider: A."""
_LEANS = lazily(r"\bi(?:'d| would)? lean(?:ing)? towards? (?=<region\d> being\b)")
_NAMES_ONE = lazily(r"\b(?P<one>the \w{2,}er(?: one| region| object| of the two)?)\? (?=<region\d>[.!]?(?:\s|$))")
"""The taller one? A."""
_NOUN_IN = lazily(
    rf"\b(?:the|an?) (?:{_WORD}){{1,4}}(?:shown |seen |highlighted |marked |depicted |located )?(?:in|within) (?=<region\d>)"
)
_MARKED_AS = lazily(
    rf"\b(?:the|an?) (?:{_WORD}){{0,3}}[a-z-]{{1,20}},? (?:which|that) is (?:marked|labell?ed|highlighted|shown|denoted"
    r"|indicated|identified|outlined) (?:as|by|in|with) (?P<region><region\d>),?"
)
_BY_IT = lazily(
    r"(?P<said><region(?P<of>[12])>(?: \w+){1,4} (?:by|behind|of|than|over|beside|into|inside) )(?:it|the other(?: one"
    r"| region| object)?)"
    r"(?=\W|$)"
)
"""A is hidden by it: by the other region."""
_BY_IT_HINTS = words_in(" by it", "behind it", " of it", "than it", "over it", "into it", "inside it", " the other")
_TO_REGION = lazily(r"\bdistance from (?:the )?(?P<camera>camera|viewer|observer|photographer) to (?P<region><region\d>)")
_FROM_CAMERA_HINTS = words_in("camera to <", "viewer to <", "server to <", "grapher to <")
_SAYS_NOTHING = lazily(
    r"\bin (?:reality|real life|real(?:[- ]world)? (?:terms|life|size)|(?:both|either|any|all) cases?),? "
    r"|\bwhat (?:i|we|you|one) can (?:say|tell|see|confirm|observe)(?: for sure| with certainty)? is(?: that)?:? "
)
_SAYS_NOTHING_HINTS = words_in("in real", " case", "what ")
_OF_TWO = lazily(
    r"^\W*(?:among|between|of|out of) (?:the |these )?two(?: regions| objects)?, "
    r"| (?<=\w )(?:of|out of|among|between) (?:the |these )?two (?:regions|objects|items|things|boxes)\b"
)
_OR_ALIGNED = lazily(rf" or {EXACTLY}(?:aligned|level|in line|even|flush) with(?= <region)")
"""Beside a relation it denies the converse, too: "to the left of or directly aligned with B"."""
_WHICH_MEANS = lazily(
    r", (?:which )?(?:indicat(?:es|ing)|suggest(?:s|ing)|mean(?:s|ing)|show(?:s|ing)|impl(?:ies|ying)) that (?=the [a-z])"
)
"""In front of a new subject: "A is hidden by B, which means that the car is in front"."""
_OF_BOTH = lazily(
    r"\b(?P<one>\w{2,}(?:er|est)(?: (?:one|region|object))?) (?:of|between|among) <region\d> (?:and|or) <region\d>"
    r"(?=,? (?:is|would|must|seems|appears)\b)"
)


def with_short_names(text: str) -> str:
    """A folded text in canonical names in which a region is just its name: "the bus in <region1>", "<region2>, a sofa, is"."""
    text = _APPOSED.sub(r"<region\g<region>>", text) if ">, " in text else text
    text = _NAMED.sub(r"<region\g<region>>", text) if ", <region" in text else text
    if _BY_IT_HINTS.search(text):
        text = _BY_IT.sub(lambda match: f"{match['said']}<region{3 - int(match['of'])}>", text)
    return _IN.sub(r"<region\g<region>>", text)


def with_region_names(text: str) -> str:
    """A folded text in canonical names in which "the person in <region1>" is just `<region1>`.

    "The distance from the camera to <region1>" is "the distance of <region1> from the camera".
    """
    if "distance" in text and _FROM_CAMERA_HINTS.search(text):
        text = _TO_REGION.sub(r"distance of \g<region> from the \g<camera>", text)
    if holds(text, ("ed as <region", "ed by <region", "ed in <region")):
        text = _MARKED_AS.sub(r"\g<region>", text)
    return _NOUN_IN.sub("", text) if "in <region" in text else text


def without_clefts(text: str) -> str:
    """A folded text in which "it is A that is bigger, not B" is "A is bigger", and "the bigger of A and B" that of the two.

    What says nothing of the regions is left out: "in reality", "what I can say is that".
    """
    if _SAYS_NOTHING_HINTS.search(text):
        text = _SAYS_NOTHING.sub("", text)
    if " two" in text:
        text = _OF_TWO.sub("", text)
    if " with <region" in text:
        text = _OR_ALIGNED.sub("", text)
    if "that the " in text:
        text = _WHICH_MEANS.sub(". ", text)
    if "> and <" in text or "> or <" in text:
        text = _OF_BOTH.sub(r"\g<one> of the two", text)
    if ": <region" in text:
        text = _LABELLED.sub(r". the \g<one> is ", text)
    if "lean" in text:
        text = _LEANS.sub("i think ", text)
    if "? <" in text:
        text = _NAMES_ONE.sub(r"\g<one> is ", text)
    if not holds(text, ("it's ", "it is ")):
        return text
    text = _CLEFT_OF_THING.sub("", text)
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
    for first in (_FIRST, _NOTHING):
        found += [(one, 3 - one) for match in first.finditer(sentence) if (one := int(match["a"]))]
    return found


_NOTHING = lazily(
    r"\bnothing (?:\w+ ){0,2}between (?:the )?(?:camera|viewer|observer|photographer|us|me|lens) and <region(?P<a>\d)>"
)
_COMES_FIRST = lazily(
    r"<region(?P<a>\d)> (?:comes|is|appears|is seen|is met)(?: up)? first (?:when |if |in |on )?(?:you |one |we )?"
    r"(?:go|going|read|reading|look|looking|scan|scanning|mov|moving|order)?(?:e|ing)? ?(?:from )?"
    r"(?P<from>left|right|top|bottom) to (?:right|left|bottom|top)\b"
)


_FOLLOWED = lazily(
    r"<region(?P<a>\d)> (?:is followed by|comes before|precedes|is before) <region\d>[^.;<]{0,40}? from "
    r"(?P<from>left|right|top|bottom) to (?:right|left|bottom|top)\b"
)


def first_from(sentence: str) -> list[tuple[int, str]]:
    """Which region comes first, and from where: "A comes first when going from left to right"."""
    return [(int(match["a"]), match["from"]) for first in (_COMES_FIRST, _FOLLOWED) for match in first.finditer(sentence)]


_SAME = lazily(
    r"\b(?:(?:same|equal|identical|similar|comparable|matching) (?:horizontal |vertical )?(?:heights?|widths?|sizes?"
    r"|levels?|depths?"
    r"|distances?|positions?|dimensions?|elevations?)|equally (?:tall|wide|big|large|high|far|close|near|thin|short|small)"
    r"|identical|no \w{0,12} ?differences? (?:in|between)|equal in (?:height|width|size|depth|level|breadth|volume)"
    r"|level with each other|neither (?:one |of them |of the two )?is (?:really |clearly |noticeably )?"
    r"(?:taller|shorter|wider|thinner|narrower|bigger|larger|smaller|above|below|higher|lower|in front|behind|closer"
    r"|to the))\b"
    r"|\b(?<!not )(?<!not quite )(?<!not nearly )(?<!n't )(?<!n't quite )as (?:tall|wide|big|large|high|short"
    r"|thin|small|far) as <region\d>"
)
_MEASURES = lazily(
    r"height|width|size|volume|depth|distance|level|tall|wide|big|large|high|low|far|close|near|thin|short|small|breadth"
)
_SAME_AS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("tall", "short"), ("height", "tall", "high", "short", "size", "level")),
    **dict.fromkeys(("wide", "thin"), ("width", "wide", "thin", "size", "breadth")),
    **dict.fromkeys(("big", "small"), ("size", "volume", "big", "large", "small")),
    **dict.fromkeys(("above", "below"), ("height", "level", "high", "low")),
    **dict.fromkeys(("front", "behind"), ("depth", "distance", "far", "close", "near", "level")),
}
"""By what two regions are the same where neither is more of what is asked; for other relations, by anything."""


def says_equal(relation: str, text: str) -> bool:
    """Whether a folded text says that two regions are equal in what a relation compares.

    >>> says_equal("wide", "both have the same height"), says_equal("wide", "both have the same width")
    (False, True)
    """
    found = _SAME.search(text)
    if found is None:
        return False
    measures = set(_MEASURES.findall(found.group()))
    return not measures or relation not in _SAME_AS or not measures.isdisjoint(_SAME_AS[relation])
