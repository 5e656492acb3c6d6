"""Virtual KITTI 2 (and 1.3.1): rendered drives.

Rule, after Naver Labs' description of the format:

- Depth: `frames/depth/Camera_C/depth_N.png`, 16 bits, centimetres along the optical axis, up to 655.35 m; 65535 is the sky,
  not a distance.
- Image: `frames/rgb/Camera_C/rgb_N.jpg`. Camera: `intrinsic.txt`, a line per frame and camera: frame, cameraID, fx, fy, cx,
  cy (725.0087, 725.0087, 620.5, 187 of 1242 x 375 throughout).
- Regions: `frames/instanceSegmentation/Camera_C/instancegt_N.png`, palette index = trackID + 1; the label is that of
  `info.txt`.
- `extrinsic.txt`: world to camera in a world with y down, so that gravity is R (0, 1, 0).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from jaxtyping import Bool

from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, Vector, one_by_one
from spatialreasoner.scenes.importers.store import Store

_INTRINSICS = Intrinsics(fx=725.0087, fy=725.0087, cx=620.5, cy=187.0)
_SMALLEST = 100


def _find(store: Store) -> Store | None:
    return (
        store.rooted(r"(?:.*/)?frames/depth/Camera_\d/depth_\d+\.png", r"(?:.*/)?frames/rgb/Camera_\d/rgb_\d+\.jpg") and store
    )


def _open(store: Store, options: FrameOptions) -> Capture:
    depths = store.find(r"((?:.*/)?frames/depth/Camera_\d/depth_\d+)\.png")
    frames = {_key(stem): name for stem, name in depths.items() if store.has(_image(name))}
    return Capture(
        title=store.title,
        names=tuple(frames),
        read=one_by_one(lambda place: _frame(store, list(frames)[place], frames, options)),
        source="Virtual KITTI 2 (Cabon et al. 2020)",
    )


def _key(stem: str) -> str:
    return stem.replace("frames/depth/", "").replace("depth_", "")


def _image(depth: str) -> str:
    return depth.replace("frames/depth/", "frames/rgb/").replace("/depth_", "/rgb_").removesuffix(".png") + ".jpg"


def _frame(store: Store, key: str, frames: Mapping[str, str], options: FrameOptions) -> Frame:
    depth_name = frames[key]
    image, encoded = decode.rgb(store.read(_image(depth_name)), store.where(_image(depth_name)))
    folder, _, rest = depth_name.partition("frames/")
    camera, number = int(rest.split("Camera_")[1][0]), int(depth_name.rsplit("_", 1)[1].removesuffix(".png"))
    row = _rows(store, f"{folder}intrinsic.txt").get((number, camera))
    pose = _rows(store, f"{folder}extrinsic.txt").get((number, camera))
    return Frame(
        name=key,
        image=image,
        encoded=encoded,
        depth=decode.metres(decode.depth16(store.read(depth_name), store.where(depth_name)), 100),
        intrinsics=options.intrinsics
        or (decode.intrinsics(*row[:4], where=store.where(folder)) if row is not None else _INTRINSICS),
        gravity=_gravity(pose),
        regions=_regions(store, depth_name, folder),
        units_per_metre=100,
    )


@lru_cache(maxsize=8)
def _rows(store: Store, name: str) -> dict[tuple[int, int], np.ndarray]:
    """The rest of each line, by frame and camera."""
    if not store.has(name):
        return {}
    lines = [line for line in store.text(name).splitlines()[1:] if line.strip()]
    rows = [decode.numbers(line, store.where(name)) for line in lines]
    if any(len(row) < 3 for row in rows):
        raise RecordError(f"{store.where(name)}: expected lines of frame, cameraID and numbers")
    return {(int(row[0]), int(row[1])): row[2:] for row in rows}


def _gravity(pose: np.ndarray | None) -> Vector | None:
    if pose is None or len(pose) < 12:
        return None
    return decode.gravity(pose[:12].reshape(3, 4)[:, :3].T, (0, 1, 0))


def _regions(store: Store, depth_name: str, folder: str) -> tuple[tuple[str, Bool[np.ndarray, "h w"]], ...]:
    name = depth_name.replace("frames/depth/", "frames/instanceSegmentation/").replace("/depth_", "/instancegt_")
    if not store.has(name) or not store.has(f"{folder}info.txt"):
        return ()
    rows = [line.split() for line in store.text(f"{folder}info.txt").splitlines()[1:]]
    labels = {int(row[0]) + 1: row[1].lower() for row in rows if len(row) > 1 and row[0].isdigit()}
    ids = decode.grey8(store.read(name), store.where(name))
    found, counts = np.unique(ids, return_counts=True)
    return tuple((labels[int(i)], ids == i) for i, n in zip(found, counts, strict=True) if int(i) in labels and n >= _SMALLEST)


IMPORTER = Importer(
    kind="vkitti",
    title="Virtual KITTI 2",
    layout="SceneXX/VARIATION/frames/depth/Camera_C/depth_N.png, frames/rgb/... and intrinsic.txt",
    find=_find,
    open=_open,
)
