"""RealSense and Azure Kinect recordings exported as aligned images: the layout of Open3D's recorders.

`realsense_recorder.py`, `azure_kinect_mkv_reader.py` and `RSBagReader.save_frames` write `color/*.jpg`, `depth/*.png`, and
one JSON (`camera_intrinsic.json`, `intrinsic.json`). Many scripts of RealSense users write the same.

Rule, after Open3D's examples and `PinholeCameraIntrinsic.write`:

- Depth: 16-bit PNG aligned to colour, the same size. 1000 units per metre, unless the JSON has `depth_scale`: above 1 it is
  units per metre (Open3D), below 1 metres per unit (librealsense's `get_depth_scale()`). 0 not measured.
- Camera: `intrinsic_matrix`, nine numbers column by column, in pixels of `width` x `height` of the same JSON; or fx, fy and
  cx, cy or ppx, ppy.
- Frames go by their names (numbers) where colour and depth have the same, else by their order, if there are as many.
- Gravity: unknown.

A camera's own recording is another matter: RealSense's `.bag` and `.db3` are handed to `rosbag`; Azure Kinect's .mkv needs
its SDK, so export it first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spatialreasoner.core.errors import InputError, RecordError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode, rosbag
from spatialreasoner.scenes.importers.align import scaled
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, one_by_one
from spatialreasoner.scenes.importers.store import Store

_JSON = r"(?:camera_)?intrinsics?\.json|camera(?:_info)?\.json"
_COLOUR = r"(?:color|colour|rgb|image)s?"


def _find(store: Store) -> Store | None:
    if (bag := rosbag.IMPORTER.find(store)) is not None:
        return bag
    if any(name.lower().endswith(".mkv") for name in store.names) and not store.rooted(r"depth/.*\.png"):
        return _Kinect.find(store)
    return store.rooted(_JSON, rf"{_COLOUR}/.*\.(?:jpe?g|png)", r"depths?/.*\.png")


class _Kinect:
    """Azure Kinect's .mkv, which is known by name and refused with the way out."""

    @staticmethod
    def find(store: Store) -> Store | None:
        return store if any(name.lower().endswith(".mkv") for name in store.names) else None


def _open(store: Store, options: FrameOptions) -> Capture:
    if rosbag.IMPORTER.find(store) is not None:
        return rosbag.IMPORTER.open(store, options)
    if _Kinect.find(store) and not store.find(r"depths?/(.*)\.png"):
        raise InputError(
            f"{store.path}: an Azure Kinect .mkv can only be read with its own SDK; export it to images with Open3D's "
            "azure_kinect_mkv_reader.py (color/, depth/, intrinsic.json) and import that folder"
        )
    name = next(name for name in store.find(rf"({_JSON})").values())
    camera = decode.json_object(store.read(name), store.where(name))
    pairs = _pairs(store)
    return Capture(
        title=store.title,
        names=tuple(pairs),
        read=one_by_one(lambda place: _frame(store, list(pairs)[place], pairs, camera, store.where(name), options)),
        source=f"recording {store.title}, exported as aligned images",
    )


def _pairs(store: Store) -> dict[str, tuple[str, str]]:
    """Image and depth of each frame, by the name that they share or by their order."""
    colours = store.find(rf"{_COLOUR}/(.*)\.(?:jpe?g|png)")
    depths = store.find(r"depths?/(.*)\.png")
    both = {key: (colours[key], depths[key]) for key in colours if key in depths}
    if both:
        return both
    if len(colours) != len(depths):
        raise RecordError(
            f"{store.where()}: expected images and depth of the same names, or as many of each; got {len(colours)} and "
            f"{len(depths)}"
        )
    return {key: (colour, depth) for (key, colour), depth in zip(colours.items(), depths.values(), strict=True)}


def _frame(
    store: Store, key: str, pairs: Mapping[str, tuple[str, str]], camera: dict[str, Any], where: str, options: FrameOptions
) -> Frame:
    image_name, depth_name = pairs[key]
    image, encoded = decode.rgb(store.read(image_name), store.where(image_name))
    units = _units(camera, where)
    return Frame(
        name=key,
        image=image,
        encoded=encoded,
        depth=decode.metres(decode.depth16(store.read(depth_name), store.where(depth_name)), units),
        intrinsics=options.intrinsics or camera_of(camera, (image.height, image.width), where),
        units_per_metre=units,
    )


def camera_of(entry: Mapping[str, Any], size: tuple[int, int], where: str) -> Intrinsics:
    """The camera of a JSON object, for an image of this size.

    Args:
        entry: `intrinsic_matrix`, column by column as Open3D writes it; or fx, fy, cx or ppx, cy or ppy; beside them
            perhaps `width` and `height`, to which the numbers belong.
        size: Height and width of the image.
        where: What to call the file in an error.

    Raises:
        RecordError: If there is neither.
    """
    entry = next((entry[key] for key in ("intrinsics", "intrinsic", "camera") if isinstance(entry.get(key), Mapping)), entry)
    k = next((entry[key] for key in ("intrinsic_matrix", "camera_matrix", "K") if key in entry), None)
    if k is not None:
        camera = from_matrix(k, where)
    else:
        camera = decode.intrinsics(
            entry.get("fx"), entry.get("fy"), entry.get("cx", entry.get("ppx")), entry.get("cy", entry.get("ppy")), where=where
        )
    height, width = (entry.get(key, entry.get(key[0])) for key in ("height", "width"))
    if isinstance(height, int | float) and isinstance(width, int | float) and min(height, width) >= 1:
        return scaled(camera, (round(height), round(width)), size)
    return camera


def from_matrix(k: Any, where: str) -> Intrinsics:
    """A camera of nine numbers in either order: the last row (0, 0, 1) tells which."""
    try:
        matrix = np.asarray(k, dtype=float).reshape(3, 3)
    except (TypeError, ValueError):
        raise RecordError(f"{where}: expected a camera matrix of nine numbers; got {str(k)[:60]}") from None
    by_column = matrix[0, 2] == 0 and matrix[1, 2] == 0 and matrix[2, 0] != 0
    return decode.camera(matrix.T if by_column else matrix, where)


def _units(camera: dict[str, Any], where: str) -> float:
    scale = decode.depth_scale(camera.get("depth_scale", camera.get("depth_units_per_metre", 1000.0)), where)
    return scale if scale >= 1 else round(1 / scale, 6)


IMPORTER = Importer(
    kind="realsense",
    title="a RealSense or Azure Kinect recording exported as aligned images",
    layout="camera_intrinsic.json or intrinsic.json, color/*.jpg or .png, and depth/*.png",
    find=_find,
    open=_open,
)
