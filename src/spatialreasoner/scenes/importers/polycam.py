"""Polycam raw data: the developer-mode export of a LiDAR scan.

Rule, after Polycam's own polyform (README and `core/capture_folder.py`):

- `keyframes/images/T.jpg` with `keyframes/cameras/T.json`, or, where the app optimised the poses, `corrected_images`
  (undistorted) with `corrected_cameras`, which are to be used instead.
- Depth: `keyframes/depth/T.png`, 256 x 192, 16 bits, millimetres, 0 not measured; beyond 5 m a guess.
- `keyframes/confidence/T.png`: 0 low, 127 medium, 255 high (other scales of three levels are split by thirds).
- Camera: fx, fy, cx, cy in pixels of `width` x `height` of the same JSON, which is the image's size.
- t_00 ... t_23: camera to world, row by row; ARKit's axes, camera y up and z backward, world y up.
- Orientation: as the sensor is built in; frames are turned by their pose.
"""

from __future__ import annotations

import numpy as np

from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.align import scaled
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, Vector, one_by_one
from spatialreasoner.scenes.importers.store import Store


def _find(store: Store) -> Store | None:
    return store.rooted(r"keyframes/cameras/\d+\.json", r"keyframes/depth/\d+\.png")


def _open(store: Store, options: FrameOptions) -> Capture:
    stamps = [
        stamp
        for stamp in store.find(r"keyframes/depth/(\d+)\.png")
        if store.has(f"keyframes/cameras/{stamp}.json") and store.has(f"keyframes/images/{stamp}.jpg")
    ]
    return Capture(
        title=store.title,
        names=tuple(stamps),
        read=one_by_one(lambda place: _frame(store, stamps[place], options)),
        source=f"Polycam capture {store.title}",
    )


def _frame(store: Store, stamp: str, options: FrameOptions) -> Frame:
    better = all(store.has(f"keyframes/corrected_{name}") for name in (f"images/{stamp}.jpg", f"cameras/{stamp}.json"))
    start = "keyframes/corrected_" if better else "keyframes/"
    image_name, camera_name, depth_name = (
        f"{start}images/{stamp}.jpg",
        f"{start}cameras/{stamp}.json",
        f"keyframes/depth/{stamp}.png",
    )
    image, encoded = decode.rgb(store.read(image_name), store.where(image_name))
    camera = decode.json_object(store.read(camera_name), store.where(camera_name))
    depth = decode.metres(decode.depth16(store.read(depth_name), store.where(depth_name)), 1000)
    confidence = f"keyframes/confidence/{stamp}.png"
    if store.has(confidence):
        levels = decode.grey8(store.read(confidence), store.where(confidence)).astype(int)
        levels = (levels * 3) // 256 if levels.max() > 2 else levels
        depth = decode.confident(depth, levels, options.min_confidence, store.where(confidence))
    return Frame(
        name=stamp,
        image=image,
        encoded=encoded,
        depth=depth,
        intrinsics=options.intrinsics or _camera(camera, (image.height, image.width), store.where(camera_name)),
        gravity=_gravity(camera, store.where(camera_name)),
        units_per_metre=1000,
    )


def _camera(camera: dict[str, object], size: tuple[int, int], where: str) -> Intrinsics:
    found = decode.intrinsics(*(camera.get(key) for key in ("fx", "fy", "cx", "cy")), where=where)
    height, width = camera.get("height"), camera.get("width")
    if isinstance(height, int) and isinstance(width, int) and min(height, width) > 0:
        return scaled(found, (height, width), size)
    return found


def _gravity(camera: dict[str, object], where: str) -> Vector | None:
    try:
        rotation = np.array([[float(camera[f"t_{i}{j}"]) for j in range(3)] for i in range(3)])  # pyright: ignore[reportArgumentType]
    except KeyError:
        return None
    except (TypeError, ValueError) as error:
        raise RecordError(f"{where}: expected numbers t_00 ... t_23; {error}") from None
    return decode.gravity(rotation, (0, -1, 0), opengl=True)


IMPORTER = Importer(
    kind="polycam",
    title="Polycam raw data",
    layout="keyframes/images/T.jpg, keyframes/cameras/T.json and keyframes/depth/T.png, in a folder or zip",
    find=_find,
    open=_open,
)
