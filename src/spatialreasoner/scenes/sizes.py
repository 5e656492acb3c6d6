"""How large everyday things are, to notice depth whose unit is off by ten.

0.9 m or 9 m can both be measured, but not of a chair. The ranges are those of the longest side that one sees, in metres,
wide enough for the odd one; a thing that is partly hidden looks smaller, so what is too small must be so for several things
at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from jaxtyping import Bool, Float

from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.masks import box_of

_LONGEST: dict[str, tuple[float, float]] = {
    "person": (0.5, 2.1), "man": (0.5, 2.1), "woman": (0.5, 2.0), "child": (0.4, 1.7), "pedestrian": (0.5, 2.1),
    "chair": (0.35, 1.5), "stool": (0.25, 1.2), "armchair": (0.5, 1.6), "sofa": (0.8, 3.5), "couch": (0.8, 3.5),
    "table": (0.4, 4.0), "desk": (0.5, 3.0), "bed": (0.8, 2.6), "door": (0.8, 2.8), "window": (0.3, 4.0),
    "wardrobe": (0.6, 3.2), "cabinet": (0.25, 3.0), "bookshelf": (0.4, 3.5), "shelf": (0.25, 4.0),
    "refrigerator": (0.5, 2.3), "fridge": (0.5, 2.3), "oven": (0.3, 1.2), "microwave": (0.25, 0.75), "dishwasher": (0.35, 1.0),
    "washing machine": (0.4, 1.1), "dryer": (0.4, 1.1), "toilet": (0.3, 0.95), "sink": (0.2, 1.2), "bathtub": (0.6, 2.1),
    "television": (0.3, 2.2), "tv": (0.3, 2.2), "monitor": (0.25, 1.2), "laptop": (0.2, 0.5), "keyboard": (0.2, 0.6),
    "book": (0.1, 0.5), "bottle": (0.08, 0.45), "cup": (0.05, 0.25), "mug": (0.05, 0.2), "bowl": (0.06, 0.5),
    "plate": (0.1, 0.4), "apple": (0.04, 0.15), "banana": (0.08, 0.3), "pillow": (0.2, 1.0), "lamp": (0.15, 2.2),
    "bag": (0.12, 1.2), "backpack": (0.2, 0.9), "suitcase": (0.25, 1.1), "bin": (0.15, 1.4), "kettle": (0.12, 0.4),
    "car": (0.9, 6.0), "van": (1.2, 8.0), "jeep": (1.0, 5.5), "truck": (1.5, 20.0), "bus": (2.0, 20.0), "tram": (2.0, 80.0),
    "bicycle": (0.6, 2.1), "bike": (0.6, 2.4), "motorcycle": (0.7, 2.6), "dog": (0.15, 1.4), "cat": (0.12, 0.9),
    "piano": (0.9, 3.0), "phone": (0.06, 0.3), "guitar": (0.5, 1.4), "furnace": (0.2, 2.5),
}  # fmt: skip

_SAMPLE = 20_000
"""About this many pixels of a region are enough for the median of its depth."""

_PLURAL = re.compile(r"(?<=[a-z])(es|s)$")


def misfit(
    depth: Float[np.ndarray, "h w"], camera: Intrinsics, regions: Iterable[tuple[str, Bool[np.ndarray, "h w"]]]
) -> tuple[float | None, str]:
    """By which factor named things come out too large (above 1) or too small (below 1).

    Only an error of a large factor is reported: each named thing must be off on the same side, by a factor of 1.6 at least and
    one of them by 2.5. A single thing counts only where it is too large.

    Args:
        depth: Metres, NaN where not measured.
        camera: The image's camera.
        regions: Labels and masks.

    Returns:
        The factor, or None if all is well or nothing is known; and examples in words.
    """
    seen = [(label, size, _range(label)) for label, mask in regions if (size := _longest(depth, camera, mask)) is not None]
    known = [(label, size, low, high) for label, size, limits in seen if limits for low, high in [limits]]
    if not known:
        return None, ""
    over = [size / high for _, size, _, high in known]
    under = [low / size for _, size, low, _ in known]
    too_large = min(over) > 1.6 and max(over) > 2.5
    too_small = len(known) > 1 and min(under) > 1.6 and max(under) > 2.5
    if not (too_large or too_small):
        return None, ""
    middle = float(np.median([size / np.sqrt(low * high) for _, size, low, high in known]))
    return middle, " and ".join(f"a {label} is {size:.2g} m long" for label, size, _, _ in known[:2])


def _range(label: str) -> tuple[float, float] | None:
    """The range of the thing that a label names, by its last words: "black bag" is a bag, "car door" is a door."""
    words = re.findall(r"[a-z]+", label.lower())
    for start in range(max(0, len(words) - 2), len(words)):
        name = " ".join(words[start:])
        for form in (name, _PLURAL.sub("", name), name.removesuffix("s")):
            if form in _LONGEST:
                return _LONGEST[form]
    return None


def _longest(depth: Float[np.ndarray, "h w"], camera: Intrinsics, mask: Bool[np.ndarray, "h w"]) -> float | None:
    """The longer side of a mask at its median depth, metres; None if it is not measured."""
    x0, y0, x1, y1 = box_of(mask)
    step = max(1, int(np.sqrt((x1 - x0) * (y1 - y0) / _SAMPLE)))
    inner, values = mask[y0:y1:step, x0:x1:step], depth[y0:y1:step, x0:x1:step]
    values = values[inner & np.isfinite(values)]
    if values.size < 8:
        return None
    return float(max((x1 - x0) / camera.fx, (y1 - y0) / camera.fy) * np.median(values))


def is_known(label: str) -> bool:
    """Whether it is known how large such a thing is."""
    return _range(label) is not None
