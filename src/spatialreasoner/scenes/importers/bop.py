"""Scenes of the BOP benchmark of object poses: LM, YCB-V, T-LESS, HOPE, BlenderProc's writer.

Rule, after the BOP toolkit's description of its data sets:

- Depth: `depth/N.png`, 16 bits; times the image's own `depth_scale` it is millimetres. 0 and 65535 not measured.
- Camera: `scene_camera.json`, by the number of the image without leading zeros: `cam_K`, nine numbers row by row, of image and
  depth alike, which are aligned.
- `cam_R_w2c` and `cam_t_w2c` are not read: the axes of the world differ from data set to data set, so gravity is unknown.
"""

from __future__ import annotations

from typing import Any

from spatialreasoner.core.errors import RecordError
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, one_by_one
from spatialreasoner.scenes.importers.recorded import from_matrix
from spatialreasoner.scenes.importers.store import Store

_CAMERAS = "scene_camera.json"
_IMAGE, _DEPTH = r"rgb/(\d+)\.(?:png|jpg)", r"depth/(\d+)\.png"


def _find(store: Store) -> Store | None:
    found = store.rooted(_IMAGE, _DEPTH)
    return found if found is not None and found.has(_CAMERAS) else None


def _open(store: Store, options: FrameOptions) -> Capture:
    cameras = decode.json_object(store.read(_CAMERAS), store.where(_CAMERAS))
    images, depths = store.find(_IMAGE), store.find(_DEPTH)
    names = [name for name in images if name in depths]
    return Capture(
        title=store.title,
        names=tuple(names),
        read=one_by_one(
            lambda place: _frame(store, names[place], images[names[place]], depths[names[place]], cameras, options)
        ),
        source=f"BOP scene {store.title}",
    )


def _frame(store: Store, name: str, image_name: str, depth_name: str, cameras: dict[str, Any], options: FrameOptions) -> Frame:
    where, about = f"{store.where(_CAMERAS)}, image {int(name)}", cameras.get(str(int(name)))
    if not isinstance(about, dict):
        raise RecordError(f"{where}: expected its camera, an object with cam_K and depth_scale; there is none")
    units = 1000 / decode.depth_scale(about.get("depth_scale"), where)
    image, encoded = decode.rgb(store.read(image_name), store.where(image_name))
    return Frame(
        name=name,
        image=image,
        encoded=encoded,
        depth=decode.metres(decode.depth16(store.read(depth_name), store.where(depth_name)), units),
        intrinsics=options.intrinsics or from_matrix(about.get("cam_K"), where),
        units_per_metre=units,
    )


IMPORTER = Importer(
    kind="bop",
    title="a scene of the BOP benchmark",
    layout="scene_camera.json, rgb/N.png or .jpg, and depth/N.png",
    find=_find,
    open=_open,
)
