"""How regions may be named by their labels: by the whole label, its last word, a synonym, or a word for its kind."""

import re
from functools import lru_cache
from typing import NamedTuple

from spatialreasoner.language import quantities
from spatialreasoner.language.lexicon import CODES, LEXICON, codes_of

Regions = tuple[str, ...]
"""Names of regions: "region1" for the question's first, "other1" for the first of the scene's others."""


UNKNOWN: Regions = ("unknown",)
"""What "it" means where a text spoke last of a thing that is not one of the scene's regions."""


class Mention(NamedTuple):
    """What names regions, and whether it does so by number, not by a label."""

    regions: Regions
    explicit: bool


mention_of = lru_cache(maxsize=256)(Mention)
Way = tuple[tuple[str, ...], Mention]
"""The words that a name goes on with behind its first, and whom it means."""
NOUN_CODES = codes_of("WORD", "IMAGE", "ADJECTIVE")
"""The classes of nouns."""


@lru_cache(maxsize=1024)
def label_ways(labels: tuple[str, ...], others: tuple[str, ...] = ()) -> dict[str, list[Way]]:
    """Each way to name a region by its label, by first word, the longest first: the whole label, or its last word alone.

    A name that fits two regions names neither; one that fits a region of the question means none of the others.
    """
    names = _kinds(labels) | _named(others, "other") | _named(labels, "region")
    ways: dict[str, list[Way]] = {}
    for name in sorted(names, key=len, reverse=True):
        if LEXICON.get(name[0], CODES["WORD"]) in NOUN_CODES or (len(name) == len(labels) == 1 and name[0] in ANY_REGION):
            for first in (name[0], " " + name[0]):
                ways.setdefault(first, []).append((name[1:], mention_of(names[name], False)))
    return {first: kept for first, named in ways.items() if (kept := [way for way in named if way[1].regions])}


ANY_REGION = frozenset(("object", "item"))
"""What may be said of any region, where there is one."""


@lru_cache(maxsize=4096)
def is_compound(first: str, second: str) -> bool:
    """Whether two words, with blanks around them, are the name of one thing, "table lamp"."""
    from spatialreasoner.language import vocabulary

    return f"{first.strip()} {second.strip()}" in vocabulary.load_vocabulary()


def _kinds(labels: tuple[str, ...]) -> dict[tuple[str, ...], Regions]:
    """The region of each synonym of a label, and of each word for its kind; none where two may be called so."""
    if not any(labels):
        return {}
    from spatialreasoner.language import vocabulary  # reads colours with numpy, which a text without labels need not wait for

    names: dict[tuple[str, ...], set[str]] = {}
    for number, label in enumerate(labels, start=1):
        for name in vocabulary.load_vocabulary().fitting(label[:200]) if label else ():
            if not name.endswith("s") or name.endswith("ss"):  # what is said of several is said of none
                names.setdefault(tuple(name.split()), set()).add(f"region{number}")
    return {name: tuple(regions) if len(regions) == 1 else () for name, regions in names.items()}


def _named(labels: tuple[str, ...], kind: str) -> dict[tuple[str, ...], Regions]:
    """The region of each name that the labels give; none where two bear it."""
    words = [tuple(re.findall(r"[a-z0-9]+", quantities.fold(label[:200]))) for label in labels]
    names: dict[tuple[str, ...], set[str]] = {}
    for number, label in enumerate(words, start=1):
        for name in {label, label[-1:]} - {()}:
            names.setdefault(name, set()).add(f"{kind}{number}")
    return {name: tuple(regions) if len(regions) == 1 else () for name, regions in names.items()}
