"""ScanNet, exported: what SensReader writes of a .sens file, and the frames that the benchmark hands out (ScanNet_frames_25k).

Rule, after ScanNet's README and SensReader/python (`SensorData.export_*`):

- `color/N.jpg` 1296 x 968, `depth/N.png` 640 x 480: 16 bits, `depth_shift` 1000 per metre, 0 not measured. Two cameras:
  depth is brought to colour by both cameras, not resized.
- `intrinsic/intrinsic_color.txt`, `intrinsic_depth.txt` (or intrinsics_*.txt beside the folders): 4 x 4, in pixels of the
  full-size images; where a tool has resized the images, the camera is scaled to them.
- `extrinsic_color.txt`, `extrinsic_depth.txt`: 4 x 4 poses to a common frame, the identity as released.
- `pose/N.txt`: camera to world, x right, y down, z forward, world z up; -inf where tracking was lost.
- `instance-filt/N.png` with `label-filt` hold ids; their names need the scan's own files, so they are not read here.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from PIL import Image

from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.align import scaled
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, Vector, one_by_one
from spatialreasoner.scenes.importers.store import Store

_COLOUR, _DEPTH = (968, 1296), (480, 640)


def _find(store: Store) -> Store | None:
    return store.rooted(r"(?:intrinsic/intrinsic|intrinsics)_color\.txt", r"depth/\d+\.png", r"color/\d+\.(?:jpg|png)")


def _open(store: Store, options: FrameOptions) -> Capture:
    colours = store.find(r"color/(\d+)\.(?:jpg|png)")
    numbers = [number for number in store.find(r"depth/(\d+)\.png") if number in colours]
    return Capture(
        title=store.title,
        names=tuple(numbers),
        read=one_by_one(lambda place: _frame(store, numbers[place], colours[numbers[place]], options)),
        source=f"ScanNet {store.title} (Dai et al. 2017)",
    )


def _frame(store: Store, number: str, image_name: str, options: FrameOptions) -> Frame:
    image, encoded = decode.rgb(store.read(image_name), store.where(image_name))
    name = f"depth/{number}.png"
    depth = decode.metres(decode.depth16(store.read(name), store.where(name)), 1000)
    camera = _camera(store, "color", _COLOUR, (image.height, image.width))
    return Frame(
        name=number,
        image=image,
        encoded=encoded,
        depth=depth,
        intrinsics=options.intrinsics or camera or scaled_default(image),
        depth_camera=_camera(store, "depth", _DEPTH, (depth.shape[0], depth.shape[1])),
        depth_pose=_between(store),
        gravity=_gravity(store, f"pose/{number}.txt"),
        units_per_metre=1000,
    )


def scaled_default(image: Image.Image) -> Intrinsics:
    """The camera that most scans have, where a file of it is missing."""
    return scaled(Intrinsics(fx=1170.19, fy=1170.19, cx=647.75, cy=483.75), _COLOUR, (image.height, image.width))


def _camera(store: Store, which: str, full: tuple[int, int], size: tuple[int, int]) -> Intrinsics | None:
    """The camera in pixels of images of this size: the file's are those of the full size, unless it tells another."""
    for name in (f"intrinsic/intrinsic_{which}.txt", f"intrinsics_{which}.txt"):
        if store.has(name):
            camera = decode.camera(decode.matrix(store.text(name), store.where(name)), store.where(name))
            fits_full = abs(camera.cx / (full[1] / 2) - 1) < 0.15
            fits_size = abs(camera.cx / (size[1] / 2) - 1) < 0.15
            return scaled(camera, full, size) if fits_full and not fits_size else camera
    return None


def _between(store: Store) -> Float[np.ndarray, "4 4"] | None:
    names = "intrinsic/extrinsic_color.txt", "intrinsic/extrinsic_depth.txt"
    if not all(store.has(name) for name in names):
        return None
    colour, depth = (decode.matrix(store.text(name), store.where(name)) for name in names)
    if not (np.isfinite(colour).all() and np.isfinite(depth).all()) or abs(np.linalg.det(colour)) < 1e-6:
        return None
    return np.linalg.inv(colour) @ depth


def _gravity(store: Store, name: str) -> Vector | None:
    if not store.has(name):
        return None
    pose = decode.matrix(store.text(name), store.where(name))
    return decode.gravity(pose[:3, :3], (0, 0, -1))


IMPORTER = Importer(
    kind="scannet",
    title="an exported ScanNet scan",
    layout="color/N.jpg, depth/N.png and intrinsic/intrinsic_color.txt (or intrinsics_color.txt)",
    find=_find,
    open=_open,
)
