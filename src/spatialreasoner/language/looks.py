"""Which words the rules look at: of most, their class says all, and sentences that differ in nothing else are read once."""

from collections.abc import Mapping

from spatialreasoner.language.lexicon import CODES, codes_of

PLURAL_WORDS = frozenset(("are", "were", "have", "stand", "lie", "sit", "both"))
"""Behind a list of regions, they speak of all of them."""

VERB_DIMENSIONS: Mapping[str, str] = {
    "stands": "height",
    "rises": "height",
    "reaches": "height",
    "spans": "width",
    "comes": "height",
    "tops out": "height",
}
"""What a verb before a length measures."""

THINGS_OWN = ("its", "their")
"""What is of a region, and not the region."""

_TALK = (
    "the i we you that this here let first next answer result question task problem step goal reasoning estimate estimation"
    " value number calculation figure conclusion scale unit reference guess measurement colour color shape surface"
)
NO_THINGS = frozenset(_TALK.split())
"""Words that may begin a clause, and "it" behind it means what it meant before."""

_WORDS = frozenset((*PLURAL_WORDS, *VERB_DIMENSIONS, *THINGS_OWN, "by", "the"))
_CLASSES = codes_of(
    *("TIMES", "DIMENSION", "ADJECTIVE", "ALONG", "COMPARED", "MOST", "SIDE", "OVER", "FRONT", "CLOSER", "FARTHER"),
    *("MORE", "LESS", "APART", "DISTANCE"),
)


def form_of(word: str, code: str) -> str:
    """What rules look at of a word of a class: the word, or nothing; of words that are looked at as one, one of them.

    >>> form_of("wide", CODES["ADJECTIVE"]), form_of("roughly", CODES["ABOUT"]), form_of("task", CODES["WORD"])
    ('wide', '', 'this')
    """
    if code in _CLASSES or word in _WORDS:
        return word
    return "this" if code == CODES["WORD"] and word in NO_THINGS else ""
