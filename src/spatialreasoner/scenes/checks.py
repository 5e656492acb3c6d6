"""Checks that detect wrong data before anything is measured.

Cameras of another image, units off by a thousand, numbers that are not depth: each check says what it saw, the likely
cause, and the fix.

A problem that makes lengths wrong is refused; one that is merely odd is reported. A user who knows better names the
check in the `accept` of scene.json.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt16

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.sizes import misfit

logger = logging.getLogger(__name__)

NAMES = (
    "normalised intrinsics", "swapped axes", "other resolution", "principal point", "focal length", "pixel shape", "exif focal",
    "orientation", "units", "near and far", "known sizes", "rotated bits", "preview", "stretched", "byte order", "sentinel",
    "gravity",
)  # fmt: skip
"""The checks, as `accept` names them."""

FARTHEST_MEDIAN, NEAREST_MEDIAN = 300.0, 0.02
"""Metres beyond which no depth camera, lidar or stereo pair has half of its pixels."""

_SAMPLE = 1_000_000
"""About this many pixels of a larger depth map are read where a share or a median is enough."""

_USUAL = (
    (320, 240), (424, 240), (480, 270), (512, 424), (640, 360), (640, 480), (848, 480), (960, 540), (960, 720), (1024, 768),
    (1280, 720), (1280, 960), (1280, 1024), (1296, 968), (1440, 1080), (1920, 1080), (1920, 1440), (2048, 1536), (2560, 1440),
    (3840, 2160), (4032, 3024),
)  # fmt: skip
"""Width and height of the images that cameras give."""

_SENTINELS = (1023, 2047, 4095, 8191, 16383, 32767)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that does not fit.

    Attributes:
        name: The check, one of `NAMES`.
        seen: What was seen, with numbers, and the likely cause.
        fix: What to do.
        wrong: True where every length would be wrong; False if it is only odd.
    """

    name: str
    seen: str
    fix: str
    wrong: bool = True

    def __str__(self) -> str:
        return f"{self.seen}; {self.fix}"


def refuse(problems: Iterable[Problem], *, where: str, accept: Collection[str] | None = ()) -> None:
    """Log what is odd, and raise what is wrong.

    Args:
        problems: What the checks saw.
        where: What to call the scene.
        accept: Checks whose verdict the user has overruled; None where there is no scene.json in which to do so.

    Raises:
        SceneError: For the first problem that is wrong and not accepted.
    """
    for problem in problems:
        if problem.wrong and accept is None:
            raise SceneError(f"{where}: {problem}")
        if problem.wrong and problem.name not in (accept or ()):
            raise SceneError(
                f'{where}: {problem} (if it is right as it is, say so: "accept": ["{problem.name}"] in scene.json)'
            )
        if problem.name not in (accept or ()):
            logger.warning("%s: %s", where, problem)


def examine(
    *,
    size: tuple[int, int],
    depth: Float[np.ndarray, "h w"] | None,
    intrinsics: Intrinsics,
    gravity: tuple[float, float, float] | None = None,
    raw: UInt16[np.ndarray, "h w"] | None = None,
    units_per_metre: float | None = 1000.0,
    exif_focal: float | None = None,
    regions: Iterable[tuple[str, Bool[np.ndarray, "h w"]]] = (),
) -> list[Problem]:
    """Everything that does not fit in a scene, the surest first.

    Args:
        size: Height and width of the image.
        depth: Metres, NaN where not measured; None if it has no scale.
        intrinsics: The camera, pixels of that image.
        gravity: The direction in which things fall, or None.
        raw: The whole numbers from which the depth was made, or None.
        units_per_metre: How many of them are a metre; None if the depth was stored in metres.
        exif_focal: The focal length that the image's EXIF data tell, pixels, or None.
        regions: Labels and masks, to compare with how large such things are.
    """
    found = list(_camera(size, intrinsics))
    if raw is not None and raw.any():
        found += _numbers(raw, units_per_metre or 1.0)
    if depth is not None and np.isfinite(depth).any():
        found += _distances(depth, units_per_metre)
        if not any(problem.wrong for problem in found):
            found += _sizes(depth, intrinsics, regions, units_per_metre or 1.0)
    return [*found, *_exif(intrinsics, exif_focal), *_gravity(gravity)]


def _camera(size: tuple[int, int], camera: Intrinsics) -> Iterator[Problem]:
    """What is wrong with a camera for an image of this size; one cause, the likeliest."""
    height, width = size
    across, down = (camera.cx + 0.5) / (width / 2), (camera.cy + 0.5) / (height / 2)
    if 0 < camera.cx <= 1.5 and 0 < camera.cy <= 1.5 and max(camera.fx, camera.fy) <= 8 and min(size) > 8:
        yield Problem(
            name="normalised intrinsics",
            seen=f"the intrinsics {_told(camera)} are shares of the image, not pixels",
            fix=f"multiply fx and cx by the width {width}, fy and cy by the height {height}",
        )
    elif _is_turned(size, camera):
        yield Problem(
            name="swapped axes",
            seen=f"the principal point ({camera.cx:g}, {camera.cy:g}) is the middle of an image of {height} x {width} pixels, "
            f"not of {width} x {height}: the image was turned by a quarter and its camera was not",
            fix="turn the camera, too: swap fx with fy and cx with cy (and count cx or cy from the other side)",
        )
    elif abs(across / down - 1) < 0.12 and not 0.7 < across < 1.35:
        factor = 2 / (across + down)
        yield Problem(
            name="other resolution",
            seen=f"the principal point ({camera.cx:g}, {camera.cy:g}) is the middle of an image of about "
            f"{width / factor:.0f} x {height / factor:.0f} pixels; this one has {width} x {height}: the intrinsics are those "
            "of another resolution",
            fix=f"multiply fx, fy, cx and cy by {factor:.4g}",
        )
    elif not (0.75 < across < 1.3 and 0.75 < down < 1.3) and (other := _usual_size(camera)) not in {None, (height, width)}:
        assert other is not None
        yield Problem(
            name="other resolution",
            seen=f"the principal point ({camera.cx:g}, {camera.cy:g}) is the middle of an image of {other[1]} x {other[0]} "
            f"pixels, a usual size; this one has {width} x {height}, another shape: it was cut or stretched, or the intrinsics "
            "are another camera's",
            fix="give the intrinsics of this very image: scale them as it was resized, and subtract what was cut off",
        )
    elif not (0 <= camera.cx <= width and 0 <= camera.cy <= height):
        yield Problem(
            name="principal point",
            seen=f"the principal point ({camera.cx:g}, {camera.cy:g}) is outside of the image of {width} x {height} pixels: "
            "the intrinsics are those of another image, resolution or crop",
            fix="give the intrinsics of this very image: scale them as it was resized, and subtract what was cut off",
        )
    else:
        yield from _focal(size, camera)


def _usual_size(camera: Intrinsics) -> tuple[int, int] | None:
    """Height and width of a usual image whose middle is the principal point, to within 1.2 %; None if there is none."""
    for width, height in _USUAL:
        for size in ((height, width), (width, height)):
            off = abs(camera.cx + 0.5 - size[1] / 2) / max(1.0, 0.012 * size[1])
            if max(off, abs(camera.cy + 0.5 - size[0] / 2) / max(1.0, 0.012 * size[0])) <= 1:
                return size
    return None


def _is_turned(size: tuple[int, int], camera: Intrinsics) -> bool:
    height, width = size
    if 0.83 < width / height < 1.2:
        return False
    return abs(camera.cx - height / 2) < 0.1 * height and abs(camera.cy - width / 2) < 0.1 * width


def _focal(size: tuple[int, int], camera: Intrinsics) -> Iterator[Problem]:
    longer = max(size)
    share = max(camera.fx, camera.fy) / longer
    if not 0.3 < share < 6:
        angle = 2 * np.degrees(np.arctan(0.5 / share))
        yield Problem(
            name="focal length",
            seen=f"a focal length of {max(camera.fx, camera.fy):g} pixels for {longer} sees an angle of {angle:.1f} degrees",
            fix="expected pixels of this image, not millimetres and not another resolution; a fisheye image must be rectified",
            wrong=not 0.15 < share < 15,
        )
    if not 0.8 < camera.fx / camera.fy < 1.25:
        yield Problem(
            name="pixel shape",
            seen=f"fx {camera.fx:g} and fy {camera.fy:g} differ by {abs(camera.fx / camera.fy - 1):.0%}: pixels are not square",
            fix="that is right only for an image that was stretched in one direction",
            wrong=not 0.4 < camera.fx / camera.fy < 2.5,
        )


def _exif(camera: Intrinsics, exif_focal: float | None) -> Iterator[Problem]:
    if exif_focal is not None and not 0.6 < camera.fx / exif_focal < 1.67:
        yield Problem(
            name="exif focal",
            seen=f"fx is {camera.fx:g} pixels; the image's EXIF data tell {exif_focal:.0f}",
            fix="check that the intrinsics are those of this image and resolution",
            wrong=False,
        )


def _distances(depth: Float[np.ndarray, "h w"], units: float | None) -> Iterator[Problem]:
    median = float(np.median(depth[np.isfinite(depth)][:: max(1, depth.size // _SAMPLE)]))
    told = "" if units is None else f" with {units:g} units per metre"
    if units is None and median > FARTHEST_MEDIAN:
        yield Problem(
            name="units",
            seen=f"half of the depth is beyond {median:,.4g} m: the file's numbers are not metres, most often millimetres",
            fix=f"divide them by 1000: the median were {median / 1000:.3g} m",
        )
    elif units is not None and (median > FARTHEST_MEDIAN or median < NEAREST_MEDIAN):
        wanted = units * 1000 if median > FARTHEST_MEDIAN else units / 1000
        yield Problem(
            name="units",
            seen=f"half of the depth is {'beyond' if median > 1 else 'nearer than'} {median:,.4g} m with {units:g} units per "
            "metre: the unit is wrong, most often millimetres taken for metres or the other way",
            fix=f"with {wanted:g} units per metre the median were {median * units / wanted:.3g} m",
        )
    elif not 0.12 < median < 100:
        yield Problem(
            name="near and far",
            seen=f"the depth has a median of {median:.3g} m{told}",
            fix="check the unit: most depth cameras write 1000 per metre, TUM 5000, KITTI 256, Matterport3D 4000",
            wrong=False,
        )


def _sizes(
    depth: Float[np.ndarray, "h w"],
    camera: Intrinsics,
    regions: Iterable[tuple[str, Bool[np.ndarray, "h w"]]],
    units: float,
) -> Iterator[Problem]:
    factor, examples = misfit(depth, camera, regions)
    if factor is not None:
        yield Problem(
            name="known sizes",
            seen=f"with these numbers {examples}: all lengths are about {factor:.2g} times what they are for such things",
            fix=f"check depth_units_per_metre: {_rounded(units * factor):g} would fit, and {units:g} was given",
        )


def _rounded(units: float) -> float:
    """The nearest usual number of units per metre."""
    usual = np.array([1, 10, 100, 256, 1000, 4000, 5000, 10000, 100000])
    return float(usual[np.abs(np.log(usual / units)).argmin()])


def _numbers(raw: UInt16[np.ndarray, "h w"], units: float) -> Iterator[Problem]:
    """What is wrong with the numbers of a depth file, whatever their unit."""
    tally = np.bincount(raw[:: max(1, raw.size // (2 * _SAMPLE))].ravel(), minlength=65536)
    tally[[0, 65535]] = 0
    levels = np.flatnonzero(tally)
    counts = tally[levels]
    if not len(levels):
        return
    if (steps := _steps(levels, counts, units)) is not None:
        yield steps
    elif _is_swapped(raw):
        yield Problem(
            name="byte order",
            seen="neighbouring pixels of the depth have nothing in common, and would with their bytes swapped",
            fix="write the PNG again with the bytes swapped (a PNG's 16 bits are big-endian)",
        )
    elif 500 <= units <= 2000 and levels[0] <= 655 and levels[-1] >= 64_225:
        yield Problem(
            name="stretched",
            seen=f"the depth's numbers fill the whole range of 16 bits, from {levels[0]} to {levels[-1]}, which would be "
            f"{levels[0] / units:.2g} m to {levels[-1] / units:.3g} m: it was stretched to be looked at, or is logarithmic or "
            "a disparity",
            fix="use the depth in metres, and write it with a fixed number of units per metre",
        )
    elif (top := int(levels[-1])) in _SENTINELS and _is_spike(levels, counts):
        yield Problem(
            name="sentinel",
            seen=f"{counts[-1] / counts.sum():.0%} of the depth is exactly {top}, the largest number of {top.bit_length()} "
            "bits: that means no measurement, not a distance",
            fix=f"set {top} to 0 in the depth file",
        )


def _steps(levels: Int[np.ndarray, " n"], counts: Int[np.ndarray, " n"], units: float) -> Problem | None:
    """Numbers that only come in steps: bits moved up, or an image of 8 bits."""
    if len(levels) < 32:  # a made scene may have a few flat things
        return None
    step = int(np.gcd.reduce(levels))
    if step % 256 == 0 or step % 257 == 0 or (levels[-1] <= 255 and units >= 500):
        return Problem(
            name="preview",
            seen=f"the depth has {len(levels)} different numbers, multiples of {step} up to {levels[-1]}: an 8-bit image "
            "stored as 16 bits, such as a preview, in which the distances are lost",
            fix="use the depth as the camera wrote it",
        )
    if counts[levels % 8 == 0].sum() > 0.95 * counts.sum() and units < 8000:
        return Problem(
            name="rotated bits",
            seen="the depth's numbers are multiples of 8: SUN RGB-D's files have each number's bits rotated by three, which "
            "reads 8 times too far",
            fix="import the folder as a capture of the kind sunrgbd, or give depth_units_per_metre 8000",
        )
    return None


def _is_spike(levels: Int[np.ndarray, " n"], counts: Int[np.ndarray, " n"]) -> bool:
    if len(levels) < 8:  # a made scene may be flat
        return False
    near = counts[:-1][levels[:-1] > 0.98 * levels[-1]]
    return counts[-1] > 0.005 * counts.sum() and counts[-1] >= 10 * near.max(initial=0)


def _is_swapped(raw: UInt16[np.ndarray, "h w"]) -> bool:
    return _smoothness(raw) < 0.3 and _smoothness(raw.byteswap()) > 0.6


def _smoothness(values: UInt16[np.ndarray, "h w"]) -> float:
    """Share of neighbours in a row, both measured, that differ by less than 2 %; 1 where there are too few."""
    values = values[:: max(1, values.size // _SAMPLE)].astype(float)
    left, right = values[:, :-1], values[:, 1:]
    both = (left > 0) & (right > 0)
    if both.sum() < 1000:
        return 1.0
    return float((np.abs(left - right)[both] < 0.02 * left[both]).mean())


def _gravity(gravity: tuple[float, float, float] | None) -> Iterator[Problem]:
    if gravity is not None and gravity[1] < -0.5 * float(np.linalg.norm(gravity)):
        yield Problem(
            name="gravity",
            seen=f"gravity {tuple(round(v, 3) for v in gravity)} points to the top of the image: y is down in the camera frame",
            fix="unless the camera was upside down this is the up direction, or a frame with y up: negate it",
            wrong=False,
        )


def _told(camera: Intrinsics) -> str:
    return f"fx {camera.fx:g}, fy {camera.fy:g}, cx {camera.cx:g}, cy {camera.cy:g}"
