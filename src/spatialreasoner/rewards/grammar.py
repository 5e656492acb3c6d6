"""What a text states: each clause is read from left to right, and each anchor in it by the rule for its class.

An anchor is a word that names a relation, or a number. From there a rule reads to the right; regions come from the anchor's
own words first, then from the clause's subject, then from the question's other region.
"""

import re
from collections.abc import Iterator

from spatialreasoner.rewards.clauses import clauses
from spatialreasoner.rewards.lexicon import CODES, rule
from spatialreasoner.rewards.measures import direction, length, ratio
from spatialreasoner.rewards.relations import RELATIONS, relation
from spatialreasoner.rewards.scope import Memory, Scope, Statement
from spatialreasoner.rewards.tokens import Reading, Regions

_RULES = {CODES["AMOUNT"]: length, CODES["HOUR"]: direction, CODES["TIMES"]: ratio} | dict.fromkeys(RELATIONS, relation)
_ASKS = rule("(?:WHETHER|(?<=WORD) IF) (?! [^COMMA]* EQUALS ABOUT? AMOUNT)")
_ANCHOR = re.compile(f"[{''.join(_RULES)}]")


def statements(reading: Reading, context: Regions = (), *, terse: bool = False) -> Iterator[Statement]:
    """All statements of a text, clause by clause.

    Args:
        reading: The text.
        context: What is spoken of before it begins.
        terse: Whether the text answers a question, so that "On the right." relates to the question's other region.
    """
    memory, sentence = Memory(), 0
    for clause in clauses(reading, context):
        if clause.sentence != sentence:
            before = memory.clauses[-1] if memory.clauses else None
            memory, sentence = Memory(ends=memory.ends, before=before), clause.sentence
        if _ANCHOR.search(clause.codes):
            yield from _read(Scope(reading, clause, memory, terse=terse))
        memory.clauses.append(clause)


def _read(scope: Scope) -> Iterator[Statement]:
    """The statements of one clause. Behind "whether" it states nothing; nor does a question, but for "if you are at A, ..."."""
    asks = _ASKS.search(scope.codes)
    blocked = 0 if scope.clause.asked else asks.start() if asks else len(scope.codes)
    for anchor in _ANCHOR.finditer(scope.codes):
        if anchor.start() >= scope.done and (anchor.start() < blocked or anchor.group() == CODES["HOUR"]):
            yield from _RULES[anchor.group()](scope, anchor.start())
