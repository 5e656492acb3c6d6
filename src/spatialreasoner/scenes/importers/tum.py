"""TUM RGB-D: the benchmark's layout, which many recorders and SLAM tools write, too.

Rule, after the benchmark's page of file formats and its tools `associate.py` and `generate_pointcloud.py`:

- `rgb.txt` and `depth.txt` list timestamp and file; colour goes with the depth nearest in time, within 0.02 s, each used
  once; an `associations.txt` (rgb first or depth first) is taken instead where there is one.
- Depth: 16-bit PNG, 5000 units per metre, 0 not measured; registered to the colour image, same size.
- Camera: none in the folder. The authors recommend ROS's default for the registered images: fx = fy = 525, cx 319.5, cy
  239.5 of 640 x 480; the reader scales it to the image's size and says so. `intrinsics` gives another.
- `groundtruth.txt`: timestamp, tx, ty, tz, qx, qy, qz, qw of the colour camera (x right, y down, z forward) in a world with
  z up; absent from what others record, and then gravity is unknown.
"""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Float

from spatialreasoner.core.errors import RecordError
from spatialreasoner.core.types import Intrinsics
from spatialreasoner.scenes.importers import decode
from spatialreasoner.scenes.importers.align import scaled
from spatialreasoner.scenes.importers.frames import Capture, Frame, FrameOptions, Importer, Vector, one_by_one
from spatialreasoner.scenes.importers.store import Store

_DEFAULT = Intrinsics(fx=525.0, fy=525.0, cx=319.5, cy=239.5)
_MOST_APART = 0.02
_LISTS = ("associations.txt", "associate.txt", "association.txt", "assoc.txt")


def _find(store: Store) -> Store | None:
    return store.rooted(r"rgb\.txt", r"depth\.txt") or store.rooted(r"assoc\w*\.txt", r"depth/.*\.png")


def _open(store: Store, options: FrameOptions) -> Capture:
    pairs = _pairs(store)
    truth = _table(store, "groundtruth.txt", 8)
    return Capture(
        title=store.title,
        names=tuple(stamp for stamp, _, _ in pairs),
        read=one_by_one(lambda place: _frame(store, pairs[place], truth, options)),
        source=f"TUM RGB-D sequence {store.title}",
    )


def _frame(store: Store, pair: tuple[str, str, str], truth: Float[np.ndarray, "n 8"], options: FrameOptions) -> Frame:
    stamp, image_name, depth_name = pair
    image, encoded = decode.rgb(store.read(image_name), store.where(image_name))
    camera = options.intrinsics or scaled(_DEFAULT, (480, 640), (image.height, image.width))
    return Frame(
        name=stamp,
        image=image,
        encoded=encoded,
        depth=decode.metres(decode.depth16(store.read(depth_name), store.where(depth_name)), 5000),
        intrinsics=camera,
        gravity=_gravity(truth, float(stamp)),
        units_per_metre=5000,
        note="" if options.intrinsics else "camera: ROS's default, as the benchmark recommends",
    )


def _pairs(store: Store) -> list[tuple[str, str, str]]:
    """Timestamp, image and depth of every frame."""
    listed = next((name for name in _LISTS if store.has(name)), None)
    if listed is not None:
        rows = _rows(store, listed, 4)
        depth_first = any("depth" in row[1] for row in rows)
        return [(row[2], row[3], row[1]) if depth_first else (row[0], row[1], row[3]) for row in rows]
    colours, depths = _rows(store, "rgb.txt", 2), _rows(store, "depth.txt", 2)
    return _nearest([(row[0], row[1]) for row in colours], [(row[0], row[1]) for row in depths])


def _nearest(colours: list[tuple[str, str]], depths: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """The closest in time first, each file at most once, as associate.py does."""
    times = np.array([float(stamp) for stamp, _ in depths])
    order = np.argsort(times)
    near: list[tuple[float, int, int]] = []
    for number, (stamp, _) in enumerate(colours):
        first, last = np.searchsorted(times[order], [float(stamp) - _MOST_APART, float(stamp) + _MOST_APART])
        near += [(abs(float(times[k]) - float(stamp)), number, int(k)) for k in order[first:last]]
    taken: dict[int, int] = {}
    for _, colour, depth in sorted(near):
        if colour not in taken and depth not in taken.values():
            taken[colour] = depth
    return [(colours[colour][0], colours[colour][1], depths[depth][1]) for colour, depth in sorted(taken.items())]


def _rows(store: Store, name: str, columns: int) -> list[list[str]]:
    lines = [line for line in store.text(name).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    rows = [re.split(r"[\s,]+", line.strip()) for line in lines]
    for row in rows:
        if len(row) < columns or not re.fullmatch(r"[\d.eE+-]+", row[0]):
            raise RecordError(
                f"{store.where(name)}: expected lines of {columns} columns, timestamp first; got {' '.join(row)[:80]!r}"
            )
    return rows


def _table(store: Store, name: str, columns: int) -> Float[np.ndarray, "n columns"]:
    if not store.has(name):
        return np.empty((0, columns))
    rows = [decode.numbers(" ".join(row[:columns]), store.where(name), count=columns) for row in _rows(store, name, columns)]
    return np.array(rows).reshape(-1, columns)


def _gravity(truth: Float[np.ndarray, "n 8"], stamp: float) -> Vector | None:
    if not len(truth):
        return None
    nearest = int(np.abs(truth[:, 0] - stamp).argmin())
    if abs(truth[nearest, 0] - stamp) > 0.05:
        return None
    x, y, z, w = truth[nearest, 4:8]
    return decode.gravity(decode.quaternion(x, y, z, w), (0, 0, -1))


IMPORTER = Importer(
    kind="tum",
    title="a TUM RGB-D sequence",
    layout="rgb.txt, depth.txt and the files that they list",
    find=_find,
    open=_open,
)
