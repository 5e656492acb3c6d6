"""One clause while it is read: whom its words mean, what surrounds a token, and what its sentence said before."""

import re
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from spatialreasoner.language import quantities
from spatialreasoner.language.clauses import Clause
from spatialreasoner.language.labels import Regions
from spatialreasoner.language.lexicon import CODES, DIMENSION_WORDS, FACTORS, codes_of, rule
from spatialreasoner.language.scan import lazily
from spatialreasoner.language.sentences import MENTIONS, Sentence

OBJECT = "(?P<object>[REGION PAIR IT OTHER FORMER LATTER])"
"""A mention, for use in rules."""

_AMOUNT, _EQUALS, _IT = CODES["AMOUNT"], CODES["EQUALS"], CODES["IT"]
_AND_AMOUNT = _AMOUNT + CODES["AND"]
_ARITHMETIC = codes_of("NUMBER", "AMOUNT", "PLUS", "EQUALS", "ABOUT")
_NEGATED = rule("NOT|NOR")
_ABOUT_RELATION = rule("(?<!NOT) ABOUT (?![ABOUT AMOUNT TIMES])")
_TIMES_SIGN = lazily(r"-?(?:times|fold|x)$")
_DIMENSIONS = {word: name for table in DIMENSION_WORDS.values() for word, name in table.items()}


class Statement(NamedTuple):
    """A spatial statement in terms of tokens.

    Attributes:
        kind: The relation or quantity.
        regions: The regions it is about.
        quantity: The token of its length or hour, where it has one.
        factor: Its factor, "twice", where it has one.
        hedged: Whether it is limited.
        negated: Whether it is denied.
        first: Its first token, an index in the sentence.
        last: Its last token.
    """

    kind: str
    regions: Regions
    quantity: int | None
    factor: float | None
    hedged: bool
    negated: bool
    first: int
    last: int


class Spoken(NamedTuple):
    """What a sentence is read after.

    Attributes:
        context: The regions spoken of last, which "it" and "they" mean.
        ends: The two regions of the last distance.
        asked: The quantity that the last sentence asks for, and of which regions.
    """

    context: Regions = ()
    ends: Regions = ()
    asked: tuple[str, Regions] = ("", ())


class Memory:
    """What a sentence has said so far.

    Attributes:
        spoken: What was said before it; None where that is not told.
        clauses: Its clauses that are read already.
        looks_back: Whether what was said before it was looked at.
        ends: The two regions of its last distance.
        dimension: The last dimension that had a length.
        measured: The regions whose it was.
        compared: The regions that the last ratio compared with.
        related: Subject and object of the last relation.
        side: The last "on the left" without an object: which side, of whom, and the statement that it may become.
    """

    looks_back: bool = False
    ends: Regions = ()
    dimension: str = ""
    measured: Regions = ()
    compared: Regions = ()
    related: tuple[Regions, Regions] = ((), ())
    side: tuple[str, Regions, Statement] | None = None

    def __init__(self, spoken: Spoken | None, clauses: list[Clause]) -> None:
        self.spoken, self.clauses = spoken, clauses

    def before(self) -> Spoken:
        """What was said before the sentence, for a rule that looks at it."""
        self.looks_back = True
        return self.spoken or Spoken()


class Scope:
    """A clause and what its rules share.

    Args:
        sentence: The sentence that holds it.
        clause: The clause.
        memory: What its sentence said before.
        terse: Whether the text answers a question, so that "on the right" relates to the question's other region.

    Attributes:
        done: Where the last statement of the clause ended.
    """

    def __init__(self, sentence: Sentence, clause: Clause, memory: Memory, *, terse: bool) -> None:
        self.sentence, self.clause, self.memory, self.terse = sentence, clause, memory, terse
        self.codes, self.subject = clause.codes, clause.subject
        self.done = 0

    def word(self, position: int) -> str:
        """A token's text, in lower case."""
        return self.sentence.word(self.clause.tokens[position])

    def factor(self, position: int) -> float:
        """The number that a TIMES token says: "twice", "1.5 times", "two thirds"."""
        words = _TIMES_SIGN.sub("", self.word(position)).strip()
        return FACTORS[words] if words in FACTORS else quantities.number(words)

    def dimension(self, position: int) -> str:
        """What a DIMENSION, ADJECTIVE or ALONG token names, such as "width"."""
        return _DIMENSIONS[self.word(position)]

    def follows(self, position: int, *names: str) -> bool:
        """Whether the token before is of one of these classes."""
        return position > 0 and self.codes[position - 1] in codes_of(*names)

    def nearest(self, position: int, wanted: frozenset[str]) -> int | None:
        """The nearest token of these classes before a position, but behind the last length and the last statement."""
        codes = self.codes
        joined = codes[max(0, position - 2) : position] == _AND_AMOUNT  # "1.2 m and 0.8 m": both have the words before
        start = position - 2 if joined else self._sum_start(position)
        for index in range(start - 1, -1 if joined else self.done - 1, -1):
            if codes[index] in wanted:
                return index
            if codes[index] == _AMOUNT:
                return None
        return None

    def _sum_start(self, position: int) -> int:
        """Where the arithmetic begins that has this result: "3 x 0.4 m = " before 1.2 m."""
        if _EQUALS not in self.codes[max(0, position - 2) : position]:
            return position
        start = position
        while start and self.codes[start - 1] in _ARITHMETIC:
            start -= 1
        return start

    def meant(self, position: int) -> Regions:
        """The regions that a mention means."""
        return meant(self.sentence, self.clause, position)

    def object(self, match: re.Match[str], name: str = "object") -> Regions | None:
        """The regions that a rule's object means, or None if it has no object."""
        position = match.start(name)
        if position < 0:
            return None
        found = self.meant(position)
        return self.not_subject() if self.codes[position] == _IT and found in ((), self.subject) else found

    def not_subject(self) -> Regions:
        """What "it" means as an object: whatever was named last, other than the subject."""
        if len(self.clause.context) == 1 and self.clause.context != self.subject:
            return self.clause.context
        named = [region for region in self.spoken_before() + self.spoken() if region not in self.subject]
        return (named[-1],) if named else self.sentence.others(self.subject)

    def spoken(self) -> Regions:
        """Every region that the clause names, in order."""
        return spoken(self.sentence, self.clause)

    def spoken_before(self) -> Regions:
        """Every region that the sentence named before this clause, in order."""
        return tuple(dict.fromkeys(r for clause in self.memory.clauses for r in spoken(self.sentence, clause)))

    def pairs(self, others: Regions) -> Iterator[Regions]:
        """Each region of the subject with each of the others."""
        return ((first, second) for first, second in product(self.subject, others) if first != second)

    def measured(self, kind: str, regions: Regions, at: int, begin: int, end: int) -> Statement:
        """A statement with the quantity at a position."""
        return self.statement(kind, regions, begin, end, quantity=self.clause.tokens[at])

    def statement(
        self,
        kind: str,
        regions: Regions,
        begin: int,
        end: int,
        *,
        quantity: int | None = None,
        factor: float | None = None,
    ) -> Statement:
        """A statement in the tokens from `begin` to `end`, and the subject where no statement is between."""
        start, tokens = self.clause.start, self.clause.tokens
        first = begin if start is None or start > begin or self.done > start + 1 else start
        last = max(end, 0 if start is None else start + 1) - 1
        return Statement(
            kind=kind,
            regions=regions,
            quantity=quantity,
            factor=factor,
            hedged=self._hedged(begin, end, relation=quantity is None and factor is None),
            negated=bool(_NEGATED.search(self.codes, min(self.done, begin), end)) or self.follows(begin, "NO"),
            first=tokens[first],
            last=tokens[last],
        )

    def _hedged(self, begin: int, end: int, *, relation: bool) -> bool:
        """Whether the clause, or a word at the statement itself, limits it; "about 2 m above" limits the 2 m alone."""
        if CODES["MAYBE"] in self.codes[:end]:
            return True
        local = self.codes[min(self.done, begin) : end]
        if relation:
            return _ABOUT_RELATION.search(local) is not None
        return CODES["ABOUT"] in local or self.codes.startswith(CODES["ABOUT"], end)


def meant(sentence: Sentence, clause: Clause, position: int) -> Regions:
    """The regions that a mention in a clause means."""
    context = clause.subject if clause.start != position else clause.context
    return sentence.meant(clause.codes[position], clause.tokens[position], context)


def spoken(sentence: Sentence, clause: Clause) -> Regions:
    """Every region that a clause names, in order."""
    named = (r for at, code in enumerate(clause.codes) if code in MENTIONS for r in meant(sentence, clause, at))
    return tuple(dict.fromkeys(named))
