"""What is known of a scene besides its geometry: what its regions may be called, their colours, and how large they are."""

from __future__ import annotations

import statistics
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from jaxtyping import UInt8

from spatialreasoner.core.types import QuantityName, Scene
from spatialreasoner.language import colours, vocabulary
from spatialreasoner.language.vocabulary import Vocabulary
from spatialreasoner.rewards.names import NameMatcher
from spatialreasoner.scenes.files import read_image
from spatialreasoner.scenes.masks import decode
from spatialreasoner.scenes.measure import Measured

SIZE_WORDS: Mapping[str, tuple[QuantityName | None, int]] = {
    **dict.fromkeys(("large", "big", "huge", "bulky", "sizable", "massive", "giant"), (None, 1)),
    **dict.fromkeys(("small", "little", "tiny", "compact", "miniature"), (None, -1)),
    **dict.fromkeys(("tall", "high"), ("height", 1)),
    **dict.fromkeys(("short", "low", "squat"), ("height", -1)),
    **dict.fromkeys(("wide", "broad"), ("width", 1)),
    **dict.fromkeys(("narrow", "slim", "thin"), ("width", -1)),
}
"""Words for a size without a number: the quantity (None for the volume), and whether they mean more or less of it."""


MAX_COMPARED = 64
"""Regions that make up what is large or small in a scene; an image with a thousand must not take a minute."""

UNKNOWN_REACH = 2
"""Words of a name that no table knows and an embedder is asked about."""


class Known:
    """A scene and everything that descriptions of it can be checked against; loaded once, when first asked for.

    Args:
        measured: The scene's geometry.
        naming: What things may be called; None for the curated table alone.

    Attributes:
        closed: Whether every object of the scene is known, so that what is not known is not there.
    """

    def __init__(self, measured: Measured, *, naming: NameMatcher | None = None) -> None:
        self.measured = measured
        self.naming = NameMatcher() if naming is None else naming
        self.closed = self.scene.objects is not None
        self._colour_scores: dict[tuple[str, str], float | None] = {}
        self._pixels: UInt8[np.ndarray, "h w 3"] | None = None
        self._shares: dict[str, Mapping[str, float]] = {}
        self._medians: dict[QuantityName | None, float | None] = {}
        self._has: dict[str, bool | None] = {}
        self._fits: dict[tuple[str, str], bool] = {}

    @property
    def vocabulary(self) -> Vocabulary:
        """The table of names."""
        return self.naming.table

    @property
    def scene(self) -> Scene:
        """The scene itself."""
        return self.measured.scene

    @cached_property
    def names(self) -> Mapping[str, frozenset[str]]:
        """What each region may be called, by its id."""
        return {region: frozenset().union(*map(self.vocabulary.fitting, called)) for region, called in self._called.items()}

    @cached_property
    def terms(self) -> Mapping[str, tuple[str, ...]]:
        """The regions that each name may mean; none for a known object without a region."""
        terms: dict[str, list[str]] = {}
        for region_id, names in self.names.items():
            for name in names:
                terms.setdefault(name, []).append(region_id)
        for hidden in self.scene.objects or ():
            if hidden.region_id is None:
                for name in self.vocabulary.fitting(hidden.kind):
                    terms.setdefault(name, [])
        return {name: tuple(regions) for name, regions in terms.items()}

    def is_name(self, name: str) -> bool:
        """Whether a name can be read in a text: the vocabulary's and the scene's own can."""
        return name in self.vocabulary or name in self.terms

    def resembles(self, name: str) -> bool:
        """Whether the embedder, if there is one, takes a name that the table does not know for that of a region."""
        return any(self.naming.alike(label, name) for label in self._labels)

    def reach(self, word: str) -> int:
        """The number of words of the longest name that may begin with a word, 0 if none does."""
        reach, own = self.vocabulary.reach.get(word, 0), self._own_reach.get(word, 0)
        found = own if own > reach else reach
        return found if self.naming.embedder is None else max(found, UNKNOWN_REACH)

    @cached_property
    def _own_reach(self) -> Mapping[str, int]:
        return vocabulary.longest_names(name for name in self.terms if name not in self.vocabulary)

    def fits(self, region_id: str, name: str) -> bool:
        """Whether a region may be called by a name; a more special one ("office chair" for a chair) will do."""
        key = (region_id, name)
        if key not in self._fits:
            self._fits[key] = self._may_be_called(*key)
        return self._fits[key]

    def _may_be_called(self, region_id: str, name: str) -> bool:
        if self.naming.in_table(self.names[region_id], name):
            return True
        return any(self.naming.alike(label, name) for label in self._called[region_id])

    def regions(self, name: str) -> tuple[str, ...]:
        """The regions that may be called by a name."""
        found = self.terms.get(name)
        return tuple(region_id for region_id in self.names if self.fits(region_id, name)) if found is None else found

    def has(self, name: str) -> bool | None:
        """Whether there is a thing of that name; None if that is unknown, or the name would fit anything."""
        if name not in self._has:
            self._has[name] = self._has_any(name)
        return self._has[name]

    def _has_any(self, name: str) -> bool | None:
        if vocabulary.ANYTHING in self.vocabulary.kinds.get(name, ()):
            return None
        if name in self.terms or any(self.fits(region_id, name) for region_id in self.names):
            return True
        return False if self.closed and not self.vocabulary.is_background(name) else None

    def colour_score(self, region_id: str, word: str) -> float | None:
        """How well a colour word fits a region, 0..1: by its known colour, its label, or the pixels under its mask.

        None if it has no pixel, and its label names no colour.
        """
        key = (region_id, word)
        if key not in self._colour_scores:
            self._colour_scores[key] = self._colour_score(region_id, word)
        return self._colour_scores[key]

    def size_score(self, region_id: str, word: str) -> float | None:
        """How well a size word fits a region among the scene's regions, 0..1; None if sizes are unknown.

        Such words are vague: they are right down to half of the median region ("large"), and wrong from a quarter on.
        """
        quantity, sign = SIZE_WORDS[word]
        size, usual = self._size(quantity, region_id), self._usual(quantity)
        if not size or usual is None:
            return None
        share = size / usual if sign > 0 else usual / size
        return min(1.0, max(0.0, (share - 0.25) / 0.25))

    def release(self) -> None:
        """Forget all pixels; they are read again when needed."""
        self.measured.release()
        self._pixels = None

    @cached_property
    def _called(self) -> Mapping[str, tuple[str, ...]]:
        """The label of each region and, where it is known, its kind."""
        kinds = {known.region_id: known.kind for known in self.scene.objects or ()}
        return {r.id: (r.label, kinds[r.id]) if r.id in kinds else (r.label,) for r in self.scene.regions}

    @cached_property
    def _labels(self) -> Sequence[str]:
        return list(dict.fromkeys(label for labels in self._called.values() for label in labels))

    def _colour_score(self, region_id: str, word: str) -> float | None:
        known = next((o.colour for o in self.scene.objects or () if o.region_id == region_id), None)
        if known is not None:
            return colours.score_known(word, known)
        label = self.scene.region(region_id).label.lower().split()
        said = max((colours.score_known(word, own) for own in label if own in colours.COLOUR_WORDS), default=None)
        if region_id not in self._shares:
            self._shares[region_id] = colours.shares(self._colours_of(region_id))
        seen = self._shares[region_id]
        if not any(seen.values()):  # a mask without a pixel
            return said
        return max(said or 0.0, colours.colour_score(word, seen))

    def _colours_of(self, region_id: str) -> UInt8[np.ndarray, "pixels 3"]:
        """The region's pixels; the image is read once until it is released."""
        if self._pixels is None:
            self._pixels = np.asarray(read_image(self.scene.image))
        return self._pixels[decode(self.scene.region(region_id).mask)]

    def _usual(self, quantity: QuantityName | None) -> float | None:
        """The median size of the scene's regions, of which the first `MAX_COMPARED` count; None for fewer than two."""
        if quantity not in self._medians:
            regions = self.scene.regions[:MAX_COMPARED]
            sizes = [size for region in regions if (size := self._size(quantity, region.id))]
            self._medians[quantity] = statistics.median(sizes) if len(sizes) > 1 else None
        return self._medians[quantity]

    def _size(self, quantity: QuantityName | None, region_id: str) -> float | None:
        if quantity is not None:
            return self.measured.quantity(quantity, region_id).value
        cloud = self.measured.cloud(region_id)
        return None if cloud is None else cloud.volume


class KnownScenes:
    """Scenes that are loaded when first asked for, and kept without their pixels while others are asked for.

    Args:
        scenes: The scenes by id, paths resolved.
        naming: What things may be called; None for the curated table alone.
        kept: How many scenes stay loaded; beyond, the least recently used one is forgotten, so memory stays flat.
    """

    def __init__(self, scenes: Mapping[str, Scene], *, naming: NameMatcher | None = None, kept: int = 256) -> None:
        self._scenes = scenes
        self._naming = NameMatcher() if naming is None else naming
        self._kept = kept
        self._loaded: OrderedDict[str, Known] = OrderedDict()

    def get(self, scene_id: str) -> Known:
        """A scene, loaded.

        Raises:
            KeyError: If the scene does not exist.
        """
        if self._loaded and (last := next(reversed(self._loaded))) != scene_id:
            self._loaded[last].release()
        if scene_id not in self._loaded:
            self._loaded[scene_id] = Known(Measured(self._scenes[scene_id]), naming=self._naming)
            if len(self._loaded) > self._kept:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(scene_id)
        return self._loaded[scene_id]
