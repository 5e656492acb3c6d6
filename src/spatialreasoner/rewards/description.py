"""Reading a description: which things it mentions, what it calls them, and which colours and sizes it gives them.

Each sentence becomes a string with one character per word, its class, and short regular expressions over that string find
names, appositions and attributes. No sentence needs its neighbours, so their order does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple
from weakref import WeakKeyDictionary

from spatialreasoner.language import colours
from spatialreasoner.language.scan import lazily
from spatialreasoner.rewards.known import SIZE_WORDS, Known

MAX_DESCRIPTION_CHARACTERS = 12_000
"""Of a description, so much is read; no honest one is longer."""

_MAX_REMEMBERED = 512
"""Maximum number of cached description sentences per scene: answers about the same scene repeat many of them."""
_LONGEST_REMEMBERED = 300
"""Characters of the longest sentence that is remembered."""

_KIND = (
    r" ?+(?:<regions? ?(?P<tag>\d{1,4})>|\bregions? ?\[(?P<index>\d{1,4})\]|\b(?:region|mask) ?\(?(?P<number>\d{1,4})\b"
    r"|(?P<word>[a-z]{1,40}(?:[-'][a-z]{1,40}){0,3})|(?P<mark>[,():])"
    r"|(?P<digits>\d{1,20}(?:[.,]\d{1,20}){0,3}))"
)
_TOKEN_KIND = lazily(_KIND)
_TOKEN = lazily(re.sub(r"\?P<\w+>", "?:", _KIND))
_END = lazily(r"[.!?;](?=[\s<]|$)|\n")

_CLASSES: Mapping[str, str] = {
    "C": "is are was were be being appears appear looks look seems seem represents shows depicts contains displays",
    "H": "has have with",
    "K": "color colour colored coloured hue",
    "D": "a an the this that one its some another any each what",
    "W": "which who that's it's",
    "I": "in as labelled labeled marked shown called named denoted highlighted outlined identified",
    "&": "and",
    "T": "to",
    "P": (
        "of on at by near next beside behind above below under over beneath between from into onto along against across "
        "around through toward towards inside outside off up down left right front back top bottom closer farther further "
        "than or but while whereas stands stand sits sit lies lie rests hangs holds holding touching facing leaning placed "
        "positioned located situated standing sitting lying resting about approximately roughly there not no nor if it they "
        "them he she we i you both other others where when because so then also can could may might"
    ),
    "9": "m cm mm ft meter meters metre metres centimeter centimeters centimetre centimetres inch inches foot feet times",
    "G": "image picture photo photograph scene view camera foreground frame shot snapshot viewer middle center centre side",
}
_CLASS_OF = {word: name for name, words in _CLASSES.items() for word in words.split()}

_THING = lazily("[NR]")
_APPOSITION = lazily(
    r"R\)?(?:,?W?C(?:TC)?I?D?|[,(:]D|[(:])[ASX&,]{0,5}(?P<name>N)|(?P<first>N)(?:\(|,?I{1,3}D?|)(?=(?P<region>R))"
)
_BEFORE = lazily(r"(?P<words>[AS](?:[ASX,&]{0,4}?[AS])?)X{0,2}(?P<thing>[NR])")
_AFTER = lazily(r"(?P<thing>[NR])\)?(?:,?W?C(?:TC)?(?P<words>[ASX,&D]{1,7})(?!N)|(?:H|C)D?(?P<hue>[ASX&]{1,4})K)")


class DescribedThing(NamedTuple):
    """Something that a sentence mentions: one of the question's own regions, or a name."""

    region: str | None
    name: str | None


class DescriptionSentence(NamedTuple):
    """One sentence of a description.

    Attributes:
        words: Its words, lower case.
        things: What it mentions, in order.
        calls: Pairs (region, name) where it says what a region is.
        attributes: Pairs (thing, word) of colours and sizes; a thing that is called something stands for its region.
        sets_scene: Whether it speaks of the image as such.
    """

    words: tuple[str, ...]
    things: tuple[DescribedThing, ...]
    calls: tuple[tuple[str, str], ...]
    attributes: tuple[tuple[DescribedThing, str], ...]
    sets_scene: bool


remembered_sentences: WeakKeyDictionary[Known, dict[str, DescriptionSentence]] = WeakKeyDictionary()
"""The sentences read last, by scene."""


def read_description(known: Known, text: str) -> list[DescriptionSentence]:
    """The sentences of a description, read with the names that the scene and the vocabulary know.

    Args:
        known: The scene.
        text: The description; what follows its first `MAX_DESCRIPTION_CHARACTERS` is not read.
    """
    before = remembered_sentences.setdefault(known, {})
    if len(before) > _MAX_REMEMBERED:
        before.clear()
    said = (
        before.get(part) or _read_sentence(known, part, before)
        for part in _END.split(text[:MAX_DESCRIPTION_CHARACTERS].lower())
    )
    return [sentence for sentence in said if sentence is not None]


@lru_cache(maxsize=1 << 13)
def _token(word: str) -> tuple[str, str]:
    """Class and word of a token."""
    match = _TOKEN_KIND.match(word)
    assert match is not None
    kind, word = match.lastgroup, match[match.lastgroup or 0]
    if kind == "word":
        return _class_of(word), word
    if kind == "mark":
        return word, word
    if kind == "digits":
        return "9", word
    return "R", f"region{int(word) + (kind == 'index')}"


def _class_of(word: str) -> str:
    if word in colours.COLOUR_WORDS:
        return "A"
    return "S" if word in SIZE_WORDS else _CLASS_OF.get(word, "X")


def _read_sentence(known: Known, text: str, before: dict[str, DescriptionSentence]) -> DescriptionSentence | None:
    """A sentence, kept in `before` unless it is long; None if it has no words."""
    tokens = [*map(_token, _TOKEN.findall(text))]
    if not tokens:
        return None
    classes, words = _with_names(known, tokens)
    sentence = parse_sentence(classes, tuple(words))
    if len(text) <= _LONGEST_REMEMBERED:
        before[text] = sentence
    return sentence


@lru_cache(maxsize=1 << 11)
def parse_sentence(classes: str, words: tuple[str, ...]) -> DescriptionSentence:
    """A sentence by the class of each of its words, names joined into one word; it may occur in many descriptions."""
    places = [match.start() for match in _THING.finditer(classes)]
    things = {
        place: DescribedThing(words[place], None) if classes[place] == "R" else DescribedThing(None, words[place])
        for place in places
    }
    called: dict[int, int] = {}
    for match in _APPOSITION.finditer(classes):
        pair = (match.start(), match.start("name")) if match["name"] else (match.start("region"), match.start("first"))
        called[pair[1]] = pair[0]
    attributes = [(things[called.get(place, place)], words[at]) for place, at in _attributes(classes) if classes[at] in "AS"]
    return DescriptionSentence(
        words=words,
        things=tuple(things.values()),
        calls=tuple((words[region], words[name]) for name, region in called.items()),
        attributes=tuple(attributes),
        sets_scene="G" in classes,
    )


def _attributes(classes: str) -> Iterator[tuple[int, int]]:
    """Places (thing, attribute word) in a sentence: "a red box", "the box is red", "the box has a red colour"."""
    taken: set[int] = set()
    for match in _BEFORE.finditer(classes):
        for at in range(*match.span("words")):
            taken.add(at)
            yield match.start("thing"), at
    for match in _AFTER.finditer(classes):
        start, end = match.span("words") if match["words"] else match.span("hue")
        for at in range(start, end):
            if at not in taken:
                yield match.start("thing"), at


def _with_names(known: Known, tokens: list[tuple[str, str]]) -> tuple[str, list[str]]:
    """Classes and words of a sentence with every name joined into one word of class N.

    Words of the image itself ("image") and colours that come before another word ("orange") are names only where the
    scene has such a thing and no other reading.
    """
    classes: list[str] = []
    words: list[str] = []
    place = 0
    while place < len(tokens):
        name, word = tokens[place]
        reach = known.reach(word) if name in "XGAS" else 0  # no name begins with a preposition or a verb
        for length in range(min(reach, len(tokens) - place), 0, -1) if reach else ():
            joined = " ".join(pair[1] for pair in tokens[place : place + length]) if length > 1 else word
            if _is_name(known, joined, tokens, place, length):
                name, word = "N", joined
                place += length - 1
                break
        classes.append(name)
        words.append(word)
        place += 1
    return "".join(classes), words


def _is_name(known: Known, joined: str, tokens: list[tuple[str, str]], place: int, length: int) -> bool:
    if known.is_name(joined):
        return length > 1 or _may_be_noun(known, tokens[place][0], joined, tokens, place)
    return known.naming.embedder is not None and _is_noun(tokens, place, length) and known.resembles(joined)


def _is_noun(tokens: list[tuple[str, str]], place: int, length: int) -> bool:
    """Whether unknown words end a phrase that begins with an article, as a noun does and "wooden" in "is wooden" does not."""
    end = place + length
    if any(name != "X" for name, _ in tokens[place:end]) or (end < len(tokens) and tokens[end][0] == "X"):
        return False
    while place and tokens[place - 1][0] in "XAS":
        place -= 1
    return place > 0 and tokens[place - 1][0] == "D"


def _may_be_noun(known: Known, name: str, word: str, tokens: list[tuple[str, str]], place: int) -> bool:
    if name == "X":
        return True
    follows = tokens[place + 1][0] if place + 1 < len(tokens) else "."
    return word in known.terms and (name == "G" or (name == "A" and follows not in "XASN"))
