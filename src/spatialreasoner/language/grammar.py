"""What a text states: each clause is read from left to right, and each anchor in it by the rule for its class.

An anchor is a word that names a relation, or a number. From there a rule reads to the right; regions come from the anchor's
own words first, then from the clause's subject, then from the question's other region.
"""

from collections.abc import Iterator
from functools import lru_cache

from spatialreasoner.language.clauses import clauses, joined
from spatialreasoner.language.labels import UNKNOWN, Regions
from spatialreasoner.language.lexicon import CODES, codes_of, rule
from spatialreasoner.language.measures import asked, direction, length, ratio
from spatialreasoner.language.relations import RELATION_PATTERNS, relation
from spatialreasoner.language.scan import lazily
from spatialreasoner.language.scope import Memory, Scope, Spoken, Statement
from spatialreasoner.language.sentences import Sentence, SentenceForm, sentences
from spatialreasoner.language.tokens import Reading

MAX_REMEMBERED = 60
"""Tokens of the longest sentence whose reading is remembered; what people write is shorter."""

_MAX_FORMS = 1 << 12
"""Maximum number of sentences that are remembered."""

_Told = tuple[tuple[Statement, ...], Spoken]
"""What a sentence states, and what the next one is read after."""

_AMOUNT = CODES["AMOUNT"]
_RULES = {_AMOUNT: length, CODES["HOUR"]: direction, CODES["TIMES"]: ratio} | dict.fromkeys(RELATION_PATTERNS, relation)
_ASKS = rule("(?:WHETHER|(?<=WORD) IF) (?! [^COMMA]* EQUALS ABOUT? AMOUNT)")
_REFERRING = codes_of("IT", "PAIR", "OTHER")
_ANCHOR = lazily(f"[{''.join(_RULES)}]")


spoken_of = lru_cache(maxsize=1 << 10)(Spoken)
"""What was spoken of; few differ."""


class _Said(dict[Spoken, _Told]):
    """What a sentence states and what the next one is read after, by what was spoken of before it."""

    def __init__(self, sentence: Sentence, terse: bool) -> None:
        super().__init__()
        self._sentence, self._terse = sentence, terse

    def __missing__(self, spoken: Spoken) -> _Told:
        if len(self) >= _MAX_FORMS:
            self.clear()
        told = self[spoken] = _told(self._sentence, spoken, self._terse)
        return told


class SentenceForms(dict[SentenceForm, "_Told | _Said"]):
    """What sentences state by their form: at once where they speak for themselves, else by what was spoken of before them.

    The words of a form may occur in another text with other numbers. A dictionary is looked up in half the time of a cache.
    """

    def __init__(self, *, terse: bool) -> None:
        super().__init__()
        self._terse = terse

    def __missing__(self, form: SentenceForm) -> _Told | _Said:
        if len(self) >= _MAX_FORMS:
            self.clear()
        sentence = Sentence(*form)
        told = read_sentence(sentence, None, self._terse) or _Said(sentence, self._terse)
        if len(sentence.codes) <= MAX_REMEMBERED:
            self[form] = told
        return told


remembered_forms = SentenceForms(terse=False), SentenceForms(terse=True)
"""The sentences read last, for texts that answer no question and for those that do."""


def statements(reading: Reading, context: Regions = (), *, terse: bool = False) -> Iterator[tuple[int, Statement]]:
    """All statements of a text, sentence by sentence, each with the number of its sentence's first token.

    Args:
        reading: The text.
        context: What is spoken of before it begins.
        terse: Whether the text answers a question, so that "On the right." relates to the question's other region.
    """
    spoken = Spoken(context)
    forms = remembered_forms[terse]
    for begin, form in sentences(reading):
        told = forms[form]
        if isinstance(told, _Said):  # only lengths look at what else was spoken of
            told = told[spoken if _AMOUNT in form[1] else spoken_of(spoken.context)]
        said, after = told
        if not after.context or (spoken.ends and not after.ends):
            after = spoken_of(after.context or spoken.context, after.ends or spoken.ends, after.asked)
        spoken = after
        for statement in said:
            yield begin, statement


def read_sentence(sentence: Sentence, spoken: Spoken | None, terse: bool) -> _Told | None:
    """What a sentence states, and what the next one is read after.

    Args:
        sentence: The sentence.
        spoken: What is said before it; None where that is not told, as most sentences speak for themselves.
        terse: Whether it answers a question.

    Returns:
        Statements, and what of what is said before the sentence itself says; None where it has to be told what is said before.
    """
    memory = Memory(spoken, [])
    found: list[Statement] = []
    context = spoken.context if spoken else ()
    sentence, codes, tokens = joined(sentence)
    if spoken is None and not _REFERRING.isdisjoint(codes):
        return None
    for clause in clauses(sentence, codes, tokens, context):
        context = clause.subject or context
        if _ANCHOR.search(clause.codes):
            if spoken is None and not clause.subject:
                return None  # it may go on about what was spoken of
            found += _read(Scope(sentence, clause, memory, terse=terse))
        memory.clauses.append(clause)
    if spoken is None and memory.looks_back:
        return None
    found = [statement for statement in found if UNKNOWN[0] not in statement.regions]
    return tuple(found), Spoken(context, memory.ends, asked(sentence, memory.clauses) if memory.clauses else ("", ()))


def _told(sentence: Sentence, spoken: Spoken, terse: bool) -> _Told:
    told = read_sentence(sentence, spoken, terse)
    assert told is not None
    return told


def _read(scope: Scope) -> Iterator[Statement]:
    """The statements of one clause. Behind "whether" it states nothing; nor does a question, but for "if you are at A, ..."."""
    asks = _ASKS.search(scope.codes)
    blocked = 0 if scope.clause.asked else asks.start() if asks else len(scope.codes)
    for anchor in _ANCHOR.finditer(scope.codes):
        if anchor.start() >= scope.done and (anchor.start() < blocked or anchor.group() == CODES["HOUR"]):
            yield from _RULES[anchor.group()](scope, anchor.start())
