"""Colour words, and the colours that a region shows.

People name colours by object, not by pixel: a white wardrobe in a dim cellar is grey-brown in the image. A colour word is
therefore scored against the share of the region's pixels that it may stand for, relative to its commonest colour, and words
of neighbouring colours earn part of the score.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int, UInt8

BASIC = ("red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink", "brown", "white", "grey", "black")
"""The colours into which pixels are sorted."""

_NEAR: Mapping[str, Mapping[str, float]] = {
    "red": {"pink": 0.4, "orange": 0.4, "brown": 0.5, "purple": 0.3},
    "orange": {"red": 0.4, "yellow": 0.5, "brown": 0.6},
    "yellow": {"orange": 0.5, "brown": 0.3, "green": 0.2, "white": 0.2},
    "green": {"turquoise": 0.5, "yellow": 0.2, "grey": 0.2, "black": 0.2},
    "turquoise": {"green": 0.6, "blue": 0.6},
    "blue": {"turquoise": 0.5, "purple": 0.3, "grey": 0.3, "black": 0.2},
    "purple": {"blue": 0.3, "pink": 0.5, "red": 0.2},
    "pink": {"red": 0.4, "purple": 0.4, "white": 0.2},
    "brown": {"orange": 0.6, "red": 0.4, "black": 0.4, "yellow": 0.4, "grey": 0.3},
    "white": {"grey": 0.6, "yellow": 0.3, "brown": 0.3, "turquoise": 0.2},
    "grey": {"white": 0.6, "black": 0.5, "brown": 0.3, "blue": 0.3},
    "black": {"grey": 0.5, "brown": 0.5, "blue": 0.3},
}
"""For each basic word, the other sorted colours that may look like it, and how much of the score they earn."""

_ALIASES: Mapping[str, Mapping[str, float]] = {
    "gray": {"grey": 1.0},
    "silver": {"grey": 1.0, "white": 0.9, "blue": 0.5, "black": 0.5},
    "silvery": {"grey": 1.0, "white": 0.9, "blue": 0.5, "black": 0.5},
    "metallic": {"grey": 1.0, "white": 0.8, "brown": 0.6, "black": 0.6},
    "charcoal": {"grey": 1.0, "black": 1.0},
    "beige": {"brown": 1.0, "white": 0.9, "yellow": 0.7, "orange": 0.7, "grey": 0.7},
    "tan": {"brown": 1.0, "orange": 0.9, "yellow": 0.7, "grey": 0.4},
    "cream": {"white": 1.0, "yellow": 0.9, "brown": 0.6, "grey": 0.6},
    "ivory": {"white": 1.0, "yellow": 0.8, "grey": 0.6},
    "khaki": {"brown": 1.0, "yellow": 0.8, "green": 0.7},
    "gold": {"yellow": 1.0, "orange": 0.8, "brown": 0.8},
    "golden": {"yellow": 1.0, "orange": 0.8, "brown": 0.8},
    "bronze": {"brown": 1.0, "orange": 0.8},
    "maroon": {"red": 1.0, "brown": 0.9, "purple": 0.6},
    "burgundy": {"red": 1.0, "brown": 0.8, "purple": 0.7},
    "crimson": {"red": 1.0, "pink": 0.5},
    "scarlet": {"red": 1.0, "orange": 0.5},
    "navy": {"blue": 1.0, "black": 0.7},
    "teal": {"turquoise": 1.0, "green": 0.7, "blue": 0.7},
    "cyan": {"turquoise": 1.0, "blue": 0.7},
    "violet": {"purple": 1.0, "pink": 0.5, "blue": 0.4},
    "lilac": {"purple": 1.0, "pink": 0.8},
    "magenta": {"pink": 1.0, "purple": 0.9, "red": 0.4},
    "lime": {"green": 1.0, "yellow": 0.6},
    "olive": {"green": 1.0, "brown": 0.7, "yellow": 0.6},
    "reddish": {"red": 1.0, "brown": 0.8, "pink": 0.7, "orange": 0.7},
    "bluish": {"blue": 1.0, "turquoise": 0.8, "grey": 0.6},
    "greenish": {"green": 1.0, "turquoise": 0.8, "yellow": 0.5},
    "yellowish": {"yellow": 1.0, "orange": 0.7, "brown": 0.7, "white": 0.6},
    "brownish": {"brown": 1.0, "orange": 0.8, "black": 0.5, "grey": 0.5},
    "greyish": {"grey": 1.0, "white": 0.7, "black": 0.7},
    "whitish": {"white": 1.0, "grey": 0.9, "yellow": 0.6, "brown": 0.5},
}

COLOUR_WORDS: Mapping[str, Mapping[str, float]] = {**{name: {name: 1.0, **_NEAR[name]} for name in BASIC}, **_ALIASES}
"""Every colour word, and how much of the score each sorted colour earns under it."""

_DOMINANT = 0.5
"""A colour that covers this share of a region is fully there, even where another covers more."""

_EXACT = 0.9
"""A sorted colour with at least this weight is what the word means; others are its neighbours."""

_BRIGHT = frozenset(BASIC) - {"brown", "white", "grey", "black"}
_SALIENCE = 2.0
"""How much more a bright colour counts than its share: a tram with yellow bands is called yellow."""

_NEAR_MOST = 0.4
"""The most that neighbouring colours earn together."""


_AT_ONCE = 2**18
"""Pixels that are told apart at once: a hundred bytes each for a while."""


def shares(pixels: UInt8[np.ndarray, "n 3"]) -> dict[str, float]:
    """The share of each basic colour among sRGB pixels; they add up to 1.

    >>> shares(np.array([[250, 5, 5], [250, 250, 250]], dtype=np.uint8))["white"]
    0.5
    """
    counts = np.zeros(len(BASIC), dtype=np.int64)
    for begin in range(0, len(pixels), _AT_ONCE):
        counts += np.bincount(_named(pixels[begin : begin + _AT_ONCE]), minlength=len(BASIC))
    return {name: float(share) for name, share in zip(BASIC, counts / max(len(pixels), 1), strict=True)}


def _named(pixels: UInt8[np.ndarray, "n 3"]) -> Int[np.ndarray, " n"]:
    """The number of each pixel's basic colour."""
    rgb = pixels.astype(np.float64) / 255
    value = rgb.max(axis=1)
    chroma = value - rgb.min(axis=1)
    saturation = chroma / np.maximum(value, 1e-9)
    hue = _hue(rgb, value, chroma)
    names = np.full(len(rgb), BASIC.index("red"))
    for low, name in ((18, "orange"), (45, "yellow"), (70, "green"), (160, "turquoise"), (198, "blue"), (258, "purple")):
        names[hue >= low] = BASIC.index(name)
    names[(hue >= 295) & (hue < 345)] = BASIC.index("pink")
    names[hue >= 345] = BASIC.index("red")
    reddish = (names == BASIC.index("red")) & (value > 0.7) & (saturation < 0.6)
    names[reddish] = BASIC.index("pink")
    warm = (hue >= 8) & (hue < 48)
    names[warm & ((value < 0.68) | (saturation < 0.42))] = BASIC.index("brown")
    cool = (hue > 150) & (hue < 280)  # the shade of a blue sky turns greys bluish
    colourless = (saturation < np.where(cool, 0.26, 0.16)) | (chroma < 0.07)
    names[colourless & (value > 0.72)] = BASIC.index("white")
    names[colourless & (value <= 0.72)] = BASIC.index("grey")
    names[value < 0.2] = BASIC.index("black")
    return names


def colour_score(word: str, seen: Mapping[str, float]) -> float:
    """How well a colour word fits the shares of colours in a region, 0..1.

    >>> colour_score("red", {"red": 0.6, "black": 0.4}), colour_score("green", {"red": 1.0})
    (1.0, 0.0)
    """
    dominant = max(min(max(seen.values(), default=1.0), _DOMINANT), 1e-9)
    exact = sum(
        seen.get(name, 0.0) * (_SALIENCE if name in _BRIGHT else 1.0)
        for name, weight in COLOUR_WORDS[word].items()
        if weight >= _EXACT
    )
    near = sum(weight * seen.get(name, 0.0) for name, weight in COLOUR_WORDS[word].items() if weight < _EXACT)
    return min(1.0, exact / dominant + min(_NEAR_MOST, near / dominant))


def score_known(word: str, known: str) -> float:
    """How well a colour word fits a colour that is known by its word: 1 for it or an alias, half for a close neighbour.

    >>> score_known("gray", "silver"), score_known("orange", "yellow"), score_known("red", "blue")
    (1.0, 0.5, 0.0)
    """
    meant = [name for name, weight in COLOUR_WORDS.get(known, {}).items() if weight >= _EXACT]
    weight = 1.0 if word == known else max((COLOUR_WORDS.get(word, {}).get(name, 0.0) for name in meant), default=0.0)
    return 1.0 if weight >= _EXACT else 0.5 if weight >= 0.5 else 0.0


def _hue(
    rgb: Float[np.ndarray, "n 3"], value: Float[np.ndarray, " n"], chroma: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Hue in degrees, 0..360; 0 for greys."""
    red, green, blue = rgb.T
    safe = np.maximum(chroma, 1e-9)
    hue = np.select(
        [value == red, value == green],
        [((green - blue) / safe) % 6, (blue - red) / safe + 2],
        (red - green) / safe + 4,
    )
    return hue * 60
