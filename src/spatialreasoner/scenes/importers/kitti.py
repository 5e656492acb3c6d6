"""KITTI depth: the depth benchmark's selection, and raw drives with annotated depth.

Rule, after the devkit's readme (`depth_read.py`) and the raw data's calibration:

- Depth: 16-bit PNG, metres = value / 256, 0 not measured. `groundtruth_depth` (accumulated, semi-dense) is taken where it
  is there, else `velodyne_raw` (one turn of the lidar, sparse).
- Selection: `image/X_image_N_image_C.png`, `groundtruth_depth/X_groundtruth_depth_N_image_C.png`,
  `intrinsics/X_image_N_image_C.txt`, nine numbers row by row, in pixels of the cropped image.
- Raw: `image_02/data/N.png` with `proj_depth/groundtruth/image_02/N.png` and the date's `calib_cam_to_cam.txt`, P_rect_0C
  of the rectified image.
- Gravity: the camera is level on the car to within a degree or two; unknown is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, one_by_one
from spatialreasoner.scenes.importers.store import Store

_SELECTED = r"(?:groundtruth_depth|velodyne_raw)/.*_(?:groundtruth_depth|velodyne_raw)_\d+_image_0[0-3]\.png"
_PROJECTED = r"proj_depth/(?:groundtruth|velodyne_raw)/image_0[0-3]/\d+\.png"


def _find(store: Store) -> Store | None:
    selected = store.rooted(_SELECTED, r"image/.*\.png", r"intrinsics/.*\.txt")
    raw = store.rooted(r"(?:.*/)?calib_cam_to_cam\.txt", rf"(?:.*/)?{_PROJECTED}")
    return selected or (raw and store)


def _open(store: Store, options: FrameOptions) -> Capture:
    selected = bool(store.find(f"({_SELECTED})"))
    frames = _selected(store) if selected else _raw(store)
    return Capture(
        title=store.title,
        names=tuple(frames),
        read=one_by_one(lambda place: _frame(store, list(frames)[place], frames, options)),
        source="KITTI (Geiger et al. 2013), CC BY-NC-SA 3.0",
    )


def _selected(store: Store) -> dict[str, tuple[str, str, str]]:
    """Image, depth and camera of each frame of the benchmark's selection."""
    frames: dict[str, tuple[str, str, str]] = {}
    for kind in ("velodyne_raw", "groundtruth_depth"):
        for key, depth in store.find(rf"{kind}/(.*)\.png").items():
            stem = key.replace(f"_{kind}_", "_image_")
            if store.has(f"image/{stem}.png") and store.has(f"intrinsics/{stem}.txt"):
                frames[stem] = (f"image/{stem}.png", depth, f"intrinsics/{stem}.txt")
    return frames


def _raw(store: Store) -> dict[str, tuple[str, str, str]]:
    """The same of raw drives: the drive's folder may lie in the date's, and the depth in another tree."""
    images = {
        (m[1], m[2], m[3]): n
        for n in store.local_names
        if (m := re.fullmatch(r"(?:.*/)?([^/]+_sync)/image_(0\d)/data/(\d+)\.(?:png|jpg)", n))
    }
    frames: dict[str, tuple[str, str, str]] = {}
    for kind in ("velodyne_raw", "groundtruth"):
        for name in store.find(rf"(.*proj_depth/{kind}/image_0\d/\d+\.png)"):
            drive, camera, number = _parts(name)
            if (image := images.get((drive, camera, number))) and (calibration := _calibration(store, drive)):
                frames[f"{drive}-{camera}-{number}"] = (image, name, f"{calibration}#{camera}")
    return frames


def _parts(name: str) -> tuple[str, str, str]:
    found = re.search(r"([^/]+_sync)/proj_depth/[^/]+/image_(0\d)/(\d+)\.png$", name)
    return (found[1], found[2], found[3]) if found else ("", "", "")


def _calibration(store: Store, drive: str) -> str | None:
    date = drive[:10]
    names = list(store.find(r"((?:.*/)?calib_cam_to_cam\.txt)"))
    return next((name for name in names if date in name), names[0] if len(names) == 1 else None)


def _frame(store: Store, name: str, frames: Mapping[str, tuple[str, str, str]], options: FrameOptions) -> Frame:
    image_name, depth_name, camera_name = frames[name]
    image, encoded = decode.rgb(store.read(image_name), store.where(image_name))
    return Frame(
        name=name,
        image=image,
        encoded=encoded,
        depth=decode.metres(decode.depth16(store.read(depth_name), store.where(depth_name)), 256),
        intrinsics=options.intrinsics or _camera(store, camera_name),
        units_per_metre=256,
    )


def _camera(store: Store, name: str) -> Intrinsics:
    name, _, camera = name.partition("#")
    if not camera:
        return decode.camera(decode.matrix(store.text(name), store.where(name)), store.where(name))
    line = re.search(rf"P_rect_{camera}:([^\n]*)", store.text(name))
    if line is None:
        raise RecordError(f"{store.where(name)}: expected P_rect_{camera}; there is no such line")
    return decode.camera(decode.matrix(line[1], store.where(name)), store.where(name))


IMPORTER = Importer(
    kind="kitti",
    title="KITTI depth",
    layout="image/, groundtruth_depth/ or velodyne_raw/, intrinsics/; or raw drives with proj_depth/ and calib_cam_to_cam.txt",
    find=_find,
    open=_open,
)
