"""Which words may name the same thing: synonyms and hypernyms of everyday objects, from `vocabulary.toml`.

The table is curated by hand and can be extended: `load_vocabulary` takes more files of the same form. A name fits a label if it
is the label, a synonym of it, the head of it ("machine" for "washing machine" only where the table says so, "chair" for "office
chair" always), or the word for its kind ("appliance").
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import cast

from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.records import require_file
from spatialreasoner.language import colours
from spatialreasoner.language.scan import lazily

BACKGROUND = frozenset({"background", "building"})
"""Kinds that stand around what an image is about: nobody lists them, so a mention of one is neither right nor wrong."""

ANYTHING = "thing"
"""The kind of everything."""

CURATED = Path(__file__).with_name("vocabulary.toml")
COMPILED = CURATED.with_suffix(".json")
"""`names_by_meaning` of it, as `scripts/vocabulary.py` writes it."""
_WORD = lazily(r"[a-z]+(?:[-'][a-z]+)*")
_AFTER = lazily(r"\b(?:in|on|at|with|behind|near|next|by|under|above|beside|from|to)\b")
_IRREGULAR = {"shelf": "shelves", "knife": "knives", "man": "men", "woman": "women", "child": "children", "mouse": "mice",
              "person": "people", "goose": "geese", "leaf": "leaves", "loaf": "loaves"}  # fmt: skip


@dataclass(frozen=True)
class Vocabulary:
    """Names of things.

    Attributes:
        objects: The objects that a name (in singular or plural) may mean, each as "kind:name".
        kinds: The kinds that a hypernym names.
        names: The names of each object, and the hypernyms of each kind.
    """

    objects: Mapping[str, frozenset[str]]
    kinds: Mapping[str, frozenset[str]]
    names: Mapping[str, Sequence[str]]

    @cached_property
    def reach(self) -> Mapping[str, int]:
        """The number of words of the longest name that begins with a word."""
        return longest_names((*self.objects, *self.kinds))

    def __contains__(self, name: str) -> bool:
        return name in self.objects or name in self.kinds

    def is_background(self, name: str) -> bool:
        """Whether a name means only what stands around the things of an image."""
        named = {meaning.partition(":")[0] for meaning in self.objects.get(name, ())} | self.kinds.get(name, frozenset())
        return bool(named) and named <= BACKGROUND

    def fitting(self, label: str) -> frozenset[str]:
        """Every name in the vocabulary, and in the label itself, that may be said of a region so labelled."""
        known = [next((name for name in names if name in self.objects), "") for names in phrases(label)]
        meant = [meaning for name in known for meaning in self.objects.get(name, ())]
        kinds = {meaning.partition(":")[0] for meaning in meant} | {ANYTHING}
        own = {form for name in heads(label) for form in (name, *plurals(name))}
        same = (self.names[meaning] for meaning in meant)
        above = (self.names.get(kind, ()) for kind in kinds)
        return frozenset(own.union(*same, *above))


def longest_names(names: Iterable[str]) -> dict[str, int]:
    """The number of words of the longest of some names, by their first word."""
    longest: dict[str, int] = {}
    for name in names:
        words = name.split(" ")
        longest[words[0]] = max(longest.get(words[0], 0), len(words))
    return longest


def heads(label: str) -> list[str]:
    """The nouns that a label may go by, the full one first.

    Colours and what follows a preposition are left out; "stack of white crates" is a stack and crates.

    >>> heads("silver car in front"), heads("stack of white crates"), heads("office chair")
    (['car'], ['stack', 'crates'], ['office chair', 'chair'])
    """
    return [name for names in phrases(label) for name in names]


def phrases(label: str) -> list[list[str]]:
    """The nouns of each half of a label that "of" parts, the longest first; a compound is what its longest name means.

    >>> phrases("stack of toy cars")
    [['stack'], ['toy cars', 'cars']]
    """
    found: list[list[str]] = []
    label = label.lower()
    after = _AFTER.search(label)
    for half in (label[: after.start()] if after else label).split(" of "):
        words = [word for word in _WORD.findall(half) if word not in colours.COLOUR_WORDS and word not in {"the", "a", "an"}]
        words = words or _WORD.findall(half)[-1:]  # an orange is an orange
        found.append([" ".join(words[start:]) for start in range(len(words))])
    return found


def plurals(name: str) -> tuple[str, ...]:
    """The other number of a name: its plural, and its singular if it looks like a plural.

    >>> plurals("box"), plurals("crates"), plurals("bookshelf")
    (('boxes',), ('crateses', 'crate'), ('bookshelves',))
    """
    head, _, last = name.rpartition(" ")
    found = [_plural(last)]
    if last.endswith("s") and not last.endswith("ss"):
        found.append(last[:-3] + "y" if last.endswith("ies") else re.sub(r"(?<=[xhs])es$|s$", "", last))
    return tuple(f"{head} {form}".strip() for form in found)


def _plural(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("shelf"):
        return word.removesuffix("shelf") + _IRREGULAR["shelf"]
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    return word[:-1] + "ies" if word.endswith("y") and word[-2:-1] not in ("", *"aeiou") else word + "s"


@cache
def load_vocabulary(*more: Path) -> Vocabulary:
    """The curated vocabulary, extended by files of the same form.

    A file has one table per kind, with `words` (what people call the kind) and `names` (each object and its synonyms)::

        [furniture]
        words = ["furniture"]
        names = {wardrobe = ["closet", "armoire"]}

    Raises:
        MissingFileError: If there is no such file.
        RecordError: If it does not have that form.
    """
    names = cast("dict[str, list[str]]", json.loads(COMPILED.read_text(encoding="utf-8")))
    for path in more:
        for meaning, added in names_by_meaning(require_file(path)).items():
            names[meaning] = [*names.get(meaning, ()), *added]
    objects: dict[str, frozenset[str]] = {}
    kinds: dict[str, frozenset[str]] = {}
    for meaning, said in names.items():
        means, alone = objects if ":" in meaning else kinds, frozenset((meaning,))
        for name in said:
            means[name] = means[name] | alone if name in means else alone
    return Vocabulary(objects=objects, kinds=kinds, names=names)


def names_by_meaning(path: Path) -> dict[str, list[str]]:
    """What may be said of each object ("kind:name") and of each kind of a file, in singular and plural.

    Raises:
        RecordError: If the file does not have the form that `load_vocabulary` reads.
    """
    found: dict[str, list[str]] = {}
    for kind, words, names in _read(path):
        found[kind] = [form for word in words for form in (word, _plural(word))]
        for name, synonyms in names.items():
            found[f"{kind}:{name}"] = [form for word in (name, *synonyms) for form in (word, plurals(word)[0])]
    return found


def _read(path: Path) -> Iterator[tuple[str, list[str], Mapping[str, list[str]]]]:
    import tomllib  # takes as long as a dozen replies, and only files of others need it

    try:
        tables: Mapping[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: not TOML: {error}") from None
    for kind, entry in tables.items():
        words, names = _entry(entry)
        if words is None or names is None:
            raise RecordError(
                f'{path}: [{kind}] needs words = ["furniture"] and names = {{wardrobe = ["closet"]}}; got {entry!r:.80}'
            )
        yield kind, words, names


def _entry(entry: object) -> tuple[list[str] | None, Mapping[str, list[str]] | None]:
    if not isinstance(entry, dict):
        return None, None
    fields = cast("Mapping[str, object]", entry)
    words, names = fields.get("words", []), fields.get("names", {})
    if not _are_words(words) or not isinstance(names, dict) or not all(_are_words(value) for value in names.values()):
        return None, None
    return cast("list[str]", words), cast("Mapping[str, list[str]]", names)


def _are_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) and word for word in cast("list[object]", value))
