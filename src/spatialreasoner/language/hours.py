"""The hour that an answer to a question about a direction gives.

An hour needs a clear form: "3 o'clock", "9:00", "clock position = 6". Lengths, counts and degrees are not hours. Hours that are
denied ("not 11 o'clock"), compared with ("closer to 1 o'clock than to 3 o'clock"), supposed ("one might think it is at
5 o'clock") or defined ("where 12 o'clock is straight ahead") are not the answer. Where there is no hour at all, words for a
direction from the observer give one: "straight ahead", "directly to the right", "60 degrees to the left".
"""

import re
from collections.abc import Iterator

from spatialreasoner.language.numbers import SMALL, number
from spatialreasoner.language.quantities import Quantity, find_quantities, fold
from spatialreasoner.language.scan import lazily

_HOUR = r"(?:1[0-2]|0?[1-9]|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
_FORMS = lazily(
    rf"(?<![\d.:])(?P<time>0?\d|1[0-2]):[0-5]\d(?!\d|:)|(?P<cjk>\d{{1,2}}) ?(?:点|點)"
    rf"|\b(?:(?:clock|hour|direction|dial)(?:[ _-]?(?:face|position|direction|hour|dial|number|value)){{0,2}}\b[\"'* ]{{0,4}}"
    rf"(?:of (?:the )?<region\d> )?"
    rf"(?:is|of|=|:|->|at|number|the|[\"'* ]){{1,4}} ?[\"']?(?P<named>{_HOUR})\b(?![.:]\d| ?(?:m|cm|ft|feet|met|deg|°|%"
    rf"|o ?'))"
    rf"|(?:at|around|about|near|roughly|towards?|past) (?:(?:about|around|roughly|the|your|its"
    rf"|my) ){{0,2}}(?P<dial>{_HOUR})\b"
    r"(?= ?(?:[.,;!)](?!\d)|on the (?:clock|dial)|position|mark|$))"
    rf"|(?P<elided>{_HOUR})(?=,? (?:rather than|than|and not|but not|not|instead of) (?:at )?{_HOUR} ?o'? ?clock)"
    rf"|(?P<bare>{_HOUR}) on the (?:clock|dial)"
    rf"|hand (?:would |should |will |must )?(?:be )?points?(?:ing)? (?:to|at|towards?)"
    rf" (?:the )?(?P<hand>{_HOUR})\b(?![.:]\d| ?(?:m|cm|ft)\b)"
    rf"|on (?:your|its|my|their) (?P<six>{_HOUR})\b(?= ?(?:[.,;!)](?!\d)|$)))"
)
_WHOLE = lazily(rf"\W{{0,6}}(?:about |around |roughly |at |approximately |~ ?){{0,2}}(?P<hour>{_HOUR})\W{{0,6}}")
_DENIED = lazily(
    r"(?:\bnot\b|n't\b|cannot|never|rather than|instead of|than|unlike|opposite(?: to| of| from)?|versus|excludes?|rules? out"
    r"|neither|nor|\b(?:reverse|converse|inverse|other way (?:a?round|about)|way back|vice versa"
    r"|opposite direction)\b[^.!?;,]{0,24})"
    r"(?: (?:be|at|to|as far|as|round|around|all|way|exactly|quite|really|on|in|of|the|it|is|say|simply|just"
    r"|rather|so)){0,5}\W{0,3}$"
)
_SUPPOSED = lazily(
    r"\b(?:(?:might|may|could|(?<!\bi )would) (?:think|guess|say|assume|suppose|expect)|wanted to say"
    r"|first thought|at first|first idea"
    r"|convention|reference|suggests?|looks like it (?:is|was))\b(?:(?!\b(?:but|however|yet)\b)[^.!?\n]){0,40}$"
)
_AT_FIRST = lazily(r" ?(?:position |direction )?(?:at first|initially|on first)\b")
_FRAME = lazily(
    r"\b(?:tak(?:e|ing)|us(?:e|ing)|with|where|if|when|assum(?:e|ing)|defin(?:e|ing)|let|have"
    r"|consider(?:ing)?)\b[^.;!?\n]{0,24}$"
)
_DEFINES = lazily(
    r" ?(?:position|direction)?(?:\)|\"|')? ?(?:\([^)]{0,20}\) ?)?(?:=|(?:is|being|as|means?|would be|marks"
    r"|denotes|point(?:s|ing)?|represents?|stands for|facing|corresponds? to)\b(?! (?:where(?! (?:the |a )?(?:camera"
    r"|viewer|observer|photographer|lens)\b)|better|best|more|the "
    r"(?:answer|direction of|best|correct|right answer|hour|result)|my|correct|right\b|likely|closest|it\b)))"
)
_GLOSS = lazily(
    r"\b(?:north|south|east|west) (?:is|=|being|means|as|equals|marks)(?: at)? ?$|"
    r"(?:camera|forward|ahead|behind|viewer), which is \W{0,3}$"
    r"|\b(?:camera|viewer|you(?! (?:should|need|must|have to|can)\b)|i|observer|viewing direction)\b[^.!?\n]{0,24}"
    r"\b(?:looks?|faces?|facing|points?"
    r"|pointing|looking)\b(?: (?:to|towards?|at|in))?(?: the)?\W{0,3}$"
    r"|\b(?:reads?|says|shows?|displays?|showing|reading)(?: (?:the|a) time)?(?: of| is)? ?(?:(?:half|quarter"
    r"|\w{3,6}) (?:past |to )?)?$"
)
"""Whoever looks there, or the clock that reads so."""
_FRAMED = lazily(r"[^.;!?\n]{0,12}\b(?:forward|ahead|as|for)\b")

_SIDES = {"right": 3.0, "left": 9.0}
_AHEAD = lazily(
    r"\b(?:straight|directly|right|dead|exactly) (?:ahead|in front|forward)\b|\bin front of (?:you|me|us)\b"
    r"|\bahead of you\b|\bstraight on\b|\baway from the (?:camera|viewer)\b|\balong the viewing direction\b"
)
_BEHIND = lazily(
    r"\b(?:directly|straight|right|exactly) (?:behind|backwards?)\b|\bbehind (?:you|me|us)\b|\btowards? the (?:camera"
    r"|viewer)\b"
)
_SIDE = lazily(
    r"\b(?:directly|straight|exactly|immediately|due) (?:to|on|at) (?:the|your|its|my) (?P<side>left|right)\b"
    r"|\b(?:directly|exactly|straight|due) (?P<short>left|right)\b|\bto your (?:immediate |direct )?(?P<yours>left"
    r"|right)\b|\bto the (?P<of>left|right) of (?:you|me)\b"
)
_OBLIQUE = lazily(r"\b(?:left|right)\b(?! (?:in front|ahead|behind))")
_DEGREES = lazily(rf"(?P<angle>\d{{1,3}}(?:\.\d{{1,3}})?|{SMALL})[ -]?(?:°|degrees?|deg\b)")
_TURN = lazily(r"\b(?P<left>left|counter-?clockwise|anti-?clockwise)\b|\b(?P<right>right|clockwise)\b")
_BACK = lazily(r"\b(?:behind|backwards?|rear)\b")


def hours(text: str) -> list[Quantity]:
    """The hours that a text gives as its answer, in order: those denied, compared with, supposed or defined are left out."""
    folded = fold(text)
    found = sorted(_all(folded), key=lambda hour: hour.span)
    legend = [hour for hour in found if _is_of_legend(folded, hour)]
    if len({hour.value for hour in legend}) > 2:  # the dial is explained
        found = [hour for hour in found if hour not in legend]
    given = [hour for hour in found if _is_given(folded, hour)]
    if len(given) > 1:
        given = [hour for hour in given if not _NEAR.search(folded, max(0, hour.span[0] - 24), hour.span[0])] or given
    asides = [match.span() for match in _ASIDE.finditer(folded)] if len(given) > 1 else []
    return [hour for hour in given if not any(a < hour.span[0] < b for a, b in asides)] or given


def _is_of_legend(folded: str, hour: Quantity) -> bool:
    """Whether it is said where an hour is on every dial: "6 o'clock behind"; not that something is there."""
    where = _LEGEND.get(hour.value)
    return where is not None and where.match(folded, hour.span[1]) is not None and not _THERE.search(folded, 0, hour.span[0])


_LEGEND = {
    hour: lazily(rf"[^.;,\d]{{0,24}}\b(?:{where})\b")
    for hour, where in ((12.0, "ahead|forwards?|front"), (3.0, "right"), (6.0, "behind|back|backwards?|rear"), (9.0, "left"))
}
_THERE = lazily(r"\b(?:is|are|be|at|towards?|about|around|roughly|approximately)(?: (?:the|your|about|around|at)){0,2} $")
_NEAR = lazily(r"\b(?:closer|nearer|close|near) to (?:the )?$")
"""2 o'clock, closer to 3 o'clock than to 12 o'clock."""
_ASIDE = lazily(r"\([^()]{1,120}(?:\)|$)")
"""What is in brackets explains: "straight ahead (12 o'clock)", "(from there it is 8 o'clock)"."""


def _all(folded: str) -> Iterator[Quantity]:
    clock = [quantity for quantity in find_quantities(folded) if quantity.unit == "hour" and not _is_minutes(folded, quantity)]
    taken = [quantity.span for quantity in clock]
    yield from clock
    for match in _FORMS.finditer(folded):
        said = next(value for value in match.groups() if value)
        hour = number(said.lstrip("0") or "12")
        if 1 <= hour <= 12 and not any(begin < match.end() and match.start() < end for begin, end in taken):
            yield Quantity(value=hour, unit="hour", span=match.span())


def _is_minutes(folded: str, quantity: Quantity) -> bool:
    """Whether it is the end of a time: "2:10 o'clock"."""
    begin = quantity.span[0]
    return folded[begin - 1 : begin] == ":" and folded[begin - 2 : begin - 1].isdigit()


def hour_alone(text: str) -> float | None:
    """The hour of an answer that is nothing but a number, 1 to 12."""
    match = _WHOLE.fullmatch(fold(text))
    return number(match["hour"].lstrip("0")) if match else None


def _is_given(folded: str, hour: Quantity) -> bool:
    begin, end = hour.span
    before = folded[max(0, begin - 60) : begin]
    after = folded[end : end + 60]
    if _SUPPOSED.search(before) or after.startswith("?") or _AT_FIRST.match(after):
        return False
    if _DENIED.search(before):
        return False
    if _DEFINES.match(after) and not after.lstrip().startswith("= region"):
        return False
    if _GLOSS.search(before):
        return False
    return not (_FRAME.search(before) and _FRAMED.match(after))


def worded_direction(text: str) -> float | None:
    """The hour of a direction in words, seen by somebody who stands at the first region and looks away from the camera.

    >>> [worded_direction(words) for words in ("Straight ahead.", "60 degrees to the left.", "To the right.")]
    [12.0, 10, None]
    """
    folded = fold(text).replace("right angle", "90 degrees")
    if ("deg" in folded or "°" in folded) and (turn := _DEGREES.search(folded)):
        return _turned(folded, turn)
    ahead, behind, side = _AHEAD.search(folded), _BEHIND.search(folded), _SIDE.search(folded)
    if (ahead and behind) or (side and (ahead or behind)):
        return None
    if side:
        return _SIDES[next(name for name in side.groups() if name)]
    if (ahead or behind) and not _OBLIQUE.search(folded):
        return 12.0 if ahead else 6.0
    return None


def _turned(folded: str, turn: re.Match[str]) -> float | None:
    """The hour after a turn by some degrees to one side."""
    angle = number(turn["angle"])
    sides = [match.lastgroup for match in _TURN.finditer(folded)]
    if not sides and angle in (0, 180, 360):
        return 6.0 if angle == 180 else 12.0
    if not sides or len(set(sides)) > 1 or angle > 360:
        return None
    angle = angle if sides[0] == "right" else -angle
    angle = 180 - angle if _BACK.search(folded) else angle
    return round(angle / 30) % 12 or 12.0
