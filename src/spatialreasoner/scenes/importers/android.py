"""Android photos with depth: JPEG with XMP of GDepth (Lens Blur, many makers) or of Dynamic Depth 1.0.

Rule, after Google's "Depthmap Metadata" and "Dynamic Depth" specifications:

- GDepth: `Data` is a base64 image (in extended XMP), `Format` RangeInverse or RangeLinear, `Near` and `Far`. n is the
  pixel's share of the largest number; RangeInverse: d = far near / (far - n (far - near)); RangeLinear: d = near + n (far -
  near).
- Dynamic Depth: the same fields in `DepthMap`; the image follows the photo in the file, where `Container:Directory` says.
- `Units`: "m" or "mm". Without units the numbers have no scale, and the scene says so.
- `MeasureType` OpticalAxis (the default) or OpticRay: distances along the ray are brought to the axis.
- Camera: the photo's EXIF focal length, or `intrinsics`. Orientation: the depth is stored as the photo is; EXIF turns
  both.
- Gravity: not in the file.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace

import numpy as np
from jaxtyping import Float32
from PIL import ExifTags

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.files import decode_image
from spatialreasoner.scenes.images import focal_of_exif
from spatialreasoner.scenes.importers import decode, xmp
from spatialreasoner.scenes.importers.align import planar, scaled, turned
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, photos
from spatialreasoner.scenes.importers.store import Store

_GDEPTH = "http://ns.google.com/photos/1.0/depthmap/"
_DYNAMIC = "http://ns.google.com/photos/dd/1.0/depthmap/"
_ITEM = "http://ns.google.com/photos/dd/1.0/item/"
_JPEG = r"(.*)\.(?:jpe?g|JPE?G)"


def _find(store: Store) -> Store | None:
    first = [store.read(name) for name in list(store.find(_JPEG).values())[:3]]
    return store if any(mark.encode() in data for data in first for mark in (_GDEPTH, _DYNAMIC)) else None


def _open(store: Store, options: FrameOptions) -> Capture:
    return photos(store.find(_JPEG), store, lambda name, file: _frame(store, name, file, options))


def _frame(store: Store, name: str, file: str, options: FrameOptions) -> Frame:
    data, where = store.read(file), store.where(file)
    image = decode_image(data, where)
    told, packed = _depth_of(data, where)
    depth, metric = _metres(told, packed, where)
    exif = image.getexif()
    focal = focal_of_exif(exif, image.width, image.height)
    if focal is None and options.intrinsics is None:
        raise SceneError(f"{where}: expected a focal length in EXIF, or `intrinsics` (fx, fy, cx, cy); there is none")
    own = Intrinsics(fx=focal or 1.0, fy=focal or 1.0, cx=(image.width - 1) / 2, cy=(image.height - 1) / 2)
    frame = Frame(
        name=name,
        image=image.convert("RGB"),
        depth=depth,
        intrinsics=options.intrinsics or own,
        metric=metric,
        note="" if metric else "the depth has no scale",
    )
    if told.get("MeasureType", told.get("measureType", "")) == "OpticRay":
        camera = scaled(frame.intrinsics, frame.size, (depth.shape[0], depth.shape[1]))
        frame = replace(frame, depth=planar(depth, camera))
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    return turned(frame, orientation if orientation in range(1, 9) else 1)


def _depth_of(data: bytes, where: str) -> tuple[dict[str, str], bytes]:
    """What the photo says about its depth, and the depth's own image file."""
    packets = xmp.of_jpeg(data, where)
    dynamic = [found for packet in packets for found in xmp.groups(packet, _DYNAMIC, where)]
    items = [found for packet in packets for found in xmp.groups(packet, _ITEM, where)]
    for told in dynamic:
        if "Near" in told and (packed := _item(data, items, told.get("DepthURI", ""))):
            return told, packed
    plain = {name: value for packet in packets for found in xmp.groups(packet, _GDEPTH, where) for name, value in found.items()}
    if "Data" not in plain:
        raise SceneError(f"{where}: expected a photo with depth; it has none: edited and sent copies often have lost it")
    try:
        return plain, base64.b64decode("".join(plain["Data"].split()), validate=True)
    except binascii.Error as error:
        raise SceneError(f"{where}: expected the depth in base64; {error}") from None


def _item(data: bytes, items: list[dict[str, str]], uri: str) -> bytes:
    """The file of an item that follows the photo: lengths count from the end of the file."""
    end = len(data)
    for item in reversed(items[1:]):
        length, padding = (int(item.get(key, "0") or 0) if item.get(key, "0").isdigit() else 0 for key in ("Length", "Padding"))
        start = end - padding - length
        if length and (item.get("DataURI", "") == uri or (not uri and "epth" in item.get("Semantic", ""))):
            return data[max(0, start) : end - padding]
        end = start
    return b""


def _metres(told: dict[str, str], packed: bytes, where: str) -> tuple[Float32[np.ndarray, "h w"], bool]:
    """Depth, in metres if the second value is true."""
    image = decode_image(packed, f"{where}: its depth")
    wide = image.mode in {"I;16", "I;16B", "I"}
    share = np.asarray(image if wide else image.convert("L")).astype(np.float32) / (65535 if wide else 255)
    near, far = (decode.numbers(told.get(key, ""), where, count=1)[0] for key in ("Near", "Far"))
    if not 0 < near < far < 1e6:
        raise SceneError(f"{where}: expected Near below Far, both positive; got {near:g} and {far:g}")
    if told.get("Format", "RangeInverse") == "RangeLinear":
        depth = near + share * (far - near)
    else:
        depth = far * near / (far - share * (far - near))
    units = {"m": 1.0, "mm": 0.001}.get(told.get("Units", ""))
    return decode.valid(depth * (units or 1.0), farthest=1e6), units is not None


IMPORTER = Importer(
    kind="android",
    title="Android photos with depth (GDepth or Dynamic Depth)",
    layout="NAME.jpg with depth in its XMP",
    find=_find,
    open=_open,
)
