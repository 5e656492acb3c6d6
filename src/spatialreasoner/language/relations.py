"""Relations that a clause states: left of, above, taller than, closer to the camera than."""

import re
from collections.abc import Iterator, Mapping
from typing import cast

from spatialreasoner.core.types import CONVERSE, Relation
from spatialreasoner.language.labels import Regions
from spatialreasoner.language.lexicon import CODES, RELATION_WORDS, codes_of, rule
from spatialreasoner.language.scope import OBJECT, Scope, Statement

THAN = "(?:[THAN RELATIVE OF] (?!IT BE) (?:[THAT DIMENSION DISTANCE WORD]? [OF FROM])?)"
"""What is between a comparative and its object."""

_MEASURE = "(?P<measure>DIMENSION|ADJECTIVE|DISTANCE)"
_SIZE_OBJECT = f"{OBJECT} (?:POSSESSIVE DIMENSION | IN (?P<late>DIMENSION) (?:AND (?P<too>DIMENSION))?)?"
_AT_SIZE = "(?:COMMA? AT? ABOUT? (?P<size>AMOUNT) APART? COMMA? (?=THAN))?"
RELATION_PATTERNS: Mapping[str, re.Pattern[str]] = {
    CODES[name]: rule(pattern)
    for name, pattern in {
        "SIDE": rf"SIDE (?: [OF THAN FROM TO RELATIVE] COMMA? (?:{OBJECT}|(?P<image>IMAGE)) )?",
        "FRONT": rf"FRONT (?:OF {OBJECT})?",
        "OVER": rf"OVER {OBJECT}?",
        "CLOSER": rf"CLOSER (?P<camera>TO? CAMERA)? {_AT_SIZE} (?:{THAN} {OBJECT})?",
        "FARTHER": rf"""FARTHER (?P<away>APART|WORD)? (?P<camera>[FROM TO IN ON] [CAMERA IMAGE])? {_AT_SIZE}
            (?:{THAN} {OBJECT})?""",
        "COMPARED": rf"""COMPARED {_AT_SIZE} (?:IN? {_MEASURE})? (?:FROM CAMERA)?
            (?: (?:[ON IN AT]? WORD)? {THAN} {_SIZE_OBJECT} (?!BE ADJECTIVE) )?""",
        "MORE": rf"MORE (?:IN? {_MEASURE})? (?:FROM CAMERA)? (?: (?:{THAN}|(?:THAT|DIMENSION) OF)? {_SIZE_OBJECT} )?",
        "LESS": rf"LESS (?:IN? {_MEASURE})? (?:FROM CAMERA)? (?: {THAN} {_SIZE_OBJECT} )?",
        "MOST": "MOST (?P<object>(?!))?",
        "AS": rf"AS (?P<measure>ADJECTIVE) AS (?:THAT OF)? {OBJECT} (?!BE ADJECTIVE)",
    }.items()
}
"""How each kind of relation continues from its anchor, by the anchor's class."""

_WORDS: Mapping[str, Mapping[str, str]] = {CODES[name]: words for name, words in RELATION_WORDS.items()}
_BY_DIMENSION: Mapping[str, tuple[str, str]] = {
    "height": ("short", "tall"),
    "width": ("thin", "wide"),
    "size": ("small", "big"),
}
_OF_ONE_DIMENSION = frozenset(("wider", "thinner", "narrower", "taller"))
"""What these compare needs not be told: "given its height, Region 1 is wider"."""
_UPWARD = frozenset(("tall", "wide", "big", "above"))
_EXTENTS = codes_of("DIMENSION", "DISTANCE")
_DISTANCE_COMMA = CODES["DISTANCE"] + CODES["COMMA"]
_COMPARATIVES = codes_of("COMPARED", "MORE", "LESS")
_ALONE = rule("[ONE OF PAIR IN BETWEEN AND COMMA PLUS EQUALS RELATIVE AS BUT FROM] | $")
_DEFINITE = rule("[ONE WORD]{0,2} (?:(?P<named>BE REGION)|[COMMA OF IN]|$)")
_LAST = rule("ONE? (?:ON [ABOUT WORD]* AMOUNT)? $")
_THING = rule("[WORD ONE]{1,2} (?:COMMA | $)")
_IS_REGION = rule("ONE? BE REGION")
_AND_THEN = rule("COMMA? [AND NOR] [COMMA TO IN MORE FARTHER WORD]{0,4}")
_REFERENCE = rule(f"RELATIVE {OBJECT}")
_NOT_AS = rule("NOT [ABOUT WORD]? $")
_ATTRIBUTE = rule("[ONE WORD TIMES DIMENSION ADJECTIVE ALONG]")
_PREDICATES = codes_of("BE", "MAYBE", "NOT", "AT", "AS")
_OF_AMOUNT = rule("(?P<dimension>DIMENSION) (?:OF REGION)? [OF EQUALS]? AMOUNT [BE MAYBE]* $")


def relation(scope: Scope, position: int) -> Iterator[Statement]:
    """The relations that the anchor at a position states."""
    match = RELATION_PATTERNS[scope.codes[position]].match(scope.codes, position)
    kinds = _kinds(scope, match) if match else ()
    if match is None or not kinds:
        return
    if _is_of_both(scope, position, kinds[0]):
        return
    begin = position
    while scope.follows(begin, "MORE", "LESS", "FARTHER", "CLOSER", "TO", "IN"):
        begin -= 1
    others = _stated(scope, match)
    if others is None and scope.codes[position] == CODES["OVER"] and scope.follows(position, "FROM"):
        return  # "covered from above"
    if others is None and not _stands_alone(scope, match):
        yield from _contrast(scope, kinds[0], match, begin)
        return
    if others is None:
        others = compared_regions(scope) or scope.sentence.others(scope.subject)
    found = [scope.statement(kind, regions, begin, match.end()) for kind in kinds for regions in scope.pairs(others)]
    denial = scope.codes[position] == CODES["AS"]  # "not as tall as" is read as "shorter than", which is not denied
    yield from (statement._replace(negated=False) if denial else statement for statement in found)
    scope.memory.related = (scope.subject, others)
    scope.done = position + 1 if "size" in match.re.groupindex and match["size"] else match.end()


def _kinds(scope: Scope, match: re.Match[str]) -> tuple[str, ...]:
    """The relations that a match names: two if it measures two things, "in height and width"."""
    first = _kind(scope, match)
    if first is None or "too" not in match.re.groupindex or not match["too"]:
        return (first,) if first else ()
    second = _by_measure(scope, match, match.start("too"))
    return (first, second) if second else (first,)


def _kind(scope: Scope, match: re.Match[str]) -> str | None:
    """The relation that a match names, or None if it names none."""
    position = match.start()
    code = scope.codes[position]
    if code == CODES["AS"]:
        return _by_measure(scope, match, match.start("measure")) if _NOT_AS.search(scope.codes, 0, position) else None
    if code in _COMPARATIVES:
        measure = None if scope.word(position) in _OF_ONE_DIMENSION else _measure(scope, match)
        return _by_measure(scope, match, measure) if measure is not None else _WORDS.get(code, {}).get(scope.word(position))
    if code in (CODES["CLOSER"], CODES["FARTHER"]) and not (match["camera"] or match["object"]):
        last = _LAST.match(scope.codes, match.end()) and scope.follows(
            position, "BE", "MAYBE", "AMOUNT", "COMMA", "AND", "REGION"
        )
        named = _IS_REGION.match(scope.codes, match.end())  # "the closer one is Region 1"
        most = scope.word(position).endswith("st") and scope.follows(position, "BE", "MAYBE")
        if not (
            last
            or named
            or (most and _THING.match(scope.codes, match.end()))
            or scope.codes.startswith(CODES["APART"], position + 1)
        ):
            return None
    if code == CODES["FARTHER"] and scope.follows(position, "LESS"):
        return "front"
    return _WORDS[code][scope.word(position)]


def _measure(scope: Scope, match: re.Match[str]) -> int | None:
    """The dimension that a comparative is about: "greater in height", "the width of A is larger", "exceeds B in width"."""
    for name in ("measure", "late"):
        if name in match.re.groupindex and match[name]:
            return match.start(name)
    before = scope.nearest(match.start(), _EXTENTS)
    if before is None and (owned := _OF_AMOUNT.search(scope.codes, 0, match.start())):
        return owned.start("dimension")
    if before is None:
        return None
    if scope.codes.startswith(_DISTANCE_COMMA, before) and CODES["CAMERA"] not in scope.codes:
        return None  # "because of the distance, Region 1 is larger" compares sizes
    if scope.word(before) == "depth" and scope.codes.startswith(CODES["COMMA"], before + 1):
        return None  # "accounting for depth, Region 1 is wider"
    return before


def _upward(scope: Scope, match: re.Match[str]) -> bool:
    """Whether a comparative says that there is more of what it compares."""
    code = scope.codes[match.start()]
    return _WORDS[code][scope.word(match.start())] in _UPWARD if code in _WORDS else code == CODES["MORE"]


def _by_measure(scope: Scope, match: re.Match[str], measure: int) -> str | None:
    """The relation of having more, or less, of the dimension at a position."""
    upward = _upward(scope, match)
    if scope.word(measure) == "space":
        return ("small", "big")[upward]  # "takes up more space than"
    if scope.codes[measure] == CODES["DISTANCE"]:
        return ("front", "behind")[upward] if CODES["CAMERA"] in scope.codes else None
    dimension = scope.dimension(measure)
    if dimension == "height" and scope.follows(match.start(), "AT"):
        return ("below", "above")[upward]  # "at a greater height than"
    if scope.word(measure) in ("thin", "narrow", "short", "small"):
        upward = not upward
    return _BY_DIMENSION[dimension][upward] if dimension in _BY_DIMENSION else None


def _stated(scope: Scope, match: re.Match[str]) -> Regions | None:
    """The regions that a relation's own words compare with, or None: "above B", "above and to the left of B"."""
    stated = scope.object(match)
    position = match.start()
    if stated is not None:
        return stated
    if scope.codes[position] == CODES["SIDE"] and scope.follows(position, "POSSESSIVE") and position > 1:
        return scope.meant(position - 2)
    if (
        scope.codes[position] == CODES["SIDE"]
        and scope.follows(position, "IT")
        and scope.follows(position - 1, "TO", "WORD", "AT", "ON")
        and scope.clause.start is not None
    ):
        return scope.not_subject() or None
    joined = _AND_THEN.match(scope.codes, match.end())
    pattern = RELATION_PATTERNS.get(scope.codes[joined.end() : joined.end() + 1]) if joined else None
    following = pattern.match(scope.codes, joined.end()) if pattern and joined else None
    return scope.object(following) if following else None


def _stands_alone(scope: Scope, match: re.Match[str]) -> bool:
    """Whether a relation without an object compares with the other region, and is not "a larger chair"."""
    if scope.terse and not _is_attribute(scope, match):
        return True
    if _REFERENCE.search(scope.codes):
        return True
    if scope.terse:
        return False
    if scope.memory.clauses and not scope.memory.clauses[-1].subject and CODES["AMOUNT"] in scope.memory.clauses[-1].codes:
        return False  # "a door is 2 m tall; the wardrobe is shorter": than the door
    start, code = match.start(), scope.codes[match.start()]
    before = scope.codes[max(0, start - 2) : start]
    if not _ALONE.match(scope.codes, match.end()):
        return _is_definite(scope, match)
    if code == CODES["COMPARED"] and scope.follows(start, "MAYBE"):
        return scope.word(start) not in ("larger", "bigger", "smaller")  # what is near looks larger
    if code == CODES["SIDE"]:
        return match["image"] is None and (CODES["MORE"] in before or CODES["FARTHER"] in before)
    if code in (CODES["FRONT"], CODES["OVER"]):
        return match.end() >= len(scope.codes.rstrip(CODES["COMMA"])) and (
            CODES["BE"] in before or scope.follows(start, "REGION")
        )
    return True


def _is_attribute(scope: Scope, match: re.Match[str]) -> bool:
    """Whether a clause that names no region only calls something so: "the taller object casts a longer shadow"."""
    start = match.start()
    return (
        scope.clause.start is None
        and scope.codes[start] in _COMPARATIVES
        and _ATTRIBUTE.match(scope.codes, match.end()) is not None
        and (start == 0 or scope.codes[start - 1] not in _PREDICATES)
    )


def _is_of_both(scope: Scope, position: int, kind: str) -> bool:
    """Whether a word and its opposite are said in one breath: "left and right would be swapped"."""
    codes, code = scope.codes, scope.codes[position]
    words = _WORDS.get(code, {})
    for joint, other in ((position + 1, position + 2), (position - 1, position - 2)):
        if joint >= 0 <= other < len(codes) and codes[joint] == CODES["AND"] and codes[other] == code:
            return CONVERSE.get(cast("Relation", kind)) == words.get(scope.word(other))
    return False


def _is_definite(scope: Scope, match: re.Match[str]) -> bool:
    """Whether it is "the taller plant is Region 1" or "Region 1 is the taller plant", not "a taller plant"."""
    found = _DEFINITE.match(scope.codes, match.end())
    if found is None or scope.codes[match.start()] != CODES["COMPARED"]:
        return False
    token = scope.clause.tokens[match.start()]
    the = token > 0 and scope.sentence.word(token - 1) == "the"
    return the and (found["named"] is not None or scope.follows(match.start(), "BE", "MAYBE"))


def _contrast(scope: Scope, kind: str, match: re.Match[str], begin: int) -> Iterator[Statement]:
    """Two halves that relate the regions to each other: "A is on the left, B on the right"."""
    if scope.codes[match.start()] != CODES["SIDE"] or match["image"] or len(scope.subject) != 1:
        return
    before, here = scope.memory.side, scope.statement(kind, scope.subject, begin, match.end())
    if before and before[0] != kind and before[1] != scope.subject:
        yield before[2]._replace(regions=before[1] + scope.subject)
        yield here._replace(regions=scope.subject + before[1])
    elif scope.memory.related[0] == scope.subject:
        yield from (here._replace(regions=regions) for regions in scope.pairs(scope.memory.related[1]))
    scope.memory.side = (kind, scope.subject, here)


def compared_regions(scope: Scope) -> Regions:
    """What the clause compares with from the outset: "compared to B, A is wider"."""
    match = _REFERENCE.search(scope.codes)
    return scope.meant(match.start("object")) if match else ()
