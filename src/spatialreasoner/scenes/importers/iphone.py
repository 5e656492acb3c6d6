"""iPhone photos with depth: HEIC, and JPEG with auxiliary images (MPO).

Rule, after Apple's AVDepthData, AVCameraCalibrationData and `CGImageMetadata` of auxiliary images:

- The auxiliary image (HEVC `urn:mpeg:hevc:2015:auxid:2`; in JPEG a further image of the MPO) has 8 bits; its own XMP tells
  what they mean: v = FloatMinValue + (n - IntMinValue) / (IntMaxValue - IntMinValue) x (FloatMaxValue - FloatMinValue)
  (namespace pixeldatainfo).
- `AuxiliaryImageType` "disparity": v is 1 / metres, so that depth = 1 / v; "depth": v is metres. Nothing at or below 0 is
  measured.
- `Accuracy` (namespace depthData) "absolute": metres (LiDAR, TrueDepth). "relative": from two lenses or learnt; orders
  pixels, but has no scale, and the scene says so.
- `IntrinsicMatrix`: nine numbers column by column, for `IntrinsicMatrixReferenceWidth` x `Height`, of the sensor's own
  orientation: scaled to the image, and turned with it. Without it, the EXIF focal length.
- Orientation: HEIC is turned by its own `irot`, and so is depth that has one; depth without one, and JPEG, by EXIF. The
  frame is upright.
- The lens distortion that the file tells is not removed. Gravity: not in the file.
- HEIF depth of other makers: the standard's representation (near, far or disparity range) is read, if it is there.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from PIL import ExifTags, Image

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.files import decode_image, lies_on_its_side
from spatialreasoner.scenes.images import focal_of_exif
from spatialreasoner.scenes.importers import decode, heif, xmp
from spatialreasoner.scenes.importers.align import moved, scaled, turned, turned_camera
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, photos
from spatialreasoner.scenes.importers.store import Store
from spatialreasoner.scenes.masks import MAX_PIXELS

_PIXELS, _DEPTH = "{http://ns.apple.com/pixeldatainfo/1.0/}", "{http://ns.apple.com/depthData/1.0/}"
_HEIC, _JPEG = r"(.*)\.(?:heic|heif|HEIC|HEIF)", r"(.*)\.(?:jpe?g|JPE?G)"

Told = dict[str, str | list[str]]


def _find(store: Store) -> Store | None:
    if store.find(_HEIC):
        return store
    first = list(store.find(_JPEG).values())[:3]
    return store if any(b"ns.apple.com/pixeldatainfo" in store.read(name) for name in first) else None


def _open(store: Store, options: FrameOptions) -> Capture:
    return photos(store.find(_JPEG) | store.find(_HEIC), store, lambda name, file: _frame(store, name, file, options))


def _frame(store: Store, name: str, file: str, options: FrameOptions) -> Frame:
    data, where = store.read(file), store.where(file)
    return _of_jpeg(data, name, where, options) if data.startswith(b"\xff\xd8") else _of_heic(data, name, where, options)


def _of_heic(data: bytes, name: str, where: str, options: FrameOptions) -> Frame:
    photo = _heif(data, where)
    if photo.size[0] * photo.size[1] > MAX_PIXELS:
        raise SceneError(f"{where}: expected at most {MAX_PIXELS} pixels; got {photo.size[0]} x {photo.size[1]}")
    parts = [part for part in photo.info.get("depth_images", []) if part is not None]
    if not parts:
        raise SceneError(
            f"{where}: expected a photo with depth; it has none: take it in portrait mode, or with a depth camera app"
        )
    told = _told(xmp.packets(data), where)
    grey = np.asarray(parts[0].to_pillow().convert("L"))
    depth, metric = _meaning(grey, told, parts[0].info.get("metadata") or {}, where)
    exif = Image.Exif()
    exif.load(photo.info.get("exif") or b"")
    image = photo.to_pillow().convert("RGB")
    orientation = _orientation(exif)
    if not heif.depth_is_turned(data):
        depth = np.ascontiguousarray(moved(depth, orientation))
    size = (image.width, image.height) if lies_on_its_side(orientation) else (image.height, image.width)
    camera = _camera(told, size, where)
    return Frame(
        name=name,
        image=image,
        depth=depth,
        intrinsics=options.intrinsics or (turned_camera(camera, size, orientation) if camera else _by_exif(exif, image, where)),
        metric=metric,
        note="" if metric else "the depth has no scale",
    )


def _heif(data: bytes, where: str) -> Any:
    try:
        import pillow_heif
    except ImportError:
        raise decode.needs("pillow-heif", "HEIC photos") from None
    try:
        return pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
    except (ValueError, OSError, RuntimeError, EOFError, SyntaxError) as error:
        raise SceneError(f"{where}: expected a complete HEIC photo; {' '.join(str(error).split())}") from None


def _of_jpeg(data: bytes, name: str, where: str, options: FrameOptions) -> Frame:
    """A JPEG whose further images are auxiliary; each has its own XMP."""
    image = decode_image(data, where)
    for part in _further(image, data):
        told = _told([packet for packet in xmp.of_jpeg(part, where) if b"pixeldatainfo" in packet], where)
        if told.get(f"{_PIXELS}AuxiliaryImageType") in {"disparity", "depth"}:
            depth, metric = _meaning(np.asarray(decode_image(part, where).convert("L")), told, {}, where)
            break
    else:
        raise SceneError(f"{where}: expected a photo with depth; it has none: edited and sent copies often have lost it")
    size = (image.height, image.width)
    plain = image.convert("RGB")
    exif = image.getexif()
    frame = Frame(
        name=name,
        image=plain,
        depth=depth,
        intrinsics=options.intrinsics or _camera(told, size, where) or _by_exif(exif, plain, where),
        metric=metric,
        note="" if metric else "the depth has no scale",
    )
    return turned(frame, _orientation(exif))


def _further(image: Image.Image, data: bytes) -> list[bytes]:
    """The bytes of the further images of an MPO."""
    entries = (getattr(image, "mpinfo", None) or {}).get(0xB002, [])
    base = data.find(b"MPF\0") + 4  # offsets count from the index's own header
    spans = [(base + int(each["DataOffset"]), int(each["Size"])) for each in entries[1:17]]
    return [data[start : start + size] for start, size in spans if data[start : start + 2] == b"\xff\xd8"]


def _told(found: list[bytes], where: str) -> Told:
    """The fields of the packet that describes depth, and not a matte; nothing where there is none."""
    for packet in found:
        told = xmp.fields(packet, where)
        if told.get(f"{_PIXELS}AuxiliaryImageType") in {"disparity", "depth"} and f"{_PIXELS}AuxiliaryImageSubType" not in told:
            return told
    return {}


def _meaning(
    grey: Float[np.ndarray, "h w"], told: Told, standard: dict[str, Any], where: str
) -> tuple[Float32[np.ndarray, "h w"], bool]:
    """Metres, and whether they are, of the auxiliary image's numbers."""
    if told.get(f"{_PIXELS}FloatMaxValue") is None:
        return _by_standard(grey, standard, where), False
    least, most = (_number(told, f"{_PIXELS}Float{end}Value", where) for end in ("Min", "Max"))
    low, high = (_number(told, f"{_PIXELS}Int{end}Value", where, default) for end, default in (("Min", 0.0), ("Max", 255.0)))
    values = least + (grey.astype(np.float32) - low) / max(1.0, high - low) * (most - least)
    inverse = told.get(f"{_PIXELS}AuxiliaryImageType") == "disparity"
    with np.errstate(divide="ignore"):
        depth = decode.valid(np.where(values > 1e-4, 1 / values, np.nan) if inverse else values)
    return depth, told.get(f"{_DEPTH}Accuracy") == "absolute"


def _by_standard(grey: Float[np.ndarray, "h w"], told: dict[str, Any], where: str) -> Float32[np.ndarray, "h w"]:
    """Depth by HEIF's own representation information (ISO/IEC 23008-2, depth representation SEI)."""
    near, far = (told.get(key) for key in ("z_near", "z_far"))
    if not near or not far:
        raise SceneError(
            f"{where}: expected XMP or HEIF's own information that tells what the depth's numbers mean; there is none"
        )
    share = grey.astype(np.float32) / 255
    return decode.valid(1 / (share * (1 / near - 1 / far) + 1 / far))


def _camera(told: Told, size: tuple[int, int], where: str) -> Intrinsics | None:
    """The camera for an image of this size in the sensor's orientation, or None."""
    matrix = told.get(f"{_DEPTH}IntrinsicMatrix")
    width, height = (told.get(f"{_DEPTH}IntrinsicMatrixReference{side}") for side in ("Width", "Height"))
    if matrix is None or width is None or height is None:
        return None
    numbers = decode.numbers(" ".join(matrix) if isinstance(matrix, list) else matrix, where, count=9)
    camera = decode.camera(numbers.reshape(3, 3).T, where)
    return scaled(camera, (round(float(str(height))), round(float(str(width)))), size)


def _by_exif(exif: Image.Exif, image: Image.Image, where: str) -> Intrinsics:
    focal = focal_of_exif(exif, image.width, image.height)
    if focal is None:
        raise SceneError(
            f"{where}: expected the camera's calibration or a focal length in EXIF; give `intrinsics` (fx, fy, cx, cy)"
        )
    return Intrinsics(fx=focal, fy=focal, cx=(image.width - 1) / 2, cy=(image.height - 1) / 2)


def _orientation(exif: Image.Exif) -> int:
    value = exif.get(ExifTags.Base.Orientation, 1)
    return value if value in range(1, 9) else 1


def _number(told: Told, key: str, where: str, default: float | None = None) -> float:
    value = told.get(key, default)
    try:
        return float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        raise SceneError(f"{where}: expected {key.rpartition('}')[2]} to be a number; got {value!r}") from None


IMPORTER = Importer(
    kind="iphone",
    title="iPhone photos with depth",
    layout="NAME.HEIC, or NAME.JPG with auxiliary images",
    find=_find,
    open=_open,
)
