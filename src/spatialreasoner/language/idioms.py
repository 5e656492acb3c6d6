"""Comparisons in other words than "taller" or "behind": "Region 1 beats Region 2 in height", "comes up to its shoulders".

They are looked for where a text states no relation outright. Each says which of two regions is the more or the less of what is
asked for, or which is where.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from spatialreasoner.core.types import CONVERSE, Relation
from spatialreasoner.language import comparing
from spatialreasoner.language.scan import lazily, words_in

_CALLED = lazily(
    r"(?:the |an? )?(?:(?!(?:than|is|are|was|and|or|the|an?|to|from|by|with|that|as|of|over"
    r"|past)\b)[a-z-]{1,20} ){1,4}?\(<region(\d)>\)?|<region(\d)> ?\((?![^()]*<region)[^()]{1,60}\)"
)
"""A region with what it shows, on either side of brackets."""
_A, _B = r"<region(?P<a>\d)>(?:'s)?", r"(?:that of |those of |the \w+ of )?<region(?P<b>\d)>"
_WELL = r"(?: (?:easily|clearly|slightly|just|well|far|really|only|still|also|narrowly|comfortably|simply|visibly)){0,2}"
_NOT = (
    r"(?: would| will| should| must)?(?P<not> (?:does not|doesn't|did not|cannot|can't|could not|couldn't|never|fails to"
    r"|is not|isn't))?"
)

_MORE: Mapping[str, tuple[str, int]] = {
    "tall": ("height", 1), "short": ("height", -1), "wide": ("width", 1), "thin": ("width", -1), "big": ("size", 1),
    "small": ("size", -1),
}  # fmt: skip
_DIMENSIONS: Mapping[str, re.Pattern[str]] = {
    "height": lazily(r"\bheight|\btall|\bvertical|\bstature|\bhigh\b"),
    "width": lazily(r"\bwidth|\bwide|\bhorizontal|\bbreadth|\bbroad|\bacross\b|\bside to side"),
    "size": lazily(r"\bsize|\bbig|\blarge|\bvolume|\bbulk"),
}
_SENTENCE_ENDS = lazily(r"(?<=[.!?;])\s+|\n+")
_ON_IMAGE = lazily(r"\b(?:pixels?|of the (?:image|frame|picture|photo|view))\b")

_EXCEEDS = lazily(
    rf"{_A}{_NOT}{_WELL} (?:exceeds?|surpass(?:es)?|beats?|tops?|outdo(?:es)?|outsizes?|outstrips?|outmeasures?|edges? out"
    r"|win(?:s)? (?:out )?(?:over|against)|comes? out (?:ahead of|on top of)|is ahead of|dwarfs?|towers? (?:over"
    r"|above)|(?:rises?|stands?|reach(?:es)?|sticks? out|extends?"
    r"|juts? out)"
    r"(?: well| far)? (?:past|above|beyond|over|higher than|taller than)|ha(?:s|ve) (?:the|an?|some|a few|several) "
    r"[a-z ]{0,30}(?:edge|advantage|lead|upper hand|cent\w+|inch\w*|feet|met\w+)[a-z ]{0,20} (?:over|on))"
    rf"(?: the (?:top|head|height|width|size) of)? {_B}"
)
_TRAILS = lazily(
    rf"{_A}{_WELL} (?:falls? short of|comes? nowhere near|is nowhere near|(?:does not"
    rf"|doesn't) (?:even )?(?:come (?:even )?close|measure up"
    rf"|reach up) to"
    r"|(?:does not|doesn't|cannot|can't|fails to) (?:match|rival|reach|equal|compete with)|is no match for|loses (?:out )?to"
    r"|pales (?:next to"
    r"|beside|before|in comparison (?:to|with))|(?:is|looks|seems|appears) (?:clearly |completely )?dwarfed by"
    r"|(?:(?:doesn't|does not|barely|hardly|scarcely|only|just) (?:even )?reach(?:es)?(?: up)?(?: to)?"
    r"|(?:comes|reaches|goes)(?: up)?(?: only| just| barely)?(?: up)? to) (?:the )?(?:\w+ ){0,2}"
    r"(?:shoulders?|waist|hips?|knees?|chest|belly|middle|ankles?|half|elbows?|neck|thighs?|seat|armrests?)(?: height)? of"
    r"|(?:only |just |barely )?(?:reaches|comes|goes|stands) (?:only |just |about |roughly "
    r"|barely ){0,2}(?:half ?-?way|midway|part ?way)"
    r" (?:up|to)(?: the side of)?"
    r"|(?:could|would|can|might) (?:easily )?fit (?:inside|into|within|in)|is dominated by)"
    rf"(?: the (?:top|height|width|size) of)? {_B}"
)
_BEATEN = lazily(rf"{_A} (?:has|have|had) {_B} (?:beat(?:en)?|outdone|topped)\b")
_FITS = lazily(
    rf"\b(?:could|can|would|might) (?:easily |almost |probably )?fit {_A}(?: (?:twice|thrice|easily|comfortably|several times"
    rf"|\w+ times))? (?:in|into|inside|within)(?: the (?:width|height|size|space|area) of)? {_B}"
)
_NOT_AS = lazily(
    rf"{_A} (?:(?:is|looks|seems|stands) not|isn't|(?:doesn't|does not) (?:look|seem|stand|reach|rise|extend|spread"
    rf"|stretch))(?: (?:quite|nearly|really|at all"
    rf"|even))? as (?P<how>[a-z]+) "
    rf"as {_B}"
)
_MARGIN = lazily(r"\bby an? [a-z]{3,12} margin\b")
"""By a wide margin: that is not a width."""
_TAKES_MORE = lazily(
    rf"{_A}{_WELL} (?:covers|takes up|occupies|spans|stretches over|needs|fills)(?: far| much| a lot"
    rf"| considerably)? (?P<sign>more|less)"
    rf" [^.<]{{0,40}}than {_B}"
)
_AS_FAR = lazily(
    rf"{_A}{_WELL} (?:extends|spans|stretches|reaches|is|measures)(?: about| roughly| nearly| almost| at least| only)* "
    rf"(?P<times>twice|thrice|double|(?:several|many|two|three|four|five|\d{{1,2}}) times|half|a third|a quarter) (?:as|of)? ?"
    rf"(?:far|much|long|big|far across|wide|tall|high)?[^.<]{{0,30}} (?:as|that of|of) {_B}"
)
_SHARE = lazily(
    rf"<region(?P<a>\d)>(?:[^.<;]|\.(?=\d)){{0,50}}?\b(?P<times>twice|thrice|double|(?:several|many|two|three|four|five"
    rf"|\d{{1,2}}(?:\.\d)?) times|half|a (?:small |tiny |mere )?fraction|a third"
    rf"|a quarter|two thirds)(?: of)?(?: the (?:height|width|size)(?: of)?| that of)? {_B}"
)
_NEXT_TO = lazily(
    rf"(?:compared (?:to|with)|next to|beside|relative to|in comparison (?:to|with)|against) {_B},? {_A} (?:is|looks|seems"
    rf"|appears)"
    r"(?: (?:really|very|quite|rather|just|simply|almost|downright))? (?P<how>[a-z]+)"
)
_BESIDE = lazily(
    rf"{_A} (?:is|looks|seems|appears)(?: (?:really|very|quite|rather|just|simply|almost|downright))? (?P<how>[a-z]+)"
    rf" (?:compared (?:to|with)|next to|beside|relative to|in comparison (?:to|with)|against) {_B}"
)
_FRACTIONS = ("half", "a third", "a quarter", "two thirds")
_SMALL = frozenset((
    "tiny", "small", "little", "miniature", "minuscule", "short",
    "low", "narrow", "thin", "slim", "modest", "petite", "compact",
    "stubby",
))  # fmt: skip
_LARGE = frozenset((
    "huge", "large", "big", "giant", "enormous", "massive", "gigantic",
    "vast", "immense", "tall", "high", "wide", "broad", "towering",
    "colossal",
))  # fmt: skip
_ADVANTAGE = lazily(
    rf"{_A}{_WELL} (?:has|holds|takes|wins|enjoys) (?:the )?(?:(?P<plus>height|width|size)[ -]advantage"
    r"|(?:contest|comparison|prize|edge|crown|lead)\b)|<region(?P<wins>\d)> (?:clearly |easily )?(?:comes out (?:ahead"
    r"|on top|first)"
    r"|wins(?: out)?|leads|is ahead|prevails)\b(?! (?:of|over|against))|"
    r"\b(?:advantage|edge)\b[^.<]{0,20} (?:goes to|belongs to|is with|lies with) <region(?P<owner>\d)>"
)

_HAS = lazily(
    r"<region(?P<a>\d)> (?:has|shows|possesses) (?:the|a) (?P<how>bigger|larger|greater|higher|wider|smaller|lesser|lower"
    r"|shorter"
    r"|narrower) (?:size|height|width|volume|breadth|stature)\b"
)
_LESSER = frozenset(("smaller", "lesser", "lower", "shorter", "narrower"))
_OPPOSITE = lazily(
    r"<region(?P<a>\d)> (?:is|looks|appears|seems|shows|features|contains|has) (?:an? |the )?(?:(?:very|quite|rather|fairly"
    r"|really) )?(?P<one>[a-z]+)\b[^<]{0,40}<region(?P<b>\d)>"
    r"(?:,? [a-z ]{1,20},)? (?:is|looks|appears|seems|shows|features|contains|has) (?:an? |the )?(?:(?:very|quite|rather"
    r"|fairly|really) )?(?P<other>[a-z]+)\b"
)
_SIGN = lazily(r"<region(?P<a>\d)>[^<>.;\n]{0,30}?(?P<sign>[<>]) ?[^<>.;\n]{0,30}<region(?P<b>\d)>")
_ORDER = lazily(
    r"\b(?:from )?(?P<from>left|right|top|bottom|front|back|near(?:est)?|close(?:st)?|far(?:thest)?) to (?P<to>left|right"
    r"|top|bottom|front|back"
    r"|near(?:est)?|close(?:st)?|far(?:thest)?)\b[^<\n]{0,60}<region(?P<a>\d)>[^<\n]{0,40}<region(?P<b>\d)>"
)
_ORDERS: Mapping[str, Relation] = {
    "left": "left", "right": "right", "top": "above", "bottom": "below", "front": "front", "back": "behind", "near": "front",
    "clos": "front", "far": "behind",
}  # fmt: skip
_CAMERA = lazily(
    r"\b(?:camera|viewer|observer|photographer|viewpoint) (?:is|stands|seems|appears)(?: to be)?(?: much| slightly| a bit)? "
    r"(?P<how>closer|nearer|farther|further)(?: away)? (?:to|from) <region(?P<a>\d)> than (?:it is )?(?:to "
    r"|from )?<region(?P<b>\d)>"
)

_DEEPER = lazily(
    r"<region(?P<a>\d)> (?:is|sits|stands|lies|appears)[^.<;]{0,40}\b(?P<how>deeper|further|farther|closer|nearer)\b"
    r"(?: (?:back|away|in|into|to|from|toward|towards)\b[^.<;]{0,40})?(?=[.,;!]|$)"
)
_LOOK = lazily(
    r"\b(?:look|mov|go|walk|turn|step|travel|glanc)(?:e|ing)? (?:to the )?(?P<where>down|up|left"
    r"|right)(?:wards?)? (?:from|at|of)"
    r" <region(?P<a>\d)>(?: (?:to (?:see|find|reach|get to|arrive at)|at)"
    r"|,? (?:and )?you(?:'ll| will| would| can)? (?:see|find|reach|get to|come to|arrive at|encounter)) <region(?P<b>\d)>"
)
_LOOKS: Mapping[str, tuple[Relation, Relation]] = {
    "down": ("below", "above"), "up": ("above", "below"), "left": ("left", "right"), "right": ("right", "left"),
}  # fmt: skip

_PAST = lazily(
    r"\b(?:walk|go|move|get|look|see|reach|pass|step)(?:ing)? (?:past|around|over|beyond|by"
    r"|through) <region(?P<a>\d)> (?:first )?to "
    r"(?:reach|get to|see|find|arrive at|touch) <region(?P<b>\d)>"
)
"""Whoever walks past A to reach B finds A in front."""
_HIDES = lazily(
    rf"{_A}{_NOT} (?:partially |partly |slightly |completely |fully )?(?:occludes?|overlaps?|blocks?|hides?|obscures?"
    rf"|covers?(?! more)"
    rf"|obstructs?|is blocking|is hiding|is covering|is occluding)(?: part of| parts of| some of| the view of"
    rf"| a part of)* {_B}"
)
_HIDDEN = lazily(
    rf"{_A}{_NOT} (?:is |seems |appears )?(?:being )?(?:partially |partly |slightly |mostly |completely )?(?:occluded"
    rf"|hidden|blocked"
    rf"|obscured|covered|obstructed|overlapped) (?:from view )?(?:by|behind) {_B}"
)
_BETWEEN = lazily(
    rf"{_A}{_NOT} (?:is |stands |sits |lies |standing |sitting |parked |located |positioned |placed "
    rf"|situated )*(?:in )?between (?:the )?(?:camera|viewer|observer"
    rf"|photographer"
    rf"|us|me|lens)(?:'s position)? and (?:the )?{_B}"
)
_PLACED = lazily(
    r"<region(?P<a>\d)>,? (?:(?:is|are|sits|stands|lies|appears|hangs|rests|seems|to be|resting|standing|lying|sitting"
    r"|located|positioned|placed|situated"
    r"|found|seen"
    r"|mounted|the (?:one|object|region|item)|that(?:'s| is)|clearly|right|here|visible) ){0,4}(?P<where>(?:on|at|near"
    r"|towards?|in|to) "
    r"(?:the )?(?:very |far )?(?:top|bottom|upper (?:part|half|edge|shelf)|lower (?:part|half|edge|shelf)|ceiling"
    r"|floor|ground"
    r"|left|right|foreground|background|front|back|rear|(?:near|far) (?:end|side|edge))|(?:up|down)(?= (?:on|at|in|near|there"
    r"|by)\b)|(?:the )?(?:highest|uppermost|topmost|lowest|bottommost))\b"
    r"(?! (?:of|side|part|end|hand|corner)\b(?! ?(?:of )?the (?:image|frame|picture|scene|photo|wall|room|view)\b))"
)
_WHERE = "foreground|background|top|bottom|upper|lower|front|back|rear"
_LISTED = lazily(
    rf"(?:^|(?<=[\s*.;,(-]))(?=(?P<where>{_WHERE})\s{{0,2}}[:=]\s{{0,2}}(?:the )?<region(?P<a>\d)>)"
    rf"|<region(?=(?P<b>\d)>\s{{0,2}}(?:[:=]\s{{0,2}}(?:the |in the )?|\((?:the |in the )?)(?P<there>{_WHERE})\b(?! of))"
)
"""Foreground: A; B = background."""
_PLACES: Mapping[str, tuple[Relation, Relation]] = {
    "top": ("above", "below"), "upper": ("above", "below"), "ceiling": ("above", "below"), "highest": ("above", "below"),
    "uppermost": ("above", "below"), "topmost": ("above", "below"), "bottom": ("below", "above"), "lower": ("below", "above"),
    "floor": ("below", "above"), "ground": ("below", "above"), "lowest": ("below", "above"), "foreground": ("front", "behind"),
    "front": ("front", "behind"), "back": ("behind", "front"),
    "up": ("above", "below"), "down": ("below", "above"),
    "background": ("behind", "front"), "rear": ("behind", "front"),
    "near end": ("front", "behind"), "near side": ("front", "behind"), "near edge": ("front", "behind"),
    "far end": ("behind", "front"), "far side": ("behind", "front"), "far edge": ("behind", "front"), "left": ("left", "right"),
    "right": ("right", "left"),
}  # fmt: skip


_LONGEST_FIRST = sorted(_PLACES, key=len, reverse=True)  # the foreground is not a ground

_CONCEDED = lazily(
    r"\b(?:(?:al)?though |while |whereas |even though |yes, )?(?:it (?:is|may be|might be|would be|can be|'s)"
    r"|it's) (?:tempting|easy|natural"
    r"|possible|plausible|understandable) to (?:say|think|believe|assume|guess|conclude|claim|see)\b[^.;,\n]{0,120}[.;,]"
    r"|\b(?:one|you|i(?! would say (?:yes|no)\b)|we|some|someone|people|many) (?:might|could|may|would) (?:initially "
    r"|first |be tempted to "
    r"|well )?(?:argue|think|say"
    r"|assume|guess|believe|suppose|expect|claim|conclude|object)\b[^.;,\n]{0,120}(?:[;,]|\.(?= ?\S))(?=.{0,40}(?:\bbut\b"
    r"|\bhowever\b|\byet\b"
    r"|\bactually\b|\bin fact\b|\bin reality\b|n't\b|\bnot\b|\bwrong|\bfalse))"
    r"|\b(?:(?:al)?though|while) (?:i|we|one) (?:can(?:not|'t)|could(?: not|n't)|am (?:not|unable)|do(?: not"
    r"|n't))\b[^.;,\n]{0,120},"
    r"|\byou (?:cannot|can't) miss it\b[:;,.]?|\bit (?:cannot|can't) be (?:denied|disputed|doubted)(?: that)?"
    r"|\bi (?:cannot|can't)"
    r" agree(?=:):|\bi (?:cannot|can't) see any reason to doubt(?: that)?"
    r"|,? if not (?:more so|even )?[a-z]+(?=[.,;!)]|$)"
    r"|\b(?:despite|in spite of|notwithstanding|regardless of)\b[^.;,\n]{0,120}(?:,|(?=[.;\n]|$))",
    re.DOTALL,
)
_CONCEDING_HINTS = words_in(
    "tempt", "easy", "natural", "possible", "plausible", "understand", "might", "could", "may ", "would", "if not ",
    "spite", "though i", "while i", "though we", "while we", "though one", "while one", "miss it", "be denied",
    "be disputed", "be doubted", "to doubt", "agree:", "notwithstanding", "regardless", "to call", "to describe",
    "to label", "to consider", "to regard", "to term",
)  # fmt: skip
_RATHER = lazily(
    r"\b(?:is not|isn't|'s not) (?:the )?<region\d>[;,.]? (?:but|rather|instead,?|it(?:'s| is)(?: rather)?)"
    r" (?:the )?(?P<kept><region\d>)"
)
"""The bigger of the two is not A; it is B."""
_MISCALLED = lazily(
    r"\bit(?: is| would be|'s|'d be) (?:a stretch|wrong|inaccurate|incorrect|misleading|an exaggeration|a mistake|an error"
    r"|far-fetched) to (?:call|describe|label|consider|regard|term) (?P<region><region\d>)(?: as)?(?= )"
)
"""It would be a stretch to call A bigger: A is not bigger."""


_ASKED = lazily(r"\b(?:whether|if (?=<region)|wonder|asking|asked)\b[^.;,\n]*")
"""What is asked or supposed is not stated."""


def without_concessions(text: str) -> str:
    """A folded text without what it only concedes: "It is tempting to say A, ...", "as tall as B, if not taller"."""
    if "not <region" in text or "n't <region" in text:
        text = _RATHER.sub(r"is \g<kept>", text)
    if _CONCEDING_HINTS.search(text) is None:
        return text
    return _MISCALLED.sub(r"\g<region> is not", _CONCEDED.sub("", text)).strip()


def chosen_by_idiom(relation: Relation, text: str) -> int | None:
    """The number of the region of which a relation holds, by such words; None if none are said, or both ways.

    Args:
        relation: The asked relation, between two regions.
        text: A folded text in canonical names.

    >>> chosen_by_idiom("tall", "<region2> comes up only to the shoulders of <region1>.")
    1
    """
    text = _MARGIN.sub("", text) if "margin" in text else text
    bare = _ASKED.sub("", _CALLED.sub(lambda match: f"<region{match[1] or match[2]}>", text))
    bare = comparing.with_short_names(bare)
    found: set[int] = set()
    for sentence in _SENTENCE_ENDS.split(bare):
        found.update(_sizes(relation, sentence) if relation in _MORE else _positions(relation, sentence))
    if not found:
        found.update(_ends(relation, bare) if relation not in _MORE else _opposites(relation, bare))
    return found.pop() if len(found) == 1 else None


def _opposites(relation: Relation, text: str) -> Iterator[int]:
    """The regions of which a relation holds, where one is called large and the other small: "A is wide, B is narrow"."""
    for match in _OPPOSITE.finditer(text):
        words = {match["one"], match["other"]}
        dimension = _MORE[relation][0]
        if any(words & named for other, named in comparing.WORDS_OF.items() if other != dimension):
            continue
        if (
            {match["one"] in _LARGE, match["other"] in _LARGE}
            == {match["one"] in _SMALL, match["other"] in _SMALL}
            == {True, False}
        ):
            more, less = _ordered(match, swapped=match["one"] in _SMALL)
            yield more if _MORE[relation][1] > 0 else less


def _sizes(relation: Relation, sentence: str) -> Iterator[int]:
    """The regions that are more, or for "short" and its like less, of what is asked for."""
    dimension, sign = _MORE[relation]
    other = any(pattern.search(sentence) for name, pattern in _DIMENSIONS.items() if name != dimension)
    if (other and not _DIMENSIONS[dimension].search(sentence)) or _ON_IMAGE.search(sentence):
        return
    for more, less in _unequal(sentence, dimension):
        yield more if sign > 0 else less


_COMPARING: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], bool | None]], ...] = (
    (_EXCEEDS, lambda match: bool(match["not"])),
    (_BEATEN, lambda match: False),
    (_FITS, lambda match: True),
    (_NOT_AS, lambda match: match["how"] in _LARGE if match["how"] in _SMALL | _LARGE else None),
    (_TRAILS, lambda match: True),
    (_TAKES_MORE, lambda match: match["sign"] == "less"),
    (_AS_FAR, lambda match: match["times"] in _FRACTIONS),
    (_SHARE, lambda match: match["times"] in _FRACTIONS or match["times"].endswith("fraction")),
    (_NEXT_TO, lambda match: match["how"] in _SMALL if match["how"] in _SMALL | _LARGE else None),
    (_BESIDE, lambda match: match["how"] in _SMALL if match["how"] in _SMALL | _LARGE else None),
    (_SIGN, lambda match: match["sign"] == "<"),
    *comparing.COMPARING,
)
"""Patterns that compare two regions, and whether the second is the greater one; None if they do not."""


def _unequal(sentence: str, dimension: str) -> Iterator[tuple[int, int]]:
    """Pairs of regions, the greater one first."""
    for pattern, is_swapped in _COMPARING:
        for match in pattern.finditer(sentence):
            if (swapped := is_swapped(match)) is not None:
                yield _ordered(match, swapped=swapped)
    for match in _ADVANTAGE.finditer(sentence):
        if match["plus"] in (None, dimension):
            one = int(match["a"] or match["owner"] or match["wins"])
            yield one, 3 - one
    for match in _HAS.finditer(sentence):
        one = int(match["a"])
        yield (3 - one, one) if match["how"] in _LESSER else (one, 3 - one)


def _positions(relation: Relation, sentence: str) -> Iterator[int]:
    """The regions that are where is asked for, by their order or by what hides what."""
    for match in _ORDER.finditer(sentence):
        begin, end = _order_of(match["from"]), _order_of(match["to"])
        if CONVERSE[begin] == end and relation in (begin, end):
            yield int(match["a"] if relation == begin else match["b"])
    for one, start in comparing.first_from(sentence):
        if relation in (here := _order_of(start), CONVERSE[here]):
            yield one if relation == here else 3 - one
    for match in _LOOK.finditer(sentence):
        if relation in (pair := _LOOKS[match["where"]]):
            yield int(match["b"] if relation == pair[0] else match["a"])
    if relation in ("front", "behind"):
        for front, behind in _depths(sentence):
            yield front if relation == "front" else behind


def _order_of(word: str) -> Relation:
    """Where an order begins or ends: "left" of "from left to right"."""
    return next(_ORDERS[key] for key in _ORDERS if word.startswith(key))


def _depths(sentence: str) -> Iterator[tuple[int, int]]:
    """Pairs of regions, the one in front first."""
    for match in _DEEPER.finditer(sentence):
        one = int(match["a"])
        yield (one, 3 - one) if match["how"] in ("closer", "nearer") else (3 - one, one)
    for match in _CAMERA.finditer(sentence):
        yield _ordered(match, swapped=match["how"].startswith("f"))
    yield from comparing.depths(sentence)
    yield from (_ordered(match, swapped=False) for match in _PAST.finditer(sentence))
    for pattern, swapped in ((_HIDES, False), (_HIDDEN, True), (_BETWEEN, False)):
        yield from (_ordered(match, swapped=swapped) for match in pattern.finditer(sentence) if not match["not"])


def _ends(relation: Relation, text: str) -> Iterator[int]:
    """The regions that are where is asked for, by the end of the scene at which they are."""
    for match in (*_PLACED.finditer(text), *_LISTED.finditer(text)):
        groups = match.groupdict()
        where, region = groups["where"] or groups["there"], groups["a"] or groups["b"]
        here = next((_PLACES[word] for word in _LONGEST_FIRST if word in where), None)
        if here is not None and relation in here:
            one = int(region)
            yield one if here[0] == relation else 3 - one


def _ordered(match: re.Match[str], *, swapped: bool) -> tuple[int, int]:
    first, second = int(match["a"]), int(match["b"])
    return (second, first) if swapped else (first, second)
