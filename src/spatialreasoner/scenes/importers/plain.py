"""A depth file beside an image: OpenEXR, NumPy, PFM or 16-bit PNG, and a camera in a small text or JSON file.

Rule:

- Depth and image have the same name (`kitchen.exr`, `kitchen.png`), or the depth's has the word "depth" more, or in place of
  "rgb", "color", "image" or "img", in the file's name or in a folder's: `a_depth.png` with `a.png` or `a_color.jpg`,
  `depth_7.png` with `rgb_7.png`, `depth/7.png` with `images/7.png`, in capitals or not. A path of one file takes the other
  beside it.
- OpenEXR (.exr): the channel Z, depth, V, Y or R (in that order), metres along the optical axis; a data window smaller than
  the display window is put in its place; 0, infinity and 1e10 (what Blender and others write for nothing) are not measured.
  Half floats hold 65504 at most.
- NumPy (.npy, .npz of one array): float metres [h, w] or [h, w, 1]; whole numbers are millimetres. PFM: float metres, rows
  from the bottom up.
- PNG, and TIFF of whole numbers: 16 bits, millimetres; 0 and 65535 not measured. TIFF of floats: metres.
- Camera: `NAME.json`, `camera.json`, `intrinsics.json` or `metadata.json` (fx, fy, cx, cy, or a matrix; perhaps width and
  height, as Record3D's export of images has), or `NAME.txt`, `intrinsics.txt`, `K.txt`, `camera.txt` (nine numbers row by
  row, or fx fy cx cy), `K.npy` or `intrinsics.npy`, or `intrinsics`. Without one the frame is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.files import decode_image
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, one_by_one
from spatialreasoner.scenes.importers.recorded import camera_of
from spatialreasoner.scenes.importers.store import Store
from spatialreasoner.scenes.masks import MAX_PIXELS

_IMAGES = ("png", "jpg", "jpeg", "PNG", "JPG", "JPEG", "webp", "tif", "tiff")

MAX_NUMBERS = 3 * MAX_PIXELS
"""Numbers of all channels of an OpenEXR file together."""

_WORDS = ("image", "rgb", "color", "colour", "img", "images")
"""What stands in an image's name where a depth file's has "depth"."""

_CHANNELS = ("Z", "depth.Z", "Depth", "depth", "V", "Y", "R", "R.depth")


def _finder(suffix: str) -> Callable[[Store], Store | None]:
    def find(store: Store) -> Store | None:
        return store if _pairs(_beside(store), suffix) or _alone(store, suffix) else None

    return find


def _alone(store: Store, suffix: str) -> bool:
    """Whether the path is one depth file, whose image is missing; a PNG or array may be anything."""
    return suffix in {"exr", "pfm"} and len(store.names) == 1 and store.names[0].lower().endswith(suffix)


def _beside(store: Store) -> Store:
    """The store, or the folder around it where the path is one depth file."""
    if store.path.is_dir() or store.names != (store.path.name,):
        return store
    names = tuple(sorted(each.name for each in store.path.parent.iterdir() if each.is_file()))
    return Store(path=store.path.parent, names=names)


def _pairs(store: Store, suffix: str) -> dict[str, tuple[str, str]]:
    """Image and depth of each frame, by its name."""
    ends = {"npy": r"(?:npy|npz)", "png": r"(?:png|PNG|tiff?)"}.get(suffix, suffix)
    images = {stem.lower(): stem for end in reversed(_IMAGES) for stem in store.find(rf"(.*)\.{end}")}
    pairs: dict[str, tuple[str, str]] = {}
    for stem, depth in store.find(rf"(.*)\.{ends}").items():
        for name in _names(stem.lower(), needs_mark=suffix == "png"):
            bare = images.get(name, "")
            image = next((f"{bare}.{end}" for end in _IMAGES if store.has(f"{bare}.{end}") and f"{bare}.{end}" != depth), None)
            if image is not None:
                pairs[bare] = (image, depth)
                break
    return pairs


def _names(stem: str, *, needs_mark: bool) -> list[str]:
    """What the image of a depth file may be called, in small letters and without its suffix, the likeliest first."""
    unmarked = re.sub(r"[_.-]?depth(?=$|/)|depth[_.-](?=[^/]*$)", "", stem)
    found = [] if needs_mark else [stem]
    folder, slash, name = stem.rpartition("/")
    if re.search(r"(?:^|/)depths?$", folder):
        around = re.sub(r"depths?$", "", folder)
        found += [f"{around}{kind}{slash}{name}" for kind in ("rgb", "image", "images", "color", "colour")]
    for end in ("", "_rgb", "-rgb", ".rgb", "_color", "_image"):
        if unmarked != stem:
            found.append(unmarked.rstrip("_.-") + end)
    for word in re.finditer(r"(?<![a-z])depths?(?![a-z])", stem):
        before, after = stem[: word.start()], stem[word.end() :]
        found += [f"{before}{kind}{after}" for kind in _WORDS]
        if "/" not in after:  # sync_depth_7 with rgb_7
            found += [f"{folder}{slash}{kind}{after}" for kind in _WORDS]
    return found


def _opener(suffix: str) -> Callable[[Store, FrameOptions], Capture]:
    def open_plain(store: Store, options: FrameOptions) -> Capture:
        around = _beside(store)
        pairs = _pairs(around, suffix)
        if around is not store and not store.path.is_dir():
            pairs = {name: pair for name, pair in pairs.items() if store.path.name in pair}
        names = list(pairs)
        return Capture(
            title=store.title,
            names=tuple(names),
            read=one_by_one(lambda place: _frame(around, names[place], pairs[names[place]], options)),
            source=f"image and {suffix} depth of {store.title}",
        )

    return open_plain


def _frame(store: Store, name: str, pair: tuple[str, str], options: FrameOptions) -> Frame:
    depth, units = read_depth_file(store, pair[1])  # first, since it takes more memory on the way
    image, encoded = decode.rgb(store.read(pair[0]), store.where(pair[0]))
    return Frame(
        name=name,
        image=image,
        encoded=encoded,
        depth=depth,
        intrinsics=options.intrinsics or _camera(store, name, (image.height, image.width)),
        units_per_metre=units,
    )


def read_depth_file(store: Store, name: str) -> tuple[Float32[np.ndarray, "h w"], float | None]:
    """Depth in metres of one file, and the units per metre of whole numbers.

    Raises:
        SceneError: If it holds no depth.
    """
    where = store.where(name)
    if name.lower().endswith(".exr"):
        with store.local(name) as path:
            return decode.valid(_exr(path, where)), None
    data = store.read(name)
    if name.lower().endswith(".pfm"):
        return decode.valid(decode.pfm(data, where)), None
    if name.lower().endswith((".tif", ".tiff")) and (image := decode_image(data, where)).mode == "F":
        return decode.valid(np.asarray(image)), None
    if name.lower().endswith((".png", ".tif", ".tiff")):
        return decode.metres(decode.depth16(data, where), 1000), 1000.0
    values = np.squeeze(decode.npy(data, where))
    if values.ndim != 2:
        raise SceneError(f"{where}: expected depth [h, w]; got {values.shape}")
    if values.dtype.kind in "iu":
        return decode.metres(values, 1000), 1000.0
    return decode.valid(values), None


def _exr(path: Path, where: str) -> Shaped[np.ndarray, "h w"]:
    """The depth channel of an OpenEXR file, on the whole display window."""
    try:
        import OpenEXR
    except ImportError:
        raise decode.needs("OpenEXR", "OpenEXR depth") from None
    try:
        header: Any = OpenEXR.File(str(path), separate_channels=True, header_only=True).header()
        (x0, y0), (x1, y1) = ([int(v) for v in corner] for corner in header["displayWindow"])
        (left, top), (right, bottom) = ([int(v) for v in corner] for corner in header["dataWindow"])
        if max((x1 - x0 + 1) * (y1 - y0 + 1), (right - left + 1) * (bottom - top + 1)) > MAX_PIXELS:
            raise SceneError(f"{where}: expected at most {MAX_PIXELS} pixels; got {x1 - x0 + 1} x {y1 - y0 + 1}")
        count = len(header["channels"])
        if (right - left + 1) * (bottom - top + 1) * count > MAX_NUMBERS:
            raise SceneError(
                f"{where}: expected at most {MAX_NUMBERS} numbers in all of its channels, which are read together; got {count} "
                f"channels of {right - left + 1} x {bottom - top + 1}; write the channel of depth into a file of its own"
            )
        channels: dict[str, Any] = OpenEXR.File(str(path), separate_channels=True).channels()
    except (RuntimeError, ValueError, KeyError, TypeError, OSError) as error:
        if isinstance(error, SceneError):
            raise
        raise SceneError(f"{where}: expected an OpenEXR image; {error}") from None
    names = [name for name in (*_CHANNELS, *(c for c in channels if c.endswith(".Z"))) if name in channels]
    if not names:
        raise SceneError(f"{where}: expected a channel of depth ({', '.join(_CHANNELS)}); got {', '.join(channels)}")
    whole = np.full((y1 - y0 + 1, x1 - x0 + 1), np.nan, dtype=np.float32)
    ys, xs = slice(max(top, y0), min(bottom, y1) + 1), slice(max(left, x0), min(right, x1) + 1)
    whole[ys.start - y0 : ys.stop - y0, xs.start - x0 : xs.stop - x0] = np.asarray(channels[names[0]].pixels, dtype=np.float32)[
        ys.start - top : ys.stop - top, xs.start - left : xs.stop - left
    ]
    return whole


def _camera(store: Store, name: str, size: tuple[int, int]) -> Intrinsics:
    """The camera that a file beside the image tells."""
    folder, slash, _ = name.rpartition("/")
    folders = [f"{folder}{slash}", "", f"{folder.rpartition('/')[0]}/".lstrip("/")]
    for each in (
        f"{name}.json",
        *(f"{f}{n}.json" for f in folders for n in ("camera", "intrinsics", "intrinsic", "camera_intrinsics", "metadata")),
    ):
        if store.has(each):
            return camera_of(decode.json_object(store.read(each), store.where(each)), size, store.where(each))
    for each in (f"{name}.txt", *(f"{f}{n}.txt" for f in folders for n in ("intrinsics", "intrinsic", "K", "camera"))):
        if store.has(each):
            return _from_text(store.text(each), store.where(each))
    for each in (f"{f}{n}.npy" for f in folders for n in ("K", "intrinsics", "intrinsic", "camera")):
        if store.has(each):
            numbers = " ".join(str(float(value)) for value in np.ravel(decode.npy(store.read(each), store.where(each)))[:17])
            return _from_text(numbers, store.where(each))
    raise SceneError(
        f"{store.where(name)}: expected its camera: intrinsics.json with fx, fy, cx, cy (pixels of the image), K.txt, or "
        "`intrinsics` (fx, fy, cx, cy); there is none"
    )


def _from_text(text: str, where: str) -> Intrinsics:
    found = decode.numbers(text, where)
    if len(found) == 4:
        return decode.intrinsics(*found, where=where)
    return decode.camera(decode.matrix(text, where), where)


def _importer(suffix: str, title: str) -> Importer:
    return Importer(
        kind=suffix,
        title=title,
        layout=f"NAME.{suffix} (or NAME_depth.{suffix}), an image NAME.png or .jpg, and intrinsics.json or K.txt",
        find=_finder(suffix),
        open=_opener(suffix),
    )


EXR = _importer("exr", "images with OpenEXR depth")
NPY = _importer("npy", "images with NumPy depth")
PFM = _importer("pfm", "images with PFM depth")
PNG = _importer("png", "images with 16-bit PNG or TIFF depth")
