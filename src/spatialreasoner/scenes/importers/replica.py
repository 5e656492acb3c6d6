"""Replica as rendered for NICE-SLAM (and iMAP): the copy of Replica that most RGB-D work uses.

Rule, after nice-slam (`configs/Replica/replica.yaml`, `src/utils/datasets.py`):

- `results/frameN.jpg` and `results/depthN.png`: 16 bits, 6553.5 units per metre, 0 not measured, along the optical axis.
- Camera: `cam_params.json` beside the rooms (w, h, fx, fy, cx, cy, scale); without it 1200 x 680, fx = fy = 600, cx 599.5,
  cy 339.5.
- `traj.txt`: camera to world, sixteen numbers per line; x right, y down, z forward; world z up.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.align import scaled
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, one_by_one
from spatialreasoner.scenes.importers.store import Store

_CAMERA: Mapping[str, float] = {"w": 1200, "h": 680, "fx": 600.0, "fy": 600.0, "cx": 599.5, "cy": 339.5, "scale": 6553.5}


def _find(store: Store) -> Store | None:
    room = store.rooted(r"results/frame\d+\.jpg", r"results/depth\d+\.png")
    return room or (store.rooted(r"[^/]+/results/frame\d+\.jpg", r"[^/]+/results/depth\d+\.png"))


def _open(store: Store, options: FrameOptions) -> Capture:
    pairs = {n: (f"results/frame{n}.jpg", name) for n, name in store.find(r"results/depth(\d+)\.png").items()}
    numbers = [number for number in pairs if store.has(pairs[number][0])]
    told = _told(store)
    poses = _poses(store)
    return Capture(
        title=store.title,
        names=tuple(numbers),
        read=one_by_one(lambda place: _frame(store, numbers[place], pairs, told, poses, options)),
        source=f"Replica {store.title} (Straub et al. 2019), as rendered for NICE-SLAM",
    )


def _told(store: Store) -> Mapping[str, float]:
    above = Store(
        path=store.path,
        names=store.names,
        prefix=store.prefix.rstrip("/").rpartition("/")[0] + "/" if "/" in store.prefix.rstrip("/") else "",
    )
    for part in (store, above):
        if part.has("cam_params.json"):
            entry = decode.json_object(part.read("cam_params.json"), part.where("cam_params.json"))
            camera = entry.get("camera", entry)
            if not isinstance(camera, dict) or not _CAMERA.keys() <= camera.keys():
                raise RecordError(f"{part.where('cam_params.json')}: expected camera with {', '.join(_CAMERA)}")
            return {key: float(camera[key]) for key in _CAMERA}
    return _CAMERA


def _poses(store: Store) -> Float[np.ndarray, "n 4 4"]:
    if not store.has("traj.txt"):
        return np.empty((0, 4, 4))
    rows = decode.numbers(store.text("traj.txt"), store.where("traj.txt"))
    if len(rows) % 16:
        raise RecordError(f"{store.where('traj.txt')}: expected sixteen numbers per line; got {len(rows)} in all")
    return rows.reshape(-1, 4, 4)


def _frame(
    store: Store,
    number: str,
    pairs: Mapping[str, tuple[str, str]],
    told: Mapping[str, float],
    poses: Float[np.ndarray, "n 4 4"],
    options: FrameOptions,
) -> Frame:
    image_name, depth_name = pairs[number]
    image, encoded = decode.rgb(store.read(image_name), store.where(image_name))
    camera = Intrinsics(fx=told["fx"], fy=told["fy"], cx=told["cx"], cy=told["cy"])
    return Frame(
        name=number,
        image=image,
        encoded=encoded,
        depth=decode.metres(decode.depth16(store.read(depth_name), store.where(depth_name)), told["scale"]),
        intrinsics=options.intrinsics or scaled(camera, (round(told["h"]), round(told["w"])), (image.height, image.width)),
        gravity=decode.gravity(poses[int(number)][:3, :3], (0, 0, -1)) if int(number) < len(poses) else None,
        units_per_metre=told["scale"],
    )


IMPORTER = Importer(
    kind="replica",
    title="a room of Replica as rendered for NICE-SLAM",
    layout="results/frameN.jpg, results/depthN.png and traj.txt",
    find=_find,
    open=_open,
)
