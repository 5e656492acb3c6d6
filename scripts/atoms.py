r"""Writes `language/native/atoms.json`: for each pattern of the reader, words of which each text in which it matches holds one.

    python scripts/atoms.py

Most searches find nothing, and one pass over a text for all of these words tells of most patterns that they cannot match in it
(`language/native/sieve.h`). A word stands for itself in either case, with 0 for any digit, a line feed for any blank but " ",
"\b" at an end that must be the edge of a word, and a tab in front of the characters by which it is found: those that replies of
the tests hold most rarely. What the file does not know, such as a pattern that was changed since, is searched in every text; a
test tells when to run this again.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from itertools import product
from math import prod
from pathlib import Path
from pkgutil import iter_modules
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

from spatialreasoner import language, rewards
from spatialreasoner.language.lexicon import OVER_CLASSES
from spatialreasoner.language.native.engine import ATOMS, pattern_key
from spatialreasoner.language.quantities import fold
from spatialreasoner.language.scan import LAZY

EDGE = "\b"
_OTHER = "\x7f"
"""For characters of which none is told from another."""
MOST = 64
"""The largest number of texts that a part of a pattern may be and still is taken for one of them."""
LONGEST, SHORTEST = 12, 2
"""Characters of a word, at most and at least: one alone is met too often."""
LARGEST = 12
"""Characters of a set that is written as each of its own, at most."""
OFTEN = 10.0
"""Words of such a `share` are of no use."""
GRAM = 4
"""Characters in a row by which a longer word is found."""
HERE = "\t"
"""Stands in front of them."""
COMMON = (
    "based on the image, in the scene. the width of the bounding box of region [0] here is larger than the height of the "
    "object, which is about 1.5 meters away from the camera. the distance between the two regions; it appears in the picture. "
    "<region1>"
)
"""What most replies say."""
DATA = Path(__file__).resolve().parents[1] / "tests/data"
SAMPLED = ("assertions", "stranger_replies")
"""Replies that tell what texts rarely hold."""
_SHARES = dict(zip(" etaoinsrhld", (17, 10, 7, 7, 6, 6, 6, 5, 5, 5, 4, 3), strict=True))
"""Percent of the characters of a reply; all others are rarer."""

Words = frozenset[str]
Part = tuple[Words | None, list[Words]]
"""All that a part of a pattern may be, or None; and sets of words of which each must hold one."""


def atoms(source: str, flags: int = 0) -> Words | None:
    """Words of which any text of ASCII in which a pattern matches holds one; None where there are no rare ones."""
    tree = _parser.parse(source, flags)
    return _rarest(_sequence(tree, tree.state.flags))


def _rarest(part: Part) -> Words | None:
    exact, needed = part
    found = [frozenset(map(_word, words)) for words in [*needed, *([] if exact is None else [exact])]]
    found = [words for words in found if all(len(word.strip(EDGE)) >= SHORTEST for word in words)]
    return _fewest(min((words for words in found if share(words) < OFTEN), key=share, default=None))


def _fewest(words: Words | None) -> Words | None:
    """Some words without those that hold another one."""
    return words and frozenset(word for word in words if not any(word != other and _within(other, word) for other in words))


def _within(one: str, other: str) -> bool:
    """Whether every text that holds a word holds another one, too."""
    if one.strip(EDGE) not in other:
        return False
    # what no edge parts from a word may go on with a letter where that ends with a letter
    before, behind = ("" if each == EDGE else "x" if each.isalnum() else " " for each in (other[0], other[-1]))
    return holds(before + other.strip(EDGE) + behind, one)


def share(words: Words) -> float:
    """About how many texts hold one of some words; above 1, the more the worse."""
    return sum(map(_share, words))


@cache
def _share(word: str) -> float:
    if _OTHER in word or holds(COMMON, word):
        return 1000.0
    return 300 * 0.4 ** word.count(EDGE) * _by_letters(word.strip(EDGE))


def _by_letters(said: str) -> float:
    """How frequent some characters may be, by their letters."""
    return prod(_SHARES.get(each, 1.5) / 100 for each in said)


@cache
def _grams() -> Counter[str]:
    """How often replies hold so many characters in a row, also with the names that regions have where most patterns look."""
    rows = [line for name in SAMPLED for line in (DATA / f"{name}.jsonl").read_text("utf-8").splitlines()]
    said = [fold(json.loads(line)["text"]) for line in rows]
    text = folded("\n".join([*said, *(_MENTION.sub("<region0>", each) for each in said)]))
    return Counter(text[at : at + GRAM] for at in range(len(text)))


_MENTION = re.compile(r"\b(?:region|object) ?[\[(<]?\d[\])>]?")


def marked(word: str) -> str:
    """A word with a mark in front of those characters in a row that replies hold most rarely; a short one as it is."""
    said = word.strip(EDGE)
    if len(said) <= GRAM:
        return word
    pieces = [said[at : at + GRAM] for at in range(len(said) - GRAM + 1)]
    rarest = min(pieces, key=lambda piece: (_grams()[piece], _by_letters(piece)))
    at = word.index(rarest)
    return word[:at] + HERE + word[at:]


def holds(text: str, word: str) -> bool:
    """Whether a text holds a word."""
    begin, end = (r"\b" if each == EDGE else "" for each in (word[:1], word[-1:]))
    return re.search(begin + re.escape(word.strip(EDGE)) + end, folded(text)) is not None


def folded(text: str) -> str:
    """A text as words are written."""
    return "".join(_folded(ord(each)) or _OTHER for each in text)


def _folded(character: int) -> str:
    said = chr(character).lower() if character < 128 else ""
    if said.isspace():
        return said if said == " " else "\n"
    return "0" if said.isdigit() else said if said.isprintable() else _OTHER


def _word(text: str) -> str:
    """The rarest piece of a text that is as long as a word may be, with its edges."""
    said = text.replace(EDGE, "")
    begins, ends = EDGE * text.startswith(EDGE), EDGE * text.endswith(EDGE)
    last = max(0, len(said) - LONGEST)
    pieces = [begins * (at == 0) + said[at : at + LONGEST] + ends * (at == last) for at in range(last + 1)]
    return min(pieces, key=_share) if last else pieces[0]


def _sequence(items: Iterable[tuple[Any, Any]], flags: int) -> Part:
    run: Words | None = frozenset([""])
    needed: list[Words] = []
    whole = True
    for kind, what in items:
        exact, more = _item(kind, what, flags)
        needed += more
        if exact is not None and len(run) * len(exact) <= MOST:
            run = _joined(run, exact)
        else:
            needed.append(run)
            run, whole = frozenset([""]) if exact is None else exact, False
    return (run, needed) if whole else (None, [*needed, run])


def _joined(one: Words, other: Words) -> Words:
    return frozenset(first + second for first, second in product(one, other))


def _item(kind: Any, what: Any, flags: int) -> Part:
    if kind is _constants.LITERAL:
        return _set([(kind, what)], flags)
    if kind is _constants.IN:
        return _set(what, flags)
    if kind is _constants.AT:
        return frozenset([EDGE if what is _constants.AT_BOUNDARY else ""]), []
    if kind is _constants.ASSERT:
        inside = _rarest(_sequence(what[1], flags))
        return frozenset([""]), [] if inside is None else [inside]
    if kind is _constants.ASSERT_NOT:
        return frozenset([""]), []
    if kind is _constants.SUBPATTERN:
        return _sequence(what[3], (flags | what[1]) & ~what[2])
    if kind is _constants.ATOMIC_GROUP:
        return _sequence(what, flags)
    if kind is _constants.BRANCH:
        return _any_of([_sequence(each, flags) for each in what[1]])
    if kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT):
        return _repeated(_sequence(what[2], flags), *what[:2])
    return None, []


def _set(members: Iterable[tuple[Any, Any]], flags: int) -> Part:
    found: set[str] = set()
    for kind, what in members:
        if kind is _constants.CATEGORY and what is _constants.CATEGORY_DIGIT:
            found.add("0")
        elif kind is _constants.CATEGORY and what is _constants.CATEGORY_SPACE:
            found |= {" ", "\n"}
        elif kind in (_constants.LITERAL, _constants.RANGE):
            first, last = what if kind is _constants.RANGE else (what, what)
            if last > 127 and flags & re.IGNORECASE:  # some letters beyond ASCII are some of ASCII in the other case
                return None, []
            found |= set(map(_folded, range(first, min(last, 127) + 1)))
        else:
            return None, []
    return (frozenset(found), []) if len(found) <= LARGEST else (None, [])


def _any_of(parts: list[Part]) -> Part:
    whole = [exact for exact, _ in parts if exact is not None]
    together: Words = frozenset().union(*whole)
    needed = [_rarest(part) for part in parts]
    known = [each for each in needed if each is not None]
    return (
        together if len(whole) == len(parts) and len(together) <= MOST else None,
        [frozenset().union(*known)] if len(known) == len(parts) else [],
    )


def _repeated(once: Part, least: int, most: int) -> Part:
    exact, needed = once
    if least == 0:
        return (exact | {""} if exact is not None and most == 1 else None), []
    every: Words | None = frozenset([""])
    for _ in range(least if least == most else 0):
        every = None if every is None or exact is None or len(every) * len(exact) > MOST else _joined(every, exact)
    return (every if least == most else None), needed if exact is None else [*needed, exact]


def reader_patterns() -> Iterator[re.Pattern[str]]:
    """The patterns of the reader and of the rewards that are for words, not for their classes."""
    for package in (language, rewards):
        for module in iter_modules(package.__path__):
            yield from _held(vars(import_module(f"{package.__name__}.{module.name}")))


def _held(by: Any) -> Iterator[re.Pattern[str]]:
    """The patterns that a value is or holds."""
    if isinstance(by, LAZY):
        if by.pattern not in OVER_CLASSES:
            yield by
    elif isinstance(by, (dict, tuple, list)):
        for each in by.values() if isinstance(by, dict) else by:
            yield from _held(each)


def table() -> dict[str, list[str]]:
    """What the file holds."""
    found = {pattern_key(each.pattern, each.flags): atoms(each.pattern, each.flags) for each in reader_patterns()}
    return {key: sorted(map(marked, words)) for key, words in sorted(found.items()) if words is not None}


if __name__ == "__main__":
    ATOMS.write_text(json.dumps(table(), indent=0) + "\n", encoding="utf-8")
    sys.exit(0)
