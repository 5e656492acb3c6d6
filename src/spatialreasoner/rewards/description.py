"""Reading a description: which things it mentions, what it calls them, and which colours and sizes it gives them.

Each sentence becomes a string with one character per word, its class, and short regular expressions over that string find
names, appositions and attributes. No sentence needs its neighbours, so their order does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from weakref import WeakKeyDictionary

from spatialreasoner.language import colours
from spatialreasoner.language.scan import lazily
from spatialreasoner.language.words import WordTable
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
_MAY_BEGIN = lazily("[XGAS]")
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
    found: list[DescriptionSentence] = []
    for part in _END.split(text[:MAX_DESCRIPTION_CHARACTERS].lower()):
        sentence = before.get(part)
        if sentence is None and part:
            sentence = _read_sentence(known, part, before)
        if sentence is not None:
            found.append(sentence)
    return found


def _token(token: str) -> tuple[str, str]:
    """Word and class of a token."""
    match = _TOKEN_KIND.match(token)
    assert match is not None
    kind, word = match.lastgroup, match[match.lastgroup or 0]
    if kind == "word":
        return word, _class_of(word)
    if kind == "mark":
        return word, word
    if kind == "digits":
        return word, "9"
    return f"region{int(word) + (kind == 'index')}", "R"


_TOKENS = WordTable(_TOKEN, _token, ("list", "text"), ("region", "mask"))


def _class_of(word: str) -> str:
    if word in colours.COLOUR_WORDS:
        return "A"
    return "S" if word in SIZE_WORDS else _CLASS_OF.get(word, "X")


def _read_sentence(known: Known, text: str, before: dict[str, DescriptionSentence]) -> DescriptionSentence | None:
    """A sentence, kept in `before` unless it is long; None if it has no words."""
    said, kinds, _ = _TOKENS.read(text)
    if not kinds:
        return None
    classes, words = _with_names(known, kinds, said)
    sentence = described_sentence(classes, tuple(words))
    if len(text) <= _LONGEST_REMEMBERED:
        before[text] = sentence
    return sentence


@lru_cache(maxsize=1 << 11)
def described_sentence(classes: str, words: tuple[str, ...]) -> DescriptionSentence:
    """A sentence by the class of each of its words, names joined into one word; those of different scenes share it."""
    places, calls, attributes = sentence_shape(classes)
    things = [_THINGS[classes[place]](words[place]) for place in places]
    return DescriptionSentence(
        words,
        things=tuple(things),
        calls=tuple([(words[region], words[name]) for region, name in calls]),
        attributes=tuple([(things[thing], words[at]) for thing, at in attributes]),
        sets_scene="G" in classes,
    )


_Pairs = tuple[tuple[int, int], ...]


@lru_cache(maxsize=1 << 11)
def sentence_shape(classes: str) -> tuple[tuple[int, ...], _Pairs, _Pairs]:
    """Where a sentence mentions things, says of which region what it is, and of which thing which attribute it has.

    Args:
        classes: The class of each of its words; other words of the same classes may make another sentence.

    Returns:
        The words of things; pairs of words, a region and its name; pairs of the number of a thing and an attribute's word.
    """
    places = tuple([match.start() for match in _THING.finditer(classes)])
    called: dict[int, int] = {}
    for match in _APPOSITION.finditer(classes):
        pair = (match.start(), match.start("name")) if match["name"] else (match.start("region"), match.start("first"))
        called[pair[1]] = pair[0]
    given = [(called.get(place, place), at) for place, at in _attributes(classes) if classes[at] in "AS"]
    calls = tuple([(region, name) for name, region in called.items()])
    return places, calls, tuple([(places.index(place), at) for place, at in given])


_THINGS: Mapping[str, Callable[[str], DescribedThing]] = {
    "R": lru_cache(lambda word: DescribedThing(word, None)),
    "N": lru_cache(1 << 10)(lambda word: DescribedThing(None, word)),
}
"""What a word of a class mentions."""


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


def _with_names(known: Known, kinds: str, said: Sequence[str]) -> tuple[str, list[str]]:
    """Classes and words of a sentence with every name joined into one word of class N.

    Words of the image itself ("image") and colours that come before another word ("orange") are names only where the
    scene has such a thing and no other reading.
    """
    classes, words, done = "", list[str](), 0
    for match in _MAY_BEGIN.finditer(kinds):  # no name begins with a preposition or a verb
        place = match.start()
        reach = known.reach(said[place]) if place >= done else 0
        for length in range(min(reach, len(kinds) - place), 0, -1):
            joined = " ".join(said[place : place + length]) if length > 1 else said[place]
            if _is_name(known, joined, kinds, place, length):
                classes += kinds[done:place] + "N"
                words += said[done:place]
                words.append(joined)
                done = place + length
                break
    return classes + kinds[done:], [*words, *said[done:]]


def _is_name(known: Known, joined: str, kinds: str, place: int, length: int) -> bool:
    if known.is_name(joined):
        return length > 1 or _may_be_noun(known, joined, kinds, place)
    return known.naming.embedder is not None and _is_noun(kinds, place, length) and known.resembles(joined)


def _is_noun(kinds: str, place: int, length: int) -> bool:
    """Whether unknown words end a phrase that begins with an article, as a noun does and "wooden" in "is wooden" does not."""
    end = place + length
    if any(kind != "X" for kind in kinds[place:end]) or (end < len(kinds) and kinds[end] == "X"):
        return False
    while place and kinds[place - 1] in "XAS":
        place -= 1
    return place > 0 and kinds[place - 1] == "D"


def _may_be_noun(known: Known, word: str, kinds: str, place: int) -> bool:
    kind = kinds[place]
    if kind == "X":
        return True
    follows = kinds[place + 1] if place + 1 < len(kinds) else "."
    return word in known.terms and (kind == "G" or (kind == "A" and follows not in "XASN"))
