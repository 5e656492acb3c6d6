"""Stray Scanner: recordings of an iPhone's or iPad's LiDAR.

Rule, after the app's own StrayVisualizer (`stray_visualize.py`):

- `rgb.mp4`: colour, 1920 x 1440; frame N goes with `depth/00000N.png`.
- Depth: `depth/*.png` (in old recordings .npy), 256 x 192, 16 bits, millimetres, 0 not measured.
- `confidence/*.png`: 0 low, 1 medium, 2 high; the visualizer leaves out 0 unless told otherwise, as this reader does.
- Camera: `camera_matrix.csv`, 3 x 3 row by row, in pixels of the video, not of the depth; newer recordings have fx, fy, cx,
  cy of each frame in odometry.csv.
- `odometry.csv`: timestamp, frame, x, y, z, qx, qy, qz, qw; camera to world with the camera's axes x right, y down, z
  forward; ARKit's world, y up.
- Orientation: as the sensor is built in; frames are turned by their pose.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from spatialreasoner.core.errors import RecordError, SceneError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, Vector
from spatialreasoner.scenes.importers.store import Store
from spatialreasoner.scenes.importers.video import frames_at


def _find(store: Store) -> Store | None:
    return store.rooted(r"camera_matrix\.csv", r"rgb\.mp4", r"depth/\d+\.(?:png|npy)")


def _open(store: Store, options: FrameOptions) -> Capture:
    depths = store.find(r"depth/(\d+)\.(?:png|npy)")
    odometry = _odometry(store)
    numbers = list(depths)

    def read(places: Sequence[int]) -> Iterator[Frame]:
        with store.local("rgb.mp4") as video:
            images = frames_at(video, [int(numbers[place]) for place in places], kind="Stray Scanner")
            for place in places:
                yield _frame(store, numbers[place], depths[numbers[place]], next(images), odometry, options)

    return Capture(title=store.title, names=tuple(numbers), read=read, source=f"Stray Scanner recording {store.title}")


def _frame(
    store: Store, number: str, depth_name: str, image: Image.Image, odometry: dict[int, dict[str, float]], options: FrameOptions
) -> Frame:
    row = odometry.get(int(number), {})
    return Frame(
        name=number,
        image=image,
        depth=_depth(store, number, depth_name, options),
        intrinsics=options.intrinsics or _camera(store, row),
        gravity=_gravity(row),
        units_per_metre=1000,
    )


def _depth(store: Store, number: str, name: str, options: FrameOptions) -> np.ndarray:
    data = store.read(name)
    values = decode.npy(data, store.where(name)) if name.endswith(".npy") else decode.depth16(data, store.where(name))
    if values.ndim != 2:
        raise SceneError(f"{store.where(name)}: expected depth [rows, columns]; got {values.shape}")
    depth = decode.metres(values, 1000)
    confidence = f"confidence/{number}.png"
    if not store.has(confidence):
        return depth
    levels = decode.grey8(store.read(confidence), store.where(confidence))
    return decode.confident(depth, levels, options.min_confidence, store.where(confidence))


def _camera(store: Store, row: dict[str, float]) -> Intrinsics:
    own = [row.get(key, np.nan) for key in ("fx", "fy", "cx", "cy")]
    if np.isfinite(own).all():
        return decode.intrinsics(*own, where=store.where("odometry.csv"))
    where = store.where("camera_matrix.csv")
    return decode.camera(decode.matrix(store.text("camera_matrix.csv"), where), where)


def _odometry(store: Store) -> dict[int, dict[str, float]]:
    """The rows of odometry.csv by their frame, or nothing where there is no such file."""
    if not store.has("odometry.csv"):
        return {}
    rows = csv.DictReader(io.StringIO(store.text("odometry.csv")), skipinitialspace=True)
    try:
        table = [{key.strip(): float(value) for key, value in row.items() if key and value} for row in rows]
        return {int(row["frame"]): row for row in table}
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise RecordError(
            f"{store.where('odometry.csv')}: expected numbers under timestamp, frame, x ... qw; {error}"
        ) from None


def _gravity(row: dict[str, float]) -> Vector | None:
    values = [row.get(key, np.nan) for key in ("qx", "qy", "qz", "qw")]
    return decode.gravity(decode.quaternion(*values), (0, -1, 0))


IMPORTER = Importer(
    kind="stray",
    title="a Stray Scanner recording",
    layout="rgb.mp4, camera_matrix.csv and depth/*.png",
    find=_find,
    open=_open,
)
