"""What a clause states: relations between regions, sizes, distances, directions and ratios.

Each statement has an anchor: a word that names a relation, or a number. From there a rule reads to the right; regions come
from the anchor's own words first, then from the clause's subject, then from the question's other region.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

from spatialreasoner.rewards.clauses import MENTIONS, Clause, clauses
from spatialreasoner.rewards.lexicon import CODES, DIMENSION_WORDS, RELATION_WORDS, rule
from spatialreasoner.rewards.tokens import Reading, Regions

_OBJECT = "(?P<object>[REGION PAIR IT OTHER FORMER LATTER])"
_THAN = "(?:[THAN RELATIVE OF] (?:(?:THAT|DIMENSION|DISTANCE) [OF FROM])?)"
_MEASURE = "(?P<measure>DIMENSION|ADJECTIVE|DISTANCE)"
_THAN_OBJECT = f"{_THAN} {_OBJECT} (?:POSSESSIVE DIMENSION | IN (?P<late>DIMENSION))?"
_BESIDE = "[OF THAN FROM TO RELATIVE]"
_RELATIONS: Mapping[str, re.Pattern[str]] = {
    CODES[name]: rule(pattern)
    for name, pattern in {
        "SIDE": rf"SIDE (?: {_BESIDE} (?:{_OBJECT}|(?P<image>IMAGE)) )?",
        "FRONT": rf"FRONT (?:OF {_OBJECT})?",
        "OVER": rf"OVER {_OBJECT}?",
        "CLOSER": rf"CLOSER (?P<camera>TO CAMERA)? (?:{_THAN} {_OBJECT})?",
        "FARTHER": rf"FARTHER (?P<away>APART|WORD)? (?P<camera>[FROM TO IN] [CAMERA IMAGE])? (?:{_THAN} {_OBJECT})?",
        "COMPARED": rf"COMPARED (?:IN? {_MEASURE})? (?:FROM CAMERA)? (?: WORD? {_THAN_OBJECT} )?",
        "MORE": rf"MORE (?:IN? {_MEASURE})? (?:FROM CAMERA)?"
        rf"(?: (?:{_THAN}|(?:THAT|DIMENSION) OF)? {_THAN_OBJECT.removeprefix(_THAN)} )?",
        "LESS": rf"LESS (?:IN? {_MEASURE})? (?:FROM CAMERA)? (?: {_THAN_OBJECT} )?",
        "MOST": "MOST",
        "AS": rf"(?<=NOT) AS (?P<measure>ADJECTIVE) AS (?:THAT OF)? {_OBJECT}",
    }.items()
}
_ALONE = rule("[ONE OF PAIR IN BETWEEN AND COMMA PLUS EQUALS RELATIVE AS THAN BUT FROM] | $")
_REFERENCE = rule(f"RELATIVE {_OBJECT}")
_AND_THEN = rule("[AND NOR COMMA TO IN MORE FARTHER WORD]{1,5}")
_MORE: Mapping[str, tuple[str, str]] = {"width": ("wide", "thin"), "height": ("tall", "short"), "size": ("big", "small")}
_UPWARD = frozenset(("tall", "wide", "big", "above", "more"))

_SIZED = rule(f"AMOUNT ABOUT? (?:(?:IN|OF)? ALONG? (?P<dimension>DIMENSION) | (?P<adjective>ADJECTIVE)) (?:OF {_OBJECT})?")
_OFFSET = rule(
    rf"""[AMOUNT TIMES] ABOUT? (?:TO? (?P<side>SIDE) | (?P<over>OVER) | (?P<compared>COMPARED) THAN | IN? FRONT OF (?P<camera>CAMERA)?
    | [CLOSER FARTHER MORE LESS COMPARED]) OF? {_OBJECT}?"""
)
_SPACED = rule(
    rf"""AMOUNT ABOUT? (?P<along>ALONG)? [APART DISTANCE BETWEEN WORD]{{0,2}} (?P<along_after>ALONG)?
    (?P<from>[FROM TO] (?:{_OBJECT}|(?P<camera>CAMERA)))? (?P<along_last>ALONG)?"""
)
_ELLIPSIS = rule("(?:THAT OF REGION|REGION POSSESSIVE) [BE ABOUT MAYBE EQUALS]{0,3} AMOUNT $")
_ABOUT_RELATION = rule("ABOUT (?![ABOUT AMOUNT TIMES])")
_OWNED = rule(f"DIMENSION OF {_OBJECT}")
_RATIO = rule(
    rf"""TIMES (?:AS (?P<adjective>ADJECTIVE) AS (?:THAT OF)? | OF? (?P<dimension>DIMENSION) OF | (?P<compared>COMPARED) THAN
    | (?P<that>THAT) OF) {_OBJECT}
    | TIMES {_OBJECT.replace("object", "owner")} POSSESSIVE (?P<own>DIMENSION)?"""
)
_OBSERVER = rule(
    rf"""(?:FROM|AT|RELATIVE|HOUR WORD? OF) {_OBJECT}
    | {_OBJECT.replace("object", "finder")} (?:POSSESSIVE | [MAYBE BE WORD]{{0,2}} FIND)"""
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """A spatial statement in terms of tokens; `first` and `last` are indices into the reading's words."""

    kind: str
    regions: Regions
    value: float | None = None
    high: float | None = None
    unit: str | None = None
    hedged: bool
    negated: bool
    first: int
    last: int


@dataclass(slots=True)
class _Memory:
    """What a clause needs of those before it in its sentence."""

    sentence: int = -1
    clauses: list[Clause] = field(default_factory=list[Clause])
    dimension: str = ""
    side: tuple[str, Regions, Statement] | None = None


def statements(reading: Reading, context: Regions = (), *, terse: bool = False) -> Iterator[Statement]:
    """All statements of a text, clause by clause.

    Args:
        reading: The text.
        context: What is spoken of before it begins.
        terse: Whether the text answers a question, so that "On the right." relates to the question's other region.
    """
    memory = _Memory()
    for clause in clauses(reading, context):
        if clause.sentence != memory.sentence:
            memory = _Memory(sentence=clause.sentence)
        if _ANCHOR.search(clause.codes):
            yield from ClauseReader(reading, clause, memory, terse=terse).statements()
        memory.clauses.append(clause)


_ANCHOR = re.compile(f"[{''.join(_RELATIONS)}{CODES['AMOUNT']}{CODES['HOUR']}{CODES['TIMES']}]")


class ClauseReader:
    """Reads one clause.

    Args:
        reading: The text.
        clause: The clause.
        memory: What its sentence said before.
        terse: Whether it answers a question.
    """

    def __init__(self, reading: Reading, clause: Clause, memory: _Memory, *, terse: bool = False) -> None:
        self.reading, self.clause, self.memory = reading, clause, memory
        self.codes, self.tokens, self.subject = clause.codes, clause.tokens, clause.subject
        self.terse = terse
        self.done = 0

    def statements(self) -> Iterator[Statement]:
        """The statements of the clause, left to right."""
        blocked = self._blocked_from()
        for anchor in _ANCHOR.finditer(self.codes):
            position, code = anchor.start(), anchor.group()
            if position < self.done or (position >= blocked and code != CODES["HOUR"]):
                continue
            if code == CODES["AMOUNT"]:
                yield from self._amount(position)
            elif code == CODES["HOUR"]:
                yield from self._direction(position)
            elif code == CODES["TIMES"]:
                yield from self._ratio(position)
            else:
                yield from self._relation(position, _RELATIONS[code])

    # Relations

    def _relation(self, position: int, pattern: re.Pattern[str]) -> Iterator[Statement]:
        match = pattern.match(self.codes, position)
        if match is None:
            return
        kind = self._relation_kind(match)
        if kind is None:
            return
        stated = self._stated(position, match)
        begin = position
        while self._before(begin, "MORE", "LESS", "FARTHER", "CLOSER", "TO", "IN"):
            begin -= 1
        if stated is None and not self._stands_alone(match):
            yield from self._contrast(kind, match, begin)
            return
        others = stated if stated is not None else self._reference() or self.reading.others(self.subject)
        for first, second in product(self.subject, others):
            if first != second:
                yield self._statement(kind, (first, second), begin, match.end())
        self.done = match.end()

    def _stated(self, position: int, match: re.Match[str]) -> Regions | None:
        """The regions that a relation's own words compare with, or None."""
        stated = self._object(match)
        if stated is None and self.codes[position] == CODES["SIDE"] and self._before(position, "POSSESSIVE") and position > 1:
            return self._meant(position - 2)
        joined = _AND_THEN.match(self.codes, match.end()) if stated is None else None
        if joined and (pattern := _RELATIONS.get(self.codes[joined.end() : joined.end() + 1])):
            following = pattern.match(self.codes, joined.end())
            return self._object(following) if following else None
        return stated

    def _contrast(self, kind: str, match: re.Match[str], begin: int) -> Iterator[Statement]:
        """ "A is on the left, B on the right": two halves that relate the regions to each other."""
        if self.codes[match.start()] != CODES["SIDE"] or match["image"]:
            return
        before, others = self.memory.side, self.reading.others(self.subject)
        here = self._statement(kind, self.subject, begin, match.end())
        if before and before[0] != kind and before[1] != self.subject and len(self.subject) == len(before[1]) == 1:
            yield replace(before[2], regions=before[1] + self.subject)
            yield replace(here, regions=self.subject + before[1])
        elif others:
            self.memory.side = (kind, self.subject, here)

    def _relation_kind(self, match: re.Match[str]) -> str | None:
        """The relation that a match names, or None if it names none."""
        position = match.start()
        code, word = self.codes[position], self._word(position)
        groups = match.groupdict()
        if code == CODES["AS"]:
            return self._sized_kind("less", match)
        if code in (CODES["MORE"], CODES["LESS"], CODES["COMPARED"]):
            kind = "less" if code == CODES["LESS"] else "more" if code == CODES["MORE"] else RELATION_WORDS["COMPARED"][word]
            return self._sized_kind(kind, match)
        if code in (CODES["CLOSER"], CODES["FARTHER"]) and not (groups["camera"] or groups["object"]):
            last = match.end() == len(self.codes) and self._before(position, "BE", "MAYBE")
            if not (last or groups.get("away") == CODES["APART"]):
                return None
        if code == CODES["FARTHER"] and self._before(position, "LESS"):
            return "front"
        name = next(name for name in RELATION_WORDS if CODES[name] == code)
        return RELATION_WORDS[name][word]

    def _sized_kind(self, kind: str, match: re.Match[str]) -> str | None:
        """The relation of a comparative: its own, or that of the dimension it is about ("greater in height")."""
        upward = kind in _UPWARD
        if match["measure"]:
            measure = match.start("measure")
        elif "late" in match.groupdict() and match["late"]:
            measure = match.start("late")
        else:
            measure = self._measure_before(match.start())
        if measure is None:
            return kind if kind not in ("more", "less") else None
        if self.codes[measure] == CODES["DISTANCE"]:
            return ("front", "behind")[upward] if CODES["CAMERA"] in self.codes else None
        dimension = self._dimension(measure)
        if dimension == "height" and self._before(match.start(), "AT"):
            return "above" if upward else "below"
        if self._word(measure) in ("thin", "narrow", "short", "small"):
            upward = not upward
        return _MORE[dimension][not upward] if dimension in _MORE else None

    def _measure_before(self, position: int) -> int | None:
        """The dimension that is the clause's subject: "the width of A is larger"."""
        cut = max(self.codes.rfind(CODES["AMOUNT"], 0, position), self.done - 1)
        found = max(self.codes.rfind(CODES[name], cut + 1, position) for name in ("DIMENSION", "DISTANCE"))
        return found if found > cut else None

    def _stands_alone(self, match: re.Match[str]) -> bool:
        """Whether a relation without an object compares with the other region, and is not "a larger chair"."""
        if self.terse:
            return True
        code, start = self.codes[match.start()], match.start()
        if not _ALONE.match(self.codes, match.end()):
            return False
        if code == CODES["SIDE"]:
            marks = self.codes[max(0, start - 2) : start]
            return match["image"] is None and (CODES["MORE"] in marks or CODES["FARTHER"] in marks)
        if code in (CODES["FRONT"], CODES["OVER"]):
            return match.end() == len(self.codes) and CODES["BE"] in self.codes[max(0, start - 2) : start]
        return True

    # Lengths

    def _amount(self, position: int) -> Iterator[Statement]:
        if self._operand(position):
            return
        offset = _OFFSET.match(self.codes, position)
        if offset:
            yield from self._offset(position, offset)
            return
        sized = _SIZED.match(self.codes, position)
        if sized and not (sized["adjective"] and self._nearest(position, "DISTANCE") is not None):
            measure = sized.start("dimension") if sized["dimension"] else sized.start("adjective")
            yield from self._size(position, measure, sized.end(), self._object(sized))
            return
        spaced = _SPACED.match(self.codes, position)
        if spaced is None:
            return
        measure = self._nearest(position, "DIMENSION", "DISTANCE", "APART", "ALONG", "BETWEEN", "ADJECTIVE")
        right = len(spaced.group()) > 1 and (
            spaced["along"]
            or spaced["along_after"]
            or spaced["along_last"]
            or spaced["from"]
            or CODES["WORD"] not in spaced.group()
        )
        if not sized and measure is not None and not right and self.codes[measure] in (CODES["DIMENSION"], CODES["ADJECTIVE"]):
            yield from self._size(position, measure, position + 1, None)
        elif right or measure is not None:
            yield from self._distance(position, spaced)
        elif self.memory.dimension and _ELLIPSIS.search(self.codes, 0, position + 1):
            yield from self._own(self.memory.dimension, self.subject, position, position + 1)

    def _operand(self, position: int) -> bool:
        """Whether a length is part of a sum, or says again what stands before an equals sign."""
        before, after = self.codes[max(0, position - 3) : position], self.codes[position + 1 : position + 2]
        if after in (CODES["ADJECTIVE"], CODES["APART"]):
            return before.endswith(CODES["PLUS"])
        if after == CODES["PLUS"] or before.endswith(CODES["PLUS"]):
            return True
        again = CODES["AMOUNT"] + CODES["EQUALS"]
        return before.endswith(again) and before[:1] != CODES["PLUS"]

    def _offset(self, position: int, match: re.Match[str]) -> Iterator[Statement]:
        """ "2 m to the left of B" is one, "20 cm taller than B" is not."""
        word = (
            self._word(match.start("over"))
            if match["over"]
            else self._word(match.start("compared"))
            if match["compared"]
            else ""
        )
        vertical = word in ("above", "below", "over", "under", "beneath", "underneath", "atop", "higher", "lower")
        others = self._object(match)
        if match["camera"]:
            for region in self.subject:
                yield self._measured("camera_distance", (region,), position, match.end())
            self.done = match.end()
        if (match["side"] or vertical) and others:
            kind = "horizontal_distance" if match["side"] else "vertical_distance"
            for first, second in product(self.subject, others):
                if first != second:
                    yield self._measured(kind, (first, second), position, match.end())

    def _size(self, position: int, measure: int, end: int, owner: Regions | None) -> Iterator[Statement]:
        kind = self._dimension(measure)
        if kind == "size":
            return
        owned = _OWNED.match(self.codes, measure)
        if owner is None and owned:
            owner = self._object(owned)
        elif owner is None and self.codes[measure - 1 : measure] == CODES["POSSESSIVE"] and measure > 1:
            owner = self._meant(measure - 2)
        self.memory.dimension = kind
        yield from self._own(kind, owner or self.subject, min(position, measure), max(end, measure + 1), at=position)
        self.done = max(end, position + 1)

    def _own(self, kind: str, regions: Regions, begin: int, end: int, *, at: int | None = None) -> Iterator[Statement]:
        for region in self._share(begin if at is None else at, regions):
            yield self._measured(kind, (region,), begin, end, at=at)

    def _share(self, position: int, regions: Regions) -> Regions:
        """Whose length it is: where two regions have two lengths, each has its own."""
        amounts = [index for index, code in enumerate(self.codes) if code == CODES["AMOUNT"]]
        if len(regions) > 1 and len(amounts) == len(regions):
            return (regions[amounts.index(position)],)
        return regions

    def _distance(self, position: int, match: re.Match[str]) -> Iterator[Statement]:
        along = next((match.start(name) for name in ("along", "along_after", "along_last") if match[name]), None)
        if along is None:
            along = self._nearest(position, "ALONG")
        kind = "distance" if along is None else self._dimension(along)
        regions = self._ends(match)
        if len(regions) == 1 and kind == "distance" and self._faces_camera(match):
            kind = "camera_distance"
        elif len(regions) != 2:
            return
        begin = self._nearest(position, "DISTANCE", "ALONG")
        yield self._measured(kind, regions, position if begin is None else begin, match.end())
        self.done = match.end()

    def _ends(self, match: re.Match[str]) -> Regions:
        """The two regions that a distance lies between, or the one whose distance from the camera it is."""
        stated = self._object(match)
        if match["camera"]:
            return self.subject[:1]
        if stated and len(stated) == 1 and len(self.subject) == 1 and stated != self.subject:
            return self.subject + stated
        spoken = self._spoken()
        if len(spoken) >= 2:
            return spoken[:2]
        if len(self.subject) == 2:
            return self.subject
        if CODES["CAMERA"] in self.codes or not spoken:
            return spoken or self.subject[:1]
        return tuple(dict.fromkeys(self.subject + spoken))[:2]

    def _faces_camera(self, match: re.Match[str]) -> bool:
        return CODES["CAMERA"] in self.codes or (CODES["APART"] in match.group() and not match["from"])

    # Ratios and directions

    def _ratio(self, position: int) -> Iterator[Statement]:
        match = _RATIO.match(self.codes, position)
        if match is None:
            return
        measure = next((match.start(name) for name in ("adjective", "dimension", "compared", "own") if match[name]), None)
        if measure is None:
            measure = self._nearest(position, "DIMENSION")
        if measure is None:
            return
        word = self._word(measure)
        kind = {"wider": "width", "broader": "width", "taller": "height", "higher": "height"}.get(word)
        if self.codes[measure] != CODES["COMPARED"]:
            kind = self._dimension(measure) if word not in ("thin", "narrow", "short") else None
        others = self._object(match) if match["object"] else self._meant(match.start("owner"))
        if kind is None or kind == "size" or not others:
            return
        factor = self.reading.factor(self.tokens[position])
        for first, second in product(self.subject, others):
            if first != second:
                yield self._statement(kind, (first, second), position, match.end(), value=factor, unit="times")
        self.done = match.end()

    def _direction(self, position: int) -> Iterator[Statement]:
        """At the observer, the target stands at that hour."""
        observer: Regions = ()
        for clause in (self.clause, *reversed(self.memory.clauses)):
            observer = observer or _observer(self.reading, clause)[:1]
        targets: Regions = ()
        for named in (self._spoken(), self._spoken_before(), self.subject):
            targets = targets or tuple(region for region in named if region not in observer)
        if not observer and len(targets) == 2:
            observer, targets = targets[1:], targets[:1]
        observer = observer or self.reading.others(targets)
        targets = targets or self.reading.others(observer)
        if observer and targets and self._said(position):
            match = _OBSERVER.search(self.codes)
            end = max(position + 1, match.end() if match else 0)
            yield self._measured("direction", (observer[0], targets[0]), position, end)

    def _said(self, position: int) -> bool:
        """Whether an hour is stated, not asked for."""
        before = self.codes[:position]
        return CODES["WHETHER"] not in before and (not self.clause.asked or CODES["IF"] in before)

    # What rules share

    def _blocked_from(self) -> int:
        """Where the clause stops stating: it asks, or supposes."""
        if self.clause.asked:
            return 0
        found = self.codes.find(CODES["WHETHER"])
        return found if found >= 0 else len(self.codes)

    def _object(self, match: re.Match[str]) -> Regions | None:
        if "object" not in match.re.groupindex or not match["object"]:
            return None
        position = match.start("object")
        meant = self._meant(position)
        if self.codes[position] == CODES["IT"] and (not meant or meant == self.subject):
            return self._last_but_subject()
        return meant

    def _last_but_subject(self) -> Regions:
        """What "it" means behind a relation: whatever was named last, other than the subject."""
        if self.clause.context and self.clause.context != self.subject and len(self.clause.context) == 1:
            return self.clause.context
        named = [region for region in self._spoken_before() + self._spoken() if region not in self.subject]
        return (named[-1],) if named else self.reading.others(self.subject)

    def _meant(self, position: int) -> Regions:
        return _meant(self.reading, self.clause, position)

    def _reference(self) -> Regions:
        match = _REFERENCE.search(self.codes)
        return self._meant(match.start("object")) if match else ()

    def _spoken(self) -> Regions:
        """Every region that the clause names, in order."""
        return _spoken(self.reading, self.clause)

    def _spoken_before(self) -> Regions:
        """Every region that the sentence named before this clause, in order."""
        named = (region for clause in self.memory.clauses for region in _spoken(self.reading, clause))
        return tuple(dict.fromkeys(named))

    def _nearest(self, position: int, *names: str) -> int | None:
        """The nearest token of these classes before a position, and behind the last length."""
        joined = self.codes[max(0, position - 2) : position] == CODES["AMOUNT"] + CODES["AND"]
        cut = self.codes.rfind(CODES["AMOUNT"], 0, position - 2 if joined else position)
        found = max(self.codes.rfind(CODES[name], cut + 1, position) for name in names)
        return found if found > cut else None

    def _word(self, position: int) -> str:
        return self.reading.word(self.tokens[position])

    def _dimension(self, position: int) -> str:
        word = self._word(position)
        return next(table[word] for table in DIMENSION_WORDS.values() if word in table)

    def _before(self, position: int, *names: str) -> bool:
        return position > 0 and self.codes[position - 1] in {CODES[name] for name in names}

    def _measured(self, kind: str, regions: Regions, begin: int, end: int, *, at: int | None = None) -> Statement:
        position = (
            at if at is not None else next(i for i in range(end - 1, begin - 1, -1) if self.tokens[i] in self.reading.amounts)
        )
        quantity = self.reading.amounts[self.tokens[position]]
        return self._statement(kind, regions, begin, end, value=quantity.value, high=quantity.high, unit=quantity.unit)

    def _statement(
        self,
        kind: str,
        regions: Regions,
        begin: int,
        end: int,
        *,
        value: float | None = None,
        high: float | None = None,
        unit: str | None = None,
    ) -> Statement:
        start = self.clause.start
        first = begin if start is None or start > begin or self.done > start + 1 else start
        last = max(end, 0 if start is None else start + 1) - 1
        local = self.codes[min(self.done, begin) : end]
        limited = CODES["ABOUT"] in local or CODES["ABOUT"] == self.codes[end : end + 1]
        if unit is None:
            limited = _ABOUT_RELATION.search(local) is not None
        hedged = CODES["MAYBE"] in self.codes[:end] or limited
        denied = self.codes[min(self.done, begin) : end]
        if self.codes[begin] == CODES["AS"]:
            denied = ""  # "not as tall as" is read as "shorter than"
        negated = CODES["NOT"] in denied or CODES["NOR"] in denied or self._before(begin, "NO")
        return Statement(
            kind=kind, regions=regions, value=value, high=high, unit=unit, hedged=hedged, negated=negated,
            first=self.tokens[first], last=self.tokens[last],
        )  # fmt: skip


def _meant(reading: Reading, clause: Clause, position: int) -> Regions:
    """The regions that a mention in a clause means."""
    context = clause.subject if clause.start != position else clause.context
    return reading.meant(clause.codes[position], clause.tokens[position], context)


def _spoken(reading: Reading, clause: Clause) -> Regions:
    """Every region that a clause names, in order."""
    named = (r for at, code in enumerate(clause.codes) if code in MENTIONS for r in _meant(reading, clause, at))
    return tuple(dict.fromkeys(named))


def _observer(reading: Reading, clause: Clause) -> Regions:
    """The region that a clause looks from: "from A", "A will find", "if you are A"."""
    match = _OBSERVER.search(clause.codes)
    if match:
        return _meant(reading, clause, match.start("object" if match["object"] else "finder"))
    return clause.subject if CODES["IF"] in clause.codes and clause.start is not None else ()
