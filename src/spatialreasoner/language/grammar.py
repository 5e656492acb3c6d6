"""What a text states: each clause is read from left to right, and each anchor in it by the rule for its class.

An anchor is a word that names a relation, or a number. From there a rule reads to the right; regions come from the anchor's
own words first, then from the clause's subject, then from the question's other region.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from spatialreasoner.language.clauses import clauses, joined
from spatialreasoner.language.lexicon import CODES, rule
from spatialreasoner.language.measures import asked, direction, length, ratio
from spatialreasoner.language.relations import RELATION_PATTERNS, relation
from spatialreasoner.language.scan import lazily
from spatialreasoner.language.scope import Memory, Scope, Statement
from spatialreasoner.language.sentences import Sentence, sentences
from spatialreasoner.language.tokens import UNKNOWN, Reading, Regions

MAX_REMEMBERED = 60
"""Tokens of the longest sentence whose reading is remembered; what people write is shorter."""

_AMOUNT = CODES["AMOUNT"]
_RULES = {_AMOUNT: length, CODES["HOUR"]: direction, CODES["TIMES"]: ratio} | dict.fromkeys(RELATION_PATTERNS, relation)
_ASKS = rule("(?:WHETHER|(?<=WORD) IF) (?! [^COMMA]* EQUALS ABOUT? AMOUNT)")
_ANCHOR = lazily(f"[{''.join(_RULES)}]")


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


def statements(reading: Reading, context: Regions = (), *, terse: bool = False) -> Iterator[tuple[int, Statement]]:
    """All statements of a text, sentence by sentence, each with the number of its sentence's first token.

    Args:
        reading: The text.
        context: What is spoken of before it begins.
        terse: Whether the text answers a question, so that "On the right." relates to the question's other region.
    """
    spoken = Spoken(context)
    for begin, sentence in sentences(reading):
        before = spoken if _AMOUNT in sentence.codes else Spoken(spoken.context)  # only lengths look at what else was spoken of
        read = read_sentence if len(sentence.codes) <= MAX_REMEMBERED else read_sentence.__wrapped__
        said, after = read(sentence, before, terse)
        spoken = after if after.ends or not spoken.ends else Spoken(after.context, spoken.ends, after.asked)
        for statement in said:
            yield begin, statement


@lru_cache(maxsize=1 << 12)
def read_sentence(sentence: Sentence, spoken: Spoken, terse: bool) -> tuple[tuple[Statement, ...], Spoken]:
    """What a sentence states, and what the next one is read after; the words may occur in another text with other numbers."""
    memory = Memory(ends=spoken.ends, asked=spoken.asked)
    found: list[Statement] = []
    context = spoken.context
    sentence, codes, tokens = joined(sentence)
    for clause in clauses(sentence, codes, tokens, context):
        context = clause.subject or context
        if _ANCHOR.search(clause.codes):
            found += _read(Scope(sentence, clause, memory, terse=terse))
        memory.clauses.append(clause)
    found = [statement for statement in found if UNKNOWN[0] not in statement.regions]
    return tuple(found), Spoken(context, memory.ends, asked(sentence, memory.clauses) if memory.clauses else ("", ()))


def _read(scope: Scope) -> Iterator[Statement]:
    """The statements of one clause. Behind "whether" it states nothing; nor does a question, but for "if you are at A, ..."."""
    asks = _ASKS.search(scope.codes)
    blocked = 0 if scope.clause.asked else asks.start() if asks else len(scope.codes)
    for anchor in _ANCHOR.finditer(scope.codes):
        if anchor.start() >= scope.done and (anchor.start() < blocked or anchor.group() == CODES["HOUR"]):
            yield from _RULES[anchor.group()](scope, anchor.start())
