"""Lists of possible answers that a reply restates: they are not its answer, but tell what a letter of them stands for."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from spatialreasoner.language.places import without_emphasis
from spatialreasoner.language.scan import holds, lazily

_OPTION = lazily(
    r"[ >]{0,6}(?:[-*\u2022]{1,3} {0,4})?(?:\(?(?P<letter>[a-h]|[1-9])[).:](?: |(?=[a-z<\[*]))"
    r"|option (?P<named>[a-h]):? )?(?P<said>.{1,120}?)[ .,;]{0,4}$"
)
_MAX_OPTION = 160
"""Characters of the longest line that may be an option, with what is in front of it."""
_INLINE = lazily(r"\(?(?<![a-z\d])(?P<letter>[a-h]|[1-9])\) ?(?P<said>[^()\n]{1,60}?)(?= ?\(?(?<![a-z\d])[a-h1-9]\) |[\n;]|$)")
_SLOTS = lazily(
    r"(?P<region><?(?:region|object|mask)[ _]?[\[(<]?(?:\d{1,2}|[a-d])[\])>]?>?)|(?P<word>\b(?:yes|no|true|false"
    r"|both(?: regions)?|neither(?: region)?|same|equal|cannot be determined)\b)"
    r"|(?P<hour>\b\d{1,2} ?o'? ?clock)|(?P<number>\b\d{1,4}(?:\.\d{1,4})? ?(?:m|cm|mm|km|ft|in|feet|foot"
    r"|inch(?:es)?|met(?:er|re)s?|centimet(?:er|re)s?|pixels?|px|yards?)\b)"
)


_MAX_SLOT = 60
"""Characters by which two options of a list may differ, at most."""
_SLOT_HINTS = r"[\d]|yes|no|true|false|both|neither|same|equal|cannot be|region|object|mask"
_HINTS = lazily(_SLOT_HINTS)
_MAY_BE_OPTION = lazily(rf"^(?=[^\n]{{1,{_MAX_OPTION - 1}}}$)[^\n]*?(?:{_SLOT_HINTS})[^\n]*$", re.MULTILINE)
"""A line that may be an option holds a part of what varies between them."""
_SLOT_WORDS = frozenset((
    "yes", "no", "true", "false", "both", "neither", "same", "equal", "cannot", "be", "determined", "clock", "oclock",
    "m", "cm", "mm", "km", "ft", "in", "feet", "foot", "inch", "inches", "meter", "metre", "meters", "metres", "centimeter",
    "centimetre", "centimeters", "centimetres", "pixel", "pixels", "px", "yard", "yards", "a", "b", "c", "d",
))  # fmt: skip
"""The words of `_SLOTS`, whole."""
_THINGS = ("region", "object", "mask")
"""They may be a part of a longer word."""


_FILLED = lazily(r"[^\n]")


class Options(NamedTuple):
    """A list of possible answers that a reply restates.

    Attributes:
        by_letter: What each letter or number of the list stands for.
        spans: Where its lines are.
    """

    by_letter: Mapping[str, str] = MappingProxyType({})
    spans: Sequence[tuple[int, int]] = ()


def restated_options(folded: str, begin: int = 0) -> Options:
    """The options that a reply restates: two or more lines in a row that differ in nothing but the region, word or value."""
    if "\n" not in folded and ") " not in folded:
        return _NONE
    listed = _listed(folded, begin)
    if not listed.by_letter and folded.count(")", begin, begin + 600) > 1:
        inline = [match for match in _INLINE.finditer(folded[begin : begin + 600]) if _form(match["said"])]
        if len(inline) > 1 and len({_form(match["said"]) for match in inline}) == 1:
            letters = {match["letter"]: match["said"].strip() for match in inline}
            spans = [(begin + match.start(), begin + match.end()) for match in inline[:2]]
            return Options(by_letter=letters, spans=[*listed.spans, *spans])
    return listed


def _listed(folded: str, begin: int) -> Options:
    """The options that are lines."""
    lines = _lines(folded, begin)
    if not lines:
        return _NONE
    lines.append(_Line(0, 0, "", ""))
    letters: dict[str, str] = {}
    spans: list[tuple[int, int]] = []
    run: list[_Line] = []
    last, before = "", ""
    for line, after in zip(lines, (*lines[1:], *lines[-1:]), strict=True):
        alike = line.said and (_may_vary(before, line.said) or _may_vary(line.said, after.said))
        form, before = _form(line.said) if alike else "", line.said
        if run and (form != last or not form or any(line.said == other.said for other in run)):
            if len(run) > 1:
                spans += [(each.start, each.end) for each in run]
                letters |= {each.letter: each.said for each in run if each.letter}
            run = []
        if form:
            run.append(line)
        last = form
    return Options(by_letter=letters, spans=spans) if spans else _NONE


_NONE = Options()


class _Line(NamedTuple):
    """A line that is not blank: its place, what it says where it may be an option, and the letter of that."""

    start: int
    end: int
    said: str
    letter: str


def _lines(folded: str, begin: int) -> list[_Line]:
    """The lines that are not blank; none where no two in a row are options of one list."""
    head = folded[begin : begin + 4000]
    plain = without_emphasis(head)
    if not _holds_list(plain):
        return []
    at, found = begin, list[tuple[int, int, str]]()
    for line, bare in zip(head.split("\n"), plain.split("\n"), strict=True):
        if bare.strip():
            found.append((at, at + len(line), bare))
        at += len(line) + 1
    sizes = [-1000, *[size if (size := len(bare.strip())) < _MAX_OPTION else -1000 for _, _, bare in found], -1000]
    near = [abs(size - following) < _MAX_SLOT for size, following in pairwise(sizes)]  # options differ by a word
    return [
        _Line(start, end, *(_said(bare) if size > 0 and (near[at] or near[at + 1]) and _HINTS.search(bare) else ("", "")))
        for at, ((start, end, bare), size) in enumerate(zip(found, sizes[1:], strict=False))
    ]


def _holds_list(plain: str) -> bool:
    """Whether two lines in a row of a text are the same but for the one thing that varies."""
    before, reached, known = "", 0, None
    for match in _MAY_BE_OPTION.finditer(plain):
        begin, end = match.span()
        line = plain[begin:end].lstrip()
        if before and abs(len(line) - len(before)) < _MAX_SLOT and not plain[reached:begin].strip():
            one, other = _said(before)[0] if known is None else known, _said(line)[0]
            known = other
            if one != other and _may_vary(one, other) and (form := _form(one)) and form == _form(other):
                return True
        else:
            known = None
        before, reached = line, end
    return False


def _said(line: str) -> tuple[str, str]:
    """What a line says that holds a part of what varies, and the letter of that; nothing where it is not an option."""
    match = _OPTION.match(line.lstrip())
    return (match["said"].strip(), match["letter"] or match["named"] or "") if match else ("", "")


def _may_vary(one: str, other: str) -> bool:
    """Whether two lines may be the same but for the one thing that varies: they then begin and end alike, or with that."""
    if not one or not other:
        return False
    heads, tails = (one.partition(" ")[0], other.partition(" ")[0]), (one.rpartition(" "), other.rpartition(" "))
    if heads[0] != heads[1] and not (_is_slot(heads[0]) and _is_slot(heads[1])):
        return False
    return tails[0][2] == tails[1][2] or all(_is_slot(last) or holds(before[-7:], _THINGS) for before, _, last in tails)


def _is_slot(word: str) -> bool:
    """Whether a word may be a part of what varies between options."""
    return not word.isalpha() or word in _SLOT_WORDS or holds(word, _THINGS)


def _form(said: str) -> str:
    """The form of a line that is an option: its words with the one thing that varies left out; empty if it is not one."""
    found = list(_SLOTS.finditer(said))
    kinds = [match.lastgroup for match in found]
    if len(kinds) != 1 and not (len(kinds) == 2 and kinds[0] == "region" and kinds[0] == kinds[1] and " and " in said):
        return ""
    form = said
    for match in reversed(found):
        form = f"{form[: match.start()]}#{form[match.end() :]}"
    form = form.strip()
    if kinds[0] == "number" and form != "#":
        return ""  # "Region: 2 m tall" measures something
    return f"{'' if kinds[0] in ('region', 'word') else kinds[0]}{form}"


def blanked(folded: str, spans: Sequence[tuple[int, int]]) -> str:
    """A text with some of its parts replaced by blanks; line ends stay."""
    for begin, end in spans:
        folded = folded[:begin] + _FILLED.sub(" ", folded[begin:end]) + folded[end:]
    return folded


def without_echo(folded: str, question: str, begin: int = 0) -> str:
    """A reply without the question, folded, where that is echoed behind its beginning."""
    if len(question) > 8 and (at := folded.find(question, begin)) >= 0:
        return blanked(folded, [(at, at + len(question))])
    return folded
