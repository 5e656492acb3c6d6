"""Lengths, ratios and directions that a clause states."""

import re
from collections.abc import Iterator

from spatialreasoner.rewards.clauses import Clause
from spatialreasoner.rewards.lexicon import CODES, codes_of, rule
from spatialreasoner.rewards.relations import THAN
from spatialreasoner.rewards.scope import OBJECT, Scope, Statement, meant
from spatialreasoner.rewards.tokens import Reading, Regions

_AMOUNT, _PLUS, _CAMERA = CODES["AMOUNT"], CODES["PLUS"], CODES["CAMERA"]
_DIMENSION, _DISTANCE, _ALONG = codes_of("DIMENSION"), codes_of("DISTANCE"), codes_of("ALONG")
_MEASURES = codes_of("DIMENSION", "DISTANCE", "APART", "ALONG", "BETWEEN", "ADJECTIVE")
_SIZED = rule(f"AMOUNT ABOUT? (?:(?:IN|OF)? ALONG? (?P<dimension>DIMENSION) | (?P<adjective>ADJECTIVE)) (?:OF {OBJECT})?")
_OFFSET = rule(
    rf"""[AMOUNT TIMES] ABOUT? (?:TO? (?P<side>SIDE) | (?P<over>OVER) | (?P<compared>COMPARED) {THAN}
    | IN? FRONT OF (?P<camera>CAMERA)? | [CLOSER FARTHER MORE LESS COMPARED]) OF? {OBJECT}?"""
)
_SPACED = rule(
    rf"""AMOUNT ABOUT? (?P<along>ALONG)? [APART DISTANCE BETWEEN WORD]{{0,2}} (?P<after>ALONG)?
    (?P<from>[FROM TO] (?:{OBJECT}|(?P<camera>CAMERA)))? (?:IN? (?P<late>ALONG))?"""
)
_SPACES = rule("AMOUNT ABOUT? ALONG? (?:[APART DISTANCE BETWEEN]|[WORD]{0,2} [FROM TO] [REGION PAIR IT OTHER CAMERA])")
_STRETCH = rule(f"FROM [REGION IT] TO {OBJECT} | BETWEEN {OBJECT.replace('object', 'pair')}")
_FOR = rule(f"AMOUNT FOR {OBJECT}")
_OWNED = rule(f"DIMENSION OF {OBJECT}")
_DIMENSIONS = rule("(?P<first>DIMENSION) AND (?P<second>DIMENSION)")
_ELLIPSIS = rule("(?:THAT OF REGION|REGION POSSESSIVE|^REGION) [BE ABOUT MAYBE EQUALS]{0,3} AMOUNT $")
_RATIO = rule(
    rf"""TIMES (?:AS (?P<adjective>ADJECTIVE) AS (?:THAT OF)? | OF? (?P<dimension>DIMENSION) OF | (?P<compared>COMPARED) THAN
    | (?P<that>THAT) OF) {OBJECT}
    | TIMES OF? {OBJECT.replace("object", "owner")} POSSESSIVE (?P<own>DIMENSION)?
    | TIMES AS (?P<alone>ADJECTIVE)"""
)
_TALLER = {"wider": "width", "broader": "width", "taller": "height", "higher": "height"}
_OBSERVER = rule(
    rf"""(?:[FROM AT] (?:WORD? OF)?|RELATIVE|HOUR WORD? OF) {OBJECT}
    | {OBJECT.replace("object", "finder")} (?:POSSESSIVE | [MAYBE BE WORD]{{0,2}} FIND)"""
)


def length(scope: Scope, position: int) -> Iterator[Statement]:
    """The size, distance or offset that the length at a position states."""
    codes = scope.codes
    if _is_operand(codes, position):
        return
    if offset := _OFFSET.match(codes, position):
        yield from _offset(scope, position, offset)
        return
    sized = _SIZED.match(codes, position)
    if sized and not (sized["adjective"] and scope.nearest(position, _DISTANCE) is not None):
        measure = sized.start("dimension" if sized["dimension"] else "adjective")
        yield from _size(scope, position, measure, sized.end(), scope.object(sized))
        return
    meant_for = _FOR.match(codes, position)
    measure = scope.nearest(position, _MEASURES)
    spaced = _SPACES.match(codes, position) is not None
    if measure is not None and not (sized or spaced) and codes[measure] in (CODES["DIMENSION"], CODES["ADJECTIVE"]):
        yield from _size(scope, position, measure, position + 1, scope.object(meant_for) if meant_for else None)
    elif spaced or measure is not None or _STRETCH.search(codes, 0, position):
        yield from _distance(scope, position)
    elif scope.memory.dimension and meant_for:
        yield from _own(scope, scope.memory.dimension, scope.object(meant_for) or (), position, position, meant_for.end())
    elif scope.memory.dimension and _ELLIPSIS.search(codes, 0, position + 1):
        yield from _own(scope, scope.memory.dimension, scope.subject, position, position, position + 1)


def _is_operand(codes: str, position: int) -> bool:
    """Whether a length is part of a sum, or says again what stands before an equals sign."""
    before, after = codes[max(0, position - 3) : position], codes[position + 1 : position + 2]
    if after == _PLUS or before.endswith(_PLUS):
        return True
    if after in (CODES["ADJECTIVE"], CODES["APART"]):
        return False
    return before.endswith(_AMOUNT + CODES["EQUALS"]) and before[:1] != _PLUS


def _offset(scope: Scope, position: int, match: re.Match[str]) -> Iterator[Statement]:
    """What "2 m to the left of B" or "20 cm above B" says of distances; "20 cm taller than B" says nothing."""
    others = scope.object(match)
    if match["camera"]:
        for region in scope.subject:
            yield scope.measured("camera_distance", (region,), position, position, match.end())
        scope.done = match.end()
        return
    vertical = match["over"] and scope.word(match.start("over")) != "behind"
    if match["compared"]:
        vertical = scope.word(match.start("compared")) in ("higher", "lower")
    if others and (match["side"] or vertical):
        kind = "horizontal_distance" if match["side"] else "vertical_distance"
        for regions in scope.pairs(others):
            yield scope.measured(kind, regions, position, position, match.end())


def _size(scope: Scope, position: int, measure: int, end: int, owner: Regions | None) -> Iterator[Statement]:
    """A width, height or depth."""
    listed = _DIMENSIONS.search(scope.codes, 0, position)
    amounts = _amounts(scope.codes) if listed else []
    if listed and len(amounts) == 2 and listed.end() - 1 == measure:
        measure = listed.start("first" if position == amounts[0] else "second")
    kind = scope.dimension(measure)
    if kind == "size" or (scope.follows(measure, "AT") and scope.codes[measure] == CODES["DIMENSION"]):
        return  # "at a height of 0.9 m" is where it hangs
    owned = _OWNED.match(scope.codes, listed.start("second") if listed else measure)
    if owner is None and owned:
        owner = scope.object(owned)
    elif owner is None and scope.follows(listed.start() if listed else measure, "POSSESSIVE") and measure > 1:
        owner = scope.meant((listed.start() if listed else measure) - 2)
    scope.memory.dimension = kind
    regions = scope.subject if owner is None else owner
    yield from _own(scope, kind, regions, position, min(position, measure), max(end, measure + 1))


def _own(scope: Scope, kind: str, regions: Regions, at: int, begin: int, end: int) -> Iterator[Statement]:
    """A length of each region; where there are as many lengths as regions, each has its own."""
    if len(regions) > 1 and len(amounts := _amounts(scope.codes)) == len(regions):
        regions = (regions[amounts.index(at)],)
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
    regions = _ends(scope, match)
    if len(regions) == 1 and kind == "distance" and _faces_camera(scope, match):
        kind = "camera_distance"
    elif len(regions) == 2:
        scope.memory.ends = regions
    else:
        return
    begin = scope.nearest(position, _DISTANCE | _ALONG)
    yield scope.measured(kind, regions, position, position if begin is None else begin, match.end())
    scope.done = match.end()


def _ends(scope: Scope, match: re.Match[str]) -> Regions:
    """The two regions that a distance lies between, or the one whose distance from the camera it is."""
    stated = scope.object(match)
    if match["camera"]:
        return scope.subject[:1]
    if stated and len(stated) == len(scope.subject) == 1 and stated != scope.subject:
        return scope.subject + stated
    named = scope.spoken()
    if len(named) >= 2:
        return named[:2]
    if len(scope.subject) == 2:
        return scope.subject
    if _CAMERA in scope.codes:
        return named or scope.subject[:1]
    if not named:
        return scope.memory.ends or scope.subject[:1]
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
    others = scope.object(match) or scope.object(match, "owner") or scope.memory.compared
    scope.memory.compared = others
    factor = scope.reading.factor(scope.clause.tokens[position])
    for regions in scope.pairs(others):
        yield scope.statement(kind, regions, position, match.end(), value=factor, unit="times")
    scope.done = match.end()


def _ratio_kind(scope: Scope, match: re.Match[str]) -> str | None:
    """The dimension of a ratio, or None where it has none that can be measured."""
    if match["compared"]:
        return _TALLER.get(scope.word(match.start("compared")))
    named = next((match.start(name) for name in ("adjective", "dimension", "own", "alone") if match[name]), None)
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
        observer = observer or _observer(scope.reading, clause)[:1]
    targets: Regions = ()
    for named in (scope.spoken(), scope.spoken_before(), scope.subject):
        targets = targets or tuple(region for region in named if region not in observer)
    if not observer and len(targets) == 2:
        observer, targets = targets[1:], targets[:1]
    observer = observer or scope.reading.others(targets)
    targets = targets or scope.reading.others(observer)
    if observer and targets:
        match = _OBSERVER.search(scope.codes)
        end = max(position + 1, match.end() if match else 0)
        yield scope.measured("direction", (observer[0], targets[0]), position, position, end)
        scope.done = position + 1


def _observer(reading: Reading, clause: Clause) -> Regions:
    """The region that a clause looks from: "from A", "A will find", "if you are A"."""
    match = _OBSERVER.search(clause.codes)
    if match:
        return meant(reading, clause, match.start("object" if match["object"] else "finder"))
    return clause.subject if CODES["IF"] in clause.codes and clause.start is not None else ()
