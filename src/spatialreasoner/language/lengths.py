"""The length that an answer gives for what is asked, among all the lengths that it mentions.

Margins ("plus or minus 10 cm"), lengths of other things ("because the door is 2 m tall"), bounds ("less than a meter"), lengths
that are denied or only supposed, and numbers without a unit are not it. A bare number counts where it is the whole answer, or
where a label or a key gives its unit.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple, cast

from spatialreasoner.core.types import QUANTITY_OF, Category
from spatialreasoner.language.labels import UNKNOWN
from spatialreasoner.language.numbers import DIGITS, WORDS, number
from spatialreasoner.language.quantities import UNITS, Quantity, find_quantities
from spatialreasoner.language.question import Asked
from spatialreasoner.language.scan import holds, lazily, words_in
from spatialreasoner.language.statements import Assertion
from spatialreasoner.language.triples import listed_size

_ABOUT = r"(?: (?:about|around|roughly|approximately|up to|as much as|an? (?:few|further)|some|half|perhaps|maybe)){0,2}"
_MARGIN_BEFORE = lazily(
    r"(?:±|\+/-|\+-|\bplus or minus|\bplus/minus|\bgive or take|\bto within|\bwithin|\bvary(?:ing)? by"
    rf"|\bdiffer by|\boff by|\bout by|\bmargin\b[^.!?]{{0,30}}"
    rf"|\berror\b[^.!?]{{0,24}}|\btolerance\b[^.!?]{{0,20}}|\buncertain(?:ty)?\b[^.!?]{{0,20}}|\baccura(?:cy"
    rf"|te)\b[^.!?]{{0,20}}|\bprecise\b[^.!?,:;]{{0,20}}|\bprecision\b[^.!?;]{{0,20}}|\bbetter than|\bplus|\bminus"
    rf"|\bdeviat\w+\b[^.!?]{{0,20}})"
    rf"{_ABOUT}[ (~]{{0,3}}$"
)
_MARGIN_WORDS = (
    "±", "+/-", "+-", "plus", "minus", "give or take", "within", "vary", "differ by", "off by", "out by", "margin", "error",
    "toleranc", "uncertain", "accura", "precis", "better than", "deviat",
)  # fmt: skip
_MARGIN_HINTS = words_in(*_MARGIN_WORDS, "direction", "either way")
_MARGIN_AFTER = lazily(
    r" ?(?:margin|of error|error|tolerance|accuracy|uncertainty|in (?:either|each|both) direction|either way"
    r"|or so of|deviation)"
)
_BOUND = lazily(
    r"\b(?:(?:less|more|fewer|greater|shorter|longer|smaller|larger|closer|farther|further|nearer|no more"
    r"|no less|not more|not less) than|at least|at most|up to|under|over|below|above|beyond|exceed\w*"
    r"|no closer than|"
    r"minimum of|maximum of|limit of)(?: about)? $"
)
_A_LITTLE = lazily(
    r"\b(?:just|little|slightly|bit|somewhat|well|barely) (?:under|over|more than|less than|below"
    r"|above) $"
)
_DENIED = lazily(
    r"\b(?:not|isn't|aren't|rather than|instead of|never|nor|cannot be|can't be)(?: (?:be|the|a|about|exactly"
    r"|really|quite|as much as)){0,2} $"
)
_DENIED_AFTER = lazily(
    r" ?(?:would be|is|seems|sounds|looks|would seem) (?:far |much |way |a bit |clearly |obviously )?(?:too|not"
    r"|wrong\b|implausible)"
)
"""3 m would be too little."""
_SUPPOSED = lazily(
    r"\b(?:would suggest|might suggest|might (?:think|look|seem|guess)|may look|seems at first|at first"
    r"|first (?:guess|thought|idea)|wanted to say|misread|if it (?:were|was))\b(?:(?!\b(?:but|however|yet)\b)[^.!?]){0,40}$"
)
_SUGGESTED = lazily(r"(?<!this )(?<!that )(?<!which )suggests\b[^.!?]{0,40}$")
_HOWEVER = lazily(r"\b(?:but|however|yet|actually)\b")
_REFERENCE = lazily(
    r"\b(?:typical(?:ly)?|standard|usual(?:ly)?|average|normal(?:ly)?|generally|common(?:ly)?|assum\w+|suppos\w+"
    r"|reference|known|compar\w+ (?:to|with)|because|since|given|as wide as|as tall as|"
    r"(?:next to|beside|behind|near|in front of) (?:it|her|him|them)\b|adjacent|neighbou?ring|nearby|scale|let's (?:say"
    r"|take|assume)|let us (?:say|take"
    r"|assume)|taking|if (?:a|an|the|we|each)|one \w+ is|each|with a (?:standard|typical|ceiling)|legal"
    r"|regulation|mounted at)\b[^.!?;]{0,70}$"
)
_FOR_COMPARISON = lazily(
    r"\bfor (?:comparison|reference|scale)[,:]|\b(?:assumptions?|references?)\b[^.:]{0,20}:"
    r"|\bwith (?:the|an?|its) (?:[\w-]+ ){1,3}being [^,]{0,20}$"
    r"|^\W*(?!the|th?ey|these|those|both|regions|objects)(?:[a-z]+ )?[a-z]{2,}s are (?:(?:about|around|roughly"
    r"|approximately|often) )?$"
)
"""In front of the length of another thing, or of all such things: "mugs are 10 cm high"."""
_COMPARISON_WORDS = ("s are ", "eference", "for comp", "for scale", "assumption", "being ")
_EACH = lazily(
    r" ?(?:(?:long|wide|tall|high|deep|in (?:width|height|length)) )?(?:each|apiece|per \w+)\b"
    r"|[ -](?:\w+ )?(?:door|table|chair|car|lane|tile|step|dishwasher|ruler|man|person|ceiling)s?\b"
    r"|[ a-z]{0,24}\b(?:(?:above|off) (?:the )?(?:ground|floor)|from head to toe|diagonal(?:ly)?|as (?:a "
    r"|the )?(?:reference|scale|guide)|for (?:scale|reference))\b"
)
_DIMENSION_WORDS = {
    "width": (r"width|wide|breadth|broad|across|horizontal|w(?=:)", r"\(w\)|w\b|wide|across|in width|broad|of width"),
    "height": (r"height|tall|high|vertical|h(?=:)", r"\(h\)|h\b|tall|high|in height|of height"),
    "distance": (r"distance|apart|gap|separat\w+|spac\w+", r"apart|away|between|from|distant|of (?:space|separation)"),
}
_DIMENSIONS = {
    name: (
        lazily(
            rf"\b(?:{before})s?\b(?: of| is|:|=| at| comes to| would be)*(?: (?:about|around|approximately|roughly))?[ ~]*$"
        ),
        lazily(rf" ?(?:{after})(?![a-z])"),
    )
    for name, (before, after) in _DIMENSION_WORDS.items()
}
_OTHER = lazily(
    r" ?(?:\([wdlh]\)|long\b|deep\b|thick\b|in (?:length|depth|diameter)|of (?:length|depth)|wide\b|tall\b"
    r"|high\b|in width|in height)"
)
_LONG = lazily(r" ?(?:long\b|in length|of length)")
_OTHER_BEFORE = lazily(
    r"\b(?:length|depth|diameter|thickness|width|height)s?(?: of| is|:|=)?(?: (?:about|around|approximately|roughly"
    r"|is))?[ ~]*$"
)
_ANSWERS = lazily(
    r"\b(?:so|thus|therefore|hence|i\.e\.|that is|gives?|makes?(?: it| that)?|comes? to|leaves?|i'd (?:say"
    r"|go for|guess|put)|i would (?:say|guess|estimate)|estimate|my (?:best )?guess|call it|actually|equals"
    r"|result\w*|which is|=|≈|"
    r"(?:must|should|would|will|could) be|answer|be(?:ing)? (?:about|around|roughly|approximately))\b[^.!?;]{0,60}$|[=≈] ?$"
)
_SETTING = lazily(
    r"^\W*(?:the|this|that) (?:\w+ )?(?:room|scene|image|picture|photo|hall|camera)(?: itself)?"
    r" (?:is|was|has|measures|seems|looks|appears)\b[^<]*$"
)
"""What gives a length of the surroundings: "The room is 5 m long"."""
_CONVERTED = lazily(
    r"(?:correspond(?:s|ing)? to|translat(?:es?|ing) (?:in)?to|equivalent to|equals?|convert(?:s|ed)? to|amounts? to"
    r"|real[- ](?:world|life)"
    r"|in reality|≈|=)[^.!?;=]{0,40}$"
)
"""In front of what a measure in pixels comes to."""
_STOP = lazily(
    r"(?<=[.!?])(?<!approx\.)(?<!i\.e\.)(?<!e\.g\.)(?<! ft\.)(?<! in\.)(?<! cm\.)(?<! mm\.)(?<! ca\.)(?=\s|$)|\n|(?<=;)"
)
_BETWEEN = lazily(r"[,;:] ")
_CALCULATES = lazily(r" ?[-+x*/=] ?[\d(]")
_PIXELS = lazily(
    r"\d ?(?:px\b|pixels?\b|units?\b|(?:%|percent\b|per cent\b)(?= of (?:the |its )?(?:image|frame|picture|photo|total"
    r"|height|width)))"
)
_NUMBER = rf"(?>{DIGITS}|(?:{WORDS})\b)"
_BARE = lazily(
    rf"[\s\"'(\[{{=:~≈-]{{0,8}}(?:(?:about|around|approximately|roughly|approx\.?|circa|is|it is"
    rf"|it's) ){{0,2}}(?P<value>{_NUMBER})[\s\"')\]}}.]{{0,6}}"
)
_LABELLED = lazily(rf"(?:^|[:=\s\[\](]) ?(?P<value>{_NUMBER})(?=[\s\"')\]}}.,;]{{0,6}}$|\s*\n)")


class Length(NamedTuple):
    """A length found as the answer: metres, and the rule that chose it."""

    quantity: Quantity
    rule: str


def without_margins(text: str) -> str:
    """A folded text in which blanks take the place of how far a length may be off: "plus or minus 10 cm"."""
    if _MARGIN_HINTS.search(text) is None:
        return text
    for quantity in find_quantities(text):
        begin, end = quantity.span
        cue = _MARGIN_BEFORE.search(text, max(0, begin - 60), begin)
        after = _MARGIN_AFTER.match(text, end)
        if quantity.unit == "m" and (cue or after):
            start = cue.start() if cue else begin
            text = text[:start] + " " * (end - start) + text[end:]
    return text


def is_measured_otherwise(text: str) -> bool:
    """Whether a folded text measures in pixels, percent or units of nothing."""
    return _PIXELS.search(text) is not None


def has_length(text: str) -> bool:
    """Whether a folded text holds a length with its unit."""
    for quantity in find_quantities(text):  # noqa: SIM110  (a generator within `any` takes three times as long)
        if quantity.unit == "m":
            return True
    return False


def bare_length(text: str, unit: str, *, whole: bool) -> Quantity | None:
    """A number without a unit of its own: metres unless a unit is given elsewhere.

    Args:
        text: A folded text.
        unit: The unit that a label or a key gives; empty if none does.
        whole: Whether the text is all of the answer, so that a number alone is the answer, too.
    """
    match = _BARE.fullmatch(text) if whole or unit else None
    if match is None and unit:
        found = list(_LABELLED.finditer(text))
        match = found[-1] if found else None
    if match is None:
        return None
    metres = number(match["value"]) * UNITS.get(unit, 1.0)
    return Quantity(value=metres, unit="m", span=match.span("value"))


def choose_length(
    asked: Asked, text: str, said: Sequence[Assertion], *, first: bool, strict: bool = False, named: bool = False,
    heads_only: bool = False,
) -> Length | None:  # fmt: skip
    """The length that a text gives for what is asked.

    Args:
        asked: The question.
        text: A folded text in canonical names.
        said: What it states, of other things too.
        first: Whether what comes first decides, and what follows explains it.
        strict: Whether only a statement of what is asked counts, because the text measures in pixels elsewhere.
        named: Whether only a sentence that names a region counts, because the text ends before its conclusion.
        heads_only: Whether a length without a statement counts only where the text begins with it.
    """
    found = [quantity for quantity in find_quantities(text) if quantity.unit == "m"]
    if not found:
        return None
    weighed = [_Weighed(text, quantity) for quantity in found]
    kind = QUANTITY_OF[cast("Category", asked.category)]
    if kind in ("width", "height") and (listed := listed_size(kind, text)) is not None:
        return Length(quantity=listed, rule="states what is asked")
    stated = _stated(asked, kind, said, weighed, text if named else None)
    if stated:
        return Length(quantity=stated[0] if first else stated[-1], rule="states what is asked")
    plain = _stated(asked, "distance", said, weighed, text if named else None) if kind in _ALONG else []
    if plain and not _AXIS.search(text):
        return Length(quantity=plain[0] if first else plain[-1], rule="states the distance")
    if strict:
        weighed = [w for w in weighed if _CONVERTED.search(w.before)]
    weighed = [w for w in weighed if "<region" in w.before] if named else weighed
    weighed = [w for w in weighed if not w.of_other(asked.regions)] or weighed
    found_loose = _loose(kind, weighed, [a for a in said if a.unit == "m"], first=first, heads_only=heads_only)
    if found_loose is None and plain:
        return Length(quantity=plain[0] if first else plain[-1], rule="states the distance")
    return found_loose


def _loose(
    kind: str, weighed: Sequence["_Weighed"], others: Sequence[Assertion], *, first: bool, heads_only: bool
) -> Length | None:
    """The length of no statement that is the likeliest answer."""
    unstated = {each.span for each in _outside([w.quantity for w in weighed], others)}
    dimension = "distance" if kind.endswith("distance") else kind
    pool = [w for w in weighed if w.quantity.span in unstated and w.given and not w.supposed]
    pool = [w for w in pool if w.measures(dimension) or not _SETTING.search(w.before)]
    own = [w for w in pool if not (w.bound or w.reference)] or [w for w in pool if not w.reference]
    if not own and len(weighed) == 1:
        own = pool
    measured = [w for w in own if w.measures(dimension)] or [w for w in own if not w.measures_other]
    own = measured or [w for w in own if _LONG.match(w.after)]  # of what is wide, its length may be meant
    if first and (heads := [w for w in own if w.leads]):
        return Length(quantity=heads[0].quantity, rule="the text begins with it")
    if not own or heads_only:
        return None
    answers = [w for w in own if w.answers] or own
    return Length(quantity=_last([w.quantity for w in answers]), rule="the last length that is given")


_AHEAD = lazily(r"[\W_]*(?:(?:approximately|about|around|roughly|approx|nearly|almost|it is|it's|a good|some) ?[\W_]*){0,3}")


def stands_first(text: str, quantity: Quantity) -> bool:
    """Whether a text begins with a quantity, but for such words as "about"."""
    return _AHEAD.fullmatch(text, 0, quantity.span[0]) is not None


class _Weighed:
    """A length with what the words around it say about it."""

    def __init__(self, text: str, quantity: Quantity) -> None:
        begin, end = quantity.span
        self.text, self.quantity = text, quantity
        starts = [match.end() for match in _STOP.finditer(text, max(0, begin - 160), begin)]
        self.before = text[starts[-1] if starts else max(0, begin - 160) : begin]
        self.after = text[end : end + 40]

    @property
    def given(self) -> bool:
        """Whether it is one that the text gives: no margin, not denied, not asked."""
        return not (
            _MARGIN_BEFORE.search(self.before)
            or _MARGIN_AFTER.match(self.after)
            or _DENIED.search(self.before)
            or self.after.startswith("?")
            or _DENIED_AFTER.match(self.after)
        )

    def of_other(self, regions: Sequence[str]) -> bool:
        """Whether the region named last before it in its sentence is none of those asked for."""
        at = self.before.rfind("<region")
        return at >= 0 and self.before[at + 1 : at + 8] not in regions

    @property
    def bound(self) -> bool:
        """Whether it only limits: "less than 2 m"."""
        return bool(_BOUND.search(self.before)) and not _A_LITTLE.search(self.before)

    @property
    def answers(self) -> bool:
        """Whether the words in front of it announce a result."""
        return bool(_ANSWERS.search(self.before))

    @property
    def reference(self) -> bool:
        """Whether it is the length of something else that serves as a scale."""
        if holds(self.before, _COMPARISON_WORDS) and _FOR_COMPARISON.search(self.before):
            return True
        clause = _BETWEEN.split(self.before)[-1]
        return bool((_REFERENCE.search(clause) and not _ANSWERS.search(clause)) or _EACH.match(self.after))

    @property
    def supposed(self) -> bool:
        """Whether it is only what one might think."""
        if _SUPPOSED.search(self.before):
            return True
        return bool(
            "suggests" in self.before and _SUGGESTED.search(self.before) and _HOWEVER.search(self.text, self.quantity.span[1])
        )

    @property
    def leads(self) -> bool:
        """Whether the text begins with it, and not with a calculation."""
        return stands_first(self.text, self.quantity) and not _CALCULATES.match(self.after)

    @property
    def measures_other(self) -> bool:
        """Whether the words at it name another dimension."""
        return bool(_OTHER.match(self.after) or _OTHER_BEFORE.search(self.before))

    def measures(self, dimension: str) -> bool:
        """Whether the words at the length say that it is a width, a height or a distance."""
        words = _DIMENSIONS.get(dimension)
        return words is not None and bool(words[1].match(self.after) or words[0].search(self.before))


_FROM_CAMERA = lazily(r"\b(?:camera|viewer|observer|photographer)\b[^<]{0,40}$")
_OFF_CENTER = lazily(r" ?(?:to the )?(?:left|right|above|below)(?: of)? (?:the |its )?(?:\w+ )?(?:cent(?:er|re)|middle|axis)\b")
_EXTENDS = lazily(r" ?(?:long|wide|tall|high|deep|thick)\b")
"""What of a length makes it an extent: "the table between them is 1 m long"."""
_SPACE = lazily(r"\b(?:gap|space|distance|separation|opening|clearance)\b")
_NAMED = lazily(r"\b(?:horizontal|vertical|lateral|separat|distan|apart\b|gap\b|offset)")
"""What tells that a length is the distance, and not how far one of both is from something else."""
_ALONG = ("horizontal_distance", "vertical_distance")
_AXIS = lazily(r"\bhorizontal|\bvertical|\blateral|\bsideways")


def _stated(
    asked: Asked, kind: str, said: Sequence[Assertion], weighed: Sequence[_Weighed], named_in: str | None
) -> list[Quantity]:
    """The lengths of that kind that are stated of the asked regions, where they are meant and no mere bounds."""
    own = [a for a in said if a.unit == "m" and a.kind == kind and not a.negated and set(a.regions) <= set(asked.regions)]
    if named_in is not None:
        own = [a for a in own if "<region" in named_in[max(0, a.span[0] - 40) : a.span[1]]]
    begins = [w.quantity.span[0] for w in weighed]  # in the order of the text
    held = [(a, w) for a in own if (w := _held(a, weighed, begins)) is not None]
    held = [(a, w) for a, w in held if not w.bound] or held if len(weighed) == 1 else [(a, w) for a, w in held if not w.bound]
    if kind.endswith("distance"):
        held = [(a, w) for a, w in held if not (_FROM_CAMERA.search(w.before) or _OFF_CENTER.match(w.after))] or held
        held = [(a, w) for a, w in held if not _EXTENDS.match(w.after) or _SPACE.search(w.before)]
    if kind in _ALONG:
        held = [(a, w) for a, w in held if _NAMED.search(w.text, *a.span)] or held
    unhedged = [a for a, _ in held if not a.hedged] if len(held) > 1 else []
    return [_quantity(a) for a in unhedged or [a for a, _ in held]]


def _held(assertion: Assertion, weighed: Sequence[_Weighed], begins: Sequence[int]) -> _Weighed | None:
    """The length of a statement, where it is given: no margin of another, and no other thing's."""
    first, last = assertion.span
    for one in weighed[bisect_left(begins, first - 1) : bisect_right(begins, last)]:
        inside = one.quantity.span[1] <= last + 1
        if inside and assertion.value is not None and abs(one.quantity.value - assertion.value) < 1e-9:
            return one if one.given and not (one.supposed or (one.reference and len(weighed) > 1)) else None
    return None


def _quantity(assertion: Assertion) -> Quantity:
    return Quantity(value=cast("float", assertion.value), high=assertion.high, unit="m", span=assertion.span)


def _outside(found: Sequence[Quantity], said: Sequence[Assertion]) -> list[Quantity]:
    """The quantities that are within none of the assertions; an answer may hold thousands of both."""
    spans = sorted(assertion.span for assertion in said)
    starts = [start for start, _ in spans]
    reach = [0, *accumulate((end for _, end in spans), max)]  # how far the assertions go that begin so early
    return [each for each in found if reach[bisect_right(starts, each.span[0])] < each.span[1]]


def _last(found: Sequence[Quantity]) -> Quantity:
    """The last quantity; where it says the one before again in another unit, that one."""
    if len(found) > 1 and abs(found[-1].middle - found[-2].middle) <= 0.02 * found[-2].middle:
        return found[-2]
    return found[-1]


__all__ = ["UNKNOWN", "Length", "bare_length", "choose_length", "is_measured_otherwise", "stands_first"]
