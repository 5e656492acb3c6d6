"""Masks and their forms: run lengths, polygons, boxes. Masks are boolean [h, w]; pycocotools is the codec."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, Int8, UInt8
from pycocotools import mask as coco

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Rle

MAX_PIXELS = 64_000_000
"""A larger mask or image is refused before memory is taken for it."""

MAX_CORNERS = 100_000
"""A polygon with more corners is refused; the finest of label tools have a few thousand."""

FAR_OUTSIDE = 20
"""A corner farther outside than this many times the image's longer side is not a slip of the hand."""


def encode(mask: Bool[np.ndarray, "h w"]) -> Rle:
    """The compressed COCO run lengths of a mask.

    >>> encode(np.eye(3, dtype=bool))
    Rle(size=(3, 3), counts='013000')
    """
    x0, y0, x1, y1 = box_of(mask)
    columns = np.zeros(mask.shape, dtype=np.uint8, order="F")
    columns[y0:y1, x0:x1] = mask[y0:y1, x0:x1]  # reordering all of a large image takes ten times as long
    return _encoded(columns)


def encode_owned(owner: Int[np.ndarray, "h w"], owners: Sequence[int]) -> list[Rle]:
    """What `encode` makes of the pixels of each owner, in half the time: the image is put in order once for all."""
    columns = np.ascontiguousarray(owner.T)
    return [_encoded((columns == each).view(np.uint8).T) for each in owners]


def _encoded(columns: UInt8[np.ndarray, "h w"]) -> Rle:
    """Of a mask in the order of columns, as pycocotools wants it."""
    rle: Any = coco.encode(columns)
    return Rle(size=(columns.shape[0], columns.shape[1]), counts=rle["counts"].decode("ascii"))


def require_size(
    found: Sequence[int], expected: Sequence[int], *, where: str = "", what: str = "a mask of the image's size"
) -> None:
    """Refuse a mask, or depth, of another size than what it belongs to.

    Args:
        found: Its height and width.
        expected: Those that it must have.
        where: Where it comes from, for the message.
        what: What is expected, for the message.

    Raises:
        SceneError: If they differ.
    """
    if tuple(found) != tuple(expected):
        place = f"{where}: " if where else ""
        raise SceneError(f"{place}expected {what} {tuple(expected)}; got {tuple(found)}")


def decode(rle: Rle) -> Bool[np.ndarray, "h w"]:
    """The mask of COCO run lengths, compressed or not.

    Raises:
        SceneError: If the runs do not add up to the mask's size, or the mask is larger than `MAX_PIXELS`.
    """
    height, width = rle.size
    if height * width > MAX_PIXELS:
        raise SceneError(f"a mask has at most {MAX_PIXELS} pixels; got {height} x {width}")
    runs = _runs(rle.counts) if isinstance(rle.counts, str) else list(rle.counts)
    if sum(runs) != height * width or min(runs, default=0) < 0:
        raise SceneError(
            f"the run lengths of a {height} x {width} mask must be positive and add up to {height * width}; "
            f"they add up to {sum(runs)}"
        )
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def _runs(counts: str) -> list[int]:
    """Run lengths of COCO's compressed text.

    The C decoder of pycocotools trusts its input, so untrusted text is unpacked here: 5 bits per character, bit 6 to continue,
    signed, and from the fourth run on as differences to the run two before.
    """
    runs: list[int] = []
    value, shift = 0, 0
    for character in counts.encode("ascii", errors="replace"):
        bits = character - 48
        if not 0 <= bits < 64 or shift > 30:
            raise SceneError(f"expected COCO's compressed run lengths; got {counts[:40]!r}")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value, shift = 0, 0
    if shift:
        raise SceneError(f"COCO's compressed run lengths end in the middle of a number: {counts[-40:]!r}")
    return runs


def from_polygon(points: Sequence[Sequence[float]], size: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """The pixels inside a polygon, as pycocotools rasterises it: a square from (10, 10) to (50, 50) has 1,600 pixels.

    Args:
        points: Corners (x, y), pixels; (0, 0) is the upper left corner of the upper left pixel. At least three.
        size: Height and width of the mask.

    Raises:
        SceneError: If there are fewer than three corners or more than `MAX_CORNERS`, or one is not a pair of finite numbers
            near the image.
    """
    corners = np.asarray(points, dtype=float) if all(len(point) == 2 for point in points) else np.empty((0, 2))
    if not 3 <= len(corners) <= MAX_CORNERS or not np.isfinite(corners).all():
        raise SceneError(
            f"a polygon has 3 to {MAX_CORNERS} corners [x, y] of finite numbers; got {len(points)}: {str(points)[:80]}"
        )
    if np.abs(corners).max() > FAR_OUTSIDE * max(size):  # the C code takes memory by the outline's length
        raise SceneError(
            f"expected a polygon in an image of {size[1]} x {size[0]} pixels; it reaches {np.abs(corners).max():.0f}"
        )
    outline: Any = [corners.ravel().tolist()]
    rle: Any = coco.merge(coco.frPyObjects(outline, *size))
    return decode(Rle(size=(size[0], size[1]), counts=rle["counts"].decode("ascii")))


def from_box(box: Sequence[float], size: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """The pixels of a box (x0, y0, x1, y1), end-exclusive, cut to the image.

    Raises:
        SceneError: If it is not four finite numbers with x0 < x1 and y0 < y1.
    """
    if len(box) != 4 or not np.isfinite(box).all() or box[0] >= box[2] or box[1] >= box[3]:
        raise SceneError(
            f"a box is [x0, y0, x1, y1] with x0 < x1 and y0 < y1, pixels; got {list(box)}; COCO's [x, y, width, "
            "height] is [x, y, x + width, y + height]"
        )
    x0, y0, x1, y1 = np.clip(np.round(box), 0, [size[1], size[0]] * 2).astype(int)
    mask = np.zeros(size, dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def box_of(mask: Bool[np.ndarray, "h w"]) -> tuple[int, int, int, int]:
    """The smallest box (x0, y0, x1, y1), end-exclusive pixels, around a mask; all zeros for an empty mask."""
    if not mask.any():
        return (0, 0, 0, 0)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def rim_layers(mask: Bool[np.ndarray, "h w"], reach: int) -> Int8[np.ndarray, "h w"]:
    """How far outside of a mask each pixel is, in steps to neighbours: 0 at its rim, 1 beside it, `reach` + 1 far away.

    Farther in it is below 0, down to -`reach`.
    """
    from scipy import ndimage  # now: it takes longer than this package to import, and workers that make rooms need none

    layer = np.where(mask, np.int8(0), np.int8(reach + 1))
    inner = outer = mask
    for _ in range(reach):
        inner, outer = np.asarray(ndimage.binary_erosion(inner)), np.asarray(ndimage.binary_dilation(outer))
        layer -= inner
        layer -= outer & ~mask
    return layer
