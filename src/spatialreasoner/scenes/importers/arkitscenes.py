"""ARKitScenes: Apple's data set of indoor scans with an iPad's LiDAR (raw, 3dod and upsampling layouts).

Rule, after the data set's DATA.md and `threedod/benchmark_scripts/utils/tenFpsDataLoader.py`:

- Depth: `lowres_depth` (256 x 192, the device) or `highres_depth` (1920 x 1440, a laser scanner): 16-bit PNG, millimetres,
  0 not measured. `confidence`: bytes, 0 low to 2 high, of `lowres_depth` only.
- Camera: a `.pincam` file per image: width, height, fx, fy, cx, cy; each image folder has its own, in its own pixels.
- Orientation: as the sensor is built in, whichever way the iPad was held. `sky_direction` in metadata.csv is not heeded;
  the pose tells which way is down, and the frame is turned by it.
- `lowres_wide.traj`: timestamp, rotation vector, translation, world to camera; x right, y down, z forward; world z up. Its
  timestamps are not those of the images: the nearest within 0.1 s is taken.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.align import scaled
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, Vector, one_by_one
from spatialreasoner.scenes.importers.store import Store

_IMAGES = ("wide", "vga_wide", "lowres_wide")
_DEPTHS = ("highres_depth", "lowres_depth")
_STAMP = r"(?:.*_)?(\d+\.\d+)"


def _find(store: Store) -> Store | None:
    return store.rooted(r"(?:lowres_|vga_)?wide_intrinsics/.*\.pincam", r"(?:low|high)res_depth/.*\.png")


def _open(store: Store, options: FrameOptions) -> Capture:
    depths = {stamp: name for kind in reversed(_DEPTHS) for stamp, name in store.find(rf"{kind}/{_STAMP}\.png").items()}
    images = {stamp: name for kind in reversed(_IMAGES) for stamp, name in store.find(rf"{kind}/{_STAMP}\.png").items()}
    stamps = sorted(depths.keys() & images.keys(), key=float)
    trajectory = _trajectory(store)
    return Capture(
        title=store.title.removesuffix("_frames"),
        names=tuple(stamps),
        read=one_by_one(lambda k: _frame(store, stamps[k], images[stamps[k]], depths[stamps[k]], trajectory, options)),
        source=f"ARKitScenes {store.title.removesuffix('_frames')} (Baruch et al. 2021)",
    )


def _frame(
    store: Store, stamp: str, image_name: str, depth_name: str, trajectory: Float[np.ndarray, "n 7"], options: FrameOptions
) -> Frame:
    image, encoded = decode.rgb(store.read(image_name), store.where(image_name))
    depth = decode.metres(decode.depth16(store.read(depth_name), store.where(depth_name)), 1000)
    confidence = depth_name.replace("lowres_depth/", "confidence/")
    if confidence != depth_name and store.has(confidence):
        levels = decode.grey8(store.read(confidence), store.where(confidence))
        depth = decode.confident(depth, levels, options.min_confidence, store.where(confidence))
    return Frame(
        name=stamp,
        image=image,
        encoded=encoded,
        depth=depth,
        intrinsics=options.intrinsics or _camera(store, image_name, stamp, (image.height, image.width)),
        gravity=_gravity(trajectory, float(stamp)),
        units_per_metre=1000,
    )


def _camera(store: Store, image_name: str, stamp: str, size: tuple[int, int]) -> Intrinsics:
    folder = f"{image_name.split('/')[0]}_intrinsics"
    cameras = store.find(rf"{folder}/{_STAMP}\.pincam")
    near = [key for key in cameras if abs(float(key) - float(stamp)) < 0.0021]  # stamps are rounded differently
    if not near:
        raise RecordError(f"{store.where(folder)}: expected a .pincam of frame {stamp}; there is none")
    name = cameras[min(near, key=lambda key: abs(float(key) - float(stamp)))]
    width, height, fx, fy, cx, cy = decode.numbers(store.text(name), store.where(name), count=6)
    camera = decode.intrinsics(fx, fy, cx, cy, where=store.where(name))
    return scaled(camera, (round(height), round(width)), size) if width >= 1 and height >= 1 else camera


def _trajectory(store: Store) -> Float[np.ndarray, "n 7"]:
    names = [name for name in ("lowres_wide.traj", "color.traj") if store.has(name)]
    if not names:
        return np.empty((0, 7))
    rows = decode.numbers(store.text(names[0]), store.where(names[0]))
    if len(rows) % 7:
        raise RecordError(f"{store.where(names[0])}: expected seven numbers per line; got {len(rows)} in all")
    return rows.reshape(-1, 7)


def _gravity(trajectory: Float[np.ndarray, "n 7"], stamp: float) -> Vector | None:
    from scipy.spatial.transform import Rotation

    if not len(trajectory):
        return None
    nearest = int(np.abs(trajectory[:, 0] - stamp).argmin())
    if abs(trajectory[nearest, 0] - stamp) > 0.1:
        return None
    world_to_camera = np.asarray(Rotation.from_rotvec(trajectory[nearest, 1:4]).as_matrix())
    return decode.gravity(world_to_camera.T, (0, 0, -1))


IMPORTER = Importer(
    kind="arkitscenes",
    title="an ARKitScenes scan",
    layout="lowres_depth/ or highres_depth/, wide/, vga_wide/ or lowres_wide/, and their _intrinsics/*.pincam",
    find=_find,
    open=_open,
)
