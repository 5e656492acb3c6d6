"""A question as its answers see it: what it asks, its regions in their roles, and how regions are called and counted.

Answers call regions "Region [0]", "Region 1", "<region1>", "R0", "[1]", "the first one", "region_0" or by a label. All of them
are written as `<region1>`, `<region2>` before anything else is read; which number is the first region follows from the numbers
of the question and of the whole answer.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from itertools import takewhile
from typing import cast

from spatialreasoner.core.recall import recall
from spatialreasoner.core.types import QUALITATIVE, Category
from spatialreasoner.language.lexicon import RELATION_WORDS
from spatialreasoner.language.quantities import fold
from spatialreasoner.language.scan import lazily, rewritten, wholes, words_in
from spatialreasoner.language.statements import Assertion, read_statements
from spatialreasoner.language.tokens import Reading

_NOUN = r"(?:regions?|objects?|masks?|marks?|areas?|boxe?s?)"
_UNIT = (
    r"(?! ?(?:m|cm|mm|km|ft|in(?= (?:wide|tall|high|long|deep|apart|away)\b)|feet|foot|met(?:er|re)s?|cent|inch|yard|%|times"
    r"|x|o'?clock|degrees?|pixels?|px)\b)(?!\.\d|\d)"
)
_SPELLED: Mapping[str, int] = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4}
# The set in front lets a search skip to the few places where a mention may begin.
_MENTION = lazily(
    r"[\[<romab](?<![a-z\d][romab])(?:(?:(?<=[\[<])"
    + _NOUN
    + r"|(?<!\w[romab])(?:(?<=r)eg(?:ions?|\.)|(?<=o)bjects?|(?<=m)(?:asks?|arks?)|(?<=a)reas?"
    rf"|(?<=b)oxe?s?))[\"'* ]{{0,3}}[ _-]?(?:(?:labell?ed|numbered|marked|tagged|number|no\.?|index|id"
    r"|with (?:the )?(?:index|label|number|id))(?: as)? ?)?"
    rf"(?:(?P<open>[\[(<#\"'{{]{{1,2}}) ?(?P<inside>\d{{1,2}}){_UNIT}(?: ?[\])>\"'}}]{{1,2}})?"
    rf"|[{{ ]?(?P<plain>\d{{1,2}})(?!\d"
    rf"|\.\d){_UNIT}|(?P<spelled>zero|one|two|three|four)\b(?! of))"
    rf"(?P<more>(?:,? ?(?:and|&|or)|,) ?[\[(]?(?P<second>\d{{1,2}})[\])]?(?![\w.]|[-/]\d){_UNIT})?[\]>]{{0,2}}(?! ?region)"
    r"|(?<=\[)(?<![\w\])]\[)(?P<bare>\d)\](?![(\d])|(?<=r)[ _]?\[?(?P<short>\d)\]?(?![a-z\d.]))"
)
_ORDINAL = lazily(
    r"\b(?:the )?(?:(?P<first>first|1st)|(?P<second>second|2nd)) (?:one|region|object|item|area"
    r"|(?:one )?of the (?:two|pair)(?: regions| objects)?)\b"
)
_ORDINAL_ALONE = lazily(
    r"(?:(?<=^)|(?<=[.,;:!(] )|(?<=and )|(?<=but )|(?<=than )|(?<=while ))the (?:(?P<first>first|1st)|(?P<second>second|2nd))"
    r"(?= (?:is|appears|looks|seems|stands|has)\b(?! (?:that|to|how|what|whether|about)\b)| ?[.,;!)]| ?$)"
)
"""The first, without a noun."""
_ORDINAL_HINTS = words_in("first", "1st", "second", "2nd")
_NOT_HINTS = words_in("not <region", "not the <region", "rather than", "instead of")
_NOT_OTHER = lazily(
    r"(?P<kept><region\d>),? (?:and not|not|rather than|instead of) (?:the )?<region\d>,?"
    r"|\bnot (?:the )?<region\d>,? but (?:rather |the )?(?P<but><region\d>)"
)
_LETTER = lazily(rf"\b(?P<noun>{_NOUN}) \(?(?P<letter>[a-d])\)?(?![a-z'])")
_NAME = r"\b(?:the|an?) ([a-z][a-z -]{1,40}?)"
_NAMED = lazily(rf"{_NAME} ?,? ?\(? ?(?:(?:which|that) is |i\.e\. )?(?:labell?ed |marked )?(?:as |by )?<region(\d)>")
_CALLED = lazily(
    r"<region(\d)>(?: ?\([^()<]{1,24}\))?(?:[^\w.!?\n(]{0,4}(?:(?:is|shows|contains|depicts|highlights|outlines|marks"
    r"|represents|refers to|corresponds to|denotes|indicates|encompasses|surrounds|encloses|is (?:drawn )?around"
    r"|covers|features|being|as)\W{0,3})?(?:a|an|the) (?:(?:row|pair|group|set|bunch|couple|piece) of )?"
    r"|[*_]{0,2} ?[:=] {0,2}[*_]{0,2}(?!(?:a|an|the|is|it|its|about"
    r"|around|approx\w*"
    r"|roughly|yes|no)\b))([a-z][a-z-]{1,20}(?: (?!(?:and|is|in|on|at|of|with|to|that|which|has|are|appears|from|while"
    r"|whereas|but"
    r"|near|next|beside|behind|standing|sitting)\b)[a-z][a-z-]{1,20}){0,2})\b(?! (?:is |being )?(?:in )?<region)"
)
_SHOWN = lazily(
    r"\b(?:the|an?) ((?:(?!(?:the|an?|and|or|of|is|in|on|than)\b)[a-z][a-z-]{1,20} ){1,3})(?:in|inside|within) <region(\d)>"
)
_BRACKETED = lazily(r"<region(\d)> ?\((?:the |an? )?([a-z][a-z -]{1,40}?)\)")
_IS_REGION = lazily(
    r"\bthe (?!(?:one|answer|taller|shorter|wider|thinner|bigger|larger|smaller|other|former|latter|object|region|higher"
    r"|lower|closer"
    r"|first|second|height|width|two)\b)([a-z][a-z-]{1,20}(?: [a-z][a-z-]{1,20})?)"
    r" (?:is|being)(?: (?:in|within|(?:labell?ed|marked|called|tagged)(?: as| by| with)?))? <region(\d)>"
)
_DEFINED = lazily(r"(?:^|[(,;.\n]) ?(?:the )?([a-z][a-z-]{1,20}(?: [a-z][a-z-]{1,20})?) ?[:=] ?<region(\d)>")
_THAN = lazily(
    r"\b(?:the|an?) ([a-z][a-z-]{1,20}(?: [a-z][a-z-]{1,20})?) (?:is|are|looks?|appears?|seems?"
    r"|stands?)\b[^.<]{0,40}\b(?:than|behind|in front of|above|below|over|under|beneath|(?:left|right) of) (?:the|an?) "
    r"([a-z][a-z-]{1,20}(?: [a-z][a-z-]{1,20})?)(?=[.,;!]|$)"
)
_OF_THEM = lazily(r"^(?:row|pair|group|set|bunch|couple|piece) of ")
_FURTHER = lazily(r" (?:\w+ing|on|in|at|with|by|near|of(?<!row of)(?<!pair of)(?<!set of)(?<!group of)) .*")
"""Where a name only tells more of what it names: "cat sitting on a windowsill"."""
_PREDICATES = {
    *("is", "are", "has", "positioned", "located", "situated", "placed", "standing"),
    *("more", "less", "further", "farther", "closer", "nearer"),
    *RELATION_WORDS["COMPARED"],
}
_PAIR = lazily(
    rf"{_NAME},? (?:and|or|than|from|(?:to the )?(?:left|right) of|behind|above|below|in front of"
    r"|(?:taller|shorter|wider|thinner|bigger|larger|smaller|higher|lower) than|(?:positioned|located) (?:above"
    rf"|below)) {_NAME}(?:[,?.:]|$)"
)
_ALONE = lazily(r"(?:of|is|wide|tall|high) (?:the|an?) ([a-z][a-z -]{1,40}?)(?:[,?.:]|$| is\b)")
_IN_UNIT = lazily(
    r"(?:\bin |\()(met(?:er|re)s|centimet(?:er|re)s|millimet(?:er|re)s|feet|inches|yards|cm|mm|km|ft|m)\b(?! (?:tall"
    r"|wide|away))"
)
_VERB = lazily(r"^(?:is|does|do|can you confirm if|could you confirm if|are|would you say) ")


class Convention:
    """Which number means the question's first region, by the form in which it is written.

    Attributes:
        bases: The first region's number within "[...]", "<...>" and without brackets ("").
        count: How many regions the question has.
        written: What is written for each mention that was met.
        words: How regions count, for people.
    """

    def __init__(self, bases: Mapping[str, int], count: int) -> None:
        self.bases, self.count = bases, count
        self.written: dict[str, str] = {}
        self.words = f"regions count from {bases['[']} in brackets and from {bases['']} without"

    def name(self, form: str, number: int) -> str:
        """A region's canonical name; a doubled digit past the last region ("Region [11]") is a slip of the pen."""
        base = self.bases.get(form, self.bases[""])
        if number > 9 and number % 11 == 0 and number // 11 <= self.count:
            number //= 11
        return f"<region{number - base + 1}>"

    def write(self, match: re.Match[str]) -> str:
        """What is written for a mention."""
        said = match.group()
        closes = ")" if said.endswith(")") and "(" not in said else ""  # of a bracket around the region
        return self._names(match) + closes

    def _names(self, match: re.Match[str]) -> str:
        if match["bare"] is not None:
            return self.name("[", int(match["bare"]))
        if match["short"] is not None:
            return self.name("", int(match["short"]))
        form = _form(match)
        digits = match["inside"] or match["plain"]
        first = self.name(form, int(digits) if digits else _SPELLED[match["spelled"]])
        if not match["more"]:
            return first
        link = " or " if "or" in match["more"] else " and "
        return first + link + self.name(form, int(match["second"]))


class Asked:
    """A question, ready to read answers to it.

    Attributes:
        category: One of the benchmark's 24.
        relation: The relation asked for; None for quantities.
        choice: Whether it asks which of two.
        labels: What the question calls its regions, in order; empty if it has no labels.
        regions: Its regions in the roles of the question: "is the first left of the second".
        text: The question, folded, for finding it again in answers.
        unit: The unit in which it asks for a length, such as "cm"; empty if it names none.
    """

    def __init__(self, category: Category, question: str) -> None:
        self.category = category
        name, _, form = category.partition("_")
        self.relation = name if category in QUALITATIVE else None
        self.choice = form == "choice"
        self.text = fold(question)[:2000].strip()
        self._letters = {m["letter"] for m in _LETTER.finditer(self.text)} >= {"a", "b"}
        unit = _IN_UNIT.search(self.text) if self.relation is None else None
        self.unit: str = unit[1] if unit else ""
        self._conventions: dict[Collection[str], Convention] = {}
        asked = _numbers(set(wholes(_MENTION, self._digits(self.text))))
        # "How tall is Region [1]?" asks about the second of two; only two numbers from 1 on count from 1 in brackets
        self._bases = {
            form: 0 if min(found) == 0 or (form == "[" and set(found) == {1}) else 1 for form, found in asked.items()
        }
        self._base = min(self._bases.values(), default=0)
        self.num_regions = max((max(found) - self._bases[form] + 1 for form, found in asked.items()), default=2)
        normal = self.normal(self.text, self.convention(""))
        self.labels = _labels(normal)
        if self.labels:
            self.num_regions = max(self.num_regions, len(self.labels))
        self.regions = self._roles(normal)

    def convention(self, folded: str) -> Convention:
        """How a whole answer, folded, counts regions: as the question does, unless its own numbers tell otherwise."""
        mentions = frozenset(wholes(_MENTION, self._digits(folded)))
        # most answers to a question mention the same regions
        return recall(self._conventions, mentions, _MAX_CONVENTIONS, lambda: self._counted(mentions))

    def _counted(self, mentions: Collection[str]) -> Convention:
        """How an answer with some mentions of regions counts them."""
        bases = {"[": self._bases.get("[", 0), "<": self._bases.get("<", 1), "": self._bases.get("", self._base)}
        for form, found in _numbers(mentions).items():
            within = [number for number in found if number <= self.num_regions]
            if 0 in within:
                bases[form] = 0
            elif self.num_regions == 1:
                bases[form] = 1 if form != "[" and set(found) == {1} else bases[form]  # "Region 1", of a single one
            elif within and max(within) >= self.num_regions + bases[form]:
                bases[form] = 1
        return Convention(bases, self.num_regions)

    def normal(self, folded: str, convention: Convention) -> str:
        """A folded text in which every mention of a region by number, letter or order is written `<region1>`."""
        text = rewritten(_MENTION, self._digits(folded), convention.written, convention.write)
        if _ORDINAL_HINTS.search(text):
            text = _ORDINAL.sub(lambda match: "<region1>" if match["first"] else "<region2>", text)
            if "<region" not in text or "than <region" in text:
                text = _ORDINAL_ALONE.sub(lambda match: "<region1>" if match["first"] else "<region2>", text)
        if _NOT_HINTS.search(text):
            text = _NOT_OTHER.sub(lambda match: match["kept"] or match["but"], text)
        return text

    def _digits(self, folded: str) -> str:
        """A text with "Region A" written "Region 1", where the question calls its regions by letters."""
        if not self._letters:
            return folded
        return _LETTER.sub(lambda match: f"{match['noun']} {'abcd'.index(match['letter']) + 1}", folded)

    def letter(self, word: str) -> int | None:
        """The number of the region that a single letter means, or None."""
        return "abcd".index(word) + 1 if self._letters and word in ("a", "b", "c", "d") else None

    def reading(self, normal: str, aliases: Sequence[str] = ()) -> Reading:
        """A text in canonical names, tokenised."""
        labels = aliases or self.labels or [""] * max(2, self.num_regions)
        return Reading(normal, labels)

    def said(self, reading: Reading) -> list[Assertion]:
        """What an answer states about the question's regions."""
        context = () if self.choice else self.regions[:1] if self.relation else self.regions
        return read_statements(reading, context, terse=True)

    def aliases(self, normal: str) -> list[str]:
        """What an answer in canonical names calls the regions: "<region1> shows a fire engine"; empty unless it names both."""
        named: dict[str, str] = {}
        for match in _CALLED.finditer(normal):
            named.setdefault(match[1], match[2])
        for match in _BRACKETED.finditer(normal):
            named.setdefault(match[1], match[2])
        for match in (*_SHOWN.finditer(normal), *_NAMED.finditer(normal)):
            named.setdefault(match[2], match[1].strip())
        for match in _IS_REGION.finditer(normal):
            named.setdefault(match[2], match[1])
        for match in _DEFINED.finditer(normal):
            named.setdefault(match[2], match[1])
        if len(named) == 1 and self.num_regions == 2 and (match := _THAN.search(normal)):
            one = next(iter(named))
            pair = [_noun(match[1]), _noun(match[2])]
            if _noun(named[one]) in pair:
                named[str(3 - int(one))] = pair[1 - pair.index(_noun(named[one]))]
        named = {number: _OF_THEM.sub("", _FURTHER.sub("", name)) for number, name in named.items()}
        both = [_noun(named.get(str(number), "")) for number in range(1, self.num_regions + 1)]
        return both if len(both) > 1 and all(both) and len(set(both)) == len(both) else []

    def _roles(self, normal: str) -> tuple[str, ...]:
        if self.relation is not None and not self.choice:
            for assertion in read_statements(Reading(normal.replace("?", "."), self.labels), terse=True):
                if assertion.kind == self.relation and len(assertion.regions) == 2:
                    return assertion.regions
        mentions = Reading(normal, self.labels).mentions
        named = tuple(dict.fromkeys(region for _, mention in sorted(mentions.items()) for region in mention.regions))
        return named or ("region1", "region2")


@lru_cache(maxsize=4096)
def question_asked(category: Category, question: str) -> Asked:
    """A question, made ready once."""
    return Asked(category, question)


def _numbers(mentions: Collection[str]) -> dict[str, list[int]]:
    """The numbers by which regions are called, by form."""
    found: dict[str, list[int]] = {}
    for mention in mentions:
        form, numbers = _numbers_of(mention)
        if numbers:
            found.setdefault(form, []).extend(numbers)
    return found


_MAX_CONVENTIONS = 16
"""Maximum number of ways to mention regions that a question remembers."""


@lru_cache(maxsize=4096)
def _numbers_of(mention: str) -> tuple[str, tuple[int, ...]]:
    """The form of a mention, and its numbers."""
    match = cast("re.Match[str]", _MENTION.search(mention))  # from its beginning
    digits = match["inside"] or match["plain"] or match["bare"] or match["short"]
    if not digits:
        return "", (_SPELLED[match["spelled"]],)
    form = "[" if match["bare"] else "" if match["short"] else _form(match)
    return form, (int(digits), int(match["second"])) if match["second"] else (int(digits),)


def _form(match: re.Match[str]) -> str:
    opened = match["open"] or ""
    if "[" in opened:
        return "["
    said = match.group()
    return "<" if "<" in opened or (said.startswith("<") and " " not in said) else ""


def _labels(normal: str) -> list[str]:
    """Names that a question gives its regions: "the chair (<region1>)", or "between the chair and the table"."""
    bracketed = {match[1]: match[2] for match in _BRACKETED.finditer(normal)}
    if len(bracketed) > 1:
        return [_noun(bracketed[number]) for number in sorted(bracketed)]
    named = [_noun(name) for name, _ in _NAMED.findall(normal)]
    if named:
        return named if len(named) > 1 else []
    pair = None if "<region" in normal else _PAIR.search(_VERB.sub("", normal)) or _PAIR.search(normal)
    return [_noun(name) for name in cast("tuple[str, ...]", pair.groups())] if pair else []


def _noun(words: str) -> str:
    """The noun in front of a predicate: "bike" of "bike positioned"."""
    return " ".join(takewhile(lambda word: word not in _PREDICATES, words.split()))
