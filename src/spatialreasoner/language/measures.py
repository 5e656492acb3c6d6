"""Lengths, ratios and directions that a clause states."""

import re
from collections.abc import Iterator, Mapping

from spatialreasoner.language.clauses import Clause
from spatialreasoner.language.labels import Regions
from spatialreasoner.language.lexicon import CODES, COMPARATIVES, RELATION_WORDS, codes_of, rule
from spatialreasoner.language.looks import VERB_DIMENSIONS
from spatialreasoner.language.relations import THAN, compared_regions
from spatialreasoner.language.scope import OBJECT, Memory, Scope, Statement, meant
from spatialreasoner.language.sentences import Sentence

_AMOUNT, _PLUS, _CAMERA, _GENERIC = CODES["AMOUNT"], CODES["PLUS"], CODES["CAMERA"], CODES["GENERIC"]
_DIMENSION, _DISTANCE, _ALONG = codes_of("DIMENSION"), codes_of("DISTANCE"), codes_of("ALONG")
_DIFFERENCE = CODES["DIMENSION"] + CODES["BETWEEN"]
_MEASURES = codes_of("DIMENSION", "DISTANCE", "APART", "ALONG", "BETWEEN", "ADJECTIVE")
_SIZED = rule(
    rf"""AMOUNT (?P<two>AND ABOUT? AMOUNT)? ABOUT?
    (?:(?:IN|OF)? ALONG? (?P<dimension>DIMENSION) | (?P<adjective>ADJECTIVE)) (?:OF {OBJECT})?"""
)
_OFFSET = rule(
    rf"""[AMOUNT TIMES] ABOUT? (?:TO? (?P<side>SIDE) | (?P<over>OVER) | (?P<compared>COMPARED) {THAN}?
    | IN? FRONT OF (?P<camera>CAMERA)? | [CLOSER FARTHER LESS COMPARED] | (?<!OF AMOUNT) MORE) OF? {OBJECT}?"""
)
_BY = rule(
    rf"(?:(?P<side>SIDE) OF|(?P<over>OVER)|(?P<compared>COMPARED) {THAN}) {OBJECT} COMMA? (?P<by>ON) ABOUT? (?P<camera>(?!))? $"
)
_SPACED = rule(
    rf"""AMOUNT ABOUT? (?:OF WORD)? (?P<along>ALONG)? BE? [APART DISTANCE BETWEEN WORD]{{0,2}} (?P<after>ALONG)?
    (?P<from>[FROM TO] (?:{OBJECT}|(?P<camera>CAMERA)))? (?:IN? (?P<late>ALONG))?"""
)
_SPACES = rule(
    "AMOUNT ABOUT? (?:OF WORD)? ALONG? BE? (?:[APART DISTANCE BETWEEN]|[WORD]{0,2} [FROM TO] [REGION PAIR IT OTHER CAMERA])"
)
_PLAIN = rule("[MAYBE ABOUT]* ALONG? DISTANCE [BE MAYBE WORD TO ABOUT EQUALS]* AMOUNT ALONG? (?:COMMA|AND|$)")
"""A distance of which the text does not say between what: the question's regions are meant."""
_STRETCH = rule(f"FROM [REGION IT] TO {OBJECT} | BETWEEN {OBJECT.replace('object', 'pair')}")
_GENERAL = rule("^ [^REGION PAIR IT]* GENERIC")
_FOR = rule(f"AMOUNT FOR {OBJECT}")
_OWNED = rule(f"DIMENSION OF {OBJECT}")
_DIMENSIONS = rule("(?P<first>DIMENSION) AND (?P<second>DIMENSION)")
_ELLIPSIS = rule(
    rf"(?:(?:THAT OF|^) {OBJECT} POSSESSIVE? | {OBJECT.replace('object', 'owner')} POSSESSIVE | ^)"
    "[BE ABOUT MAYBE EQUALS AT COMMA]{0,3} AMOUNT $"
)
_RATIO = rule(
    rf"""TIMES (?:AS (?:(?P<adjective>ADJECTIVE)|APART? (?P<camera>FROM CAMERA)) AS (?:THAT OF)?
    | OF? (?P<dimension>DIMENSION) OF | (?P<compared>COMPARED) THAN
    | OF? (?P<that>THAT) OF) {OBJECT}
    | TIMES OF? {OBJECT.replace("object", "owner")} (?:POSSESSIVE (?P<own>DIMENSION)? | (?P<its>DIMENSION))
    | TIMES AS (?P<alone>ADJECTIVE) | TIMES OF? (?P<same>THAT) (?!OF)"""
)
_BESIDE = rule(f"(?: {OBJECT} | (?:COMPARED ONE?|[MORE LESS] ADJECTIVE) ) COMMA? AT? [ABOUT MAYBE]? $ | ^[ON AT] IT? ABOUT? $")
_VERSUS = rule("AMOUNT TO? RELATIVE TO? ABOUT? AMOUNT")
_VERB = rule("BE AT? ABOUT{0,2} $")
_ANSWERS = rule("(?:[MAYBE WORD AND COMMA] (?!BE))* [IT THAT]? [MAYBE ABOUT BE EQUALS]*")
_ASKED_SIZE = rule(
    rf"""WHETHER (?P<adjective>ADJECTIVE) BE? {OBJECT} | (?P<dimension>DIMENSION) OF {OBJECT.replace("object", "owner")}
    | {OBJECT.replace("object", "holder")} POSSESSIVE (?P<own>DIMENSION)"""
)
_ASKED_GAP = rule("DISTANCE | WHETHER APART | WHETHER BE REGION FROM")
_MEASURED: Mapping[str, str] = {
    "tall": "height", "short": "height", "wide": "width", "thin": "width",
    "front": "camera_distance", "behind": "camera_distance",
}  # fmt: skip
"""The quantity that a comparative compares."""
_COMPARED = rule("COMPARED|CLOSER|FARTHER|[AS MORE LESS] (?P<adjective>ADJECTIVE)")
_OF_ONE = frozenset(("width", "height", "depth", "camera_distance"))
_OF_TWO = frozenset(("distance", "horizontal_distance", "vertical_distance"))
_TALLER = {"wider": "width", "broader": "width", "taller": "height", "higher": "height"}
_OBSERVER = rule(
    rf"""(?:[FROM AT] (?:WORD? OF)?|RELATIVE|HOUR WORD? OF) {OBJECT}
    | {OBJECT.replace("object", "finder")} (?:POSSESSIVE | [MAYBE BE WORD]{{0,2}} FIND)"""
)


def length(scope: Scope, position: int) -> Iterator[Statement]:
    """The size, distance or offset that the length at a position states."""
    codes = scope.codes
    if _is_operand(codes, position) or (_GENERIC in codes and _GENERAL.search(codes, 0, position)):
        return
    if offset := _OFFSET.match(codes, position) or _by(scope, position):
        yield from _offset(scope, position, offset)
        return
    sized = _SIZED.match(codes, position)
    sized = None if sized and sized["two"] and len(scope.subject) != 2 else sized
    if sized and not (sized["adjective"] and scope.nearest(position, _DISTANCE) is not None):
        measure = sized.start("dimension" if sized["dimension"] else "adjective")
        yield from _size(scope, position, measure, sized.end(), scope.object(sized))
        scope.done = position + 1 if sized["two"] else scope.done
        return
    meant_for = _FOR.match(codes, position)
    owner = scope.object(meant_for) if meant_for else None
    measure = scope.nearest(position, _MEASURES)
    spaced = _SPACES.match(codes, position) is not None
    if measure is not None and not (sized or spaced) and codes[measure] in (CODES["DIMENSION"], CODES["ADJECTIVE"]):
        yield from _size(scope, position, measure, position + 1, owner)
    elif owner and measure is not None and _CAMERA in codes[:position]:
        yield from _own(scope, "camera_distance", owner, position, measure, position + 2)
    elif spaced or measure is not None or _STRETCH.search(codes, 0, position):
        yield from _distance(scope, position)
    else:
        yield from _unnamed(scope, position, owner)


def _unnamed(scope: Scope, position: int, owner: Regions | None) -> Iterator[Statement]:
    """A length that has no word for what it measures."""
    kind, regions = _implied(scope, position, owner)
    if kind in _OF_ONE:
        yield from _own(scope, kind, regions, position, position, position + 2 if owner else position + 1)
    elif kind in _OF_TWO and len(regions) == 2:
        yield scope.measured(kind, regions, position, position, position + 1)


def _implied(scope: Scope, position: int, owner: Regions | None) -> tuple[str, Regions]:
    """What a length measures that has no word for it, and of which regions; "" where nothing tells."""
    codes = scope.codes
    dimension = scope.memory.dimension
    if dimension and owner:
        return dimension, owner
    if dimension and (again := _ELLIPSIS.search(codes, 0, position + 1)):
        stated = None if again.start("object") == scope.clause.start else scope.object(again)
        return dimension, stated or scope.object(again, "owner") or scope.subject
    if (versus := _VERSUS.search(codes, max(0, position - 5), position + 6)) and position in (versus.start(), versus.end() - 1):
        return _compared(scope), scope.subject if position == versus.start() else scope.memory.related[1]
    if beside := _BESIDE.search(codes, max(0, position - 5), position):
        return _compared(scope), scope.object(beside) or scope.subject
    if (verb := _VERB.search(codes, max(0, position - 3), position)) and scope.word(verb.start()) in VERB_DIMENSIONS:
        return VERB_DIMENSIONS[scope.word(verb.start())], scope.subject
    if _ANSWERS.fullmatch(codes, 0, position):
        return asked(scope.sentence, scope.memory.clauses) if scope.memory.clauses else scope.memory.before().asked
    return "", ()


def _compared(scope: Scope) -> str:
    """The quantity that the clause compares: "taller at 1.9 m", "Region 1 (2 m away) is closer than Region 2 (3 m)"."""
    compared = _COMPARED.search(scope.codes)
    if compared and compared["adjective"]:
        return scope.dimension(compared.start("adjective"))
    return _MEASURED.get(COMPARATIVES[scope.word(compared.start())], "") if compared else ""


def asked(sentence: Sentence, clauses: list[Clause]) -> tuple[str, Regions]:
    """What the last of some clauses asks or sets out to find: "Estimate the width of Region 1. It is about 2 m."."""
    clause = clauses[-1]
    if _AMOUNT in clause.codes:
        return "", ()
    size = _ASKED_SIZE.search(clause.codes)
    if size is None and _ASKED_GAP.search(clause.codes) is None:
        return "", ()
    scope = Scope(sentence, clause, Memory(None, clauses), terse=False)
    if size:
        name = next(name for name in ("adjective", "dimension", "own") if size[name])
        owner = {"adjective": "object", "dimension": "owner", "own": "holder"}[name]
        return scope.dimension(size.start(name)), scope.object(size, owner) or ()
    along = next((at for at, code in enumerate(clause.codes) if code in _ALONG), None)
    regions = scope.spoken()
    kind = "distance" if along is None else scope.dimension(along)
    if len(regions) == 1 and _CAMERA in clause.codes:
        return "camera_distance", regions
    return kind, regions if len(regions) == 2 else ()


def _by(scope: Scope, position: int) -> re.Match[str] | None:
    """The relation of which a length tells how much: "above B by 20 cm"."""
    if not scope.follows(position, "ON", "ABOUT"):
        return None
    offset = _BY.search(scope.codes, max(0, position - 10), position)
    return offset if offset and scope.word(offset.start("by")) == "by" else None


def _is_operand(codes: str, position: int) -> bool:
    """Whether a length is part of a sum, or says again what comes before an equals sign."""
    before, after = codes[max(0, position - 3) : position], codes[position + 1 : position + 2]
    if after == _PLUS or before.endswith(_PLUS):
        return True
    if after in (CODES["ADJECTIVE"], CODES["APART"]):
        return False
    return before.endswith(_AMOUNT + CODES["EQUALS"]) and before[:1] != _PLUS


def _offset(scope: Scope, position: int, match: re.Match[str]) -> Iterator[Statement]:
    """What "2 m to the left of B" or "20 cm above B" says of distances; "20 cm taller than B" says nothing."""
    others = scope.object(match) or (scope.sentence.others(scope.subject) if match.end() == len(scope.codes) else None)
    if match["camera"]:
        for region in scope.subject:
            yield scope.measured("camera_distance", (region,), position, position, match.end())
        scope.done = match.end()
        return
    vertical = match["over"] and RELATION_WORDS["OVER"][scope.word(match.start("over"))] in ("above", "below")
    if match["compared"]:
        vertical = scope.word(match.start("compared")) in ("higher", "lower")
    if others and (match["side"] or vertical):
        kind = "horizontal_distance" if match["side"] else "vertical_distance"
        for regions in scope.pairs(others):
            yield scope.measured(kind, regions, position, match.start(), max(position + 1, match.end()))


def _size(scope: Scope, position: int, measure: int, end: int, owner: Regions | None) -> Iterator[Statement]:
    """A width, height or depth."""
    listed = _DIMENSIONS.search(scope.codes, 0, position)
    amounts = _amounts(scope.codes) if listed else []
    if listed and len(amounts) == 2 and listed.end() - 1 == measure:
        measure = listed.start("first" if position == amounts[0] else "second")
    kind = scope.dimension(measure)
    if scope.follows(measure, "AT") and scope.codes[measure] == CODES["DIMENSION"]:
        kind = "camera_distance" if kind == "depth" else "size"  # "at a height of 0.9 m" is where it hangs
    if kind == "size":
        return
    owned = _OWNED.match(scope.codes, listed.start("second") if listed else measure)
    if owner is None and owned:
        owner = scope.object(owned)
    elif owner is None and scope.follows(listed.start() if listed else measure, "POSSESSIVE") and measure > 1:
        owner = scope.meant((listed.start() if listed else measure) - 2)
    regions = scope.subject if owner is None else owner
    yield from _own(scope, kind, regions, position, min(position, measure), max(end, measure + 1))


def _own(scope: Scope, kind: str, regions: Regions, at: int, begin: int, end: int) -> Iterator[Statement]:
    """A length of each region; where there are as many lengths as regions, each has its own."""
    if len(regions) > 1 and len(amounts := _amounts(scope.codes)) == len(regions):
        regions = (regions[amounts.index(at)],)
    scope.memory.dimension, scope.memory.measured = kind, regions
    for region in regions:
        yield scope.measured(kind, (region,), at, begin, end)
    scope.done = max(at + 1, end)


def _amounts(codes: str) -> list[int]:
    return [index for index, code in enumerate(codes) if code == _AMOUNT]


def _distance(scope: Scope, position: int) -> Iterator[Statement]:
    """A distance between two regions, or from the camera."""
    match = _SPACED.match(scope.codes, position)
    assert match is not None
    along = next((match.start(name) for name in ("along", "after", "late") if match[name]), None)
    if along is None:
        along = scope.nearest(position, _ALONG)
    kind = "distance" if along is None else scope.dimension(along)
    measure = scope.nearest(position, _MEASURES)
    if measure is not None and scope.codes[measure - 1 : measure + 1] == _DIFFERENCE:
        return  # "the difference in height between"
    if of_camera := _of_camera(scope, match):
        yield from _own(scope, "camera_distance", of_camera, position, position, match.end())
        return
    regions = _ends(scope, match)
    if len(regions) == 1 and kind == "distance" and _faces_camera(scope, match):
        kind = scope.memory.dimension = "camera_distance"
    elif len(regions) == 2:
        scope.memory.ends = regions
    else:
        return
    begin = scope.nearest(position, _DISTANCE | _ALONG)
    yield scope.measured(kind, regions, position, position if begin is None else begin, match.end())
    scope.done = match.end()


def _of_camera(scope: Scope, match: re.Match[str]) -> Regions:
    """Whose distance from the camera it is: "the camera is 2 m away from Region 1", "Region 1 is 2 m from the camera"."""
    codes, start = scope.codes, scope.clause.start
    if match["camera"]:
        return scope.subject
    if not match["object"]:
        return ()
    if codes[match.start("object")] == CODES["IT"] and scope.memory.dimension == "camera_distance":
        return scope.subject  # "it" is the camera, which the clause before measured from
    from_camera = _CAMERA in codes[: match.start()] and (start is None or start > match.start())
    return scope.object(match) or () if from_camera else ()


def _ends(scope: Scope, match: re.Match[str]) -> Regions:
    """The two regions that a distance lies between, or the one whose distance from the camera it is."""
    stated = scope.object(match)
    if stated and len(stated) == len(scope.subject) == 1 and stated != scope.subject:
        return scope.subject + stated
    if len(scope.subject) == 1 and not match["from"] and _CAMERA in scope.codes[: match.start()]:
        return scope.subject
    named = scope.spoken()
    if len(named) >= 2:
        return named[:2]
    if len(scope.subject) == 2:
        return scope.subject
    if _CAMERA in scope.codes:
        return named or scope.subject[:1]
    if not named:
        ends = scope.memory.ends or scope.memory.before().ends
        return ends or scope.subject[:1] or (scope.sentence.pair() if _PLAIN.match(scope.codes) else ())
    return tuple(dict.fromkeys(scope.subject + named))[:2]


def _faces_camera(scope: Scope, match: re.Match[str]) -> bool:
    return _CAMERA in scope.codes or (
        scope.codes.startswith(CODES["APART"], match.start() + 1) and scope.word(match.start() + 1) == "away"
    )


def ratio(scope: Scope, position: int) -> Iterator[Statement]:
    """The comparison that a factor at a position states: "twice as wide as B", "half the height of B"."""
    match = _RATIO.match(scope.codes, position)
    kind = _ratio_kind(scope, match) if match else None
    if match is None or kind is None:
        return
    others = scope.object(match) or scope.object(match, "owner")
    others = others or (scope.memory.measured if match["same"] else scope.memory.compared or scope.memory.related[1])
    others = others or compared_regions(scope)
    scope.memory.compared = others
    factor = scope.factor(position)
    for regions in scope.pairs(others):
        yield scope.statement(kind, regions, position, match.end(), factor=factor)
    scope.done = match.end()


def _ratio_kind(scope: Scope, match: re.Match[str]) -> str | None:
    """The dimension of a ratio, or None if it has none that can be measured."""
    if match["compared"]:
        return _TALLER.get(scope.word(match.start("compared")))
    if match["same"]:
        return scope.memory.dimension or None
    if match["camera"]:
        return "camera_distance"
    named = next((match.start(name) for name in ("adjective", "dimension", "own", "its", "alone") if match[name]), None)
    measure = scope.nearest(match.start(), _DIMENSION) if named is None else named
    if measure is None or scope.word(measure) in ("thin", "narrow", "short"):
        return None
    kind = scope.dimension(measure)
    return None if kind == "size" else kind


def direction(scope: Scope, position: int) -> Iterator[Statement]:
    """At the observer, the target stands at the hour that is at a position."""
    before = scope.codes[:position]
    if CODES["WHETHER"] in before or (scope.clause.asked and CODES["IF"] not in before):
        return
    observer: Regions = ()
    for clause in (scope.clause, *reversed(scope.memory.clauses)):
        observer = observer or _observer(scope.sentence, clause)[:1]
    targets: Regions = ()
    for named in (scope.spoken(), scope.spoken_before(), scope.subject):
        targets = targets or tuple(region for region in named if region not in observer)
    if not observer and len(targets) == 2:
        observer, targets = targets[1:], targets[:1]
    observer = observer or scope.sentence.others(targets)
    targets = targets or scope.sentence.others(observer)
    if observer and targets:
        match = _OBSERVER.search(scope.codes)
        end = max(position + 1, match.end() if match else 0)
        yield scope.measured("direction", (observer[0], targets[0]), position, position, end)
        scope.done = position + 1


def _observer(sentence: Sentence, clause: Clause) -> Regions:
    """The region that a clause looks from: "from A", "A will find", "if you are A"."""
    match = _OBSERVER.search(clause.codes)
    if match:
        return meant(sentence, clause, match.start("object" if match["object"] else "finder"))
    return clause.subject if CODES["IF"] in clause.codes and clause.start is not None else ()
