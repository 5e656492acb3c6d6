"""A sentence cut into clauses, each about one subject.

A clause ends where a new subject begins; what is in brackets, or after "which", is a clause of its own about what it
follows.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import compress

from spatialreasoner.language.labels import UNKNOWN, Mention, Regions
from spatialreasoner.language.lexicon import CODES, SKIPPED, codes_of, rule
from spatialreasoner.language.looks import NO_THINGS, PLURAL_WORDS, THINGS_OWN
from spatialreasoner.language.sentences import MENTIONS, Sentence

_MENTION = "[REGION PAIR IT OTHER FORMER LATTER]"
_ENDS = codes_of("STOP", "ASKED", "LINE", "BULLET")
_BOUND = rule("(?:[NOT NO] BE?)? (?:OVER|[MORE LESS] THAN) (?=[AMOUNT TIMES])")
"""More than 2 m limits the length as about 2 m does."""
_DENIAL = rule("NOT (?=[COMMA STOP EQUALS])")
_COMPOUND = rule("[OPEN WHETHER BUT COMMA AND EQUALS IF]")
_PREDICATE = rule("[BE MAYBE POSSESSIVE NOT]")
_EMPTY = rule(
    "OPEN (?=REGION CLOSE) | (?<=REGION) CLOSE | PAIR (?=REGION) | IT (?=[BE MAYBE NOT WORD POSSESSIVE]{1,4} THAT)"
    "| OPEN (?=[ADJECTIVE DIMENSION] CLOSE) | (?<=AMOUNT OPEN ADJECTIVE) CLOSE"
    "| OTHER (?=AMOUNT) | BETWEEN (?=[AMOUNT HOUR]) | (?<=IN) PAIR (?=DIMENSION AND)"
    "| IT [BE MAYBE] (?=REGION THAT) | (?<=REGION) THAT (?=BE)"
)
"""Tokens that say nothing: brackets around a bare name, and the "it" of "it is clear that"."""
_MAY_BE_EMPTY = codes_of("OPEN", "CLOSE", "PAIR", "IT", "OTHER", "BETWEEN", "THAT")
_LIMITED = codes_of("AMOUNT", "TIMES")
_BARE_ASIDE = rule(
    "(?<=[REGION COMPARED CLOSER FARTHER DIMENSION POSSESSIVE]) OPEN ABOUT? AMOUNT (?:TO? RELATIVE TO? ABOUT? AMOUNT)? CLOSE"
)
"""A length in brackets of which the clause around them tells what it measures: "Region 1 (2 m) is taller"."""
_APPOSED = rule("REGION [COMMA OPEN IN AS WORD AT EQUALS]{0,3} (?=REGION)")
_AMONG_BOTH = rule("[^REGION]{0,3} REGION AND")
"""Between A and B, B is ...: the second B is not what the first one is called."""
_LISTED = rule("REGION (?:COMMA REGION){0,8} COMMA? [AND NOR] REGION")
_ASIDE = rule(
    "OPEN (?P<inside>[^OPEN CLOSE]{1,60}) CLOSE"
    f"|(?<={_MENTION}) COMMA? WHETHER (?P<which>[BE MAYBE NOT WORD] [^COMMA BUT]{{1,60}}) COMMA?"
)
_SPLIT = rule(
    rf"""BUT
    | EQUALS (?=[REGION IT PAIR] [BE MAYBE NOT])
    | (?:COMMA AND?|(?<!DIMENSION) AND) (?=ABOUT? [DIMENSION DISTANCE ALONG]{{1,2}} [OF BETWEEN FROM BE EQUALS]
      | (?<=AND) BETWEEN REGION | ON? REGION (?:[TO ON AT IN]? SIDE
      |[IN ON AT]? [COMPARED CLOSER FARTHER] ONE? (?:WORD? (?:OF IMAGE)?)|IN? [OVER FRONT] (?:OF IMAGE)?) $)
    | COMMA? AND (?=[ADJECTIVE WORD]{{1,3}} BE | REGION COMMA)
    | (?:COMMA? AND|COMMA) (?=[IN ON]? {_MENTION} POSSESSIVE? [BE MAYBE NOT DIMENSION DISTANCE EQUALS ABOUT AMOUNT AT TIMES])"""
)
"""Where a new subject may begin."""
_ACTS = rule("REGION CLOSE? WORD")
"""A region and a verb that says nothing of it: "while A benefits from a platform, ..."."""
_INTRODUCTION = rule("[ON AT] [^REGION PAIR IT OTHER]* $ | [MAYBE ABOUT WORD]* $")
_SUPPOSED = rule(f"(?:IF|BE {_MENTION}) [^COMMA]* COMMA")
_AMONG = rule(f"[OF BETWEEN] REGION COMMA (?={_MENTION})")
"""Of A and B, ..."""
_VERB = rule("[BE MAYBE NOT EQUALS FIND AMOUNT HOUR POSSESSIVE MORE] | REGION [TO ON AT]? SIDE $")
_NOT_OBJECT = "(?<![TO FROM AT ON OVER THAN RELATIVE BETWEEN]) (?<![SIDE FRONT] OF) (?<![ADJECTIVE DIMENSION] AS)"
_SUBJECT = rule(f"{_NOT_OBJECT} {_MENTION}")
_NAMED = rule(f"{_NOT_OBJECT} REGION")
_FOREIGN = rule(
    rf"""[ABOUT AND]* (?P<things>[COMPARED CLOSER FARTHER] ONE) [BE MAYBE WORD]
    | [ABOUT AND COMMA]* [ADJECTIVE COMPARED WORD]{{0,3}} (?P<noun>WORD) IMAGE?
    (?:[ON AT IN TO FROM OVER] [WORD ONE {_MENTION[1:-1]}])? POSSESSIVE? THAT? [BE MAYBE] (?!THAT)"""
)
"""The start of a clause about something that is not a region."""
_BEHIND = rule(f"(?:[IN ON AT TO]? [OVER SIDE FRONT] OF?|[ON TO IN]+) {_MENTION} COMMA? BE WORD $")
"""Behind A is something that is not a region."""
_WITH = rule("ON REGION")
_PART = rule("POSSESSIVE (?:[COMPARED MOST SIDE]? WORD | COMPARED BE)")
_ITS_SIZE = rule("IT [DIMENSION DISTANCE] COMMA REGION")
_HAS = rule("REGION BE (?P<owned>REGION) (?=[ON TO AT WORD]{0,2} (?:IT SIDE|[OVER FRONT]))")
"""A has B below it: then B is the subject, and "it" means A."""
_BETWEEN = rule(f"(?<=BETWEEN) {_MENTION}")


class Clause:
    """Part of a sentence about one subject.

    Attributes:
        codes: One character per token: its class.
        tokens: Index of each token in the sentence.
        context: What the text spoke of just before.
        subject: The regions it speaks of, from its own words or else the context.
        start: Position in `codes` of that subject, or None if it was carried over.
        asked: Whether it only asks or supposes.
    """

    __slots__ = ("asked", "codes", "context", "start", "subject", "tokens")

    def __init__(
        self, codes: str, tokens: Sequence[int], context: Regions, *, subject: Regions, start: int | None, asked: bool
    ) -> None:
        self.codes, self.tokens, self.context = codes, tokens, context
        self.subject, self.start, self.asked = subject, start, asked


def joined(sentence: Sentence) -> tuple[Sentence, str, list[int]]:
    """A sentence, and codes and index of each of its tokens that says something.

    "The chair (Region 1)" is made one mention, and "Region 1 and Region 2" too.
    """
    tokens = [token for token, code in enumerate(sentence.codes) if code != SKIPPED]
    codes = _plainer(sentence.codes.replace(SKIPPED, ""))
    del tokens[len(codes) :]
    if CODES["REGION"] not in codes:
        return sentence, codes, tokens
    drop: set[int] = set()
    if not _MAY_BE_EMPTY.isdisjoint(codes):
        drop.update(index for match in _EMPTY.finditer(codes) for index in range(*match.span()))
        drop.update(index for match in _BARE_ASIDE.finditer(codes) for index in (match.start(), match.end() - 1))
    if codes.count(CODES["REGION"]) < 2:
        return (sentence, *_without(codes, tokens, drop))
    for match in _APPOSED.finditer(codes):
        first, second, opened = tokens[match.start()], tokens[match.end()], CODES["OPEN"] in match.group()
        begins = not opened and sentence.is_explicit(first) and _AMONG_BOTH.fullmatch(codes, 0, match.start())
        if not begins and _is_same(sentence, first, second, opened=opened):
            drop.update(range(*match.span()))
    codes, tokens = _without(codes, tokens, drop)
    drop, words = set(), [*sentence.words]
    for match in _LISTED.finditer(codes):
        if _is_list(codes, match) or sentence.word(tokens[min(match.end(), len(tokens) - 1)]) in PLURAL_WORDS:
            members = [tokens[index] for index in range(*match.span()) if codes[index] == CODES["REGION"]]
            regions = tuple(dict.fromkeys(region for member in members for region in sentence.mentioned(member)))
            words[members[0]] = Mention(regions, sentence.is_explicit(members[0]))
            drop.update(range(match.start() + 1, match.end()))
    return (sentence._replace(words=tuple(words)) if drop else sentence, *_without(codes, tokens, drop))


def _plainer(codes: str) -> str:
    """The classes of a sentence without its end, where "no," denies the question and "more than" limits a number."""
    held = frozenset(codes)
    if CODES["NOT"] in held:
        codes = _DENIAL.sub(CODES["NO"], codes)
    if not held.isdisjoint(_LIMITED):
        codes = _BOUND.sub(lambda match: CODES["ABOUT"] * len(match.group()), codes)
    return codes[:-1] if codes[-1:] in _ENDS else codes


def _is_same(sentence: Sentence, first: int, second: int, *, opened: bool) -> bool:
    """Whether two mentions side by side are one; an explicit name in brackets corrects a label before it."""
    if sentence.mentioned(first) == sentence.mentioned(second):
        return True
    return opened and not sentence.is_explicit(first) and sentence.is_explicit(second)


_LIST_STARTS = (
    *(CODES[name] for name in ("BETWEEN", "EQUALS", "COMMA", "BUT", "THAT")),
    CODES["DIMENSION"] + CODES["OF"],
    CODES["WHETHER"] + CODES["OF"],
)


def _is_list(codes: str, match: re.Match[str]) -> bool:
    """Whether "A and B" is a list, not the end of one clause and the start of the next."""
    before = codes[max(0, match.start() - 40) : match.start()]
    if before.endswith(_LIST_STARTS) or not _PREDICATE.match(codes, match.end()):
        return True
    return not _VERB.search(before)


def clauses(sentence: Sentence, codes: str, tokens: list[int], context: Regions = ()) -> Iterator[Clause]:
    """The clauses of a sentence, in order; what is in brackets comes before the clause that holds it.

    Args:
        sentence: The sentence, with its codes and tokens as `joined` gives them.
        codes: Its codes.
        tokens: Its tokens.
        context: What is spoken of before, such as the subject of the question that is answered.
    """
    asked = sentence.asked
    if not _COMPOUND.search(codes):
        yield _clause(sentence, codes, tokens, context, asked)
        return
    drop: set[int] = set()
    for match in _ASIDE.finditer(codes):
        begin, end = match.span("inside" if match["inside"] else "which")
        drop.update(range(*match.span()))
        holder = _holder(sentence, codes, tokens, match.start(), context)
        yield _clause(sentence, codes[begin:end], tokens[begin:end], holder, asked)
    codes, tokens = _without(codes, tokens, drop)
    context = context or _ahead(sentence, codes, tokens)
    for begin, end, supposed in _pieces(codes):
        clause = _clause(sentence, codes[begin:end], tokens[begin:end], context, asked or supposed)
        context = clause.subject or context
        yield clause


def _holder(sentence: Sentence, codes: str, tokens: Sequence[int], at: int, context: Regions) -> Regions:
    """The last mention before an aside."""
    for position in range(at - 1, -1, -1):
        if codes[position] in MENTIONS:
            return sentence.meant(codes[position], tokens[position], context)
    return context


def _ahead(sentence: Sentence, codes: str, tokens: Sequence[int]) -> Regions:
    """What "it" means where nothing was named before: "Though it is shorter, Region 1 is wider"."""
    match = _NAMED.search(codes) if CODES["IT"] in codes else None
    return sentence.mentioned(tokens[match.start()]) if match else ()


def _clause(sentence: Sentence, codes: str, tokens: Sequence[int], context: Regions, asked: bool) -> Clause:
    match = _SUBJECT.search(codes) or _BETWEEN.search(codes)
    if (
        match
        and codes[match.start()] == CODES["IT"]
        and (_is_part(sentence, codes, tokens, match.start()) or _ITS_SIZE.match(codes, match.start()))
    ):
        match = _NAMED.search(codes, match.end())  # "considering its shape, Region 1 is"
    start = match.start() if match else None
    if start is not None and (has := _HAS.match(codes, start)):
        context, start = sentence.meant(codes[start], tokens[start], context), has.start("owned")
    foreign = start is None and _FOREIGN.match(codes)
    if start is None and not foreign and (opening := _WITH.match(codes)):
        start = opening.end() - 1
    if start is None and _BEHIND.match(codes):
        subject = UNKNOWN
    elif start is None:
        subject = _foreign(sentence, foreign, tokens) if foreign else context
    elif _is_part(sentence, codes, tokens, start):
        codes = codes[:start] + CODES["WORD"] + codes[start + 1 :]  # a thing of its own, of which nothing is known
        start, subject = None, ()
    else:
        subject = sentence.meant(codes[start], tokens[start], context)
    return Clause(codes, tokens, context, subject=subject, start=start, asked=asked)


def _foreign(sentence: Sentence, foreign: re.Match[str], tokens: Sequence[int]) -> Regions:
    """Whom a clause speaks of that begins with a noun that is not a region's, or with "farther objects"."""
    noun = foreign.start("noun")
    return () if noun >= 0 and sentence.word(tokens[noun]) in NO_THINGS else UNKNOWN


def _is_part(sentence: Sentence, codes: str, tokens: Sequence[int], position: int) -> bool:
    """Whether only a part of the mention is spoken of: "its leaves", "Region 1's leg"."""
    if codes.startswith(CODES["WORD"], position + 1):
        return sentence.word(tokens[position]) in THINGS_OWN
    return _PART.match(codes, position + 1) is not None


def _without(codes: str, tokens: list[int], drop: set[int]) -> tuple[str, list[int]]:
    if not drop:
        return codes, tokens
    left = bytearray(b"\1") * len(codes)
    for index in drop:
        left[index] = 0
    return "".join(compress(codes, left)), list(compress(tokens, left))


def _pieces(codes: str) -> Iterator[tuple[int, int, bool]]:
    """Start and end of each clause of a sentence, and whether it only supposes ("if ...,")."""
    begin = 0
    supposed = _SUPPOSED.match(codes)
    if among := _AMONG.match(codes):
        begin = among.end()
    elif supposed:
        yield 0, supposed.end(), True
        begin = supposed.end()
    for match in _SPLIT.finditer(codes, begin):
        before = codes[begin : match.start()]
        conceded = begin > 0 and codes[begin - 1] == CODES["BUT"] and _ACTS.match(before)
        if match.group() == CODES["BUT"] or conceded or (_VERB.search(before) and not _INTRODUCTION.match(before)):
            if match.start() > begin:
                yield begin, match.start(), False
            begin = match.end()
    if begin < len(codes):
        yield begin, len(codes), begin == 0 and codes.startswith(CODES["IF"])
