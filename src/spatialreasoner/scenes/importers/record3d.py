"""Record3D (.r3d): the iPhone and iPad app's own recordings, of the LiDAR or of the face camera.

An .r3d file is a zip of `metadata` (JSON) and `rgbd/N.jpg`, `rgbd/N.depth`, `rgbd/N.conf`.

Rule, after the app's reference reader and viser's `Record3dLoader`:

- Depth: LZFSE-compressed float32, metres along the optical axis, `dh` rows by `dw` columns; NaN and 0 are not measured.
- Confidence: LZFSE-compressed bytes, 0 low, 1 medium, 2 high; absent in old recordings.
- Camera: `perFrameIntrinsicCoeffs[N]` is [fx, fy, cx, cy]; before, one `K` for all, nine numbers column by column. Both in
  pixels of the w x h of `metadata`, which is the JPEG's size, not the depth's (LiDAR: 720 x 960 against 192 x 256).
- Orientation: images are written as the phone was held; nothing to turn.
- `poses[N]` is [qx, qy, qz, qw, tx, ty, tz], camera to world, ARKit's axes (camera x right, y up, z backward; world y up).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from spatialreasoner.core.errors import RecordError, SceneError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.align import scaled
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, Vector, one_by_one
from spatialreasoner.scenes.importers.store import Store
from spatialreasoner.scenes.masks import MAX_PIXELS


def _find(store: Store) -> Store | None:
    return store.rooted(r"metadata(?:\.json)?", r"rgbd/\d+\.depth")


def _open(store: Store, options: FrameOptions) -> Capture:
    name = "metadata" if store.has("metadata") else "metadata.json"
    metadata = decode.json_object(store.read(name), store.where(name))
    depths = store.find(r"rgbd/(\d+)\.depth")
    numbers = [number for number in depths if store.has(f"rgbd/{number}.jpg")]
    return Capture(
        title=store.title,
        names=tuple(numbers),
        read=one_by_one(lambda place: _frame(store, metadata, numbers[place], options)),
        source=f"Record3D recording {store.title}",
    )


def _frame(store: Store, metadata: dict[str, Any], number: str, options: FrameOptions) -> Frame:
    image, encoded = decode.rgb(store.read(f"rgbd/{number}.jpg"), store.where(f"rgbd/{number}.jpg"))
    where = store.where("metadata")
    grid = _size(metadata, "dh", "dw", where) or _size(metadata, "h", "w", where) or (image.height, image.width)
    depth = decode.valid(_floats(store, f"rgbd/{number}.depth", grid))
    levels = _bytes(store, f"rgbd/{number}.conf", grid) if store.has(f"rgbd/{number}.conf") else None
    camera = _camera(metadata, int(number), where)
    written = _size(metadata, "h", "w", where) or (image.height, image.width)
    return Frame(
        name=number,
        image=image,
        encoded=encoded,
        depth=decode.confident(depth, levels, options.min_confidence, store.where(f"rgbd/{number}.conf")),
        intrinsics=options.intrinsics or scaled(camera, written, (image.height, image.width)),
        gravity=_gravity(metadata, int(number)),
    )


def _size(metadata: dict[str, Any], rows: str, columns: str, where: str) -> tuple[int, int] | None:
    """Height and width that the metadata tell, or None."""
    height, width = metadata.get(rows), metadata.get(columns)
    if height is None or width is None:
        return None
    if not all(isinstance(v, int | float) and 1 <= v <= 20_000 for v in (height, width)) or height * width > MAX_PIXELS:
        raise RecordError(f"{where}: expected {rows} and {columns} to be an image's size; got {height!r} and {width!r}")
    return int(height), int(width)


def _camera(metadata: dict[str, Any], number: int, where: str) -> Intrinsics:
    each = metadata.get("perFrameIntrinsicCoeffs") or []
    try:
        fx, fy, cx, cy = each[number][:4] if number < len(each) else (metadata["K"][k] for k in (0, 4, 6, 7))
    except (KeyError, IndexError, TypeError, ValueError):
        raise RecordError(f"{where}: expected K, nine numbers, or perFrameIntrinsicCoeffs, four per frame") from None
    return decode.intrinsics(fx, fy, cx, cy, where=where)


def _gravity(metadata: dict[str, Any], number: int) -> Vector | None:
    try:
        x, y, z, w = (float(v) for v in metadata["poses"][number][:4])
    except (KeyError, IndexError, TypeError, ValueError):  # recordings of the face camera have none
        return None
    return decode.gravity(decode.quaternion(x, y, z, w), (0, -1, 0), opengl=True)


def _floats(store: Store, name: str, grid: tuple[int, int]) -> Float32[np.ndarray, "h w"]:
    return np.frombuffer(_unpacked(store, name, 4 * grid[0] * grid[1]), "<f4").reshape(grid)


def _bytes(store: Store, name: str, grid: tuple[int, int]) -> UInt8[np.ndarray, "h w"]:
    return np.frombuffer(_unpacked(store, name, grid[0] * grid[1]), np.uint8).reshape(grid)


def _unpacked(store: Store, name: str, size: int) -> bytes:
    packed = store.read(name)
    if len(packed) > 2 * size + 4096:
        raise SceneError(f"{store.where(name)}: expected at most {size} bytes, compressed; got {len(packed)}")
    data = _decompressor()(packed)
    if len(data) != size:
        raise SceneError(f"{store.where(name)}: expected {size} bytes once unpacked, as dw and dh say; got {len(data)}")
    return data


def _decompressor() -> Callable[[bytes], bytes]:
    try:
        import lzfse
    except ImportError:
        raise decode.needs("lzfse", "Record3D") from None

    def decompress(data: bytes) -> bytes:
        try:
            return bytes(lzfse.decompress(data))
        except lzfse.error as error:
            raise SceneError(f"expected LZFSE-compressed depth; {error}; copy the recording again") from None

    return decompress


IMPORTER = Importer(
    kind="record3d",
    title="a Record3D recording",
    layout="metadata and rgbd/N.jpg, rgbd/N.depth, as an .r3d file, a zip or a folder",
    find=_find,
    open=_open,
)
