"""7-Scenes, and other recordings in the KinectFusion layout: 12-Scenes, RGBD Scenes, SensReader's C++ export.

Rule, after the data set's page (Microsoft Research):

- Depth: `frame-N.depth.png` (or .pgm), 16 bits, millimetres; 65535 and 0 not measured.
- Camera: "Principal point (320, 240), focal length (585, 585)", of 640 x 480, unless `_info.txt` or `info.txt` (SensReader,
  12-Scenes) or `camera-intrinsics.txt` (tsdf-fusion) tells another. The colour camera of 7-Scenes is neither calibrated nor
  registered to the depth; the note says so.
- `frame-N.pose.txt`: camera to world, x right, y down, z forward. The world is the first camera's, so gravity is unknown.
"""

from __future__ import annotations

import re

from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.align import scaled
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, one_by_one
from spatialreasoner.scenes.importers.store import Store

_KINECT = Intrinsics(fx=585.0, fy=585.0, cx=320.0, cy=240.0)
_COLOUR, _DEPTH = r"(frame-\d+)\.color\.(?:png|jpg)", r"(frame-\d+)\.depth\.(?:png|pgm)"


def _find(store: Store) -> Store | None:
    return store.rooted(_COLOUR, _DEPTH)


def _open(store: Store, options: FrameOptions) -> Capture:
    colours, depths = store.find(_COLOUR), store.find(_DEPTH)
    names = [name for name in colours if name in depths]
    return Capture(
        title=store.title,
        names=tuple(names),
        read=one_by_one(lambda place: _frame(store, names[place], colours[names[place]], depths[names[place]], options)),
        source=f"7-Scenes layout, {store.title}",
    )


def _frame(store: Store, name: str, image_name: str, depth_name: str, options: FrameOptions) -> Frame:
    image, encoded = decode.rgb(store.read(image_name), store.where(image_name))
    depth = decode.metres(decode.depth16(store.read(depth_name), store.where(depth_name)), 1000)
    cameras = _told(store)
    known = options.intrinsics or cameras.get("color") or cameras.get("depth")
    return Frame(
        name=name,
        image=image,
        encoded=encoded,
        depth=depth,
        intrinsics=known or scaled(_KINECT, (480, 640), (image.height, image.width)),
        depth_camera=cameras.get("depth") if cameras.get("color") and not options.intrinsics else None,
        units_per_metre=1000,
        note="" if known else "camera: the data set's default; colour is not registered to depth",
    )


def _told(store: Store) -> dict[str, Intrinsics]:
    """The cameras that a file tells, "color" or "depth"."""
    if store.has("camera-intrinsics.txt"):
        where = store.where("camera-intrinsics.txt")
        return {"color": decode.camera(decode.matrix(store.text("camera-intrinsics.txt"), where), where)}
    name = next((name for name in ("_info.txt", "info.txt") if store.has(name)), None)
    if name is None:
        return {}
    found = re.findall(r"m_calibration(Color|Depth)Intrinsic\s*=\s*([^\n]+)", store.text(name))
    return {which.lower(): decode.camera(decode.matrix(text, store.where(name)), store.where(name)) for which, text in found}


IMPORTER = Importer(
    kind="7scenes",
    title="a recording in the layout of 7-Scenes",
    layout="frame-N.color.png and frame-N.depth.png",
    find=_find,
    open=_open,
)
