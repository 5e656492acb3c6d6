"""What a text states about the asked relation: by statements, by two sizes, or by naming one of the regions."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from spatialreasoner.core.types import CONVERSE, Relation
from spatialreasoner.language.comparing import says_equal, with_region_names
from spatialreasoner.language.idioms import chosen_by_idiom
from spatialreasoner.language.quantities import find_quantities
from spatialreasoner.language.question import Asked
from spatialreasoner.language.scan import holds, lazily
from spatialreasoner.language.statements import Assertion
from spatialreasoner.language.tokens import Reading

_SHORT = 200
"""In a longer text a region that is denied does not choose the other."""
_DENIED = lazily(r"(?:not|rather than|instead of|than|unlike|over|compared to|compared with)(?: the)? {0,2}$")
_ORDINAL = lazily(
    r"\b(?:the )?(?:(?P<first>(?<=the )first|first(?!,)|former|1st)"
    r"|(?P<second>(?<=the )second|second(?!,)|latter|2nd))\b(?=\W{0,3}(?:one|regions?|objects?|items?"
    r"|of|is|has|as|in|because|since|it|that)\b|\W*(?:[.,;:!)]|$))"
)
_SIZES: Mapping[str, tuple[str, bool]] = {
    "tall": ("height", True), "short": ("height", False), "wide": ("width", True), "thin": ("width", False),
    "behind": ("camera_distance", True), "front": ("camera_distance", False),
}  # fmt: skip
_BETWEEN = lazily(r"<region(\d)>(?P<words>[^<\n]{0,80}?)(?=<region|\n|$)")
_FOR = lazily(r"(?P<words>[^<\n;]{1,60}?)(?: (?:for|in|of) (?:the \w{1,12} (?:of|in) )?| ?\()<region(\d)>")
"""Where a length may come before its region: "2 m for A"."""
_STEMS: Mapping[Relation, str] = {
    "left": "left", "right": "right", "above": "above|over|higher", "below": "below|under|lower", "tall": "tall",
    "short": "short", "wide": "wide", "thin": "thin|narrow", "big": "big|large", "small": "small",
    "behind": "behind|farther|further|farthest|furthest", "front": "front|closer|nearer|closest|nearest",
}  # fmt: skip
_MORE: Mapping[str, str] = {"height": "tall", "width": "wide", "camera_distance": "behind", "big": "big"}


_ELIDED = lazily(
    r"<region([12])>(?: (?:clearly|actually|really|certainly|definitely|obviously|indeed))? (?:is|does)(?=\s?(?:[.;!]|$))"
)
"""Region 1 looks taller, but region 2 is."""
_OPENS = lazily(r"(?:^|[.;!?,:]|\b(?:but|yet|however|instead|rather|it is|actually|in fact))\s?$")

_FEW = 4
"""Words of an answer that may be nothing but what it calls a region."""
_MAY_NAME = lazily(
    r"<region\d>(?:\W*$| ?[(\[]| it is\b)|\b(?:tall|short|wid|thinn?|narrow|broad|bigg|larg|small|high|low|clos|near"
    r"|farth|furth"
    r"|great|less|upp|thick|slimm?|slender|skinni|bulki|tini|deep|long|latt|form|earli|lat)e(?:r|st)\b|\b(?:\w+most\b"
    r"|more|most|less|least|first|second|former|latter|pick"
    r"|choose|chosen|answer|choice|wins?\b)|^[^a-z<]{0,9}(?:[a-z']{1,20} ){0,4}<region\d>(?=\W*(?:$|[,.;!:]|because|since|as "
    r"|due|by |not|and not|over|rather|instead))"
)
"""What a sentence holds that chooses the one region that it names: "the mask of region 1 is empty" chooses none."""


_DESCRIBES = lazily(r"<region\d> (?:has|is|shows|contains) an? ")


def may_choose(text: str) -> bool:
    """Whether a text that names one region may choose it by that."""
    if "same " in text:
        return False
    return (len(text.split()) <= _FEW and not _DESCRIBES.search(text)) or _MAY_NAME.search(text) is not None


_OTHERS = lazily(
    r"\W*(?:(?:an?|the|some|my|his|her|our|many|most|every) (?!\w{2,}(?:er|st)\b)[a-z]|(?:he|she|we|people)\b)"
    r"|[^<\n]{0,60}\bthan (?!its?\b|th(?:e (?:other|second|first|latter|former)|at|is|em|ose)\b|<region|one\b|both\b"
    r"|before\b|expected|average|\d)[a-z]"
)
_REFERS = lazily(
    r"<region|\b(?:its?|it's|they|them|both|one|two|others?|former|latter|first|second|objects?|regions?|this|that)\b"
)


def speaks_of_others(text: str) -> bool:
    """Whether a text begins with things that it names and that are not the regions: "A fox jumps over the dog"."""
    return _OTHERS.match(text) is not None and _REFERS.search(text) is None


class Stances:
    """The statements of texts about one question; each text is tokenised once.

    Args:
        asked: The question, which asks for a relation.
        whole: Gives the whole reply in canonical names, which may tell what a part of it calls the regions.
    """

    def __init__(self, asked: Asked, whole: Callable[[], str]) -> None:
        self._asked, self._whole = asked, whole
        self._relation: Relation = cast("Relation", asked.relation)
        self._read: dict[tuple[str, bool], tuple[Reading, list[Assertion], str]] = {}

    def of(self, text: str, *, aliased: bool = False) -> list[bool]:
        """Whether the asked relation holds, by each statement of it; what is only said to look so counts last."""
        related = self.related(text, aliased=aliased)
        return [self._holds(a) for a in related if set(a.regions) == set(self._asked.regions[:2])]

    def related(self, text: str, *, aliased: bool = False) -> list[Assertion]:
        """The statements of the asked relation and its converse; what only seems so counts where nothing else is said.

        Args:
            text: A folded text in canonical names.
            aliased: Whether regions are also meant by what the text calls them: "<region1> is a cat. The cat is taller."
        """
        if (elided := self._elided(text)) is not None:
            return [elided]
        wanted = (self._relation, CONVERSE[self._relation])
        _, every, plain = self._said(text, aliased=aliased)
        said = [one for a in every if (one := _as_relation(a)).kind in wanted]
        if not said and self._relation in ("tall", "short") and not _POSITION.search(text):
            said = [_as_height(a) for a in every if a.kind in ("above", "below")]
        said = [a for a in said if not a.hedged] or self._unequal(said, text)
        return [a for a in said if not _is_conceded(a, said, plain)] if len(said) > 1 and "though " in plain else said

    def _unequal(self, seeming: list[Assertion], text: str) -> list[Assertion]:
        """What only seems so, unless it is said behind it that both are the same: "A looks bigger. In fact, they are equal"."""
        turn = _TURN.search(text, seeming[-1].span[1]) if seeming and "same " in text else None
        return [] if turn is not None and says_equal(self._relation, text[turn.start() :]) else seeming

    def _elided(self, text: str) -> Assertion | None:
        """What a closing "<region1> is." states: the relation of which the text spoke just before."""
        closing = [match for match in _ELIDED.finditer(text) if _OPENS.search(text, max(0, match.start() - 24), match.start())]
        if not closing:
            return None
        match, asked, converse = closing[-1], _STEMS[self._relation], _STEMS[CONVERSE[self._relation]]
        words = re.findall(rf"\b(?:({asked})|{converse})", text[: match.start()])
        if not words and "<region" in text[: match.start()]:
            return None
        regions = (f"region{match[1]}", f"region{3 - int(match[1])}")
        kind = self._relation if not words or words[-1] else CONVERSE[self._relation]
        return Assertion(kind=kind, regions=regions, span=match.span())

    def states_anything(self, text: str) -> bool:
        """Whether a text states any relation or quantity, so that a region that it names is not yet a choice."""
        return bool(self._said(text)[1])

    def _said(self, text: str, *, aliased: bool = False) -> tuple[Reading, list[Assertion], str]:
        """A text, tokenised, what it states, and the text to which their places refer, with short names."""
        key = (text, aliased)
        if key not in self._read:
            names: Sequence[str] = (self._asked.aliases(text) or self._asked.aliases(self._whole())) if aliased else ()
            plain = "" if aliased and not names else with_region_names(text)
            reading = self._asked.reading(plain, names)
            self._read[key] = reading, self._asked.said(reading), plain
        return self._read[key]

    def _holds(self, assertion: Assertion) -> bool:
        """Whether what is asked holds if the assertion does; "not taller" is read as "shorter"."""
        same = (assertion.kind == self._asked.relation) == (assertion.regions == self._asked.regions[:2])
        return same != assertion.negated

    def by_size(self, text: str) -> str | None:
        """The region for which the asked relation holds by the two sizes that a text gives."""
        measure = _SIZES.get(self._relation)
        if measure is None:
            return None
        sizes: dict[str, float] = {}
        for match in _FOR.finditer(text):
            found = [q for q in find_quantities(match["words"]) if q.unit == "m"]
            if found and found[-1].span[1] >= len(match["words"].rstrip()) - 1:
                sizes[f"region{match[2]}"] = found[-1].middle
        for match in _BETWEEN.finditer(text) if len(sizes) < 2 else ():
            found = [q for q in find_quantities(match["words"]) if q.unit == "m"]
            if found:
                sizes[f"region{match[1]}"] = found[0].middle
        for said in self._said(text)[1]:
            if said.kind == measure[0] and said.unit == "m" and said.value is not None and len(said.regions) == 1:
                sizes[said.regions[0]] = said.value
        two = {region: sizes[region] for region in ("region1", "region2") if region in sizes}
        if len(two) < 2 or two["region1"] == two["region2"]:
            return None
        return (max if measure[1] else min)(two, key=lambda region: two[region])

    def by_idiom(self, text: str) -> str | None:
        """The region for which the asked relation holds by other words than those of the lexicon."""
        found = chosen_by_idiom(self._relation, text) if self._asked.num_regions == 2 and "<region" in text else None
        return None if found is None else f"region{found}"

    def winner(self, assertion: Assertion) -> float:
        """The number of the region that a statement chooses."""
        return float(assertion.regions[((assertion.kind == self._asked.relation) == assertion.negated)][6:])

    def named(self, text: str) -> int | None:
        """The one region that a text names and does not deny."""
        reading, _, text = self._said(text)
        kept: set[str] = set()
        denied: set[str] = set()
        for token, mention in reading.mentions.items():
            before = text[max(0, reading.starts[token] - 24) : reading.starts[token] + 1]
            own = [region for region in mention.regions if 1 <= int(region[6:]) <= self._asked.num_regions]
            (denied if _DENIED.search(before) else kept).update(own)
        if len(kept) == 1:
            return int(kept.pop()[6:])
        if not kept and len(denied) == 1 and self._asked.num_regions == 2 and len(text) < _SHORT:
            return 3 - int(denied.pop()[6:])
        ordinals = {bool(match["second"]) for match in _ORDINAL.finditer(text)}
        if len(ordinals) == 1 and not kept:
            return int(self._asked.regions[ordinals.pop()][6:])
        return None

    def key(self, key: str) -> bool | None:
        """Whether a true value of a JSON key such as "is_in_front" means yes (True) or no (False) to what is asked."""
        words = key.replace("_", " ")
        if re.search(_STEMS[self._relation], words):
            return True
        return False if re.search(_STEMS[CONVERSE[self._relation]], words) else None


_TURN = lazily(r"\b(?:but|however|actually|in fact|really|in reality)\b")
_CONCEDING = lazily(r"\b(?:even though|although|though) [^.;!?\n]*$")
_REALLY = lazily(r"\b(?:actually|in fact|really|truly)\b|\bin the (?:image|picture|photo|frame)\b")


def _is_conceded(assertion: Assertion, said: Sequence[Assertion], text: str) -> bool:
    """Whether a statement is only conceded behind another: "A is bigger, even though B takes up more of the image"."""
    begin = assertion.span[0]
    before = max((other.span[1] for other in said if other.span[1] <= begin), default=None)
    if before is None or (conceding := _CONCEDING.search(text, before, begin)) is None:
        return False
    rest = text[before : assertion.span[1]]
    return not _REALLY.search(rest) and not holds(text[before : conceding.start()], (".", ";", "!", "?", "\n"))


_POSITION = lazily(r"\b(?:above|below|under|over|beneath|up|down|position|level|placed|located|on top)\b")
"""Words that make "higher" and "lower" speak of where something is."""


def _as_height(assertion: Assertion) -> Assertion:
    """What is higher as taller, and what is lower as shorter."""
    return replace(assertion, kind="tall" if assertion.kind == "above" else "short")


def _as_relation(assertion: Assertion) -> Assertion:
    """A factor as the relation that it implies: "twice as tall as" is taller, "half as tall as" is shorter."""
    if assertion.unit != "times" or assertion.value is None or len(assertion.regions) != 2:
        return assertion
    relation = cast("Relation", _MORE.get(assertion.kind, assertion.kind))
    if relation not in CONVERSE or assertion.value == 1:
        return assertion
    return replace(assertion, kind=relation if assertion.value > 1 else CONVERSE[relation], unit=None)
