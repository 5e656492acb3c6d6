r"""What a reply answers to a question, and by which rule it was found.

In this order: a refusal, an error, an empty reply or thinking that never ended holds no answer. What is announced as the answer
(`\boxed{}`, a JSON field, "Answer:", a conclusion) beats what comes before an explanation, and that beats what follows
from "therefore", the last paragraph and the whole text. Restated options and the echoed question are not an answer.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple, cast

from spatialreasoner.language import hours, lengths, places, refusals, verdicts
from spatialreasoner.language.comparing import says_equal, without_clefts
from spatialreasoner.language.declining import declines
from spatialreasoner.language.idioms import without_concessions
from spatialreasoner.language.options import Options, blanked, restated_options, without_echo
from spatialreasoner.language.places import Place
from spatialreasoner.language.quantities import fold
from spatialreasoner.language.question import Asked, Convention
from spatialreasoner.language.responses import MAX_CHARACTERS
from spatialreasoner.language.scan import lazily
from spatialreasoner.language.stances import Stances, may_choose, speaks_of_others
from spatialreasoner.language.verdicts import without_offer

_LEADS = "begins with yes or no"
_SHORT = 200
"""In a longer text a yes or a no somewhere in it is hardly the answer."""
_MAX_SENTENCES = 40
_TURNS = lazily(
    r"(?:^|[\s(,;.])(?:however|but|wait|actually|in fact|instead|correction|scratch that|on second thought"
    r"|although|though|while|whereas|despite|on balance|that leaves|i choose|at first|yet|no(?=[,:]))\b"
)
_CORRECTS = lazily(
    r"\b(?:wait|correction|scratch that|on second thought|let me correct|i misread|i was wrong|(?:actually"
    r"|sorry),? (?:no|yes)|no,? wait)\b[\s,:.]{0,4}"
)
_ASKS_BACK = lazily(r"\W{0,4}(?:what|which|who|where|how|could you|can you|do you|did you)\b[^?]{0,200}\?\W{0,4}")
_INDEX = lazily(
    r"[\s\"'(\[<#]{0,6}(?:region:? |number |no\.? ?|option |it(?:'s| is) |(?:the )?(?:one|object"
    r"|box) (?:labell?ed|marked|numbered|number|with (?:the )?(?:label|number)) )?(?P<number>\d)[\])>]?[\s\"').\]]{0,6}"
)
_LETTER = lazily(r"[\s\"'(\[]{0,4}(?:option )?\(?(?P<letter>[a-h]|[1-9])(?P<rest>[).:\]]?(?:[\s,;.\"']|$))")
_PICKED = lazily(
    r"[\s\"'*]{0,6}(?:(?:without (?:a |any )?(?:doubt|question)|no doubt|undoubtedly|easily),? )?(?:(?:it|that"
    r"|this|the answer|the (?:correct )?(?:choice|one)|my (?:pick|choice|answer|guess)"
    r"|i|i'd|i would|i'll|definitely|clearly|obviously|probably)\b"
    r"[\s:,']{0,3}(?:(?:is|'s|must be|would be|should be|has to be|say|pick|choose|go (?:with|for)|think it is"
    r"|think it's|believe it is|was)[\s:,]{1,3}){0,2})"
    r"<region(?P<number>\d)>(?=\s*(?:[.,;!]|$|because|since|as\b|by\b|it is))"
)
_THE_ONE = lazily(
    r"\W{0,6}(?:it(?:'s| is) )?the (?:(?:left|right|upper|lower|top|bottom|red|green|blue) (?:one|box|object)"
    r"|one (?:on|at|in) the \w+),? \(?<region(?P<number>\d)>\W*"
)
_REASONED = lazily(
    r"\W{0,6}<region(?P<number>\d)>(?:\W{1,4}(?:since|because|as|given|due)\b|[.!] (?:it|s?he|this|that)(?:'s| is)\b)"
)
"""A region and the reason for it."""
_REGION = lazily(r"<region(\d+)>")
_LAST = lazily(r"[.:;!\n]\s*<region(?P<number>[12])>[.!]?\s*$")
_STOP = lazily(r"(?<!i\.e)(?<!e\.g)(?<!approx)[.!?](?=\s|$)|\n")
_BETWEEN = lazily(r"(?<=[.!?])\s+|\n+")
_PARAGRAPH = lazily(r"\n\s{0,8}\n")
_ECHO = lazily(r"[^.!?\n]{0,300}\?")


class Conclusion(NamedTuple):
    """What a reply answers.

    Attributes:
        value: Metres; an hour; 1 yes or 0 no; the number of the chosen region, from 1; None if nothing is answered.
        low: The lower end where a range is given.
        high: The upper end where a range is given; `value` is its middle.
        rule: How the answer was found, in words.
        span: The piece of the reply that holds it, (start, end) characters.
        unscored: Why there is no answer; empty if there is one.
        clashes: Whether the answer contradicts itself: a "no" before a statement that says yes. False where that was not looked
            for.
        convention: How the reply counts regions, in words.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    rule: str = ""
    span: tuple[int, int] = (0, 0)
    unscored: str = ""
    clashes: bool = False
    convention: str = ""


def conclude(asked: Asked, text: str, *, clashes: bool = True) -> Conclusion:
    """Find what a reply answers to a question; of one too long, its end is read. Linear in the text; never raises.

    Args:
        asked: The question.
        text: The reply.
        clashes: Whether to look for statements behind a yes or a no that contradict it.
    """
    cut = max(0, len(text) - MAX_CHARACTERS)
    text = refusals.without_special(text[cut:])
    begin = refusals.thinking_end(text)
    if begin is None:
        return Conclusion(unscored="thinking never ended")
    folded = fold(text)
    if (end := refusals.run_on(folded, begin)) is not None:
        early = conclude(asked, text[:end], clashes=clashes)
        if early.value is not None:
            return _moved(early, cut)
    why, said = refusals.heard(folded[begin:], choice=asked.choice)
    if why is not None:
        return Conclusion(unscored=why)
    folded = folded[:begin] + said
    return _moved(_Reply(asked, folded, begin, clashes=clashes).conclusion(), cut)


def _moved(found: Conclusion, cut: int) -> Conclusion:
    """What was found in a reply of which so many characters were cut off in front."""
    return found._replace(span=(found.span[0] + cut, found.span[1] + cut)) if cut else found


class _Found(NamedTuple):
    """What one place answers; fields as in `Conclusion`."""

    value: float
    rule: str
    low: float | None = None
    high: float | None = None
    clashes: bool = False


class _Reply:
    """A reply that may answer, without what only restates options or the question."""

    def __init__(self, asked: Asked, folded: str, begin: int, *, clashes: bool) -> None:
        self.asked, self.begin, self.clashes = asked, begin, clashes
        self.convention: Convention = asked.convention(folded[begin:])
        self.options: Options = restated_options(folded, begin)
        rest = blanked(folded, self.options.spans)
        self.rest = without_echo(rest, asked.text, begin)
        # all of the reply, in canonical names; not by a method: a reply that refers to itself is not freed when it is done with
        self._whole = partial(asked.normal, self.rest[begin:], self.convention)
        self.stances = Stances(asked, self._whole)
        self.folded = folded
        self._unit: str | None = None
        self.unfinished = refusals.is_cut_off(folded) and places.in_steps(folded, begin)
        self.strict = asked.relation is None and lengths.is_measured_otherwise(self.rest[begin:])

    def unit(self) -> str:
        """The unit that a label or the question gives bare numbers; empty if none does."""
        if self._unit is None:
            self._unit = places.unit_of(self.folded, self.begin) or self.asked.unit
        return self._unit

    def conclusion(self) -> Conclusion:
        """The first place that holds an answer."""
        words = self.convention.words
        if not self.rest[self.begin :].strip(" \n*#:\"'>-.") or _ASKS_BACK.fullmatch(self.rest, self.begin):
            return Conclusion(unscored="only restates the options or the question", convention=words)
        tried: list[tuple[object, ...]] = []
        for place, first in self._places():
            if (same := (*place[:2], *place[3:], first)) in tried:
                continue  # a reply of one paragraph is its first, its last, and the whole of it
            tried.append(same)  # few: to compare them takes less than to tell their hashes
            found = self._read(place, first=first)
            if found is not None:
                return Conclusion(
                    value=found.value,
                    low=found.low,
                    high=found.high,
                    rule=f"{place.rule}: {found.rule}",
                    span=place.span,
                    clashes=found.clashes,
                    convention=words,
                )
            if place.explicit and self._is_final(place):
                return Conclusion(unscored="says that it cannot be told", rule=place.rule, span=place.span, convention=words)
        return Conclusion(unscored="no answer to the question was found", convention=words)

    def _places(self) -> Iterator[tuple[Place, bool]]:
        """Where the answer may be, the likeliest first, and whether there what comes first decides."""
        rest, begin = self.rest, self.begin
        for place in places.announced_places(rest, begin):
            yield place, True
        end = places.explained(rest, begin, alone=bool(self.options.spans))
        stepwise = places.in_steps(rest[:end], begin)
        if not stepwise:
            first = self._first_paragraph(end)
            firm = list(places.drawn(rest[:end], begin, firmly=True))
            if firm and verdicts.leading(first.text) is None:
                yield from ((place, False) for place in firm)
            yield first, _TURNS.search(first.text) is None
        if not (self.options.spans and end < len(rest)):  # of a restated list only an announced answer counts
            for place in places.drawn(rest, begin):
                yield place, False
            end = len(rest) if stepwise else end
            yield self._piece(begin, end, "in front of an explanation" if end < len(rest) else "in the whole reply"), False
            last = rest.rstrip().rfind("\n\n", begin)
            if last >= begin:
                yield self._piece(last, len(rest), "in the last paragraph"), False
            yield self._piece(begin, len(rest), "in the whole reply"), False

    def _first_paragraph(self, end: int) -> Place:
        """The first paragraph that is more than a number."""
        start = self.begin
        for match in _PARAGRAPH.finditer(self.rest, self.begin, end):
            if self.rest[start : match.start()].strip(" \n\t*#:\"'>0123456789.-]"):
                return self._piece(start, match.start(), "in the first paragraph")
            start = match.end()
        whole = start == self.begin or not self.rest[start:end].strip()
        return self._piece(
            self.begin if whole else start, end, "in the whole reply" if end == len(self.rest) else "in front of an explanation"
        )

    def _piece(self, begin: int, end: int, rule: str) -> Place:
        return Place(text=places.without_emphasis(self.rest[begin:end]), rule=rule, span=(begin, end))

    def _is_final(self, place: Place) -> bool:
        """Whether an announced answer tells that there is none."""
        return declines(place.text) or (self.asked.relation is None and lengths.is_measured_otherwise(place.text))

    def _read(self, place: Place, *, first: bool) -> _Found | None:
        text = self._without_letter(place.text.lstrip())
        if (key := place.key) and not self.asked.choice and not self._fits(key):
            return None
        normal = self.asked.normal(text, self.convention)
        if self.asked.category == "direction":
            return self._hour(place, normal, first=first)
        if self.asked.relation is None:
            return self._length(place, normal, first=first)
        normal = without_clefts(without_offer(without_concessions(normal)))
        return self._chosen(normal, place, first=first) if self.asked.choice else self._agreed(normal, place, first=first)

    def _fits(self, key: str) -> bool:
        """Whether a JSON key is about what is asked."""
        if self.asked.relation is None:
            return places.key_measures(key, self.asked.category)
        return key in places.ANSWER_KEYS or self.stances.key(key) is not None

    def _without_letter(self, text: str) -> str:
        """The option that a letter stands for, in its place."""
        match = _LETTER.match(text) if self.options.by_letter else None
        said = self.options.by_letter.get(match["letter"]) if match else None
        return text if said is None else said

    # Relations

    def _agreed(self, text: str, place: Place, *, first: bool) -> _Found | None:
        """1 for yes, 0 for no."""
        corrected = list(_CORRECTS.finditer(text))
        if corrected and (found := self._agreed_in(text[corrected[-1].end() :], place, first=first)) is not None:
            return found
        return self._agreed_in(text, place, first=first)

    def _agreed_in(self, text: str, place: Place, *, first: bool) -> _Found | None:
        return self._agreed_by_words(text, place, first=first) or self._agreed_by_comparing(text)

    def _agreed_by_words(self, text: str, place: Place, *, first: bool) -> _Found | None:
        """By yes and no, a verdict on a statement, or the relation itself."""
        head = verdicts.leading(text)
        polite = head is not None and verdicts.is_polite(text)
        if head is not None and not (self.clashes or polite or place.key):
            return _Found(value=float(head), rule=_LEADS)
        stated = self.stances.of(text if head is None else _first_sentence(text))
        stated = [] if stated and head is None and self._is_of_others(text) else stated
        if polite:
            stated = stated or self.stances.of(text)
            head = None if stated and stated[0] != head else head
        if head is not None:
            if place.key and (stance := self.stances.key(place.key)) is not None:
                head = head == stance
            return _Found(value=float(head), rule=_LEADS, clashes=bool(stated) and stated[-1] != head)
        if (closing := verdicts.closing(text)) is not None:
            return _Found(value=float(closing), rule="ends with yes or no")
        for part in _sentences(text) if verdicts.passes_verdict(text) else ():
            if (passed := verdicts.on_statement(part)) is not None and (said := self.stances.of(passed[0])):
                return _Found(value=float(said[-1] == passed[1]), rule="passes a verdict on a statement")
        if stated:
            return _Found(value=float(stated[0] if first else stated[-1]), rule="states the relation")
        last = verdicts.trailing(text)
        return None if last is None else _Found(value=float(last), rule="ends with yes or no")

    def _is_of_others(self, text: str) -> bool:
        """Whether neither a text nor all of the reply speaks of the regions: "A fox jumps over the dog"."""
        if self.asked.labels or not speaks_of_others(text):
            return False
        return speaks_of_others(self._whole())

    def _agreed_by_comparing(self, text: str) -> _Found | None:
        """By sizes, other words, names of the regions, or a yes or no somewhere."""
        if (winner := self.stances.by_size(text)) is not None:
            return _Found(value=float(winner == self.asked.regions[0]), rule="compares two sizes")
        if (winner := self.stances.by_idiom(text)) is not None:
            return _Found(value=float(winner == self.asked.regions[0]), rule="compares in other words")
        if (lead := _PICKED.match(text)) is not None and lead["number"] not in text[lead.end() :]:
            return _Found(value=float(f"region{lead['number']}" == self.asked.regions[0]), rule="picks a region")
        if says_equal(cast("str", self.asked.relation), text):
            return _Found(value=0.0, rule="says that they are equal")
        if said := self.stances.of(text, aliased=True):
            return _Found(value=float(said[-1]), rule="states the relation of what it calls the regions")
        word = verdicts.anywhere(_ECHO.sub("", text)) if len(text) <= _SHORT and not declines(text) else None
        return None if word is None else _Found(value=float(word), rule="says only yes or only no")

    def _chosen(self, text: str, place: Place, *, first: bool) -> _Found | None:
        """The number of the region that is chosen; a question before it, "Region 0? No, Region 1.", is not the choice."""
        behind = _ECHO.sub("", text) if "?" in text else text
        text = behind if "<region" in behind else text
        if (index := self._index(text)) is not None:
            return _Found(value=float(index), rule="names a region by number alone")
        lead = (len(text) < _SHORT and _THE_ONE.fullmatch(text)) or _PICKED.match(text)
        if lead is not None and lead["number"] not in text[lead.end() :]:
            return _Found(value=float(lead["number"]), rule="picks a region")
        sentence = _first_sentence(text)
        for part in (sentence, text) if first and place.explicit else (text,):
            related = self.stances.related(part)
            if related:
                return _Found(value=self.stances.winner(related[0] if first else related[-1]), rule="states the relation")
            if part is sentence and place.explicit and (one := self.stances.named(part)) is not None:
                return _Found(value=float(one), rule="names one region")
        if (winner := self.stances.by_size(text)) is not None:
            return _Found(value=float(winner[6:]), rule="compares two sizes")
        if (winner := self.stances.by_idiom(text)) is not None:
            return _Found(value=float(winner[6:]), rule="compares in other words")
        named = place.explicit or (may_choose(text) and not self.stances.states_anything(text))
        if named and place.rule != "in the first paragraph" and (one := self.stances.named(text)) is not None:
            return _Found(value=float(one), rule="names one region")
        if related := self.stances.related(text, aliased=True):
            return _Found(value=self.stances.winner(related[-1]), rule="states the relation of what it calls the regions")
        alone = _REASONED.match(text) or _LAST.search(text)
        return None if alone is None else _Found(value=float(alone["number"]), rule="has nothing but a region at an end")

    def _index(self, text: str) -> int | None:
        """The region that an answer means which is nothing but a number or a letter."""
        match = _INDEX.fullmatch(text)
        if match:
            number = int(_REGION.match(self.convention.name("", int(match["number"])))[1])  # type: ignore[index]
            return number if 1 <= number <= self.asked.num_regions else None
        return self.asked.letter(text.strip(" \n\"'().[]"))

    # Quantities

    def _length(self, place: Place, text: str, *, first: bool) -> _Found | None:
        whole = place.explicit or place.rule.startswith("in the whole")
        text = lengths.without_margins(text)
        if not lengths.has_length(text):
            bare = lengths.bare_length(text, place.unit or self.unit(), whole=whole)
            return None if bare is None else _Found(value=bare.value, rule="is a number alone")
        said = self.asked.said(self.asked.reading(text))
        announced = place.explicit or place.rule.startswith("behind")
        found = lengths.choose_length(
            self.asked,
            text,
            said,
            first=first,
            strict=self.strict and not announced,
            named=self.unfinished and place.rule in ("in the last paragraph", "in the whole reply"),
            heads_only=place.rule == "in the first paragraph",
        )
        if found is None:
            return None
        quantity = found.quantity
        low = quantity.value if quantity.high is not None else None
        return _Found(value=quantity.middle, low=low, high=quantity.high, rule=found.rule)

    def _hour(self, place: Place, text: str, *, first: bool) -> _Found | None:
        """The hour that is not said of the way back, from the target to the observer."""
        whole = place.explicit or place.rule.startswith("in the whole")
        if whole and (alone := hours.hour_alone(text)) is not None:
            return _Found(value=alone, rule="is a number alone")
        given = hours.hours(text)
        if given:
            back = [
                a
                for a in self.asked.said(self.asked.reading(text))
                if a.unit == "hour" and a.regions == self.asked.regions[1::-1] and "<region" in text[slice(*a.span)]
            ]
            given = [
                hour for hour in given if not any(a.span[0] <= hour.span[0] and hour.span[1] <= a.span[1] for a in back)
            ] or given
            hour = _of_first_sentence(text, given) if first else given[-1]
            return _Found(value=hour.middle, low=hour.value if hour.high else None, high=hour.high, rule="gives an hour")
        turned = hours.worded_direction(text)
        return None if turned is None else _Found(value=turned, rule="tells the direction in words")


def _of_first_sentence(text: str, given: Sequence[hours.Quantity]) -> hours.Quantity:
    """The last hour of the first sentence that gives one."""
    stop = _STOP.search(text, given[0].span[1])
    end = stop.start() if stop else len(text)
    return [hour for hour in given if hour.span[0] < end][-1]


def _first_sentence(text: str) -> str:
    match = _STOP.search(text.lstrip(" \n*-#"))
    return text if match is None else text.lstrip(" \n*-#")[: match.end()]


def _sentences(text: str) -> list[str]:
    return _BETWEEN.split(text, maxsplit=_MAX_SENTENCES)[:_MAX_SENTENCES]
