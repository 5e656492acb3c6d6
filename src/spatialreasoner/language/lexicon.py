"""The words that carry spatial meaning, each with its class, and rules over classes.

A text is read as a string with one character per token: the token's class. Rules are regular expressions over that string,
written with the classes' names: `rule("AMOUNT ADJECTIVE")` finds "1.5 m wide". So words stay in one table, rules stay short,
and matching runs in C.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from string import ascii_letters, digits

from spatialreasoner.language.scan import lazily

CLASSES = (
    "REGION",  # one region, or several that are listed: "Region 1 and Region 2"
    "PAIR",  # they, both, the two
    "IT",  # it, its
    "OTHER",  # the other one
    "FORMER",
    "LATTER",
    "CAMERA",
    "IMAGE",  # the image itself: "the left side of the image" relates nothing to another region
    "AMOUNT",  # a length with its unit
    "HOUR",  # 3 o'clock
    "TIMES",  # twice, half, 1.5 times
    "NUMBER",
    "BE",  # is, has, measures, stands
    "FIND",  # find, see: "A will find B at 3 o'clock"
    "NOT",
    "NOR",
    "NO",  # as in "No, ...": denies the question, not the sentence
    "ABOUT",  # limits the number that follows
    "MAYBE",  # limits the clause
    "WHETHER",  # asks or supposes, to the end of the clause
    "IF",  # supposes, to the next comma
    "GENERIC",  # typical, standard: speaks of such things in general
    "SIDE",  # left, right
    "OVER",  # prepositions and converses that take their object at once: above, below, behind
    "FRONT",
    "COMPARED",  # taller, wider, higher
    "MOST",  # tallest, leftmost
    "CLOSER",
    "FARTHER",
    "MORE",
    "LESS",
    "DIMENSION",  # width, height, size
    "ADJECTIVE",  # wide, tall
    "DISTANCE",
    "APART",
    "ALONG",  # horizontally, vertical
    "OF",
    "THAN",
    "TO",
    "FROM",
    "AT",
    "IN",
    "ON",
    "FOR",
    "BETWEEN",
    "AS",
    "THAT",
    "POSSESSIVE",
    "RELATIVE",  # compared to, relative to
    "RESPECTIVELY",
    "ONE",  # the taller one
    "AND",
    "COMMA",
    "BUT",  # begins a clause
    "EQUALS",
    "PLUS",  # any operator of arithmetic
    "OPEN",
    "CLOSE",
    "BULLET",
    "LINE",
    "STOP",
    "ASKED",  # a question mark
    "WORD",
)
# Of ASCII, which is searched fastest; none means anything in a regular expression.
CODES: Mapping[str, str] = dict(zip(CLASSES, ascii_letters + digits + "%", strict=True))

SKIPPED = "_"
"""The class of tokens that change nothing."""

_NAMES = lazily(r"[A-Z]{2,}")
OVER_CLASSES: set[str] = set()
"""The patterns for classes of words, not for words."""


@cache
def codes_of(*names: str) -> frozenset[str]:
    """The codes of some classes."""
    return frozenset(CODES[name] for name in names)


def rule(pattern: str) -> re.Pattern[str]:
    """Compile a regular expression over classes; blanks in it mean nothing."""
    written = "".join(_NAMES.sub(lambda match: CODES[match.group()], pattern).split())
    OVER_CLASSES.add(written)
    return lazily(written)


RELATION_WORDS: Mapping[str, Mapping[str, str]] = {
    "SIDE": {
        "left": "left", "right": "right", "leftward": "left", "rightward": "right",
        "in the foreground": "front", "in the background": "behind",
    },
    "OVER": {
        "above": "above", "over": "above", "atop": "above", "on top of": "above",
        "below": "below", "under": "below", "beneath": "below",
        "underneath": "below", "behind": "behind", "to the rear of": "behind", "in back of": "behind", "before": "front",
        "towers over": "tall", "towers above": "tall", "overtops": "tall", "dwarfs": "big", "dwarfed by": "small",
    },
    "FRONT": {"front": "front", "ahead": "front"},
    "CLOSER": {
        "closer": "front", "nearer": "front", "closest": "front", "nearest": "front", "closer to the foreground": "front",
        "nearer to the foreground": "front", "less distant": "front", "less far away": "front",
    },
    "FARTHER": {
        "farther": "behind", "further": "behind", "farthest": "behind", "furthest": "behind",
        "deeper": "behind", "more distant": "behind", "most distant": "behind", "closer to the background": "behind",
        "nearer to the background": "behind",
    },
    "COMPARED": {
        "higher": "above", "lower": "below", "further up": "above", "farther up": "above", "further down": "below",
        "farther down": "below", "taller": "tall", "shorter": "short", "wider": "wide", "broader": "wide", "thicker": "wide",
        "narrower": "thin", "thinner": "thin", "slimmer": "thin", "skinnier": "thin", "slenderer": "thin",
        "more slender": "thin", "more narrow": "thin", "bigger": "big",
        "larger": "big", "bulkier": "big", "more massive": "big", "more voluminous": "big", "more compact": "small",
        "smaller": "small", "tinier": "small",
    },
    "MOST": {
        "highest": "above", "uppermost": "above", "topmost": "above", "lowest": "below", "tallest": "tall",
        "shortest": "short", "widest": "wide", "broadest": "wide", "narrowest": "thin", "thinnest": "thin",
        "biggest": "big", "largest": "big", "smallest": "small", "leftmost": "left", "rightmost": "right",
        "frontmost": "front", "foremost": "front", "rearmost": "behind", "backmost": "behind",
    },
}  # fmt: skip
"""Relation of each word that names one, by class."""

COMPARATIVES: Mapping[str, str] = {
    word: relation for name in ("COMPARED", "CLOSER", "FARTHER") for word, relation in RELATION_WORDS[name].items()
}
"""Relation of each comparative."""

DIMENSION_WORDS: Mapping[str, Mapping[str, str]] = {
    "DIMENSION": {
        "width": "width", "widths": "width", "breadth": "width", "height": "height", "heights": "height",
        "depth": "depth", "depths": "depth", "size": "size", "volume": "size", "bulk": "size", "stature": "height",
        "from side to side": "width", "side to side": "width", "from left to right": "width", "left to right": "width",
        "from bottom to top": "height", "bottom to top": "height", "from top to bottom": "height", "top to bottom": "height",
        "horizontal extent": "width", "horizontal size": "width", "horizontal dimension": "width", "vertical extent": "height",
        "vertical size": "height", "vertical dimension": "height", "w =": "width", "h =": "height",
        "from front to back": "depth", "front to back": "depth",
    },
    "ADJECTIVE": {
        "wide": "width", "broad": "width", "thin": "width", "narrow": "width", "across": "width", "tall": "height",
        "high": "height", "short": "height", "deep": "depth", "big": "size", "large": "size", "small": "size",
    },
    "ALONG": {
        "horizontal": "horizontal_distance", "horizontally": "horizontal_distance", "sideways": "horizontal_distance",
        "lateral": "horizontal_distance", "laterally": "horizontal_distance", "vertical": "vertical_distance",
        "vertically": "vertical_distance",
    },
}  # fmt: skip
"""Dimension of each word that names one, by class."""

FACTORS: Mapping[str, float] = {
    "twice": 2.0, "double": 2.0, "thrice": 3.0, "triple": 3.0, "quadruple": 4.0, "half": 0.5, "third": 1 / 3,
    "quarter": 0.25, "half again": 1.5, "thirds": 1 / 3, "quarters": 0.25,
}  # fmt: skip
"""Factors in one word."""

_WORDS: Mapping[str, str] = {
    "PAIR": "they them both each their",
    "IT": "it its itself",
    "OTHER": "other another",
    "CAMERA": "camera viewer observer viewpoint lens photographer camera's viewer's observer's us",
    "IMAGE": "image picture photo photograph frame scene room view foreground background",
    "BE": "is are was were be been being has have had having measures measure measuring stands stand lies lie sits sit rests"
    " hangs spans extends remains equals located positioned situated placed standing sitting lying found comes"
    " exceeds recedes shows occupies possesses exhibits boasts reaches rises totals must will can would should",
    "FIND": "faces face find finds see sees sees notice spot spots locate",
    "NOT": "not isn't aren't wasn't weren't doesn't don't never neither cannot can't incorrect false wrong",
    "NO": "no",
    "NOR": "nor",
    "ABOUT": "about approximately roughly around nearly almost approx circa ca abt barely estimated ~"
    " approximate rough estimate",
    "MAYBE": "seems seem seemingly appear appears possibly perhaps maybe likely probably presumably apparently may might could"
    " believe think guess suggests suggesting suggest estimate uncertain unsure unclear looks look reckon suspect suppose",
    "WHETHER": "whether which what who how determine compare assess doubt decide identify",
    "IF": "if when assume assuming unless imagine comparing taking",
    "ON": "on with beside near by against inside",
    "FOR": "for",
    "GENERIC": "typical typically standard average usual usually normally generally commonly common ordinary",
    "MORE": "more greater exceeds exceed exceeding surpasses surpass beats wins outdoes",
    "LESS": "less lesser fewer",
    "DISTANCE": "distance dist gap separation space spacing clearance distances offset",
    "APART": "apart away separated separates separate separating distant",
    "OF": "of",
    "THAN": "than",
    "TO": "to toward towards",
    "FROM": "from",
    "AT": "at",
    "IN": "in",
    "BETWEEN": "between",
    "AS": "as",
    "THAT": "that those like",
    "RELATIVE": "versus vs compared relative",
    "RESPECTIVELY": "respectively",
    "ONE": "one object region item ones objects regions items",
    "AND": "and or & plus",
    "BUT": "but while whereas although though however so thus hence therefore since because then yet meaning making"
    " indicating implying whilst yes indeed correct",
}
# Words that are between others and change nothing here. "side" makes "left side of" read like "left of".
_SILENT = (
    "the a an this side hand far immediate very slightly somewhat much significantly considerably noticeably"
    " clearly directly just also even still bit lot little visibly slight only exactly total overall actual up down off"
    " back part portion position location place centre center"
)


_PHRASES: Mapping[str, str] = {
    "AND": "as well as",
    "MORE": "has the edge; has a slight edge; has the upper hand",
    "LESS": "falls short; fall short; comes short",
    "SKIPPED": "no doubt; from this angle; from this view; from this viewpoint; from this perspective; i.e.; e.g.; of the two; "
    "of these two; of those two; of the pair; in turn; what appears; what seems; not only",
    "ABOUT": "approx.; or so; close to; up to; at least; at most; more or less; shy of; give or take; , give or take; "
    "or thereabouts; in the region of; in the neighborhood of; in the neighbourhood of; in the vicinity of; on the order of; "
    "somewhere between; somewhere around; not quite; or a bit more; or a little more; or slightly more",
    "THAT": "as if; as though",
    "RELATIVE": "compared to; compared with; relative to; in comparison to; in comparison with; "
    "with respect to; in relation to",
    "NO": "no,",
    "CAMERA": "where the photo was taken; where the picture was taken; where the image was taken",
    "BE": "tops out",
    "NOT": "far from being; no part of; no way; nowhere near; by no means; in no way; no sense in which; anything but; "
    "not in the least; under no circumstances",
    "WHETHER": "could fit; can fit; would fit; might fit; could slide; can slide; "
    "to see if; see if; check if; check whether; find out if; know if; determine if; tell if; verify if; "
    "verify that; judge if; "
    "nothing suggests; nothing indicates; no evidence; no indication; no sign; no reason to; "
    "no proof; rather than; instead of",
    "OF": "of where",
    "FROM": "from where; standing where; stand where; stood where; sitting where",
    "MAYBE": "i assume; we assume; we can assume; i would assume; i'd say; i would say; i'd guess; i'd put; i imagine; "
    "my guess; to my eye; in all likelihood",
    "IF": "suppose that; suppose the; let us suppose; let's suppose",
    "PAIR": "the two; these two; those two",
    "WORD": "any other; all other; such as; looks at; look at",
    "FORMER": "the former",
    "LATTER": "the latter",
}
_MARKS: Mapping[str, str] = {
    ",": "COMMA", ";": "BUT", ":": "EQUALS", "=": "EQUALS", "(": "OPEN", ")": "CLOSE", "+": "PLUS", "/": "PLUS",
    "?": "ASKED", "~": "ABOUT", "'s": "POSSESSIVE", "x": "PLUS",
}  # fmt: skip


def _lexicon() -> dict[str, str]:
    classes = {word: CODES[name] for name, words in _WORDS.items() for word in words.split()}
    for table in (RELATION_WORDS, DIMENSION_WORDS):
        classes |= {word: CODES[name] for name, words in table.items() for word in words}
    classes |= {phrase: CODES.get(name, SKIPPED) for name, phrases in _PHRASES.items() for phrase in phrases.split("; ")}
    classes |= {mark: CODES[name] for mark, name in _MARKS.items()}
    return classes | dict.fromkeys(_SILENT.split(), SKIPPED)


LEXICON: Mapping[str, str] = _lexicon()
"""Class of each known word, phrase and mark; SKIPPED for those that say nothing."""
_PARTING = frozenset(" .,")
PHRASES: Sequence[str] = sorted((entry for entry in LEXICON if not _PARTING.isdisjoint(entry[1:])), key=len, reverse=True)
"""Entries of the lexicon that are more than one word, the longest first."""
