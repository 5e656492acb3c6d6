"""The clauses of a reply of which some clause withholds, asks or supposes something, and what each of them does.

A sentence is searched for the words of a kind of clause only where the whole text has a match; sentences in a row that hold
none, and measure nothing, are left in one piece.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence

from spatialreasoner.language import declining
from spatialreasoner.language.numbers import BEGINS
from spatialreasoner.language.scan import lazily, parted
from spatialreasoner.language.tying import FIRST_PERSON, measured, measures

_STOP = lazily(r"(?<=[a-z\d)\]\"'*%][.!?])[)\"'*]*\s+|(?<=[!?])\s*|\n+|(?<=[:;])\s+")
_CUT = lazily(
    r",\s+|\s(?=(?:but|yet|though|although|however|while|only that|so i'd)\b)|\s-\s|\s?\((?=[a-z~\d])|\)|;\s*|(?<=\w)\.\s+"
    r"|…\s*|\.\.\.\s*"
)
_NOT_COMPARING = (
    "however either neither whether rather together another other over under per order user number paper later never "
    "answer corner center after meter centimeter ruler consider cover enter remember rest interest request suggest best "
    "test latest honest guest"
)
_COMPARES = lazily(
    rf"\b(?!(?:{'|'.join(_NOT_COMPARING.split())})\b)\w{{2,}}(?:er|est)\b|\b(?:more|less|wins?|first|second|former|latter"
    rf"|opposite"
    r"|in front|behind|above|below|over|under|left|right|same|equal\w*|as (?:tall|wide|big|high)|towers|dwarfs)\b"
)
_GLUED = lazily(rf"[)…](?:{BEGINS})")
"""Where a clause may give a length that the whole text, in which a number must stand apart, does not."""
_LONG = 40
"""Characters of the longest "yes, of course"."""
_Patterns = Collection["re.Pattern[str]"]
_Sought = tuple["re.Pattern[str]", "re.Pattern[str]"]
_Held = tuple["re.Pattern[str]", "re.Pattern[str]", list["re.Match[str]"]]


class Utterance:
    """A clause of a sentence, or sentences in a row that only assert and measure nothing: those are left in one piece.

    Attributes:
        start: Where it begins.
        end: Where it ends, with what parts it from the next.
        text: What it says.
        asked: Whether its sentence is a question.
        whole: Whether it is sentences left in one piece.
        refused: What in front of it declines, (start, end), where it answers behind that: "without a scale I'd say 2 m".
        declines: Whether it declines.
        asks: Whether it asks for something.
        found: What may be found in it, as its sentence holds it.
        closes: Whether its sentence only repeats the question, or asks whether the answer is right.
        own: Whether it says something in the first person.
        supposes: Whether it supposes something.
        conditional: Whether it is a condition.
        hard: Whether what it declines or asks leaves nothing to be answered, rather than only how exact that is.
    """

    refused: tuple[int, int] | None = None
    declines = asks = closes = own = supposes = conditional = hard = False

    def __init__(
        self, start: int, end: int, text: str, asked: bool, found: _Patterns, *, sized: bool, whole: bool = False
    ) -> None:
        self.start, self.end, self.text, self.asked, self.whole = start, end, text, asked, whole
        self.found = found
        self._measured = None if sized else False
        if found or asked:  # else it holds no word by which it could be anything but an assertion
            self._look(text)

    def _look(self, text: str) -> None:
        """Find out what it does but assert."""
        kinds = self.found  # few of them: what cannot be found is not looked for
        found = declining.denial(text) if declining.DECLINES in kinds else None
        own = found and self.finds(FIRST_PERSON, found.end())
        if own and not declining.DECLINES.search(text, own.end()):
            self.refused, found = (self.start, self.start + own.start()), None
            self.start, self.text = self.refused[1], text[own.start() :]
            text = self.text
        self.own = FIRST_PERSON in kinds and FIRST_PERSON.search(text) is not None
        self.supposes = declining.SUPPOSES in kinds and declining.SUPPOSES.search(text) is not None
        self.conditional = self.supposes and declining.CONDITION.match(text) is not None
        hidden = declining.VIEW in kinds and declining.VIEW.search(text) is not None and not self.compares
        wavers = declining.WAVERS in kinds and not self.own and declining.WAVERS.search(text) is not None
        self.declines = found is not None or hidden or wavers
        self.asks = self.asked or (declining.ASKS in kinds and declining.ASKS.search(text) is not None)
        echo = self.asked and "region" in text and " you" not in text and self.compares
        echo = echo or (self.asked and declining.FRAGMENT.fullmatch(text) is not None)
        self.closes = self.asked and (echo or declining.CLOSES.search(text) is not None)
        exact = found is None or (
            declining.ONLY_EXACTNESS.search(text) is not None and declining.ALL_OF_IT.search(text) is None
        )
        self.hard = (self.declines and not exact) or (not echo and " you" in text if self.asked else self.asks)

    def finds(self, pattern: "re.Pattern[str]", begin: int = 0) -> "re.Match[str] | None":
        """The first match of a pattern, which is not looked for where its sentence has none."""
        return pattern.search(self.text, begin) if pattern in self.found else None

    @property
    def compares(self) -> bool:
        """Whether it holds a word that compares."""
        return _COMPARES.search(self.text) is not None

    def measured(self) -> bool:
        """Whether it holds a length or an hour."""
        if self._measured is None:
            self._measured = measured(self.text) is not None
        return self._measured


def clauses_by_sentence(folded: str, held: Sequence[_Held], *, choice: bool) -> Iterator[list[Utterance]]:
    """The clauses of each sentence; sentences in a row that only assert, and measure nothing, are left in one piece.

    Args:
        folded: A text.
        held: The patterns that its clauses may match.
        choice: Whether every sentence is cut up.
    """
    sizes = sorted(measures(folded))
    glued = _GLUED.search(folded) is not None
    spans = list(parted(_STOP, folded, 0, len(folded)))
    whole: int | None = None  # where a run of sentences begins that are left in one piece
    asserts = False  # whether one that does more than to be polite came before
    questions = "?" in folded
    for (begin, end), found in zip(spans, _found_in(folded, spans, held), strict=True):
        asked = questions and _asks(folded, begin, end)
        size = bisect_left(sizes, begin)
        sized = size < len(sizes) and sizes[size] < end
        if not (choice or asked or found or sized) and (asserts or end - begin > _LONG):
            whole = begin if whole is None else whole
            asserts = True
            continue
        if whole is not None:
            yield [Utterance(whole, begin, folded[whole:begin], False, found=(), sized=False, whole=True)]
            whole = None
        clauses = [
            Utterance(first, last, folded[first:last], asked, found, sized=sized or glued)
            for first, last in parted(_CUT, folded, begin, end)
        ]
        if len(clauses) > 1 and declining.WAVERS in found:
            for clause in clauses:
                clause.declines = clause.declines or not clause.own
        yield clauses
    if whole is not None:
        yield [Utterance(whole, len(folded), folded[whole:], False, found=(), sized=False, whole=True)]


def _asks(folded: str, begin: int, end: int) -> bool:
    """Whether a sentence is a question."""
    asks = folded.rfind("?", begin, end)
    return asks >= 0 and not folded[asks + 1 : end].strip(" \n*\"')")


WITHHOLDING = (
    (declining.DECLINES, declining.DECLINES),
    (declining.WAVERS, declining.WAVERS),
    (declining.VIEW, declining.VIEW),
    (declining.ASKS, declining.MAY_ASK),
)
SUPPORTING = (
    (declining.APPARENT, declining.APPARENT),
    (declining.IN_GENERAL, declining.IN_GENERAL),
    (declining.LISTS, declining.MAY_LIST),
    (declining.TALKS, declining.TALKS),
    (declining.SUPPOSES, declining.MAY_SUPPOSE),
    (FIRST_PERSON, FIRST_PERSON),
)
"""Patterns for a clause, each with one that finds it anywhere: some look at how a clause begins."""


def held_in(text: str, patterns: Iterable[_Sought]) -> list[_Held]:
    """Those of some patterns that a clause of a text may match, with its matches; most texts hold none."""
    return [(own, anywhere, found) for own, anywhere in patterns if (found := list(anywhere.finditer(text)))]


def _found_in(text: str, spans: Sequence[tuple[int, int]], held: Iterable[_Held]) -> Sequence[_Patterns]:
    """For each sentence the patterns that its clauses may match: a sentence is searched where the text has a match."""
    begins = [begin for begin, _ in spans]
    found: list[set[re.Pattern[str]]] = [set() for _ in spans]
    for own, anywhere, matches in held:
        if own is FIRST_PERSON and "call it" in text:  # for which it looks at how a sentence begins
            for at, (begin, end) in enumerate(spans):
                if anywhere.search(text[begin:end]):
                    found[at].add(own)
            continue
        for match in matches:
            first, last = match.span()
            at = bisect_right(begins, first) - 1
            if last <= spans[at][1]:
                found[at].add(own)
                continue
            for reached in range(at, bisect_left(begins, last)):
                if anywhere.search(text[slice(*spans[reached])]):
                    found[reached].add(own)
    return found
