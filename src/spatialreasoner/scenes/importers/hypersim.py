"""Hypersim: rendered interiors, one HDF5 file per image and quantity.

Rule, after Apple's ml-hypersim (README, and its issue on `depth_meters`):

- `images/scene_cam_XX_geometry_hdf5/frame.N.depth_meters.hdf5`, dataset `dataset`: metres from the optical centre along
  each ray (Euclidean), not along the optical axis: it is brought to the axis here. NaN and infinity are background.
- Image: `scene_cam_XX_final_preview/frame.N.tonemap.jpg` (or color.jpg).
- Camera: 1024 x 768 seen at 60 degrees across: fx = fy = 886.81, the centre in the middle, pixel centres at whole numbers
  plus a half. Scenes whose camera is tilted or shifted differ (metadata_camera_parameters.csv); `intrinsics` overrides.
- `_detail/cam_XX/camera_keyframe_orientations.hdf5`: camera to world, camera y up and z backward, world z up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

from spatialreasoner.core.errors import SceneError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.align import planar
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, Vector, one_by_one
from spatialreasoner.scenes.importers.store import Store
from spatialreasoner.scenes.masks import MAX_PIXELS, require_size

_HALF_ANGLE = math.radians(30)


def _find(store: Store) -> Store | None:
    root = store.rooted(r"images/scene_cam_\d+_geometry_hdf5/frame\.\d+\.depth_meters\.hdf5")
    return root or store.rooted(r"scene_cam_\d+_geometry_hdf5/frame\.\d+\.depth_meters\.hdf5")


def _open(store: Store, options: FrameOptions) -> Capture:
    depths = store.find(r"((?:images/)?scene_cam_\d+_geometry_hdf5/frame\.\d+)\.depth_meters\.hdf5")
    images = {depths[key]: image for key in depths if (image := _image(store, key))}
    frames = {_short(key): (depths[key], images[depths[key]]) for key in depths if depths[key] in images}
    return Capture(
        title=store.title,
        names=tuple(frames),
        read=one_by_one(lambda place: _frame(store, list(frames)[place], frames, options)),
        source=f"Hypersim {store.title} (Roberts et al. 2021)",
    )


def _short(key: str) -> str:
    """`images/scene_cam_00_geometry_hdf5/frame.0001` as `cam_00-frame.0001`."""
    folder, frame = key.rsplit("/", 1)
    return f"{folder.rsplit('/', 1)[-1].removeprefix('scene_').removesuffix('_geometry_hdf5')}-{frame}"


def _image(store: Store, key: str) -> str | None:
    stem = key.replace("_geometry_hdf5/", "_final_preview/")
    return next((stem + end for end in (".tonemap.jpg", ".color.jpg", ".tonemap.png") if store.has(stem + end)), None)


def _frame(store: Store, name: str, frames: Mapping[str, tuple[str, str]], options: FrameOptions) -> Frame:
    depth_name, image_name = frames[name]
    image, encoded = decode.rgb(store.read(image_name), store.where(image_name))
    distance = decode.valid(hdf5(store, depth_name, "dataset"))
    camera = options.intrinsics or _camera(image.width, image.height)
    require_size(distance.shape, (image.height, image.width), where=store.where(depth_name), what="depth of the image's size")
    return Frame(
        name=name,
        image=image,
        encoded=encoded,
        depth=planar(distance, camera),
        intrinsics=camera,
        gravity=_gravity(store, depth_name),
        note="" if options.intrinsics else "camera: 60 degrees across, as most scenes have",
    )


def _camera(width: int, height: int) -> Intrinsics:
    focal = width / 2 / math.tan(_HALF_ANGLE)
    return Intrinsics(fx=focal, fy=focal, cx=(width - 1) / 2, cy=(height - 1) / 2)


def _gravity(store: Store, depth_name: str) -> Vector | None:
    camera, number = depth_name.rsplit("/", 2)[-2].split("_geometry")[0].removeprefix("scene_"), int(depth_name.split(".")[-3])
    indices, orientations = (f"_detail/{camera}/camera_keyframe_{part}.hdf5" for part in ("frame_indices", "orientations"))
    if not (store.has(indices) and store.has(orientations)):
        return None
    places = np.flatnonzero(hdf5(store, indices, "dataset") == number)
    rotations = hdf5(store, orientations, "dataset")
    if not len(places) or rotations.ndim != 3:
        return None
    return decode.gravity(rotations[places[0]], (0, 0, -1), opengl=True)


def hdf5(store: Store, name: str, key: str) -> Shaped[np.ndarray, ...]:
    """One dataset of an HDF5 file.

    Raises:
        SceneError: If it is not such a file, or larger than an image can be.
        MissingExtraError: If h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise decode.needs("h5py", "HDF5 files") from None
    with store.local(name) as path:
        try:
            with h5py.File(path, "r") as file:
                data: Any = file[key]
                if data.size > 4 * MAX_PIXELS:
                    raise SceneError(f"{store.where(name)}: expected at most {4 * MAX_PIXELS} numbers; got {data.shape}")
                return np.asarray(data)
        except (OSError, KeyError, AttributeError, ValueError) as error:
            if isinstance(error, SceneError):
                raise
            raise SceneError(f"{store.where(name)}: expected an HDF5 file with {key!r}; {error}") from None


IMPORTER = Importer(
    kind="hypersim",
    title="a Hypersim scene",
    layout="images/scene_cam_XX_geometry_hdf5/frame.N.depth_meters.hdf5 and scene_cam_XX_final_preview/frame.N.tonemap.jpg",
    find=_find,
    open=_open,
)
